"""Test doubles for rehearsals: an overlay store, a model that times its loading, a tracker that times steps."""

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
"""Number of optimizer steps that are timed; the time of the whole training is extrapolated from them."""


class NotStored(Exception):  # noqa: N818  # a result, not an error
    """Raised by a store that refuses to compute a missing artifact."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.address = kind, name
        super().__init__(kind, name)


class OverlayStore(Store):
    """An overlay on another store: reads both, writes only its own, and refuses to compute `refused` kinds.

    `timed`: the model that the artifacts are computed with.
    """

    def __init__(
        self, root: Path, below: Store, *, refused: Collection[str] = (), timed: TimedModel | None = None
    ) -> None:
        super().__init__(root)
        self.below = below
        self.refused = refused
        self.timed = timed
        self._loading: dict[str, float] = {}

    def find(self, kind: str, key: Mapping[str, Any] | str) -> Artifact | None:
        """The complete artifact from either store, or None."""
        return super().find(kind, key) or self.below.find(kind, key)

    def produce(
        self, kind: str, key: Mapping[str, Any], write: Callable[[Path], Mapping[str, Any]]
    ) -> Artifact:
        """The artifact, computed if missing. Raises: NotStored for a missing artifact of a refused kind."""
        if kind in self.refused and self.find(kind, key) is None:
            raise NotStored(kind, address(key))
        loaded = self._loaded()
        made = super().produce(kind, key, write)
        self._loading.setdefault(made.address, self._loaded() - loaded)
        return made

    def seconds_without_loading(self, made: Artifact) -> float:
        """The seconds that an artifact of this overlay took, without those of loading the model or its tokenizer.

        A network that was open already counts in an artifact's cost as an earlier attempt's.
        """
        spared = float(made.manifest.get("earlier_seconds", 0.0))
        return max(0.0, made.seconds - spared - self._loading.get(made.address, 0.0))

    def _loaded(self) -> float:
        return self.timed.seconds if self.timed else 0.0


@dataclass
class TimedModel:
    """A model that records the seconds spent on loading it, and its size."""

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
        """Rows of the embedding, if the model's config has the number."""
        return self.model.vocabulary()


def size_of(network: Any) -> Size:
    """Size of a network. Linear layers are modules with a weight [outputs, inputs], except the LM head."""
    head = network.get_output_embeddings()
    linear = {
        name: sum(module.weight.shape)
        for name, module in network.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D") and module is not head
    }
    weights = list(network.parameters())
    return Size(sum(p.numel() for p in weights), sum(p.numel() * p.element_size() for p in weights), linear)


class StopTraining(Exception):  # noqa: N818  # a result, not an error
    """Ends a training whose steps have been timed."""


@dataclass
class StepClock:
    """A tracker that records when each step ended, and stops training after `steps` or at the deadline."""

    deadline: float
    steps: int = STEPS
    times: list[float] = field(default_factory=list)

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:  # noqa: ARG002
        """Record the time of a step. Raises: StopTraining at the last step."""
        self.times.append(time.monotonic())
        if len(self.times) >= self.steps or (len(self.times) > 1 and self.times[-1] > self.deadline):
            raise StopTraining

    def start(
        self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str], kind: str = "", key: str = ""
    ) -> None: ...  # fmt: skip

    def summary(self, values: Mapping[str, Any]) -> None: ...

    def histogram(self, name: str, values: npt.NDArray[Any]) -> None: ...

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def page(self, name: str, path: Path) -> None: ...

    def artifact(
        self, name: str, kind: str, files: Files, metadata: Mapping[str, Any], *, used: bool = False,
        aliases: Sequence[str] = (),
    ) -> None: ...  # fmt: skip

    def finish(self, *, failed: bool = False) -> None: ...
