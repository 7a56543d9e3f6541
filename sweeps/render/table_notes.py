"""Notes on a leaderboard table: its order, its tests, missing parts and the detectable difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nait.core.statistics.power import at_most_one
from nait.sweeps.grouping.names import some, target_labels
from nait.sweeps.render.leaderboard_tables import NONE, number, trained
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stats.paired import ITEMS_ONLY, Difference, detectable_difference
from nait.sweeps.stats.target_benchmarks import Benchmarks, leading, owned
from nait.sweeps.stored_runs.method_names import BASE, CONTROL

SCORES = "score ± the longer arm of its 95 % interval, over items and, with several seeds, over seeds."
SHARED = (
    "The seed variance of three or more lines with the same seeds (in differences: besides {control}) is estimated "
    "from them together: beside other lines, the same runs have other intervals and p."
)
TARGETLESS_LINES = "lines without a target"
TOKENS = " tokens"
WORTH = (
    "Ground truth of the selected rows, from their labels; {not_done}. rho: correlation of score and length."
)


def notes(lines: Sequence[Line], *, control: str = CONTROL, benchmarks: Benchmarks = NONE) -> list[str]:
    """Notes on the numbers of a table."""
    if not any(line.task for line in lines):
        not_done = "nothing was evaluated" if trained(lines) else "nothing was trained or evaluated"
        worth = [WORTH.format(not_done=not_done)] if any(line.truth for line in lines) else []
        return [*worth, *_fewer_rows(lines)]
    shared = [SHARED.format(control=control)] if any(line.seeds > 1 for line in lines) else []
    found = [" ".join([SCORES, *shared]), *_ordered(lines, benchmarks), *_fewer_rows(lines)]
    compared = [line.difference for line in lines if line.difference]
    if compared:
        over = "items and seeds" if any(one.tested for one in compared) else "items"
        how = f"paired by item and seed, [95 % interval over {over}]"
        found += [f"minus {control}: {how}; {how_tested(lines, control)}.", *detectable(lines)]
        found += [*_unpaired(lines, control), *_shared_seeds(lines, control)]
    elif any(control not in (line.selector, line.method) for line in lines):
        found.append(without_control(lines, control))
    found += _few_seeds([line for line in lines if line.task and line.method != BASE])
    lower = sorted({line.task for line in lines if line.task and not line.higher_is_better})
    found += [f"Lower is better: {', '.join(lower)}."] if lower else []
    numbers = [line for line in lines if line.task and not math.isnan(line.value)]
    whole = sorted({f"{line.task} ({line.metric})" for line in numbers if not line.itemised})
    if whole:
        found.append(
            f"No mean over items: {', '.join(whole)}. Their ± is the wider of the task's standard error and the "
            "spread over seeds; no difference is tested."
        )
    undefined = sorted(
        {f"{line.selector} on {line.task}" for line in lines if line.task and math.isnan(line.value)}
    )
    found += (
        [f"A run's result is not a number, so the line has none: {some(undefined)}."] if undefined else []
    )
    missing = sorted({f"{line.task} lacks {line.missing}" for line in lines if line.missing})
    return found + [f"Partial: {text}." for text in missing]


def _fewer_rows(lines: Sequence[Line]) -> list[str]:
    """A note on lines of which a run has fewer rows than its budget asks for.

    For runs that did not record this number, it is the budget's count or the most rows of a line with this budget.
    Budgets of tokens are left out: their number of rows depends on the rows.
    """
    counts = {
        (line.selector, line.target, line.budget): (
            line.selected_rows if line.budget_rows is None or line.fewest_rows is None else line.fewest_rows,
            line.budget_rows or 0,
        )
        for line in lines
        if line.selected_rows is not None and not line.budgetless and not line.budget.endswith(TOKENS)
    }
    most: dict[str, int] = {}
    for (_, _, budget), (rows, asked) in counts.items():
        count, _, unit = budget.partition(" ")
        wanted = int(count) if unit == "rows" and count.isdecimal() else 0
        most[budget] = max(rows, wanted, asked, most.get(budget, 0))
    fewer = {
        f"{selector} {rows} of {most[budget]}": None
        for (selector, _, budget), (rows, _) in counts.items()
        if rows < most[budget]
    }
    return [f"Fewer rows selected than the budget asks for: {some(list(fewer))}."] if fewer else []


def _ordered(lines: Sequence[Line], benchmarks: Benchmarks) -> list[str]:
    """The benchmark that sorts the rows of each target, if there are several rows."""
    targets = sorted({line.target for line in lines})
    if len({line.selector for line in lines}) < 2:
        return []
    named = target_labels(targets)
    own = {target: owned(target, lines, benchmarks) for target in targets}
    by_own = [
        f"{named[target]}: {', '.join(tasks)}" for target, tasks in own.items() if tasks and len(tasks) < 3
    ]
    by_own += [
        f"{named[target]}: the mean of their benchmarks" for target, tasks in own.items() if len(tasks) > 2
    ]
    others = [named[target] or TARGETLESS_LINES for target, tasks in own.items() if not tasks]
    parts = [f"Order: by the target's own benchmark ({'; '.join(by_own)})."] if by_own else []
    if others:
        by = ", ".join(leading(next(t for t in targets if not own[t]), lines, benchmarks))
        has = "have" if len(others) > 1 or others == [TARGETLESS_LINES] else "has"
        parts.append(f"Order: by {by} for {', '.join(others)}, which {has} no own benchmark in this table.")
    return parts


def how_tested(lines: Sequence[Line], control: str) -> str:
    """The tests of the differences and their families."""
    found = [(line.headline, line.difference) for line in lines if line.difference]
    families = {headline: one.family for headline, one in found if one.tested}
    parts = []
    if families:
        count = families.get(True) or families[False]
        differences = f"{count} differences" if count > 1 else "one difference"
        parts.append(f"n.s.: p >= 0.05 after Holm's correction for the table's {differences} to {control}")
        if count < sum(one.tested for headline, one in found if headline is (True in families)):
            parts.append("a line that is the same at several targets counts once")
    if len(families) > 1:
        parts.append(f"subtasks of groups form a separate family of {families[False]}")
    if not all(one.tested for _, one in found):
        parts.append(f"{ITEMS_ONLY}: one seed, so the interval is over items and not tested")
    return "; ".join(parts)


def without_control(lines: Sequence[Line], control: str) -> str:
    """Why no difference to the control is shown."""
    if all(line.method == BASE for line in lines if line.task):
        return (
            "Nothing was trained: the table has only the untrained model, and no method to compare with it."
        )
    if any(control in (line.selector, line.method) for line in lines):
        return f"No line has a {control} control with the same model, budget, recipe, seeds and items in this table."
    if control != CONTROL:
        others = some(sorted({line.selector for line in lines if line.task}))
        return f"No line of this table is called {control}, so no difference is shown. Its lines: {others}."
    return f"No {control} control is in this table: also run selector={control}."


def _unpaired(lines: Sequence[Line], control: str) -> list[str]:
    """A note on references without a difference because the control has several budgets."""
    names = sorted({line.selector for line in lines if line.budgetless and line.task and not line.difference})
    names = [name for name in names if name != control]
    budgets = {line.budget for line in lines if control in (line.selector, line.method)}
    if not names or len(budgets) < 2:
        return []
    return [f"{', '.join(names)}: not compared to {control}, which has {len(budgets)} budgets."]


def _shared_seeds(lines: Sequence[Line], control: str) -> list[str]:
    """A note on differences over fewer seeds than the scores that they compare."""
    controls = [line for line in lines if control in (line.selector, line.method)]
    found: dict[str, None] = {}
    for line in lines:
        if line.difference and line.method != BASE:
            compared = [one for one in controls if one.task == line.task and _same_budget(one, line)]
            most = max(one.seeds for one in (line, *compared))
            if line.difference.seeds < most:
                found[f"{line.selector} {line.difference.seeds} of {most}"] = None
    if not found:
        return []
    which = f"{some(list(found))} seeds"
    return [f"Differences are over the seeds that a line shares with {control}, scores over all: {which}."]


def _same_budget(one: Line, other: Line) -> bool:
    return one.budgetless or other.budgetless or one.budget == other.budget


def _few_seeds(lines: Sequence[Line]) -> list[str]:
    most = max((line.seeds for line in lines), default=3)
    if most > 2:
        return []
    if most == 2:
        return [
            "Fewer than three seeds: with two, only very large differences are distinguishable from seed variance."
        ]
    return [
        f"Fewer than three seeds: intervals are over {ITEMS_ONLY}, and no difference is called significant."
    ]


def detectable(lines: Sequence[Line]) -> list[str]:
    """The minimum detectable difference of each task; empty where nothing is tested."""
    tasks: dict[str, list[Difference]] = {}
    for line in lines:
        if line.difference:
            tasks.setdefault(line.task, []).append(line.difference)
    found = {
        task: value
        for task, one in sorted(tasks.items())
        if (value := detectable_difference(one)) is not None
    }
    if not found:
        return []
    shares = {line.task for line in lines if line.share}
    shown = ", ".join(
        f"{task} {at_most_one(value) if task in shares else number(value)}" for task, value in found.items()
    )
    return [f"Smallest true difference detected with power 0.8 after Holm's correction: {shown}."]
