"""Time of an evaluation, from a few items of some of its tasks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nait.core.contracts import Divisible, Evaluator, Model

MOST_TASKS = 6
"""Tasks of a requested name that are rehearsed: MMLU has 57 much alike."""
FEW, GROWTH = 1, 4
"""Items of each task in the first rehearsal, and the growth of this number."""

UNTRAINED = "the untrained model"
ALL_WEIGHTS = "models of which all weights were trained"
UNKNOWN = "models whose training the store does not have"

Items = Mapping[str, int]
"""Task -> number of items."""


@dataclass(frozen=True)
class Point:
    """One rehearsal: its items and its seconds."""

    items: int
    seconds: float


def time_evaluation(
    evaluator: Evaluator, model: Model, scratch: Path, *, seconds: float, adapter: Path | None = None
) -> tuple[float | None, str]:
    """Seconds of an evaluation of the model, and their origin as text. Rehearsals take about `seconds`.

    `adapter`: the folder of an adapter that the model has then; its layers take time also before they are trained.

    Each requested name is rehearsed apart, with more and more items: the last two rehearsals show what an item costs.
    The first evaluation of one item also pays for imports, once. Seconds are None for an evaluator without parts.
    """
    counts = evaluator.counts() if isinstance(evaluator, Divisible) else {}
    if not counts or not isinstance(evaluator, Divisible):
        return None, "unknown: the store has no evaluation by this suite yet"
    started = time.monotonic()
    one_item = evaluator.part({next(iter(next(iter(counts.values())))): 1})
    once = _time(one_item, model, adapter, scratch / "first")
    total, read = 0.0, 0
    for number, tasks in enumerate(counts.values()):
        left = seconds - (time.monotonic() - started)
        points = _rehearse(
            evaluator, tasks, model, adapter, scratch / str(number), left / (len(counts) - number)
        )
        total += whole_seconds(points, sum(tasks.values()), len(tasks) / len(sampled(tasks)))
        read += points[-1].items
    again = _time(one_item, model, adapter, scratch / "again")
    items = sum(sum(tasks.values()) for tasks in counts.values())
    how = f"from {read:,} of {items:,} items with the untrained model, whose answers may be longer or shorter"
    return total + max(0.0, once - again), how


def evaluated_kind(recipe: Mapping[str, Any] | None) -> str:
    """What an evaluation after this recipe runs, as text. Evaluations of one kind take equally long.

    An adapter's layers may run beside the weights, so its kind has its rank, its modules and its variant.
    """
    if recipe is None:
        return UNTRAINED
    if recipe.get("kind") != "fine_tune":
        return f"models trained by {recipe.get('kind', 'another recipe')}"
    lora = recipe.get("lora")
    if lora is None:
        return ALL_WEIGHTS
    shape = [f"rank {lora.get('r')}", f"on {_listed(lora.get('target_modules', ()))}"]
    if whole := lora.get("modules_to_save"):
        shape.append(f"with {_listed(whole)} trained whole")
    return f"{lora.get('variant', 'lora')} adapters ({', '.join(shape)})"


def _listed(names: str | Sequence[str]) -> str:
    return names if isinstance(names, str) else " and ".join(names)


def sampled(tasks: Items) -> dict[str, int]:
    """At most `MOST_TASKS` of the tasks, evenly spread."""
    names = list(tasks)
    count = min(len(names), MOST_TASKS)
    return {name: tasks[name] for name in (names[i * len(names) // count] for i in range(count))}


def whole_seconds(points: Sequence[Point], items: int, tasks_ratio: float) -> float:
    """Seconds for so many items, from rehearsals of increasing size.

    `tasks_ratio`: all tasks over the rehearsed ones; what a rehearsal costs besides its items is paid for each task.
    """
    last = points[-1]
    if len(points) == 1 or (last.items >= items and tasks_ratio == 1):
        return last.seconds * max(1.0, items / last.items)
    before = points[-2]
    an_item = max(0.0, (last.seconds - before.seconds) / (last.items - before.items))
    besides = max(0.0, last.seconds - an_item * last.items)
    return besides * tasks_ratio + an_item * items


def _rehearse(
    suite: Divisible, tasks: Items, model: Model, adapter: Path | None, scratch: Path, seconds: float
) -> list[Point]:
    """Rehearsals of some tasks with more and more items, until all are read or the next would take too long."""
    few, points, started = FEW, list[Point](), time.monotonic()
    chosen = sampled(tasks)
    while True:
        items = {name: min(few, count) for name, count in chosen.items()}
        took = _time(suite.part(items), model, adapter, scratch / str(few))
        points.append(Point(sum(items.values()), took))
        spent = time.monotonic() - started
        if items == chosen or (len(points) > 1 and spent + GROWTH * took > seconds):
            return points
        few *= GROWTH


def _time(part: Evaluator, model: Model, adapter: Path | None, folder: Path) -> float:
    folder.mkdir(parents=True)
    started = time.monotonic()
    with _without_bars():
        part.evaluate(model, adapter, folder=folder)
    return time.monotonic() - started


@contextmanager
def _without_bars() -> Iterator[None]:
    before = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = before
