"""The extractor: measurements of a model for selection methods, cached in a store."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.contracts import Model, Trainer
from nait.core.dataset.examples import Pool, Target
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ConfigError
from nait.core.ranks import workers_from
from nait.models.prompts.templates import Template
from nait.signals.encodings import Encodings
from nait.signals.lineage import Lineage
from nait.signals.passes.options import Engine
from nait.signals.passes.stored_signals import StoredSignals
from nait.signals.specs.activations import Signal
from nait.store import Artifact, Store, reading

Tune = Callable[[Pool, Collection[str], Trainer, int], Artifact | None]
"""(pool, ids of rows, trainer, seed) -> the adapter's artifact; None if the trainer trains nothing."""


class StoredExtractor:
    """Token tables and signals of one model under one template (`reference_template` for targets), from one store.

    The model is opened at the first signal that the store lacks, and freed by `close`. `under`, `on`, `stored_only`
    and `traced` return views that share the store and the opened model. An extractor's attributes are read-only.
    `tune` trains an adapter on some rows of a pool, for methods that score with a fine-tuned model.
    """

    __slots__ = ("_signals", "_tune")

    def __init__(
        self, model: Model, store: Store, template: Template, *, reference_template: Template | None = None,
        engine: Engine | None = None, tune: Tune | None = None,
    ) -> None:  # fmt: skip
        encodings = Encodings(model, store, template, reference_template or template, model.max_length)
        self._signals = StoredSignals(encodings, engine or Engine())
        self._tune = tune

    # Views.

    def _view(self, signals: StoredSignals) -> StoredExtractor:
        view = copy.copy(self)
        view._signals = signals
        return view

    def _with(self, encodings: Encodings) -> StoredExtractor:
        return self._view(replace(self._signals, encodings=encodings))

    def under(
        self, *, template: Template | None = None, max_length: int | None = None,
        room_for: Template | None = None, allowance: int = 0, end_token: bool = False, uncut: bool = False,
    ) -> StoredExtractor:  # fmt: skip
        """A view of other texts: pool and targets both under `template` (None: unchanged).

        - `max_length`: the length limit in tokens; None: unchanged.
        - `room_for`: a template whose prompt must also fit. Texts are cut at max_length - n + `allowance` tokens,
          where n is the length of the row's prompt in that template.
        - `end_token`: scored texts end with the end token, as with `template.eos=always`.
        - `uncut`: texts have no length limit. The view has token tables, but `measure` raises ConfigError.
        """
        return self._with(
            self.encodings.under(
                template=template,
                max_length=max_length,
                room_for=room_for,
                allowance=allowance,
                end_token=end_token,
                uncut=uncut,
            )
        )

    def on(self, model: Model) -> StoredExtractor:
        """A view of another model, on the same texts."""
        return self._with(replace(self.encodings, model=model))

    def stored_only(self) -> StoredExtractor:
        """A view that never runs a pass: `measure` raises NotMeasured for a signal that the store lacks."""
        return self._view(replace(self._signals, stored_only=True))

    def traced(self) -> StoredExtractor:
        """A view with its own, empty lineage."""
        return self._with(replace(self.encodings, lineage=Lineage()))

    # Texts.

    @property
    def encodings(self) -> Encodings:
        """Token tables and identities of the texts."""
        return self._signals.encodings

    @property
    def model(self) -> Model:
        return self.encodings.model

    @property
    def model_fingerprint(self) -> str:
        return self.model.fingerprint

    @property
    def store(self) -> Store:
        return self.encodings.store

    @property
    def engine(self) -> Engine:
        return self._signals.engine

    @property
    def lineage(self) -> Lineage:
        """The artifacts that this extractor and its views have used; `traced` starts another."""
        return self.encodings.lineage

    def identity(self, examples: Pool | Target) -> dict[str, Any]:
        """The part of a key that determines the token ids of `examples`, and so every signal of them."""
        return self.encodings.identity(examples)

    def tokens(self, examples: Pool | Target) -> TokenTable:
        """Token ids of the examples' scored texts, cut at the length limit, memory-mapped from the store."""
        return self.encodings.tokens(examples)

    def prompt_lengths(self, examples: Pool | Target) -> npt.NDArray[np.int64]:
        """[N] tokens before each row's first answer token, the beginning token included."""
        return self.encodings.prompt_lengths(examples)

    def lengths(self, examples: Pool | Target) -> npt.NDArray[np.int64]:
        """[N] tokens of each scored text, cut at the length limit."""
        return self.encodings.lengths(examples)

    def tokenizer(self) -> Any:
        """The model's tokenizer, loaded at the first call."""
        return self.encodings.tokenizer()

    # Measurements.

    def measure(self, examples: Pool | Target, signals: Sequence[Signal]) -> list[npt.NDArray[Any]]:
        """One memory-mapped array per signal; all signals that the store lacks are measured in ONE pass.

        A signal with a depth is a slice of the same signal at every layer, if the store has that.

        Raises: NotMeasured in a `stored_only` view; ConfigError in an `uncut` view; DamagedError for a damaged array.
        """
        return self._signals.measure(examples, signals)

    def derive(
        self,
        kind: str,
        key: Mapping[str, Any],
        compute: Callable[[], tuple[Mapping[str, Any], Mapping[str, Any]]],
    ) -> tuple[dict[str, npt.NDArray[Any]], Artifact]:
        """Named arrays and their artifact (safetensors): found, or computed by `compute() -> (arrays, facts)`."""
        from safetensors.numpy import load_file, save_file

        def write(part: Path) -> Mapping[str, Any]:
            with self.lineage.within() as used:
                arrays, facts = compute()
            made_of = used.made_of()
            save_file(
                {name: np.ascontiguousarray(array) for name, array in arrays.items()},
                part / "arrays.safetensors",
            )
            return {**facts, "made_of": made_of}

        if workers_from(os.environ).rank and self.store.find(kind, key) is None:
            compute()  # outside the artifact's lock, so that this process can share the passes
        artifact = self.store.produce(kind, key, write)
        self.lineage.derived[artifact.address] = kind
        for part_kind, name, *used in artifact.manifest.get("made_of", []):
            part = self.store.find(part_kind, name)
            if part:
                self.lineage.add(part, *used)
        with reading(artifact.path):
            return load_file(artifact.path / "arrays.safetensors"), artifact

    def fine_tune(self, pool: Pool, ids: Collection[str], trainer: Trainer, *, seed: int) -> Artifact:
        """The adapter that `trainer` fine-tunes on the rows with these ids, from the store if it is there.

        Raises: ConfigError if the extractor has no `tune`, or the trainer trains nothing.
        """
        if self._tune is None:
            raise ConfigError(
                "this extractor cannot train",
                where="selector.warmup",
                fix="Give the extractor a `tune`, as the select stage does.",
            )
        made = self._tune(pool, ids, trainer, seed)
        if made is None:
            raise ConfigError(
                "it trains nothing", where="selector.warmup", fix="Use a recipe like conf/train/lora.yaml."
            )
        return self.lineage.add(made)

    def close(self) -> None:
        """Free the model's memory."""
        self.encodings.loaded.close()
