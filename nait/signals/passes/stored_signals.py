"""Stored signals: read from the store, or measured in one pass and written to it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.addresses import canonical
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import StoreError
from nait.core.ranks import workers_from
from nait.signals.encodings import Encodings
from nait.signals.passes.options import Engine
from nait.signals.passes.run import join_pass, run_pass
from nait.signals.passes.runners import check_split
from nait.signals.passes.shared import produce_together
from nait.signals.specs.activations import Signal, at_every_layer, first_layers
from nait.store import Artifact, reading, repair_advice


class NotMeasured(Exception):  # noqa: N818  # an answer, not an error
    """Raised by a store-only extractor when a signal would need a pass."""


@dataclass(frozen=True)
class StoredSignals:
    """Signals of the texts of `encodings`. With `stored_only`, missing signals are not measured."""

    encodings: Encodings
    engine: Engine
    stored_only: bool = False

    def measure(self, examples: Pool | Target, signals: Sequence[Signal]) -> list[npt.NDArray[Any]]:
        """One memory-mapped array per signal; all signals that the store lacks are measured in ONE pass.

        A signal with a depth is a slice of the same signal at every layer, if the store has that.

        Raises: NotMeasured for a missing signal with `stored_only`; ConfigError for texts without a length limit;
        DamagedError for a damaged array.
        """
        self.encodings.check_measurable()
        store, identity = self.encodings.store, self.encodings.identity(examples)
        keys = [{**signal.key(), **identity} for signal in signals]
        whole = [self._at_every_layer(signal, identity) for signal in signals]
        missing = [i for i, key in enumerate(keys) if whole[i] is None and not self._is_stored(key)]
        if missing:
            places = {store.folder("signals", keys[i]).name: i for i in missing}
            unique = [places[name] for name in sorted(places)]
            self.run_pass(examples, [signals[i] for i in unique], [keys[i] for i in unique])
        self.encodings.record_tokens(examples)
        return [
            self._stored(key) if larger is None else first_layers(signal, self._stored(larger))
            for signal, key, larger in zip(signals, keys, whole, strict=True)
        ]

    def _at_every_layer(self, signal: Signal, identity: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The key of the same signal at every layer; None if the signal has no depth or the store lacks that key."""
        larger = at_every_layer(signal)
        key = None if larger is None else {**larger.key(), **identity}
        return key if key is not None and self._is_stored(key) else None

    def _is_stored(self, key: Mapping[str, Any]) -> bool:
        """Whether the store has a signal and the pass that measured it.

        A signal whose pass was set aside is set aside too, so that it is measured again.
        """
        store = self.encodings.store
        found = store.find("signals", key)
        if found is None:
            return False
        if store.find("passes", str(found.manifest["pass"])) is not None:
            return True
        if not self.stored_only:
            store.set_aside(found.path, "belongs to a pass that the store no longer has")
        return self.stored_only

    def _stored(self, key: Mapping[str, Any]) -> npt.NDArray[Any]:
        found = self.encodings.store.find("signals", key)
        assert found is not None
        path = self._array_path(found)
        with reading(path):
            return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]

    def _array_path(self, signal: Artifact) -> Path:
        """The file of a signal's array, in the folder of the pass that measured it."""
        measured_by = self.encodings.store.find("passes", str(signal.manifest["pass"]))
        if measured_by is None and self.stored_only:
            raise NotMeasured
        if measured_by is None:
            raise StoreError(
                "the pass that measured it is gone",
                where=str(signal.path),
                fix=repair_advice(signal.path),
            )
        index = int(signal.manifest["index"])
        self.encodings.lineage.add(measured_by, [index])
        return measured_by.path / f"{index}.npy"

    def run_pass(
        self, examples: Pool | Target, signals: Sequence[Signal], keys: Sequence[Mapping[str, Any]]
    ) -> None:
        """Measure these signals in one pass, shared with the other workers, and store each under its key.

        Raises: NotMeasured with `stored_only`; ModelError, before the model is opened, for what a tensor-parallel one
        cannot measure.
        """
        if self.stored_only:
            raise NotMeasured
        if getattr(self.encodings.model, "tensor_parallel", False):
            check_split(signals)
        store, network = self.encodings.store, self.encodings.network
        table = self.encodings.tokens(examples)
        size = {"rows": len(table), "tokens": int(table.starts[-1])}
        workers = workers_from(os.environ)

        def write(part: Path) -> Mapping[str, Any]:
            earlier = run_pass(
                network, table, signals, part, engine=self.engine, name=examples.name, workers=workers
            )
            return {**size, "signals": [canonical(signal.key()) for signal in signals], **earlier}

        def join(part: Path) -> None:
            join_pass(network, table, signals, part, engine=self.engine, name=examples.name, workers=workers)

        pass_key = {"signals": [store.folder("signals", key).name for key in keys]}
        done = (
            produce_together(store, "passes", pass_key, write, join)
            if workers.count > 1
            else store.produce("passes", pass_key, write)
        )
        self.encodings.lineage.add(done)
        for i, key in enumerate(keys):
            facts = {"pass": done.address, "index": i, "pass_seconds": done.seconds, **size}
            store.produce("signals", key, lambda _, facts=facts: facts)  # type: ignore[misc]
