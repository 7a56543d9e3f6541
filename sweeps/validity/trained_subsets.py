"""Trained random subsets: which rows each contains, and the outcomes of the benchmarks after training on it.

Shapes: R subsets, I items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nait.core.statistics.results import Row
from nait.sweeps.grouping.boards import Board, PlacedRun, boards
from nait.sweeps.grouping.collect import Sheet, outcomes, sheets
from nait.sweeps.grouping.headings import Heading
from nait.sweeps.grouping.recorded_facts import Facts
from nait.sweeps.stats.contrasts import Items
from nait.sweeps.stored_runs.method_names import BASE, CONTROL, FULL, SUBSET, TILTED
from nait.sweeps.stored_runs.row_items import places
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.validity.lds_statistics import Strata

NOT_METHODS = (TILTED, CONTROL, FULL, BASE)
Cells = Mapping[int, Mapping[str, Sequence[Row]]]
"""Subset -> task -> its rows, one per seed."""


@dataclass(frozen=True)
class TrainedSubsets:
    """Subsets of one pool that were trained and evaluated alike.

    `numbers` [R] and `chosen` [R] are the numbers of the subsets and the ids of their rows. `benchmarks`: task -> its
    outcomes. `seconds`: of training and evaluating all of them. `seeds`: trainings per subset. `without_items`: the
    benchmarks whose result is not a mean over items that all subsets share.
    """

    head: Heading
    budget: str
    model: Facts
    pool: Facts
    numbers: tuple[int, ...]
    chosen: tuple[frozenset[str], ...]
    benchmarks: Mapping[str, Strata]
    items: Mapping[str, int]
    seconds: float
    seeds: int
    without_items: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoredMethod:
    """The scores of a method on the subsets' pool. `order`: its config. `seconds`: of scoring."""

    name: str
    target: str
    scores: str
    order: Mapping[str, object]
    seconds: float


def trained_subsets(runs: RunSet) -> list[TrainedSubsets]:
    """The groups of subsets in these runs that have the same model, pool, recipe, evaluation and settings."""
    if not any(run.manifest["labels"]["selector"] == TILTED for run in runs.records):
        return []
    known = {board.number: board for board in boards(runs)}
    found = []
    for sheet in sheets(runs):
        for group in _groups(sheet):
            one = _trained(runs, sheet, known[sheet.number], group)
            found += [one] if one else []
    return found


def _groups(sheet: Sheet) -> list[list[Row]]:
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in sheet.rows:
        if row.method == TILTED and SUBSET in row.settings and row.task and row.headline:
            rest = tuple(sorted((key, value) for key, value in row.settings.items() if key != SUBSET))
            groups.setdefault((row.budget, row.target, rest), []).append(row)
    return list(groups.values())


def _trained(runs: RunSet, sheet: Sheet, board: Board, rows: Sequence[Row]) -> TrainedSubsets | None:
    """The subsets of these rows that have every benchmark; None with fewer than two."""
    members = {row.task: {member.task for member in row.members} for row in rows}
    tasks = sorted(task for task, inside in members.items() if not inside or not inside <= set(members))
    cells: dict[int, dict[str, list[Row]]] = {}
    for row in rows:
        if row.task in tasks:
            cells.setdefault(int(row.settings[SUBSET]), {}).setdefault(row.task, []).append(row)
    whole = {number: found for number, found in sorted(cells.items()) if len(found) == len(tasks)}
    kept = {number: chosen for number in whole if (chosen := _chosen(runs, whole[number]))}
    if len(kept) < 2:
        return None
    items = outcomes(runs, rows)
    benchmarks = {task: strata for task in tasks if (strata := _strata(whole, list(kept), task, items))}
    counted = {row.run: row for row in rows}
    identity = next(run.identity for run in board.runs if run.method == TILTED)
    return TrainedSubsets(
        sheet.head, rows[0].budget, identity.model, identity.pool, tuple(kept), tuple(kept.values()), benchmarks,
        {task: sum(part.shape[1] for _, part in strata) for task, strata in benchmarks.items()},
        sum((row.seconds_train or 0.0) + (row.seconds_evaluate or 0.0) for row in counted.values()),
        min(len(found[task]) for found in whole.values() for task in tasks),
        tuple(task for task in tasks if task not in benchmarks),
    )  # fmt: skip


def _chosen(runs: RunSet, cells: Mapping[str, Sequence[Row]]) -> frozenset[str]:
    """The ids of a subset's rows, empty where the store lacks them."""
    found = runs.chosen(next(iter(cells.values()))[0].selection)
    return frozenset(found.chosen) if found else frozenset()


def _strata(cells: Cells, numbers: Sequence[int], task: str, items: Items) -> Strata:
    """The outcomes of a benchmark, means over the seeds of a subset; empty where items are missing.

    Where lower is better, weights are negative, so that a higher result is better.
    """
    first = cells[numbers[0]][task][0]
    sign = 1.0 if first.higher_is_better else -1.0
    found = []
    for k, (_, weight) in enumerate(places(first)):
        known = [[items.get(places(row)[k][0], {}) for row in cells[number][task]] for number in numbers]
        shared = sorted(set.intersection(*(set(one) for runs in known for one in runs)))
        if not shared:
            return ()
        values = [np.mean([[one[key] for key in shared] for one in runs], axis=0) for runs in known]
        found.append((sign * weight, np.array(values, dtype=np.float64)))
    return found


def scored_methods(runs: RunSet, subsets: TrainedSubsets) -> list[ScoredMethod]:
    """The methods with scores of the subsets' pool by the subsets' model, each once, by its first seed."""
    found: dict[tuple[str, str], tuple[int, ScoredMethod]] = {}
    seen: set[tuple[str, str]] = set()
    for board in boards(runs):
        for run in sorted(board.runs, key=lambda run: int(run.labels["seed"])):
            scores = str(run.record.manifest["links"].get("scores") or "")
            selection = runs.find("selections", str(run.record.manifest["links"].get("selection") or ""))
            same = (run.identity.model, run.identity.pool) == (subsets.model, subsets.pool)
            if run.method in NOT_METHODS or not scores or not same or selection is None:
                continue
            if (scores, _order(run)) in seen:
                continue
            seen.add((scores, _order(run)))
            order = dict(selection.manifest["key"]["order"])
            one = ScoredMethod(run.name, run.labels["target"], scores, order, _seconds(run))
            place = (_name(run, board, found), one.target)
            found.setdefault(place, (int(run.labels["seed"]), one))
    return [ScoredMethod(name, *_rest(one)) for (name, _), (_, one) in found.items()]


def _rest(one: ScoredMethod) -> tuple[str, str, Mapping[str, object], float]:
    return one.target, one.scores, one.order, one.seconds


def _name(run: PlacedRun, board: Board, taken: Mapping[tuple[str, str], tuple[int, ScoredMethod]]) -> str:
    """The run's name in its table; with its recipe or order where another table has that name at the same seed."""
    held = taken.get((run.name, run.labels["target"]))
    if held is None or held[0] != int(run.labels["seed"]):
        return run.name
    return f"{run.name} ({board.head.recipe or _order(run)})"


def _order(run: PlacedRun) -> str:
    """The run's order. Orders that rank a single column alike are one."""
    facts = run.identity.method
    options = [f"{key}={facts[key]}" for key in sorted(facts) if key.startswith("order.")]
    return " ".join([facts.get("order", ""), *options])


def _seconds(run: PlacedRun) -> float:
    return float(run.record.manifest["phase_seconds"].get("select", 0.0))
