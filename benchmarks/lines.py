"""Lines: what a benchmark says, and how it takes time."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def say(
    name: str, setting: str, *, seconds: float, goal: float, ratio: float | None = None,
    met: bool | None = None, **more: Any,
) -> None:  # fmt: skip
    """Prints one JSON line. `ratio` is what `goal` bounds from above; without one, `seconds` are.

    `met` says so where other goals of `more` count too.
    """
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
    ways: Sequence[Callable[[], Any]], *, rounds: int, device: str = "cpu", warm: bool = False
) -> list[float]:
    """The median seconds of each way, run in turn so that a drifting machine weighs on all alike.

    Before the first round all ways run once unmeasured, unless they are `warm`.
    """
    taken: list[list[float]] = [[] for _ in ways]
    for round_ in range(warm, rounds + 1):
        for times, way in zip(taken, ways, strict=True):
            seconds = timed(way, device=device)
            if round_:
                times.append(seconds)
    return [float(np.median(times)) for times in taken]


def timed(way: Callable[[], Any], *, device: str = "cpu") -> float:
    """The wall seconds of one call."""
    started = time.perf_counter()
    way()
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()
    return time.perf_counter() - started
