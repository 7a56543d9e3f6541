"""The extractor: measures signals, from the store where it can, else in one pass over the examples."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.addresses import canonical
from nait.core.contracts import Model, Trainer
from nait.core.dataset.examples import Pool, Target
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ConfigError, StoreError
from nait.core.ranks import workers_of
from nait.models.prompts.templates import Template, ended
from nait.models.tokens.encoding import VERSION as ENCODE_VERSION
from nait.models.tokens.encoding import encode_blocks
from nait.signals.lineage import Used
from nait.signals.loaded_model import Opened
from nait.signals.passes.options import Engine
from nait.signals.passes.run import join_pass, run_pass
from nait.signals.passes.shared import produce_together
from nait.signals.specs.activations import Signal, at_every_layer, first_layers
from nait.signals.token_store import read_tokens, write_tokens
from nait.store import Artifact, Store, way_out

Tune = Callable[[Pool, Collection[str], Trainer, int], Artifact | None]
"""(pool, ids of rows, trainer, seed) -> the adapter's artifact; None when the trainer trains nothing."""


class NotMeasured(Exception):  # noqa: N818  # an answer, not an error
    """What an extractor that reads the store alone says where a pass would be needed."""


class StoredExtractor:
    """Signals of one model under one template (`reference_template` for targets), kept in one store.

    The model is opened at the first signal that the store lacks, and closed by `close`. `under` and `on` give
    views: other texts of the same examples, another model; they share the store and the opened model.
    `tune` trains an adapter on some rows of a pool, for methods that score with a tuned model.
    """

    def __init__(
        self, model: Model, store: Store, template: Template, *, reference_template: Template | None = None,
        engine: Engine | None = None, tune: Tune | None = None,
    ) -> None:  # fmt: skip
        self.model = model
        self.store = store
        self.template = template
        self.reference_template = reference_template or template
        self.engine = engine or Engine()
        self.tune = tune
        self.max_length = model.max_length
        self.behind: tuple[Template, int] | None = None
        self.stored_only = False
        self.used = Used()
        self._opened = Opened()

    def under(
        self, *, template: Template | None = None, max_length: int | None = None,
        behind: Template | None = None, allowance: int = 0, end_token: bool = False,
    ) -> StoredExtractor:  # fmt: skip
        """The same model's signals of other texts: pool and targets alike under `template` (None: as before).

        Texts are cut at `max_length` tokens (None: as before). With `behind`, a row is cut as if its answer stood
        behind its prompt under that template: at max_length - n + allowance tokens, n the tokens of that prompt.
        `end_token`: scored texts end with the end token, as under `template.eos=always`.
        """
        view = copy.copy(self)
        if template is not None:
            view.template = view.reference_template = template
        if end_token:
            view.template, view.reference_template = ended(view.template), ended(view.reference_template)
        view.max_length = max_length or self.max_length
        view.behind = (behind, allowance) if behind is not None else None
        return view

    def reading(self) -> StoredExtractor:
        """The same signals from the store alone. Raises: NotMeasured, later, in place of a pass."""
        view = copy.copy(self)
        view.stored_only = True
        return view

    def on(self, model: Model) -> StoredExtractor:
        """Another model's signals of the same texts."""
        view = copy.copy(self)
        view.model = model
        return view

    def fine_tune(self, pool: Pool, ids: Collection[str], trainer: Trainer, *, seed: int) -> Artifact:
        """What `trainer` makes of the rows of these ids, from the store where it has it.

        Raises: ConfigError when the trainer trains nothing.
        """
        if self.tune is None:
            raise ConfigError(
                "this extractor cannot train",
                where="selector.warmup",
                mend="Give the extractor a `tune`, as the select stage does.",
            )
        made = self.tune(pool, ids, trainer, seed)
        if made is None:
            raise ConfigError(
                "it trains nothing", where="selector.warmup", mend="Use a recipe like conf/train/lora.yaml."
            )
        return self.used.add(made)

    @property
    def model_fingerprint(self) -> str:
        return self.model.fingerprint

    def identity(self, examples: Pool | Target) -> dict[str, Any]:
        """What decides the token ids of `examples`, and so every signal of them."""
        return {
            "model": self.model.fingerprint,
            "template": self._template(examples).digest,
            "max_length": self.max_length,
            "examples": examples.fingerprint,
            **({"behind": [self.behind[0].digest, self.behind[1]]} if self.behind else {}),
        }

    def _template(self, examples: Pool | Target) -> Template:
        return self.template if isinstance(examples, Pool) else self.reference_template

    def tokens(self, examples: Pool | Target) -> TokenTable:
        """The examples' scored texts as token ids, memory-mapped from the store."""
        return self._encoded(examples, "score")

    def _encoded(self, examples: Pool | Target, purpose: Any) -> TokenTable:
        def write(part: Path) -> Mapping[str, Any]:
            blocks = encode_blocks(
                examples.examples,
                self._template(examples),
                self.tokenizer(),
                max_length=self._limits(examples),
                purpose=purpose,
                vocabulary=self.model.vocabulary(),
            )
            return write_tokens(part, blocks)

        key = {"encoding": ENCODE_VERSION, "purpose": purpose, **self.identity(examples)}
        missing = self.store.find("encodings", key) is None
        found = self.store.produce("encodings", key, write)
        # What another process made while this one waited took this run's time, as what it made itself.
        return read_tokens(self.used.add(replace(found, fresh=missing)).path)

    def _limits(self, examples: Pool | Target) -> int | npt.NDArray[np.int64]:
        """At how many tokens texts are cut: all alike, or [N]."""
        if self.behind is None:
            return self.max_length
        template, allowance = self.behind
        prompts = self.under(template=template).prompt_lengths(examples)
        return np.asarray(self.max_length - prompts + allowance)

    def prompt_lengths(self, examples: Pool | Target) -> npt.NDArray[np.int64]:
        """[N] tokens before each row's first answer token, the beginning token included."""
        return self.tokens(examples).prompt_lengths

    def lengths(self, examples: Pool | Target) -> npt.NDArray[np.int64]:
        """[N] tokens of each scored text."""
        return self.tokens(examples).lengths

    def measure(self, examples: Pool | Target, signals: Sequence[Signal]) -> list[npt.NDArray[Any]]:
        """One array a signal, memory-mapped: what the store lacks is measured in ONE pass.

        A signal with a depth is cut out of the one at every layer where the store has that.
        """
        identity = self.identity(examples)
        keys = [{**signal.key(), **identity} for signal in signals]
        whole = [self._at_every_layer(signal, identity) for signal in signals]
        missing = [
            i for i, key in enumerate(keys) if whole[i] is None and self.store.find("signals", key) is None
        ]
        if missing:
            places = {self.store.folder("signals", keys[i]).name: i for i in missing}
            unique = [places[name] for name in sorted(places)]
            self._measure(examples, [signals[i] for i in unique], [keys[i] for i in unique])
        return [
            self._stored(key) if larger is None else first_layers(signal, self._stored(larger))
            for signal, key, larger in zip(signals, keys, whole, strict=True)
        ]

    def _at_every_layer(self, signal: Signal, identity: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The key of the stored signal whose first layers this one is; None where there is none."""
        larger = at_every_layer(signal)
        key = None if larger is None else {**larger.key(), **identity}
        return key if key is not None and self.store.find("signals", key) is not None else None

    def _stored(self, key: Mapping[str, Any]) -> npt.NDArray[Any]:
        found = self.store.find("signals", key)
        assert found is not None
        return _load(self._values(found))

    def _values(self, signal: Artifact) -> Path:
        """Where a signal's array is: in the pass that measured it, together with others."""
        made_in = self.store.find("passes", str(signal.manifest["pass"]))
        if made_in is None and self.stored_only:
            raise NotMeasured
        if made_in is None:
            raise StoreError(
                "the pass that measured it is gone",
                where=str(signal.path),
                mend=way_out(signal.path),
            )
        self.used.add(made_in)
        return made_in.path / f"{int(signal.manifest['index'])}.npy"

    def _measure(
        self, examples: Pool | Target, signals: Sequence[Signal], keys: Sequence[Mapping[str, Any]]
    ) -> None:
        if self.stored_only:
            raise NotMeasured
        table = self.tokens(examples)
        size = {"rows": len(table), "tokens": int(table.starts[-1])}

        def write(part: Path) -> Mapping[str, Any]:
            earlier = run_pass(
                self.network(), table, signals, part,
                engine=self.engine, name=examples.name, workers=workers,
            )  # fmt: skip
            return {**size, "signals": [canonical(signal.key()) for signal in signals], **earlier}

        def join(part: Path) -> None:
            join_pass(
                self.network, table, signals, part,
                engine=self.engine, name=examples.name, workers=workers,
            )  # fmt: skip

        workers = workers_of(os.environ)
        made_for = {"signals": [self.store.folder("signals", key).name for key in keys]}
        done = (
            produce_together(self.store, "passes", made_for, write, join)
            if workers.count > 1
            else self.store.produce("passes", made_for, write)
        )
        self.used.add(done)
        for i, key in enumerate(keys):
            facts = {"pass": done.address, "index": i, "pass_seconds": done.seconds, **size}
            self.store.produce("signals", key, lambda _, facts=facts: facts)  # type: ignore[misc]

    def derive(
        self,
        kind: str,
        key: Mapping[str, Any],
        compute: Callable[[], tuple[Mapping[str, Any], Mapping[str, Any]]],
    ) -> tuple[dict[str, npt.NDArray[Any]], Artifact]:
        """Named arrays and their artifact: found, or made by `compute() -> (arrays, facts)`; safetensors."""
        from safetensors.numpy import load_file, save_file

        def write(part: Path) -> Mapping[str, Any]:
            before = self.used.addresses
            arrays, facts = compute()
            made_of = [[used.kind, used.address] for used in self.used.since(before)]
            save_file(
                {name: np.ascontiguousarray(array) for name, array in arrays.items()},
                part / "arrays.safetensors",
            )
            return {**facts, "made_of": made_of}

        if workers_of(os.environ).rank and self.store.find(kind, key) is None:
            compute()  # not behind the artifact's lock: this process shares the passes that it takes
        artifact = self.store.produce(kind, key, write)
        for part_kind, name in artifact.manifest.get("made_of", []):
            part = self.store.find(part_kind, name)
            if part:
                self.used.add(part)
        return load_file(artifact.path / "arrays.safetensors"), artifact

    def network(self) -> Any:
        """The model, opened once; another model that was open is let go."""
        return self._opened.network(self.model)

    def tokenizer(self) -> Any:
        """The tokenizer, opened once."""
        return self._opened.tokenizer(self.model)

    def close(self) -> None:
        """Let go of the model's memory."""
        self._opened.close()


def _load(path: Path) -> npt.NDArray[Any]:
    return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
