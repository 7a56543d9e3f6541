"""Plans: what a job would do, take and cost, as plain data, and the arithmetic of its predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import Example
from nait.core.statistics.power import Detectable

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pass:
    """One pass over the pool: what it measures, whether the store has that, and the bytes its results take."""

    signals: tuple[str, ...]
    stored: bool
    disk_bytes: int


@dataclass(frozen=True)
class Phase:
    """One phase of a job. `stored`: what it makes is in the store; None: its address is not known yet.

    `seconds`: None where nothing tells them. `how`: where they come from.
    """

    name: str
    stored: bool | None
    seconds: float | None
    how: str


@dataclass(frozen=True)
class Plan:
    """What a job would do. `tokens` are those of the pool as it is scored; `padded_share` that of its batches.

    `shared_tokens`: those of them that many rows begin with, and that a pass reads once. `counted_rows`: the rows
    from whose tokens all of these are expected, None where every row was counted. `opening_seconds` are part
    of the select phase: the model and its tokenizer, opened once. `passes`: None where they are not known.
    `memory_bytes`: of select, the weights and one chunk of results. `training_memory`: one sentence.
    `scores`: the address; `pool`: the fingerprint.
    `detectable`: what the evaluation could find, with this job's one seed none and with three.
    """

    rows: int
    targets: Mapping[str, int]
    tokens: int | None
    padded_share: float | None
    phases: tuple[Phase, ...]
    shared_tokens: int = 0
    counted_rows: int | None = None
    scores: str = ""
    pool: str = ""
    passes: tuple[Pass, ...] = ()
    opening_seconds: float = 0.0
    memory_bytes: int = 0
    training_memory: str = ""
    eval_items: int | None = None
    detectable: tuple[Detectable, ...] = ()
    device_hours: float = 0.0
    money: float | None = None
    currency: str = ""
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> dict[str, float | None]:
        """Predicted seconds a phase."""
        return {phase.name: phase.seconds for phase in self.phases}

    @property
    def disk_bytes(self) -> int:
        """What the passes that would run leave in the store."""
        return sum(one.disk_bytes for one in self.passes if not one.stored)

    def record(self) -> dict[str, Any]:
        """The plan as JSON types."""
        return {**asdict(self), "seconds": self.seconds, "disk_bytes": self.disk_bytes}


def known_seconds(phases: Sequence[Phase]) -> float:
    """The sum of what is known."""
    return sum(phase.seconds or 0.0 for phase in phases)


def predicted_total(plans: Sequence[Mapping[str, Any]]) -> float:
    """The known seconds of several jobs' plans on one store: the same scores are made once, a pool's traits too."""
    total, made = 0.0, set()
    for plan in plans:
        for name, seconds in plan["seconds"].items():
            kept = {"select": plan["scores"], "traits": plan["pool"]}.get(name)
            if not kept or (name, kept) not in made:
                total += seconds or 0.0
            made.add((name, kept))
    return total


def characters(examples: Sequence[Example]) -> Ints:
    """[N] characters of each example's text."""
    return np.asarray(
        [
            len(example.system)
            + sum(len(t.instruction) + len(t.input) + len(t.answer) for t in example.turns)
            for example in examples
        ],
        dtype=np.int64,
    )


def expected(chars_n: Ints, drawn: Ints, measured: Ints, *, most: int) -> Ints:
    """[N] tokens expected of each row: a straight line in its characters, through the rows that were drawn.

    `measured` are the tokens of the rows `drawn`; no row has fewer than 1 or more than `most`.
    """
    x = np.stack([np.ones(len(drawn)), chars_n[drawn]], axis=1)
    uncut = measured < most  # a row that was cut tells nothing of the slope
    if len(np.unique(chars_n[drawn][uncut])) > 1:
        base, slope = np.linalg.lstsq(x[uncut], measured[uncut].astype(np.float64), rcond=None)[0]
        return np.asarray(np.clip(np.rint(base + slope * chars_n), 1, most), dtype=np.int64)
    return np.full(len(chars_n), max(1, round(float(measured.mean()))), dtype=np.int64)


def per_unit(small: tuple[float, float], large: tuple[float, float]) -> float:
    """Seconds a unit of size, from two (size, seconds) of the same work; 0 where noise says less."""
    (size, seconds), (more, longer) = small, large
    return max(0.0, (longer - seconds) / (more - size)) if more > size else 0.0


def updates(recipe: Mapping[str, Any], rows: int) -> int | None:
    """How many updates a recipe makes of so many rows; None for a recipe of another kind than ours."""
    if recipe.get("max_steps"):
        return int(recipe["max_steps"])
    try:
        batches = math.ceil(rows / int(recipe["batch_size"]))
        an_epoch = max(1, math.ceil(batches / int(recipe["gradient_accumulation"])))
        return math.ceil(float(recipe["epochs"]) * an_epoch)
    except KeyError:
        return None
