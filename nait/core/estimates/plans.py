"""Plans: the predicted work, time, memory and cost of a job, and the arithmetic of the predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import Example
from nait.core.statistics.power import Detectable

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pass:
    """One pass over the pool: its signals, whether the store has them, and the size of their results.

    `address`: of what it measures. `seconds`: its predicted part of the select phase, 0 if it is stored.
    """

    signals: tuple[str, ...]
    stored: bool
    disk_bytes: int
    address: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Phase:
    """One phase of a job. `stored`: its artifact is in the store; None: its address is not known yet.

    `seconds`: the prediction, None when there is none. `how`: the source of the prediction.
    """

    name: str
    stored: bool | None
    seconds: float | None
    how: str


@dataclass(frozen=True)
class Plan:
    """The plan of a job.

    - `tokens`: tokens of the pool as encoded for scoring. `padded_share`: the share of padding in its batches.
    - `shared_tokens`: tokens in prefixes that many rows share, which a pass reads once.
    - `counted_rows`: the number of sampled rows behind the token estimates; None when every row was counted.
    - `opening_seconds`: the time to load the model and its tokenizer once, part of the select phase.
    - `memory_bytes`: memory of the select phase: the weights and one chunk of results.
    - `training_memory`: one sentence about the memory of training.
    - `scores`: the address of the scores. `pool`: the fingerprint of the pool.
    - `detectable`: minimum detectable effects of the evaluation.
    - `results`: phase -> what identifies its result. Jobs of a sweep that share it compute it once. It leaves out the
      target where the method's scores do not depend on it.
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
    results: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> dict[str, float | None]:
        """Predicted seconds by phase."""
        return {phase.name: phase.seconds for phase in self.phases}

    @property
    def disk_bytes(self) -> int:
        """Bytes that the missing passes add to the store."""
        return sum(one.disk_bytes for one in self.passes if not one.stored)

    def record(self) -> dict[str, Any]:
        """The plan as JSON types."""
        return {**asdict(self), "seconds": self.seconds, "disk_bytes": self.disk_bytes}


def known_seconds(phases: Sequence[Phase]) -> float:
    """The sum of all predicted seconds."""
    return sum(phase.seconds or 0.0 for phase in phases)


def predicted_total(plans: Sequence[Mapping[str, Any]]) -> float:
    """Predicted seconds of several jobs with one store, which computes equal results once.

    Equal are scores, a pool's traits, and what jobs of other targets share: the training on the whole pool, or on
    rows that a method selects for any target. Of their predictions, the longest counts, also of those of a
    pass over the pool from which several scores are computed.
    """
    shared: dict[tuple[str, str], float] = {}
    passes: dict[str, dict[str, float]] = {}
    alone = 0.0
    for plan in plans:
        known = {"select": plan["scores"], "traits": plan["pool"], **plan.get("results", {})}
        for name, predicted in plan["seconds"].items():
            place, seconds = (name, known.get(name) or ""), predicted or 0.0
            if place[1]:
                shared[place] = max(seconds, shared.get(place, 0.0))
            else:
                alone += seconds
            for one in plan.get("passes", ()) if name == "select" else ():
                found = passes.setdefault(one.get("address", ""), {})
                took = min(seconds, one.get("seconds", 0.0))
                found[place[1]] = max(took, found.get(place[1], 0.0))
    again = sum(sum(found.values()) - max(found.values()) for found in passes.values())
    return alone + sum(shared.values()) - again


def characters(examples: Sequence[Example]) -> Ints:
    """Character counts [N] of the examples."""
    return np.asarray(
        [
            len(example.system)
            + sum(len(t.instruction) + len(t.input) + len(t.answer) for t in example.turns)
            for example in examples
        ],
        dtype=np.int64,
    )


def expected(chars_n: Ints, drawn: Ints, measured: Ints, *, most: int) -> Ints:
    """Expected token counts [N]: a linear fit in characters to the sampled rows.

    `measured` are the token counts of the rows `drawn`; estimates are clipped to [1, `most`].
    """
    x = np.stack([np.ones(len(drawn)), chars_n[drawn]], axis=1)
    uncut = measured < most  # truncated rows would bias the slope
    if len(np.unique(chars_n[drawn][uncut])) > 1:
        base, slope = np.linalg.lstsq(x[uncut], measured[uncut].astype(np.float64), rcond=None)[0]
        return np.asarray(np.clip(np.rint(base + slope * chars_n), 1, most), dtype=np.int64)
    return np.full(len(chars_n), max(1, round(float(measured.mean()))), dtype=np.int64)


def per_unit(small: tuple[float, float], large: tuple[float, float]) -> float:
    """Seconds per unit of size, from two (size, seconds) of the same work; at least 0."""
    (size, seconds), (more, longer) = small, large
    return max(0.0, (longer - seconds) / (more - size)) if more > size else 0.0


def updates(recipe: Mapping[str, Any], rows: int, *, tokens_per_row: float = 0.0) -> int | None:
    """The number of updates that a recipe makes on `rows` rows; None for a recipe of another package.

    `tokens_per_row`: their mean length, for a recipe that ends after a number of tokens.
    """
    if recipe.get("max_steps"):
        return int(recipe["max_steps"])
    try:
        an_epoch = math.ceil(rows / int(recipe["batch_size"]))
        if recipe.get("max_tokens"):
            return max(1, round(int(recipe["max_tokens"]) * an_epoch / (rows * tokens_per_row)))
        return math.ceil(float(recipe["epochs"]) * an_epoch)
    except KeyError:
        return None
