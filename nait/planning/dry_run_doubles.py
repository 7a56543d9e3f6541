"""Stand-ins for a rehearsal: a store that writes elsewhere, a model that notes its opening, a clock for steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from nait.core.addresses import address
from nait.core.contracts import Files, Model
from nait.core.estimates.training_memory import NO_SIZE, Size
from nait.store import Artifact, Store

STEPS = 8
"""Optimiser steps whose time stands for all of a training."""


class NotStored(Exception):  # noqa: N818  # an answer, not an error
    """What a store that refuses to compute says of an artifact it does not have."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.address = kind, name
        super().__init__(kind, name)


class Aside(Store):
    """A store that finds what another has and writes under its own root; `refused` kinds are never computed."""

    def __init__(self, root: Path, below: Store, *, refused: Collection[str] = ()) -> None:
        super().__init__(root)
        self.below = below
        self.refused = refused

    def find(self, kind: str, key: Mapping[str, Any] | str) -> Artifact | None:
        """The complete artifact, or None."""
        return super().find(kind, key) or self.below.find(kind, key)

    def produce(
        self, kind: str, key: Mapping[str, Any], write: Callable[[Path], Mapping[str, Any]]
    ) -> Artifact:
        """As a store's. Raises: NotStored in place of computing a kind that is refused."""
        if kind in self.refused and self.find(kind, key) is None:
            raise NotStored(kind, address(key))
        return super().produce(kind, key, write)


@dataclass
class Timed:
    """A model that notes how long its openings took, and how large it is."""

    model: Model
    seconds: float = 0.0
    size: Size = NO_SIZE

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def fingerprint(self) -> str:
        return self.model.fingerprint

    @property
    def max_length(self) -> int:
        return self.model.max_length

    def load(self) -> tuple[Any, Any]:
        """The network and its tokenizer."""
        return self.load_network(), self.load_tokenizer()

    def load_network(self) -> Any:
        """The network."""
        started = time.monotonic()
        network = self.model.load_network()
        self.seconds += time.monotonic() - started
        self.size = size_of(network)
        return network

    def load_tokenizer(self) -> Any:
        """The tokenizer."""
        started = time.monotonic()
        tokenizer = self.model.load_tokenizer()
        self.seconds += time.monotonic() - started
        return tokenizer

    def vocabulary(self) -> int | None:
        """The rows of the embedding, where the config says."""
        return self.model.vocabulary()


def size_of(network: Any) -> Size:
    """How large a network is. Linear layers are those with a weight [outputs, inputs], the LM head left out."""
    head = network.get_output_embeddings()
    linear = {
        name: sum(module.weight.shape)
        for name, module in network.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D") and module is not head
    }
    weights = list(network.parameters())
    return Size(sum(p.numel() for p in weights), sum(p.numel() * p.element_size() for p in weights), linear)


class Enough(Exception):  # noqa: N818  # an answer, not an error
    """Ends a training whose steps have been timed."""


@dataclass
class Clock:
    """A tracker that notes when each step ended, and ends the training after `steps` of them or at the deadline."""

    deadline: float
    steps: int = STEPS
    times: list[float] = field(default_factory=list)

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:  # noqa: ARG002
        """Raises: Enough, at the last step that is wanted."""
        self.times.append(time.monotonic())
        if len(self.times) >= self.steps or (len(self.times) > 1 and self.times[-1] > self.deadline):
            raise Enough

    def start(self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str]) -> None: ...

    def summary(self, values: Mapping[str, Any]) -> None: ...

    def histogram(self, name: str, values: npt.NDArray[Any]) -> None: ...

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def page(self, name: str, path: Path) -> None: ...

    def artifact(self, name: str, kind: str, files: Files, metadata: Mapping[str, Any]) -> None: ...

    def finish(self, *, failed: bool = False) -> None: ...
