"""Pairwise comparison of all methods of a target and budget on one benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from nait.core.statistics.results import Row
from nait.sweeps.grouping.names import cut
from nait.sweeps.render.leaderboard_tables import difference
from nait.sweeps.render.report_document import Block, Notes, Table
from nait.sweeps.stats.aggregates import Line, grouped
from nait.sweeps.stats.contrasts import Items, against, controls
from nait.sweeps.stats.paired import Difference, adjusted_family, estimate
from nait.sweeps.stats.target_benchmarks import Benchmarks, leading

MOST = 12
Group = tuple[str, str, str]
"""Model, target and budget."""


def pairwise(
    rows: Sequence[Row], lines: Sequence[Line], items: Items, *, control: str, benchmarks: Benchmarks
) -> tuple[Block, ...]:
    """One table per target and budget, on the target's own benchmark, else on the first.

    Pairs with the control have the interval and verdict of the leaderboard. All other pairs form a separate family.
    """
    groups: dict[Group, dict[str, tuple[Line, Sequence[Row]]]] = {}
    runs = list(grouped(rows).values())
    for line in lines:
        if line.task in leading(line.target, lines, benchmarks)[:1]:
            mine = next((group for group in runs if _belongs_to(line, group[0])), None)
            if mine is None:
                continue
            for budget in _budgets(line, lines):
                groups.setdefault((line.model, line.target, budget), {})[line.selector] = (line, mine)
    wanted = {key: one for key, one in sorted(groups.items()) if 3 <= len(one) <= MOST}
    large = [key for key, one in sorted(groups.items()) if len(one) > MOST]
    found = {
        (key, pair): one
        for key, group in wanted.items()
        for pair, one in _pairs(group, rows, items, control).items()
    }
    others = [place for place, (_, in_leaderboard) in found.items() if not in_leaderboard]
    cells = {place: one for place, (one, _) in found.items()}
    cells |= dict(zip(others, adjusted_family(cells[place] for place in others), strict=True))
    tables = tuple(
        _table(k, key, wanted[key], {pair: one for (of, pair), one in cells.items() if of == key}, control)
        for k, key in enumerate(wanted)
    )
    omitted = tuple(
        f"Target {cut(target)}, {budget or 'no budget'}: no table, because it has more than {MOST} lines."
        for _, target, budget in large
    )
    return (*tables, Notes(omitted)) if omitted else tables


def _budgets(line: Line, lines: Sequence[Line]) -> list[str]:
    """The budgets at which a line is compared; for a budgetless reference, every budget of its target."""
    if not line.budgetless:
        return [line.budget]
    own = {one.budget for one in lines if one.target == line.target and not one.budgetless}
    return sorted(own) or [""]


def _belongs_to(line: Line, row: Row) -> bool:
    names = ("model", "task", "metric", "target", "budget", "selector")
    return all(getattr(line, name) == getattr(row, name) for name in names)


def _pairs(
    group: Mapping[str, tuple[Line, Sequence[Row]]], rows: Sequence[Row], items: Items, control: str
) -> dict[tuple[str, str], tuple[Difference, bool]]:
    """(method, method) -> difference, and whether it comes from the leaderboard."""
    found = {}
    control_lines = {
        name: {row.selector for row in controls(mine, rows, control)} for name, (_, mine) in group.items()
    }
    for a, b in combinations(group, 2):
        (ours, mine), (theirs, other) = group[a], group[b]
        held = [one.difference for one in (ours, theirs) if one.difference]
        if control_lines[b] == {a} and theirs.difference:
            found[a, b] = (theirs.difference.reversed, True)
        elif control_lines[a] == {b} and ours.difference:
            found[a, b] = (ours.difference, True)
        elif _unpaired(ours, b, control) or _unpaired(theirs, a, control):
            continue  # the leaderboard does not compare this line to the control
        elif part := against(mine, other, items):
            comparable = len(held) == 2 and all(
                len(one.sides) == 2 and one.seeds == len(part[0].d_si) for one in held
            )
            found[a, b] = (
                estimate(part, sides=[one.sides[0] for one in held] if comparable else None),
                False,
            )
    return found


def _unpaired(line: Line, other: str, control: str) -> bool:
    return line.budgetless and line.difference is None and other == control


def _table(
    k: int,
    key: Group,
    group: Mapping[str, tuple[Line, Sequence[Row]]],
    cells: Mapping[tuple[str, str], Difference],
    control: str,
) -> Table:
    order = list(group)
    task = group[order[0]][0].task
    shown = {pair: difference(one) for pair, one in cells.items()}
    body = [[a, *(shown.get((a, b), "") for b in order[1:])] for a in order[:-1]]
    pairs = [one.family for (a, b), one in cells.items() if one.tested and control not in (a, b)]
    family = (
        f" Pairs without {control} form a separate family ({max(pairs)} for this leaderboard)."
        if pairs
        else ""
    )
    caption = (
        f"{task}, target {cut(key[1])}, {key[2] or 'no budget'}: the row's method minus the column's. "
        f"Pairs with {control} have the leaderboard's verdict.{family}"
    )
    return Table.of(f"pairs-{k}", ["", *order[1:]], body if cells else [], caption=caption)
