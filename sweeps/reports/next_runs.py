"""What to run next, and the command for it."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nait.core.statistics.power import FEWEST
from nait.core.statistics.results import Row
from nait.sweeps.render.leaderboard_tables import number
from nait.sweeps.reports.findings import Finding, Verdict
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stats.paired import detectable_difference
from nait.sweeps.stored_runs.method_names import BASE, CONTROL, FULL
from nait.sweeps.stored_runs.run_set import RunSet

MOST_SEEDS = 10
"""The most seeds that are proposed."""
FOR_ONE_JOB = ("-m", "--multirun", "hydra.mode=RUN")
"""Words of a command that decide between a job and a sweep."""
OWN_KEYS = ("selector", "order", "label", "beside")
"""Keys that belong to one selector's run."""
NO_COMMAND = "Its command is not known: a run of it recorded none, or one that may do more than set keys."
_SETS_A_KEY = re.compile(
    r"(?:-m|--multirun|hydra\.mode=RUN|\+{0,2}(?!hydra\b)[\w@./:-]+=.*|~[\w.]+)", re.DOTALL
)
_LETS_CODE_RUN = re.compile(r"_target_|trust_|allow_code_execution|\$\{")


@dataclass(frozen=True)
class Next:
    """A proposed run: its reason and its command, empty where none of the recorded commands makes it."""

    why: str
    command: str = ""

    @staticmethod
    def of(why: str, command: str) -> Next:
        """The run; one without a command says why it has none."""
        return Next(why if command else f"{why} {NO_COMMAND}", command)


def next_runs(
    runs: RunSet, rows: Sequence[Row], lines: Sequence[Line], found: Sequence[Verdict], *, control: str
) -> list[Next]:
    """What to run next: a control, the missing evaluation, more seeds, or the whole pool as a reference."""
    recorded = _Recorded(runs, rows)
    trained = [line for line in lines if line.task and line.method != BASE]
    if not trained:
        return _evaluation([line for line in lines if line.method != BASE], recorded, control)
    if not found:
        return _control(trained, recorded, control)
    seeds = [one for verdict in found for one in _more_seeds(verdict, recorded, control)]
    return [*seeds, *_whole_pool(lines, found, recorded)]


def _evaluation(lines: Sequence[Line], recorded: _Recorded, control: str) -> list[Next]:
    """Training and evaluation of lines that only selected."""
    if not lines:
        return []
    values = {"seed": _listed(range(FEWEST)), "stages": "[select,train,evaluate,report]"}
    command = recorded.repeated(lines, values)
    commands = [command] if command else []
    if command and not any(control in (line.selector, line.method) for line in lines):
        commands.append(recorded.replaced(lines, control, values["seed"]))
    return [Next.of("Train on the selections and evaluate.", " && ".join(commands))]


def _control(trained: Sequence[Line], recorded: _Recorded, control: str) -> list[Next]:
    """The missing control."""
    if control != CONTROL or any(line.method == control for line in trained):
        return []
    why = f"Add the {CONTROL} control, without which no gain can be stated."
    return [Next.of(why, recorded.replaced(trained, CONTROL, _listed(recorded.seeds(trained))))]


def _more_seeds(verdict: Verdict, recorded: _Recorded, control: str) -> list[Next]:
    """More seeds for the method with the largest gain, while that gain is not established."""
    if verdict.wins or verdict.found[0].difference.gain <= 0:
        return []
    best = verdict.found[0]
    wanted = seeds_needed(verdict)
    if wanted is None:
        least = detectable_difference(verdict.column, MOST_SEEDS)
        shown = f" ({MOST_SEEDS} seeds detect {number(least)})" if least else ""
        why = f"{verdict.task}: more seeds alone would not establish the gain of {best.name}{shown}."
        return [Next(f"{why} Evaluate on more items.")]
    return [Next.of(_why(verdict, best, wanted, control), _seeds_command(verdict, wanted, recorded))]


def _why(verdict: Verdict, best: Finding, wanted: int, control: str) -> str:
    if not verdict.tested:
        return f"{verdict.task}: {wanted} seeds of {best.name} and {control}, so that the difference can be tested."
    gain = number(abs(best.difference.value))
    return f"{verdict.task}: {wanted} seeds of {best.name} and {control} would detect a true difference of {gain}."


def _seeds_command(verdict: Verdict, wanted: int, recorded: _Recorded) -> str:
    """The command that gives the method and the control this number of shared seeds."""
    best, control = verdict.found[0].line, verdict.control_of(verdict.found[0])
    lines = [best] if control is None else [best, control]
    have = set.intersection(*(set(recorded.seeds([line])) for line in lines))
    fresh = [seed for seed in range(max(have, default=-1) + 1 + wanted) if seed not in have]
    return recorded.repeated(lines, {"seed": _listed(fresh[: wanted - len(have)])})


