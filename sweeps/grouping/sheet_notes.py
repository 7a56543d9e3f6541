"""Notes on the lines of one table: stated costs, labels, and one result under several names."""

from __future__ import annotations

from collections.abc import Sequence

from nait.core.statistics.results import Row
from nait.sweeps.grouping.boards import Board
from nait.sweeps.grouping.names import some
from nait.sweeps.stored_runs.method_names import BASE


def sheet_notes(board: Board, rows: Sequence[Row]) -> list[str]:
    """The notes on a table's lines."""
    return [
        *_labels_of(board),
        *_stated_costs(board),
        *_without_labels(rows),
        *_other_labels(rows),
        *_equal_lines(rows),
    ]


def _equal_lines(rows: Sequence[Row]) -> list[str]:
    """Notes on lines of a target with the same results, such as ratios that select the same number of rows."""
    lines: dict[tuple[str, str, str], dict[int, str]] = {}
    for row in rows:
        if row.method != BASE and row.selected_rows is not None:
            lines.setdefault((row.target, row.selector, row.budget), {})[row.seed] = row.outcome
    equal: dict[tuple[str, tuple[tuple[int, str], ...]], list[str]] = {}
    for (target, selector, budget), results in lines.items():
        name = " ".join(filter(None, (selector, budget)))
        equal.setdefault((target, tuple(sorted(results.items()))), []).append(name)
    return [
        f"One result under {len(names)} names, which selected the same rows: {some(names)}. Each of "
        "their differences counts as a comparison."
        for names in dict.fromkeys(map(tuple, equal.values()))
        if len(names) > 1
    ]


def _labels_of(board: Board) -> list[str]:
    """A note on the selectors behind the labels of lines: a label may be any name."""
    found: dict[str, None] = {}
    for run in board.runs:
        facts = run.record.manifest
        chosen = str((facts.get("options") or {}).get("selector") or "")
        if run.method == facts.get("label") and chosen not in ("", run.method):
            found[f"{run.method} is selector={chosen}"] = None
    return [f"Labels: {some(list(found))}."] if found else []


def _stated_costs(board: Board) -> list[str]:
    """Notes on lines whose cost of scoring was typed in."""
    costs = {run.name: run.record.manifest.get("stated_cost") or {} for run in board.runs}
    found = []
    for name, cost in costs.items():
        hours = [f"{cost['seconds'] / 3600:.2f} h"] if "seconds" in cost else []
        money = [f"a bill of {cost['money']:.2f}"] if "money" in cost else []
        if cost:
            shown = " and ".join([*hours, *money])
            found.append(f"{name}: the cost of scoring was typed in, not measured (selector.cost): {shown}.")
    return found


def _without_labels(rows: Sequence[Row]) -> list[str]:
    """Notes on lines without ground truth because some of their seeds have no labels."""
    labelled: dict[tuple[str, str, str], dict[int, bool]] = {}
    for row in rows:
        seeds = labelled.setdefault((row.selector, row.target, row.budget), {})
        seeds[row.seed] = seeds.get(row.seed, False) or bool(row.truth)
    return [
        f"{', '.join(filter(None, line))}: the runs of seed {', '.join(lacking)} have no ground-truth labels, so "
        "the line shows no ground truth. Run those seeds again with truth=..."
        for line, seeds in labelled.items()
        if any(seeds.values())
        and (lacking := [str(seed) for seed, known in sorted(seeds.items()) if not known])
    ]


def _other_labels(rows: Sequence[Row]) -> list[str]:
    """Notes on targets whose labels differ between runs of a table, which has one pool."""
    last = {
        (row.target, row.selector, row.budget, row.seed): (row.truth_labels, row.truth.get("base_rate"))
        for row in rows
        if row.truth
    }
    kinds: dict[str, dict[tuple[str, float | None], set[str]]] = {}
    for (target, selector, _, seed), kind in last.items():
        kinds.setdefault(target, {}).setdefault(kind, set()).add(f"{selector} seed {seed}")
    return [
        f"The ground-truth labels of target {target} changed between runs: "
        + "; ".join(f"{_labels(*kind)} for {some(sorted(which))}" for kind, which in found.items())
        + ". Precision and related measures are not comparable; run all jobs again with the same labels."
        for target, found in kinds.items()
        if any(len({kind[part] for kind in found} - {"", None}) > 1 for part in range(2))
    ]


def _labels(digest: str, rate: float | None) -> str:
    """Labels by the target's share of the pool and their digest, as far as these are known."""
    known = [f"{rate:.1%} of the pool is in target"] if rate is not None else []
    if digest:
        known.append(f"labels {digest[:8]}")
    return ", ".join(known) or "labels unknown"
