"""Leaderboard lines: means over runs that differ only in the seed, and their differences to a control."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from nait.core.statistics.results import Row
from nait.sweeps.stats.contrasts import Items
from nait.sweeps.stats.estimates import Key, differences, scores
from nait.sweeps.stats.paired import Z95, Difference, adjusted_family, share_half_width
from nait.sweeps.stats.shares import shares
from nait.sweeps.stored_runs.method_names import CONTROL
from nait.sweeps.stored_runs.row_items import measurements, places

WORST: Mapping[str, Callable[[Iterable[float]], float]] = {
    "rho": partial(max, key=abs), "margin": min, "top layer": max,
}  # fmt: skip
"""Check -> the worst of several values: of a run's score columns, and of a line's runs."""
LOWER = "lower is better"
"""The mark of a benchmark in figures where a lower score is better."""


@dataclass(frozen=True)
class Line:
    """A method's result on one task over its seeds.

    - `value`: the mean score; NaN where nothing was evaluated.
    - `half_width`: half the 95 % interval; None where unknown, as of a result that is not finite.
    - `share`: the score is a share of items, so score and interval lie in [0, 1].
    - `seeds`: the number of distinct results over the seeds.
    - `money`: None when a run has no price, or runs have prices in different currencies.
    - `seconds_*`: None for a phase that did not run.
    - `difference`: the difference to the control on the same items and seeds; None for the control itself and where
      there is no control.
    - `truth`: ground-truth measures from the labels of the rows. `checks`: diagnostics of the scores, the worst of
      the runs.
    - `itemised`: the score is the mean of stored item outcomes, which intervals and differences require.
    - `settings`: the settings in which runs of the method differ. `members`: the tasks of a group.
    - `fewest_rows`: the fewest selected rows of a run. `budget_rows`: the number of rows that the budget asks for.
    - `budget`, `selected_rows`, `answer_tokens`, `budgetless`: as in `Row`.
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
    selected_rows: int | None
    answer_tokens: int | None
    seconds_select: float | None
    seconds_train: float | None
    seconds_evaluate: float | None
    device_hours: float
    money: float | None
    missing: str
    headline: bool = True
    difference: Difference | None = None
    truth: Mapping[str, float] = field(default_factory=dict)
    checks: Mapping[str, float] = field(default_factory=dict)
    method: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    higher_is_better: bool = True
    share: bool = False
    itemised: bool = True
    targetless: bool = False
    budgetless: bool = False
    currency: str = ""
    fewest_rows: int | None = None
    budget_rows: int | None = None

    @property
    def worth(self) -> float:
        """The sort key: the value, negated where lower is better; 0 without an evaluation, lowest for NaN."""
        if math.isnan(self.value):
            return -math.inf if self.task else 0.0
        return self.value if self.higher_is_better else -self.value


def marked(title: str, lines: Iterable[Line]) -> str:
    """A figure's title, with a mark if lower is better on the lines' task, or on which of their tasks it is."""
    directions = {line.task: line.higher_is_better for line in lines}
    lower = sorted(task for task, higher in directions.items() if not higher)
    if not lower:
        return title
    return f"{title} ({LOWER})" if len(lower) == len(directions) else f"{title} ({LOWER}: {', '.join(lower)})"


def summarise(rows: Sequence[Row], items: Items | None = None, *, control: str = CONTROL) -> list[Line]:
    """Lines with the means over rows that differ only in the seed, the best value of each task first.

    `items`: item outcomes of the rows, for the intervals and the paired differences to `control`. Without them an
    interval is the wider of two: over items (the root mean square of the seeds' standard errors, since seeds share
    their items), and over seeds (Student's t).
    """
    groups = grouped(rows)
    of_items = shares(groups, items or {})
    scored = scores(groups, items or {}, of_items)
    compared = differences(groups, rows, items or {}, control)
    lines = [
        replace(
            _line(group, scored.get(key), compared.get(key), share=key in of_items),
            itemised=items is None or all(place in items for row in group for place, _ in places(row)),
        )
        for key, group in groups.items()
    ]
    return sorted(
        corrected(lines), key=lambda line: (line.model, line.task, line.metric, -line.worth, line.selector)
    )


def grouped(rows: Sequence[Row]) -> dict[Key, list[Row]]:
    """Line key -> its rows, which differ only in the seed; an evaluation counts once.

    Of runs with the same result, the last one with ground truth provides the ground truth, and the last one with a
    price provides the costs.
    """
    groups: dict[Key, dict[tuple[int, str], Row]] = {}
    for row in rows:
        key = (str(row.table), row.model, row.task, row.metric, row.target, row.budget, row.selector)
        group = groups.setdefault(key, {})
        known = group.setdefault((row.seed, row.outcome), row)
        if row.truth:
            known = replace(known, truth=row.truth)
        if row.money is not None:
            known = replace(known, money=row.money, device_hours=row.device_hours, currency=row.currency)
        group[row.seed, row.outcome] = known
    return {key: list(group.values()) for key, group in groups.items()}


