"""What a table establishes on each benchmark: the methods better and worse than the control, and the open ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nait.sweeps.grouping.names import unique_names
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stats.paired import Difference, detectable_difference
from nait.sweeps.stats.target_benchmarks import Benchmarks, leading
from nait.sweeps.stored_runs.method_names import BASE, FULL

REFERENCES = (BASE, FULL)
"""Lines to compare with, which are not ways to select rows."""


@dataclass(frozen=True)
class Finding:
    """A method's line on a benchmark, its name in sentences, and its difference to the control."""

    name: str
    line: Line
    difference: Difference

    @property
    def wins(self) -> bool:
        """Whether the method is significantly better than the control."""
        return self.difference.significant and self.difference.gain > 0

    @property
    def loses(self) -> bool:
        """Whether the method is significantly worse than the control."""
        return self.difference.significant and self.difference.gain < 0


@dataclass(frozen=True)
class Verdict:
    """The findings on one benchmark, largest gain first.

    `controls`, `references`: their lines on it. `detectable`: the smallest true difference that the runs detect with
    power 0.8; None where nothing is tested. `column`: the differences behind it.
    """

    task: str
    found: tuple[Finding, ...]
    controls: tuple[Line, ...]
    references: tuple[Line, ...]
    column: tuple[Difference, ...]

    @property
    def wins(self) -> list[Finding]:
        return [one for one in self.found if one.wins]

    @property
    def losses(self) -> list[Finding]:
        return [one for one in self.found if one.loses]

    @property
    def open(self) -> list[Finding]:
        """Methods whose difference is not established."""
        return [one for one in self.found if not one.difference.significant]

    @property
    def tested(self) -> bool:
        return any(one.difference.tested for one in self.found)

    def control_of(self, one: Finding) -> Line | None:
        """The control's line at the finding's budget and target; None where there are several or none."""
        line = one.line
        at = [own for own in self.controls if own.budgetless or line.budgetless or own.budget == line.budget]
        own_target = [own for own in at if own.target == line.target]
        kept = own_target or at
        return kept[0] if len(kept) == 1 else None

    @property
    def detectable(self) -> float | None:
        return detectable_difference(self.column)


def verdicts(lines: Sequence[Line], *, control: str, benchmarks: Benchmarks) -> list[Verdict]:
    """One verdict per benchmark that belongs to a target, or per first benchmark of a target without its own.

    Only lines of the targets to which a benchmark belongs count on it. Benchmarks without a difference to the control
    are left out.
    """
    deciding = {target: leading(target, lines, benchmarks) for target in {line.target for line in lines}}
    compared = _once(line for line in lines if line.difference and line.method not in (*REFERENCES, control))
    named = names_of(compared)
    tasks = sorted({line.task for line in compared if line.task in deciding[line.target]})
    return [
        _verdict(task, lines, [one for one in compared if _counts(one, task, deciding)], named, control)
        for task in tasks
    ]


def _counts(line: Line, task: str, deciding: dict[str, tuple[str, ...]]) -> bool:
    """Whether a line is judged by this task: by its target's benchmarks, or for any target if it has none."""
    return line.task == task and (line.targetless or task in deciding[line.target])


def _verdict(
    task: str,
    lines: Sequence[Line],
    own: Sequence[Line],
    named: dict[tuple[str, str, str], str],
    control: str,
) -> Verdict:
    found = [Finding(named[_key(one)], one, one.difference) for one in own if one.difference]
    on_task = _once(line for line in lines if line.task == task)
    return Verdict(
        task,
        tuple(sorted(found, key=lambda one: -one.difference.gain)),
        tuple(line for line in on_task if control in (line.selector, line.method)),
        tuple(line for line in on_task if line.method in REFERENCES),
        tuple(line.difference for line in lines if line.task == task and line.difference),
    )


def names_of(lines: Sequence[Line]) -> dict[tuple[str, str, str], str]:
    """(selector, target, budget) -> a unique name of the line, with target and budget where they differ."""
    keys = list(dict.fromkeys(_key(line) for line in lines))
    return dict(zip(keys, unique_names(keys), strict=True))


def _key(line: Line) -> tuple[str, str, str]:
    return line.selector, "" if _for_any_target(line) else line.target, "" if line.budgetless else line.budget


def _for_any_target(line: Line) -> bool:
    return line.targetless or line.method in REFERENCES


def _once(lines: Iterable[Line]) -> list[Line]:
    """The lines, with methods that do not depend on the target once per benchmark."""
    found: dict[tuple[tuple[str, str, str], str], Line] = {}
    for line in lines:
        found.setdefault((_key(line), line.task), line)
    return list(found.values())
