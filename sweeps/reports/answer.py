"""The answer that opens a report, in words and from the numbers of its tables.

It says what beats the control on which benchmark, by how much, at what cost, what is not established, and what to run
next.
"""

from __future__ import annotations

from collections.abc import Sequence

from nait.core.estimates.human_units import counted, human_seconds
from nait.core.statistics.power import at_most_one
from nait.core.statistics.results import Row
from nait.sweeps.render.leaderboard_tables import number
from nait.sweeps.render.report_document import Notes, Table
from nait.sweeps.render.table_notes import without_control
from nait.sweeps.reports.findings import Finding, Verdict, verdicts
from nait.sweeps.reports.next_runs import next_runs
from nait.sweeps.stats.aggregates import LOWER, Line
from nait.sweeps.stats.paired import ITEMS_ONLY
from nait.sweeps.stats.target_benchmarks import Benchmarks
from nait.sweeps.stored_runs.method_names import BASE
from nait.sweeps.stored_runs.run_set import RunSet

NOTHING_EVALUATED = "Nothing was trained and evaluated, so the runs do not show which selection is better."
MOST = 4
"""The most methods that a sentence lists."""


def answered(
    runs: RunSet,
    rows: Sequence[Row],
    lines: Sequence[Line],
    *,
    control: str,
    benchmarks: Benchmarks,
    title: str = "",
) -> tuple[Notes, Table]:
    """The answer of one table: its sentences, and the runs to do next with their commands.

    A proposal without a command is a sentence.

    `title`: the table's title, where the report has several.
    """
    found = verdicts(lines, control=control, benchmarks=benchmarks)
    sentences = answer(lines, found, control=control)
    proposed = next_runs(runs, rows, lines, found, control=control)
    body = [[one.why, one.command] for one in proposed if one.command]
    sentences += [f"What to run next: {one.why}" for one in proposed if not one.command]
    table = Table.of("next", ["run next", "command"], body, caption="What to run next.", code=True)
    return (Notes((*filter(None, [title]), *sentences)), table)


def answer(lines: Sequence[Line], found: Sequence[Verdict], *, control: str) -> list[str]:
    """The sentences of one table."""
    if not any(line.task and line.method != BASE for line in lines):
        return [NOTHING_EVALUATED]
    if not found:
        return [without_control(lines, control)]
    texts = [text for verdict in found for text in _of_benchmark(verdict, control)]
    return [*texts, *_elsewhere(lines, found, control), *_costs(found, control)]


def _of_benchmark(verdict: Verdict, control: str) -> list[str]:
    """What beats the control on one benchmark, what does not, and what is not established."""
    wins, losses = verdict.wins, verdict.losses
    texts = [_won(verdict, control) if wins else _not_won(verdict, control)]
    if losses:
        texts.append(f"Worse than {control} on {verdict.task}: {_list(losses)}.")
    if wins and verdict.open:
        corrected = f"{verdict.task} after Holm's correction"
        texts.append(f"Not established on {corrected}: {_list(verdict.open)}. {_missed(verdict)}".strip())
    return texts


def _won(verdict: Verdict, control: str) -> str:
    best, *others = verdict.wins
    also = f" So {'does' if len(others) == 1 else 'do'} {_list(others)}." if others else ""
    count = f"{len(verdict.wins)} of {_compared(verdict.found)} beat {control}."
    gain = f"{best.name} beats {control} on {verdict.task} by {_interval(best)} ({_scores(best, verdict)})."
    return f"{gain}{also} {count}{_kept(verdict)}"


def _not_won(verdict: Verdict, control: str) -> str:
    best = verdict.found[0]
    closest = f"{best.name} is closest: {_interval(best)} ({_scores(best, verdict)})."
    if not verdict.tested:
        return (
            f"Nothing is established on {verdict.task}: with one seed, intervals are over items only and no "
            f"difference to {control} is tested. {closest}{_kept(verdict)}"
        )
    none = f"None of {_compared(verdict.found)} beats {control} on {verdict.task}."
    if len(verdict.found) == 1:
        none = f"{best.name} is not shown to beat {control} on {verdict.task}."
    return f"{none} {closest} {_missed(verdict)}{_kept(verdict)}"


