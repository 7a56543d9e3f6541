"""Result lines of benchmarks, and the timing behind them."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
MOST_SECONDS = 10.0


class Seconds(float):
    """The median of several rounds' seconds, and the rounds themselves [R].

    The speed of a shared machine varies by the second, but all alternatives of a round vary together, so their ratio
    is stable.
    """

    rounds: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Seconds:
        made = cls(np.median(rounds))
        made.rounds = np.asarray(rounds)
        return made

    def over(self, floor: Seconds) -> float:
        """The median over rounds of the ratio to a floor that ran in the same rounds."""
        return float(np.median(self.rounds / floor.rounds))

    def interval(self, floor: Seconds) -> tuple[float, float]:
        """The 95 % confidence interval of that median, by a bootstrap over the rounds."""
        drawn = np.random.default_rng(0).integers(len(self.rounds), size=(RESAMPLES, len(self.rounds)))
        medians = np.median((self.rounds / floor.rounds)[drawn], axis=1)
        low, high = np.quantile(medians, [0.025, 0.975])
        return round(float(low), 3), round(float(high), 3)


@dataclass(frozen=True)
class Goal:
    """A further number of a benchmark with an upper or lower bound; without a bound it is only reported."""

    name: str
    measured: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def bounded(self) -> bool:
        return self.at_most is not None or self.at_least is not None

    @property
    def met(self) -> bool:
        above = self.at_most is None or self.measured <= self.at_most
        return above and (self.at_least is None or self.measured >= self.at_least)

    def record(self) -> dict[str, Any]:
        """The goal as JSON types."""
        bounds = {"at_most": self.at_most, "at_least": self.at_least}
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        return {"name": self.name, "measured": _rounded(self.measured), **given, "met": self.met}


def print_result(
    name: str, setting: str, *, seconds: float, goal: float, ratio: float | None = None,
    floor: Seconds | None = None, goals: Sequence[Goal] = (), **more: Any,
) -> None:  # fmt: skip
    """Print one JSON line.

    `goal` is the upper bound of `ratio`, of the ratio of `seconds` to `floor` if a floor is given, or of `seconds`
    otherwise. `met`: whether this goal and all further `goals` are met.
    """
    if floor is not None:
        assert isinstance(seconds, Seconds)
        ratio, more = seconds.over(floor), {"interval": seconds.interval(floor), **more}
    measured = seconds if ratio is None else ratio
    line = {
        "name": name,
        "setting": setting,
        "seconds": round(seconds, 3),
        "ratio": None if ratio is None else round(ratio, 3),
        "goal": goal,
        "unit": "s" if ratio is None else "ratio",
        "met": measured <= goal and all(one.met for one in goals),
        "goals": [one.record() for one in goals if one.bounded],
        **{key: _rounded(value) for key, value in more.items()},
        **{one.name: _rounded(one.measured) for one in goals if not one.bounded},
    }
    print(json.dumps(line))


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def setting(options: argparse.Namespace, rows: int | None = None) -> str:
    """Model, dtype, device and number of rows as text; `rows` overrides the number in the options."""
    return f"{options.model} {options.dtype} {options.device} {rows or options.rows} rows"


def alternate(
    ways: Sequence[Callable[[], Any]], *, rounds: int, device: str = "cpu", warm: bool = False,
    most_seconds: float = MOST_SECONDS,
) -> list[Seconds]:  # fmt: skip
    """The seconds of each alternative, measured in rounds that run all of them, so that drift affects all equally.

    The order within a round is random, so that after-effects (a warm cache, freed memory) are spread over all
    alternatives. Before the first round each runs once unmeasured, unless they are `warm`. No round starts after
    `most_seconds`.
    """
    if not warm:
        for way in ways:
            timed(way, device=device)
    generator = np.random.default_rng(0)
    taken: list[dict[int, float]] = []
    while len(taken) < rounds and sum(sum(times.values()) for times in taken) < most_seconds:
        order = generator.permutation(len(ways)).tolist()
        taken.append({way: timed(ways[way], device=device) for way in order})
    return [Seconds.of([times[way] for times in taken]) for way in range(len(ways))]


def timed(way: Callable[[], Any], *, device: str = "cpu") -> float:
    """The wall seconds of one call, or the seconds that it returns as a float."""
    started = time.perf_counter()
    own = way()
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()
    return own if isinstance(own, float) else time.perf_counter() - started
