"""Leaderboard rows from run records, each with the addresses of its artifacts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from nait.core.errors import StoreError
from nait.core.estimates.costs import PAID
from nait.core.statistics.results import Result, Row
from nait.sweeps.grouping.boards import Board, PlacedRun, boards
from nait.sweeps.grouping.headings import Heading
from nait.sweeps.grouping.sheet_notes import sheet_notes
from nait.sweeps.stored_runs.cost_ledger import phase_costs
from nait.sweeps.stored_runs.method_names import BASE, is_shuffled
from nait.sweeps.stored_runs.row_items import metric_name, places
from nait.sweeps.stored_runs.run_set import RunSet

NOT_EVALUATED = Result(task="", metric="", value=math.nan, stderr=None, n=0)
NO_RUNS = "No run is recorded here. A job records its run in the stages evaluate and report."
SCORE_MEASURES = ("auc", "precision each")
"""Ground-truth measures of the scores; the others describe the selected rows."""


@dataclass(frozen=True)
class Sheet:
    """The rows of one table, and the notes to print below it."""

    number: int
    head: Heading
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def evaluated(self) -> bool:
        return any(row.task for row in self.rows)


def collect(runs: RunSet, *, primary: bool = True) -> list[Row]:
    """The rows of all runs, table by table; with `primary`, one metric per task.

    Raises: StoreError for a run whose evaluation or selection is missing.
    """
    return [row for sheet in sheets(runs, primary=primary) for row in sheet.rows]


def sheets(runs: RunSet, *, primary: bool = True) -> list[Sheet]:
    """The tables of all runs. Raises: StoreError for a run whose evaluation is missing."""
    found = []
    for board in boards(runs):
        rows = tuple(row for run in board.runs for row in _rows(runs, board, run, primary=primary))
        found.append(
            Sheet(
                board.number,
                board.head,
                rows,
                (*board.notes, *sheet_notes(board, rows)),
            )
        )
    return found


def outcomes(runs: RunSet, rows: Sequence[Row]) -> dict[tuple[str, str, str], dict[str, float]]:
    """(evaluation, task, metric) -> item -> value, for the rows' metrics and the member tasks of groups.

    A metric that is not the mean of its items is left out.
    """
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    wanted = {place for row in rows if row.evaluation for place, _ in places(row)}
    for address in sorted({row.evaluation for row in rows if row.evaluation}):
        evaluation = runs.find("evaluations", address)
        for item in runs.outcomes(evaluation) if evaluation else ():
            place = (address, item.task, metric_name(item.metric, item.filter))
            if place in wanted:
                found.setdefault(place, {})[f"{item.doc_id}/{item.doc_hash}"] = item.value
    return found


def _rows(runs: RunSet, board: Board, run: PlacedRun, *, primary: bool) -> Iterable[Row]:
    record = run.record
    links, labels, seconds = (record.manifest[key] for key in ("links", "labels", "phase_seconds"))
    if links.get("evaluation"):
        evaluation = runs.find("evaluations", str(links["evaluation"]))
        if evaluation is None:
            raise StoreError("its evaluation is missing", where=str(record.path), fix="Run the job again.")
        every = runs.results(evaluation)
        facts = evaluation.manifest
        shown = headlines(facts["key"]["suite"].get("requested", ()), every, facts.get("requested", {}))
        results = [one for one in every if one.primary or not primary]
    else:
        shown, results = {""}, [NOT_EVALUATED]
    base, shuffled = run.method == BASE, is_shuffled(record)
    checks = {} if base or shuffled else _checks(runs, links.get("scores"))
    truth = {} if base else record.manifest.get("truth") or {}
    if shuffled:  # the selected rows do not depend on the scores
        truth = {key: value for key, value in truth.items() if key not in SCORE_MEASURES}
    device_hours, money = float(record.manifest["device_hours"]), record.manifest["money"]
    if base or shuffled:  # neither pays for the scores
        paid = phase_costs(record)
        kept = [name for name in PAID if name != "select"]
        device_hours = sum(paid.device_hours[name] for name in kept)
        money = None if paid.money is None else sum(paid.money[name] for name in kept)
        seconds = {**seconds, "select": 0.0}
    for result in results:
        yield Row(
            selector=run.name,
            target=labels["target"],
            budget=run.budget,
            seed=labels["seed"],
            model=board.head.model,
            task=result.task,
            metric=metric_name(result.metric, result.filter),
            value=result.value if result.task else None,
            stderr=result.stderr,
            n=result.n,
            headline=result.task in shown,
            selected_rows=None if base else record.manifest["selected_rows"],
            answer_tokens=None if base else record.manifest["answer_tokens"],
            seconds_select=None if base else seconds.get("select", 0.0),
            seconds_train=seconds.get("train", 0.0) if links.get("adapter") and not base else None,
            seconds_evaluate=seconds.get("evaluate", 0.0) if links.get("evaluation") else None,
            device_hours=device_hours,
            money=money,
            selection="" if base else links.get("selection") or "",
            adapter=links.get("adapter") or "",
            evaluation=links.get("evaluation") or "",
            run=record.address,
            missing=", ".join(result.missing),
            truth=truth,
            checks=checks,
            method=run.method,
            settings=dict(run.shown or {}),
            pool=board.head.pool,
            table=board.number,
            members=result.members,
            higher_is_better=result.higher_is_better,
            result=run.result,
            targetless=run.targetless,
            budgetless=run.budgetless,
            truth_labels=str(record.manifest.get("truth_labels", "")) if truth else "",
            budget_rows=None if base else record.manifest.get("budget_rows"),
            currency="" if money is None else str(record.manifest.get("currency") or ""),
        )


def headlines(
    requested: Iterable[str], results: Sequence[Result], tasks: Mapping[str, Sequence[str]] | None = None
) -> set[str]:
    """The tasks and groups that the user asked for.

    A requested name without a result is a tag, or a group without a mean. Its tasks take its place: those, and those
    groups, that no other group's mean includes. `tasks`: such a name -> its tasks; an evaluation that does not record
    them counts all its tasks. Of results over the same tasks, one is taken.
    """
    asked = set(requested)
    members = {one.task: frozenset(member.task for member in one.members or [one]) for one in results}
    shown = asked & set(members)
    groups_first = sorted(members, key=lambda name: members[name] == {name})
    for name in sorted(asked - shown):
        own = set((tasks or {}).get(name, ()))
        parts = {
            one: members[one] for one in groups_first if not own or (members[one] <= own and one not in asked)
        }
        for one, its in parts.items():
            inner = any(its < other for other in parts.values())
            if not inner and its not in (members[other] for other in shown):
                shown.add(one)
    return shown


def _checks(runs: RunSet, scores: str | None) -> dict[str, float]:
    """Checks of a run's score columns. Where there are several columns, the worst value is reported.

    - rho: Spearman's correlation with token length.
    - margin, for layered methods: the mean of |mu . v| / |mu| over the layers used.
    - top layer, for layered methods: the largest share of one layer in the score's variance.
    """
    found = runs.find("scores", scores) if scores else None
    if found is None:
        return {}
    rhos = [rho for rho in found.manifest["length_correlation"].values() if rho is not None]
    checks = {"rho": max(rhos, key=abs)} if rhos else {}
    layered = [one for one in found.manifest["diagnostics"].values() if "sign_margin" in one]
    if layered:
        shares = [one["layer_share_of_score_variance"] for one in layered]
        margins = [
            fmean(one["sign_margin"][layer] for layer in used)
            for one, used in zip(layered, shares, strict=True)
        ]
        checks |= {"margin": min(margins), "top layer": max(max(used.values()) for used in shares)}
    return checks
