"""Lines of a leaderboard: runs that differ in the seed alone, averaged, each held against random."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nait.core.results import Row

from .statistics import Difference, Outcomes, bootstrap, paired

Z95 = 1.959964
CONTROL = "random"
Key = tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """A method's result on one task over its seeds.

    `half_width`: of the 95 % interval, None where unknown. `difference`: to random on the same items and
    seeds, None for random itself and where there is no random beside it. `truth`: by the rows' labels. `checks`:
    of the score columns.
    """

    selector: str
    target: str
    budget: str
    model: str
    task: str
    metric: str
    value: float
    half_width: float | None
    seeds: int
    n: int
    selected_rows: int
    answer_tokens: int
    seconds_select: float
    seconds_train: float
    seconds_evaluate: float
    device_hours: float
    money: float | None
    missing: str
    headline: bool = True
    difference: Difference | None = None
    truth: Mapping[str, float] = field(default_factory=dict)
    checks: Mapping[str, float] = field(default_factory=dict)


def summarise(rows: Sequence[Row], items: Mapping[tuple[str, str], Outcomes] | None = None) -> list[Line]:
    """Rows that differ in the seed alone, averaged; the best value of each task first.

    The interval is over items (the tasks' standard errors, averaged in quadrature over the seeds, whose items
    are the same) or, where it is wider, over seeds (Student's t). `items`: (evaluation, task) -> outcomes,
    for the paired differences.
    """
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(_key(row), []).append(row)
    lines = [_line(group, _difference(group, groups, items or {})) for group in groups.values()]
    return sorted(lines, key=lambda line: (line.model, line.task, line.metric, -line.value, line.selector))


def _key(row: Row) -> Key:
    return (row.model, row.task, row.metric, row.target, row.budget, row.selector)


def _difference(
    group: Sequence[Row], groups: Mapping[Key, list[Row]], items: Mapping[tuple[str, str], Outcomes]
) -> Difference | None:
    """The group's mean minus random's: same model, task, target and budget, paired by seed and item."""
    control = groups.get((*_key(group[0])[:-1], CONTROL))
    if control is None or group[0].selector == CONTROL:
        return None
    ours, theirs = (
        {row.seed: items[place] for row in rows if (place := (row.evaluation, row.task)) in items}
        for rows in (group, control)
    )
    d_si = paired(ours, theirs)
    return None if d_si is None else bootstrap(d_si)


def _means(facts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each name's mean over the runs; names that one of them lacks are left out."""
    names = [name for name in facts[0] if all(name in one for one in facts)]
    return {name: sum(one[name] for one in facts) / len(facts) for name in names}


def _line(group: Sequence[Row], difference: Difference | None) -> Line:
    first, count = group[0], len(group)
    mean = sum(row.value for row in group) / count
    errors = [row.stderr for row in group if row.stderr is not None and not math.isnan(row.stderr)]
    over_items = Z95 * math.sqrt(sum(e * e for e in errors) / len(errors)) if errors else None
    if over_items == 0.0:  # all items alike: Wilson's interval of a share that was 0 or 1
        over_items = Z95**2 / (first.n + Z95**2)
    widths = [width for width in (over_items, _over_seeds([row.value for row in group])) if width is not None]

    def average(name: str) -> float:
        return float(sum(getattr(row, name) for row in group) / count)

    return Line(
        selector=first.selector,
        target=first.target,
        budget=first.budget,
        model=first.model,
        task=first.task,
        metric=first.metric,
        value=mean,
        half_width=max(widths) if widths else None,
        seeds=len({row.seed for row in group}),
        n=first.n,
        selected_rows=round(average("selected_rows")),
        answer_tokens=round(average("answer_tokens")),
        seconds_select=average("seconds_select"),
        seconds_train=average("seconds_train"),
        seconds_evaluate=average("seconds_evaluate"),
        device_hours=average("device_hours"),
        money=average("money") if first.money is not None else None,
        missing=first.missing,
        headline=first.headline,
        difference=difference,
        truth=_means([row.truth for row in group]),
        checks=_means([row.checks for row in group]),
    )


def _over_seeds(values: Sequence[float]) -> float | None:
    from scipy import stats

    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return float(stats.t.ppf(0.975, len(values) - 1)) * spread / math.sqrt(len(values))
