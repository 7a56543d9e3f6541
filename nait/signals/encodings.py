"""Encodings: the texts of examples as token ids, kept in the store.

Shapes: N examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.contracts import Model
from nait.core.dataset.examples import Pool, Target
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ConfigError
from nait.models.prompts.templates import Template, ended
from nait.models.tokens.encoding import VERSION, encode_blocks
from nait.signals.lineage import Lineage
from nait.signals.runtime.loaded_model import LoadedModel
from nait.signals.token_store import read_tokens, write_tokens
from nait.store import Store

UNCUT = 2**62
"""A length limit above any text's tokens."""


@dataclass(frozen=True)
class Encodings:
    """Token tables of pools (under `template`) and targets (under `reference_template`), cut at `max_length` tokens.

    - `max_length`: None for texts without a limit. Their tokens can be counted, but not measured.
    - `room_for`: (template, allowance). With it, a text is cut at max_length - n + allowance tokens, where n is the
      length of the row's prompt in that template. The text then keeps as much of the answer as fits after the prompt.
    - `lineage`: records every table that is read.
    """

    model: Model
    store: Store
    template: Template
    reference_template: Template
    max_length: int | None
    room_for: tuple[Template, int] | None = None
    lineage: Lineage = field(default_factory=Lineage, repr=False, compare=False)
    loaded: LoadedModel = field(default_factory=LoadedModel, repr=False, compare=False)

    def under(
        self, *, template: Template | None = None, max_length: int | None = None,
        room_for: Template | None = None, allowance: int = 0, end_token: bool = False, uncut: bool = False,
    ) -> Encodings:  # fmt: skip
        """Encodings of other texts of the same examples; see `StoredExtractor.under`."""
        check = getattr(self.model, "check_length", None)
        if max_length is not None and check is not None:
            check(max_length, key="selector.max_length")
        ours = self.template if template is None else template
        reference = self.reference_template if template is None else template
        return replace(
            self,
            template=ended(ours) if end_token else ours,
            reference_template=ended(reference) if end_token else reference,
            max_length=None if uncut else max_length or self.max_length,
            room_for=(room_for, allowance) if room_for is not None else None,
        )

    def identity(self, examples: Pool | Target) -> dict[str, Any]:
        """The part of a key that determines the token ids of `examples`, and so every signal of them."""
        return {
            "model": self.model.fingerprint,
            "template": self._template(examples).digest,
            "max_length": self.max_length,
            "examples": examples.fingerprint,
            **({"behind": [self.room_for[0].digest, self.room_for[1]]} if self.room_for else {}),
        }

    def tokens(self, examples: Pool | Target) -> TokenTable:
        """Token ids of the examples' scored texts, memory-mapped from the store."""

        def write(part: Path) -> Mapping[str, Any]:
            blocks = encode_blocks(
                examples.examples,
                self._template(examples),
                self.tokenizer(),
                max_length=self._limits(examples),
                purpose="score",
                vocabulary=self.model.vocabulary(),
            )
            return write_tokens(part, blocks)

        key = self._key(examples)
        missing = self.store.find("encodings", key) is None
        found = self.store.produce("encodings", key, write)
        # An encoding that another process makes while this one waits counts as fresh: this run spent the time.
        return read_tokens(self.lineage.add(replace(found, fresh=missing)).path)

    def record_tokens(self, examples: Pool | Target) -> None:
        """Record the token table of these examples, if the store has it: a stored signal of their texts needed it."""
        found = self.store.find("encodings", self._key(examples))
        if found is not None:
            self.lineage.add(found)

    def _key(self, examples: Pool | Target) -> dict[str, Any]:
        return {"encoding": VERSION, "purpose": "score", **self.identity(examples)}

    def prompt_lengths(self, examples: Pool | Target) -> npt.NDArray[np.int64]:
        """[N] tokens before each row's first answer token, the beginning token included."""
        return self.tokens(examples).prompt_lengths

    def lengths(self, examples: Pool | Target) -> npt.NDArray[np.int64]:
        """[N] tokens of each scored text, cut at `max_length`."""
        return self.tokens(examples).lengths

    def network(self) -> Any:
        """The model's network, loaded at the first call. The network of any other model is freed."""
        return self.loaded.network(self.model)

    def tokenizer(self) -> Any:
        """The model's tokenizer, loaded at the first call."""
        return self.loaded.tokenizer(self.model)

    def _template(self, examples: Pool | Target) -> Template:
        return self.template if isinstance(examples, Pool) else self.reference_template

    def check_measurable(self) -> None:
        """Raises: ConfigError for texts without a length limit, which may exceed what the model can read."""
        if self.max_length is None:
            raise ConfigError(
                "texts that are not cut cannot be measured",
                where="extractor",
                fix="Measure a view with a length limit; count tokens in the `uncut` one.",
            )

    def _limits(self, examples: Pool | Target) -> int | npt.NDArray[np.int64]:
        """Maximum tokens of a text: one number for all rows, or [N]."""
        if self.max_length is None:
            return UNCUT
        if self.room_for is None:
            return self.max_length
        template, allowance = self.room_for
        prompts = self.under(template=template).prompt_lengths(examples)
        return np.asarray(self.max_length - prompts + allowance)