def _compared(found: Sequence[Finding]) -> str:
    """How many methods are compared: "2 methods"; "3 lines (2 methods)" where one has several targets or budgets."""
    methods = len({one.line.selector for one in found})
    named = counted(methods, "method")
    return named if methods == len(found) else f"{counted(len(found), 'line')} ({named})"


def _missed(verdict: Verdict) -> str:
    """What a difference must be to be found."""
    least = verdict.detectable
    if least is None:
        return ""
    shown = at_most_one(least) if verdict.found[0].line.share else number(least)
    return f"These runs find a true difference of {shown} with power 0.8, so smaller ones can be missed."


def _kept(verdict: Verdict) -> str:
    """The scores of the references, for scale."""
    shown = ", ".join(f"{line.selector} {number(line.value)}" for line in verdict.references)
    return f" For reference: {shown}." if shown else ""


def _interval(one: Finding) -> str:
    """The difference with its 95 % interval, marked if it is over items only."""
    found = one.difference
    value, low, high = (number(x, signed=True) for x in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]" + ("" if found.tested else f" {ITEMS_ONLY}")


def _scores(one: Finding, verdict: Verdict) -> str:
    """Both scores, and the seeds and items of the comparison, which may be fewer seeds than the scores have."""
    control = verdict.control_of(one)
    against = f" against {number(control.value)}" if control else ""
    lower = "" if one.line.higher_is_better else f"{LOWER}; "
    most = max(one.line.seeds, control.seeds if control else 0)
    shared = one.difference.seeds < most
    seeds = counted(one.difference.seeds, "shared seed" if shared else "seed")
    over = " over all seeds" if shared else ""
    return f"{lower}{number(one.line.value)}{against}{over}; {seeds}, {counted(one.difference.items, 'item')}"


def _list(found: Sequence[Finding]) -> str:
    shown = ", ".join(f"{one.name} {_interval(one)}" for one in found[:MOST])
    return shown + (f" and {len(found) - MOST} more" if len(found) > MOST else "")


def _elsewhere(lines: Sequence[Line], found: Sequence[Verdict], control: str) -> list[str]:
    """The counts of gains and losses of the methods that win, on all other requested benchmarks."""
    texts = []
    for name, best in {one.wins[0].name: one for one in found if one.wins}.items():
        line = best.wins[0].line
        others = [
            (one.task, one.difference)
            for one in lines
            if (one.selector, one.target, one.budget) == (line.selector, line.target, line.budget)
            and one.difference
            and one.headline
            and one.task != best.task
        ]
        if others:
            up = [task for task, one in others if one.significant and one.gain > 0]
            down = [task for task, one in others if one.significant and one.gain < 0]
            texts.append(
                f"On the {counted(len(others), 'other benchmark')}, {name} beats {control} on {_tasks(up)} and is "
                f"worse on {_tasks(down)}."
            )
    return texts


def _tasks(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none"


def _costs(found: Sequence[Verdict], control: str) -> list[str]:
    """What the best method of each benchmark costs, beside the control."""
    shown: dict[str, Line] = {}
    for verdict in found:
        best = verdict.found[0]
        shown[best.name] = best.line
        if against := verdict.control_of(best):
            shown.setdefault(control, against)
    return [f"Cost of one run of {name}: {_cost(line)}." for name, line in shown.items()]


def _cost(line: Line) -> str:
    """The phases of one run from an empty store."""
    phases = {
        "selection": line.seconds_select,
        "training": line.seconds_train,
        "evaluation": line.seconds_evaluate,
    }
    parts = [f"{human_seconds(value)} of {name}" for name, value in phases.items() if value is not None]
    if line.money:
        parts.append(f"{line.money:.2f} {line.currency}".strip())
    rows = "" if line.selected_rows is None else f" for {counted(line.selected_rows, 'row')}"
    return ", ".join(parts) + rows