def seeds_needed(verdict: Verdict) -> int | None:
    """The number of seeds that detect the largest gain with power 0.8; None above `MOST_SEEDS`.

    With one seed nothing is known about the variance over seeds: it is then the fewest seeds to report.
    """
    if not verdict.tested:
        return FEWEST
    gain = abs(verdict.found[0].difference.value)
    first = verdict.found[0].difference.seeds + 1
    for seeds in range(first, MOST_SEEDS + 1):
        if (detectable_difference(verdict.column, seeds) or math.inf) <= gain:
            return seeds
    return None


def _whole_pool(lines: Sequence[Line], found: Sequence[Verdict], recorded: _Recorded) -> list[Next]:
    """A run on the whole pool, where a method wins and no line has it."""
    best = next((one for verdict in found for one in verdict.wins), None)
    if best is None or any(line.method == FULL for line in lines):
        return []
    why = f"Compare {best.name} with training on the whole pool."
    return [Next.of(why, recorded.replaced([best.line], FULL, _listed(recorded.seeds([best.line]))))]


class _Recorded:
    """The recorded commands and the seeds of a table's runs."""

    def __init__(self, runs: RunSet, rows: Sequence[Row]) -> None:
        self.runs = runs
        self.rows = rows

    def _of(self, lines: Iterable[Line]) -> list[Row]:
        wanted = {(line.selector, line.target, line.budget) for line in lines}
        return [row for row in self.rows if (row.selector, row.target, row.budget) in wanted]

    def seeds(self, lines: Iterable[Line]) -> list[int]:
        """The seeds of the lines' runs, in order."""
        return sorted({row.seed for row in self._of(lines) if row.method != BASE})

    def repeated(self, lines: Iterable[Line], values: Mapping[str, str]) -> str:
        """One command that runs all these lines with other values; several, joined by `&&`, where settings differ.

        Empty where the runs of one of the lines recorded no command: the others alone are not what is proposed.
        """
        groups: dict[tuple[str, ...], list[str]] = {}
        for line in lines:
            job = self._job(line)
            if job is None:
                return ""
            selector, words = job
            kept = tuple(word for word in words if _key(word) not in (*values, "selector"))
            groups.setdefault(kept, []).append(selector)
        return " && ".join(
            sweep(words, {"selector": _listed(selectors), **values}) for words, selectors in groups.items()
        )

    def replaced(self, lines: Iterable[Line], selector: str, seeds: str) -> str:
        """The command that runs another selector, which reads no target, like these lines at each of their budgets.

        Empty without a recorded command.
        """
        found: dict[str, str] = {}
        for line in sorted(lines, key=lambda line: line.budgetless):
            place = "" if selector == FULL else line.budget
            known = place in found or (line.budgetless and found)
            job = None if known else self._job(line)
            if job is not None:
                kept = [
                    word for word in job[1] if not _key(word).startswith(OWN_KEYS) and _key(word) != "seed"
                ]
                found[place] = sweep(kept, {"selector": selector, "seed": seeds})
        return " && ".join(found.values())

    def _job(self, line: Line) -> tuple[str, list[str]] | None:
        """The selector and the words of the first run of a line that recorded its command."""
        for row in self._of([line]):
            record = self.runs.find("runs", row.run)
            command = str(record.manifest.get("command") or "") if record else ""
            if record and command:
                words = [word for word in _safe_words(command) if word not in FOR_ONE_JOB]
                if not words:
                    return None
                typed = [word.partition("=")[2] for word in words if _key(word) == "selector"]
                chosen = (record.manifest.get("options") or {}).get("selector", row.method)
                return (typed or [str(chosen)])[-1], words
        return None


def _safe_words(command: str) -> list[str]:
    """The words of a recorded command, to be run again; empty for one that may do more than set keys of a job.

    The record may come from elsewhere: a reader copies the command.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    plain = all(_SETS_A_KEY.fullmatch(word) and not _LETS_CODE_RUN.search(word) for word in words[1:])
    return words if words[:1] == ["nait"] and plain else []


def sweep(words: Sequence[str], values: Mapping[str, str]) -> str:
    """A sweep over these values, with the other words of a job's command."""
    return shlex.join([*words[:1], "-m", *words[1:], *(f"{key}={value}" for key, value in values.items())])


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _listed(values: Iterable[object]) -> str:
    return ",".join(dict.fromkeys(str(value) for value in values))
