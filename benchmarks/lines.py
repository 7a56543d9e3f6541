"""Lines: what a benchmark says, and how it takes time."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000


class Seconds(float):
    """The median of some rounds' seconds, and the rounds themselves [R]."""

    rounds: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Seconds:
        made = cls(np.median(rounds))
        made.rounds = np.asarray(rounds)
        return made

    def interval(self, floor: Seconds) -> tuple[float, float]:
        """95 % of the ratio of the medians over those of a floor of the same rounds: a bootstrap over the rounds."""
        drawn = np.random.default_rng(0).integers(len(self.rounds), size=(RESAMPLES, len(self.rounds)))
        ratios = np.median(self.rounds[drawn], axis=1) / np.median(floor.rounds[drawn], axis=1)
        low, high = np.quantile(ratios, [0.025, 0.975])
        return round(float(low), 3), round(float(high), 3)


def say(
    name: str, setting: str, *, seconds: float, goal: float, ratio: float | None = None,
    floor: Seconds | None = None, met: bool | None = None, **more: Any,
) -> None:  # fmt: skip
    """Prints one JSON line. `goal` bounds the `ratio` from above, or that of `seconds` to a `floor`; else `seconds`.

    `met` says so where other goals of `more` count too.
    """
    if floor is not None:
        assert isinstance(seconds, Seconds)
        ratio, more = seconds / floor, {"interval": seconds.interval(floor), **more}
    measured = seconds if ratio is None else ratio
    line = {
        "name": name,
        "setting": setting,
        "seconds": round(seconds, 3),
        "ratio": None if ratio is None else round(ratio, 3),
        "goal": goal,
        "unit": "s" if ratio is None else "ratio",
        "met": measured <= goal if met is None else met,
        **{key: round(value, 3) if isinstance(value, float) else value for key, value in more.items()},
    }
    print(json.dumps(line))


def setting(options: argparse.Namespace) -> str:
    """What a model ran on, in words."""
    return f"{options.model} {options.dtype} {options.device} {options.rows} rows"


def alternate(
    ways: Sequence[Callable[[], Any]], *, rounds: int, device: str = "cpu", warm: bool = False,
    most_seconds: float = math.inf,
) -> list[Seconds]:  # fmt: skip
    """The seconds of each way, run in turn so that a drifting machine weighs on all alike.

    Before the first round all ways run once unmeasured, unless they are `warm`. No round begins after `most_seconds`.
    """
    if not warm:
        for way in ways:
            timed(way, device=device)
    taken: list[list[float]] = []
    while len(taken) < rounds and sum(map(sum, taken)) < most_seconds:
        taken.append([timed(way, device=device) for way in ways])
    return [Seconds.of(times) for times in zip(*taken, strict=True)]


def timed(way: Callable[[], Any], *, device: str = "cpu") -> float:
    """The wall seconds of one call."""
    started = time.perf_counter()
    way()
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()
    return time.perf_counter() - started
