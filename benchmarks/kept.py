"""Fixtures: a store filled with synthetic signals, a model that must not be opened, and a model that can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.models import load, shape, texts
from nait.core.dataset.examples import Example, Pool, Target, Turn, as_target, gather
from nait.core.dataset.token_table import token_table
from nait.models.prompts.templates import TextTemplate
from nait.models.tokens.tokenizers import open_tokenizer
from nait.nano.pools import nano_model
from nait.neurons.scorer import Nait
from nait.signals.encodings import VERSION
from nait.signals.extractor import StoredExtractor
from nait.signals.specs.activations import Features, Signal
from nait.signals.token_store import write_tokens
from nait.store import Store

TEMPLATE = TextTemplate(prompt="### Instruction:\n{user}\n\n### Response:\n")
REFERENCE_ROWS = 32


@dataclass(frozen=True)
class Closed:
    """A model that raises when it is opened."""

    name: str = "closed"
    fingerprint: str = "closed"
    max_length: int = 512

    def load(self) -> tuple[Any, Any]:
        return self.load_network(), self.load_tokenizer()

    def load_network(self) -> Any:
        raise AssertionError("the model was opened")

    def load_tokenizer(self) -> Any:
        raise AssertionError("the tokenizer was opened")

    def vocabulary(self) -> int | None:
        return None


@dataclass(frozen=True)
class Given:
    """A benchmark's model: from a folder with its own tokenizer, or random with the embedded world's tokenizer."""

    name: str
    device: str
    dtype: str
    max_length: int = 512

    @property
    def fingerprint(self) -> str:
        return self.name

    @cached_property
    def tokens(self) -> Any:
        return (
            nano_model().load_tokenizer()
            if self.name.startswith("random:")
            else open_tokenizer(Path(self.name))
        )

    def load(self) -> tuple[Any, Any]:
        return self.load_network(), self.load_tokenizer()

    def load_network(self) -> Any:
        return load(self.name, device=self.device, dtype=self.dtype)

    def load_tokenizer(self) -> Any:
        return self.tokens

    def vocabulary(self) -> int | None:
        return None


def pool(count: int) -> Pool:
    """`count` rows with placeholder text."""
    return gather("pool", [Example(f"row-{i:08d}", (Turn("a", "b"),), row=i) for i in range(count)])


def target() -> Target:
    """A reference set of REFERENCE_ROWS rows."""
    return as_target(texts(REFERENCE_ROWS, name="target", seed=1))


def scored(root: Path, rows: Pool, references: Target, name: str) -> tuple[StoredExtractor, list[Signal]]:
    """An extractor whose store holds NAIT's signals of `rows` for a model of this shape, and those signals."""
    extractor = StoredExtractor(Closed(), Store(root), TEMPLATE)
    depth, width = shape(name)
    layers = depth + 1
    generator = np.random.default_rng(0)
    features = generator.normal(size=(len(references), layers, width)) + 0.5
    _keep(extractor, references, Features(Nait().reference_reading), features)
    _keep_tokens(extractor, rows)
    ((_, _, signals),) = Nait().requests(rows, [references], extractor)
    for signal in signals:
        _keep(extractor, rows, signal, generator.normal(size=(len(rows), 1, layers)))
    return extractor, list(signals)


def _keep_tokens(extractor: StoredExtractor, rows: Pool) -> None:
    """A question of one token and an answer of one for each row."""
    count = len(rows)
    table = token_table([[1, 2]] * count, [[False, True]] * count, [False] * count)
    key = {"encoding": VERSION, "purpose": "score", **extractor.identity(rows)}
    extractor.store.produce("encodings", key, lambda part: write_tokens(part, [table]))


def _keep(
    extractor: StoredExtractor, examples: Pool | Target, signal: Signal, values: npt.NDArray[Any]
) -> None:
    key = {**signal.key(), **extractor.identity(examples)}

    def write(part: Path) -> Mapping[str, Any]:
        np.save(part / "0.npy", values.astype(np.float32), allow_pickle=False)
        return {"rows": len(values)}

    store = extractor.store
    made = store.produce("passes", {"signals": [store.folder("signals", key).name]}, write)
    store.produce("signals", key, lambda _: {"pass": made.address, "index": 0})