def corrected(lines: Sequence[Line]) -> list[Line]:
    """The lines with Holm-corrected differences, in two families: headline tasks and other tasks.

    Every table and figure therefore shows the same verdict for a difference. A line that does not depend on the
    target has one difference, which counts once, whatever the number of targets at which it is shown.
    """
    families: dict[bool, dict[Hashable, Difference]] = {True: {}, False: {}}
    for line in lines:
        if line.difference:
            families[line.headline].setdefault(_comparison(line), line.difference)
    adjusted = {
        (headline, key): one
        for headline, family in families.items()
        for key, one in zip(family, adjusted_family(family.values()), strict=True)
    }
    return [
        replace(line, difference=adjusted[line.headline, _comparison(line)]) if line.difference else line
        for line in lines
    ]


def _comparison(line: Line) -> Hashable:
    """What a line's difference compares: the same for lines of several targets with one result."""
    found = line.difference
    if found is None or not line.targetless:
        return id(line)
    budget = "" if line.budgetless else line.budget
    place = (line.model, line.task, line.metric, line.selector, budget)
    return (*place, found.value, found.low, found.p, found.seeds)


def _means(facts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each name over the runs; names that a run lacks are left out."""
    names = [name for name in facts[0] if all(name in one for one in facts)]
    return {name: sum(one[name] for one in facts) / len(facts) for name in names}


def _worst(facts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The worst value of each check over the runs that have it; a mean of opposite signs would hide both."""
    names = dict.fromkeys(name for one in facts for name in one)
    return {name: WORST[name]([one[name] for one in facts if name in one]) for name in names}


def _line(
    group: Sequence[Row], score: Difference | None, difference: Difference | None, *, share: bool
) -> Line:
    first, count = group[0], len(group)
    values = [row.value for row in group if row.value is not None]
    value = sum(values) / len(values) if values else math.nan
    half_width = (score.high - score.low) / 2 if score else _without_items(group)
    if half_width is not None and not math.isfinite(value + half_width):
        half_width = None
    if half_width is not None and share:
        half_width = share_half_width(value, half_width, first.n)

    currencies = {row.currency for row in group}

    def average(name: str) -> float:
        return float(sum(getattr(row, name) for row in group) / count)

    def known(name: str) -> float | None:
        return average(name) if all(getattr(row, name) is not None for row in group) else None

    def counted(name: str) -> int | None:
        return None if (mean := known(name)) is None else round(mean)

    return Line(
        selector=first.selector,
        target=first.target,
        budget=first.budget,
        model=first.model,
        task=first.task,
        metric=first.metric,
        value=value,
        half_width=half_width,
        seeds=measurements(group),
        n=first.n,
        selected_rows=counted("selected_rows"),
        answer_tokens=counted("answer_tokens"),
        seconds_select=known("seconds_select"),
        seconds_train=known("seconds_train"),
        seconds_evaluate=known("seconds_evaluate"),
        device_hours=average("device_hours"),
        money=known("money") if len(currencies) == 1 else None,
        missing=", ".join(dict.fromkeys(row.missing for row in group if row.missing)),
        headline=first.headline,
        difference=difference,
        truth=_means([row.truth for row in group]),
        checks=_worst([row.checks for row in group]),
        method=first.method or first.selector,
        settings=first.settings,
        members=tuple(member.task for member in first.members),
        higher_is_better=first.higher_is_better,
        share=share,
        targetless=first.targetless,
        budgetless=first.budgetless,
        currency=currencies.pop() if len(currencies) == 1 else "",
        fewest_rows=min((row.selected_rows for row in group if row.selected_rows is not None), default=None),
        budget_rows=max((row.budget_rows for row in group if row.budget_rows is not None), default=None),
    )


def _without_items(group: Sequence[Row]) -> float | None:
    """Half the width of the wider interval: from standard errors, or over seeds. A result counts once."""
    group = list({row.outcome: row for row in group}.values())
    errors = [row.stderr for row in group if row.stderr is not None and not math.isnan(row.stderr)]
    over_items = Z95 * math.sqrt(sum(e * e for e in errors) / len(errors)) if errors else None
    widths = [
        width
        for width in (over_items, _over_seeds([row.value for row in group if row.value is not None]))
        if width is not None
    ]
    return max(widths) if widths else None


def _over_seeds(values: Sequence[float]) -> float | None:
    from scipy import stats

    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return float(stats.t.ppf(0.975, len(values) - 1)) * spread / math.sqrt(len(values))
