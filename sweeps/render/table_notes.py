"""Notes: what must be read beside a table of lines: its order, its tests, its gaps, what it could find at all."""

from __future__ import annotations

from collections.abc import Sequence

from nait.core.statistics.power import at_most_one
from nait.sweeps.grouping.names import aims, some
from nait.sweeps.grouping.target_benchmarks import Benchmarks, leading, owned
from nait.sweeps.render.leaderboard_tables import NONE, number, trained
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stats.contrasts import BASE, CONTROL
from nait.sweeps.stats.paired import ITEMS_ONLY, Difference, findable

SCORES = (
    "score ± the longer arm of its 95 % interval, over items and, where a line has several, over seeds; a method's "
    "spread over seeds is estimated with the help of the table's other methods where there are three or more."
)
WORTH = "What was selected, by the rows' own labels; {not_done}. rho: of the score with token length."


def notes(lines: Sequence[Line], *, control: str = CONTROL, benchmarks: Benchmarks = NONE) -> list[str]:
    """What a reader must know beside the numbers."""
    if not any(line.task for line in lines):
        not_done = "nothing was evaluated" if trained(lines) else "nothing was trained or evaluated"
        return [WORTH.format(not_done=not_done)] if any(line.truth for line in lines) else []
    said = [SCORES, *_ordered(lines, benchmarks)]
    compared = [line.difference for line in lines if line.difference]
    if compared:
        over = "items and seeds" if any(one.tested for one in compared) else "items"
        how = f"paired by item and seed, [95 % interval over {over}]"
        said += [f"minus {control}: {how}; {how_judged(lines, control)}.", *detectable(lines)]
        said += _unpaired(lines, control)
    elif any(control not in (line.selector, line.method) for line in lines):
        said.append(_uncontrolled(lines, control))
    said += _few([line for line in lines if line.task and line.method != BASE])
    lower = sorted({line.task for line in lines if line.task and not line.higher_is_better})
    said += [f"Lower is better: {', '.join(lower)}."] if lower else []
    whole = sorted({f"{line.task} ({line.metric})" for line in lines if line.task and not line.itemised})
    if whole:
        said.append(
            f"No mean over items: {', '.join(whole)}. Their ± is the wider of the task's own standard error and the "
            "spread over seeds, and no difference is tested."
        )
    missing = sorted({f"{line.task} lacks {line.missing}" for line in lines if line.missing})
    return said + [f"Partial: {text}." for text in missing]


def _ordered(lines: Sequence[Line], benchmarks: Benchmarks) -> list[str]:
    """What orders the rows of each target, where there is more than one row to order."""
    targets = sorted({line.target for line in lines})
    if len({line.selector for line in lines}) < 2:
        return []
    named = aims(targets)
    own = {target: owned(target, lines, benchmarks) for target in targets}
    said = [
        f"{named[target]}: {', '.join(tasks)}" for target, tasks in own.items() if tasks and len(tasks) < 3
    ]
    said += [
        f"{named[target]}: the mean of their benchmarks" for target, tasks in own.items() if len(tasks) > 2
    ]
    others = [named[target] for target, tasks in own.items() if not tasks]
    parts = [f"Order: by the target's own benchmark ({'; '.join(said)})."] if said else []
    if others:
        by = ", ".join(leading(next(t for t in targets if not own[t]), lines, benchmarks))
        parts.append(
            f"Order: by {by} for {', '.join(others)}, of which no benchmark here is known to be its own."
        )
    return parts


def how_judged(lines: Sequence[Line], control: str) -> str:
    """How the differences were tested, and in which families."""
    found = [(line.headline, line.difference) for line in lines if line.difference]
    families = {headline: one.family for headline, one in found if one.tested}
    said = []
    if families:
        count = families.get(True) or families[False]
        said.append(
            f"n.s.: p >= 0.05 after Holm's correction for the table's {count} differences to {control}"
        )
    if len(families) > 1:
        said.append(f"groups' subtasks are a family of their own, of {families[False]}")
    if not all(one.tested for _, one in found):
        said.append(f"{ITEMS_ONLY}: of one seed, an interval over items alone, which is not tested")
    return "; ".join(said)


def _uncontrolled(lines: Sequence[Line], control: str) -> str:
    if all(line.method == BASE for line in lines if line.task):
        return "Nothing was trained here: the table has the model as it is, and there is nothing to compare it with."
    if any(control in (line.selector, line.method) for line in lines):
        return f"No line has a {control} control of its own model, budget, recipe, seeds and items in this table."
    if control != CONTROL:
        others = some(sorted({line.selector for line in lines if line.task}))
        return f"No line of this table is called {control}, so no difference is shown. Its lines: {others}."
    return f"No {control} control is in this table: run selector={control} beside it."


def _unpaired(lines: Sequence[Line], control: str) -> list[str]:
    """The references that a table with several budgets holds against no control."""
    names = sorted({line.selector for line in lines if line.budgetless and line.task and not line.difference})
    names = [name for name in names if name != control]
    budgets = {line.budget for line in lines if control in (line.selector, line.method)}
    if not names or len(budgets) < 2:
        return []
    return [
        f"{', '.join(names)}: no budget of {control} is theirs, and there are {len(budgets)}: no difference is shown."
    ]


def _few(lines: Sequence[Line]) -> list[str]:
    most = max((line.seeds for line in lines), default=3)
    if most > 2:
        return []
    if most == 2:
        return [
            "Fewer than three seeds: with two, only very large differences can be told from the seeds' own."
        ]
    return [
        f"Fewer than three seeds: intervals are over {ITEMS_ONLY}, and no difference is called significant."
    ]


def detectable(lines: Sequence[Line]) -> list[str]:
    """What these items and seeds could find at all, task by task; empty where nothing is tested."""
    tasks: dict[str, list[Difference]] = {}
    for line in lines:
        if line.difference:
            tasks.setdefault(line.task, []).append(line.difference)
    found = {task: value for task, one in sorted(tasks.items()) if (value := findable(one)) is not None}
    if not found:
        return []
    shares = {line.task for line in lines if line.share}
    shown = ", ".join(
        f"{task} {at_most_one(value) if task in shares else number(value)}" for task, value in found.items()
    )
    return [f"Smallest true difference found with power 0.8 after Holm's correction: {shown}."]
