"""Costs of runs by artifact. An artifact that several runs share counts once.

A run uses scores, an adapter and an evaluation. Scores are computed from passes, encodings and warm-ups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nait.core.statistics.results import Row
from nait.sweeps.stored_runs.row_items import measurements

ALL = "all methods together"
Name = tuple[str, str, str, str]
"""Selector, model, pool and budget."""


@dataclass(frozen=True)
class Amount:
    """The cost of one artifact. `energy_wh` is None where the devices report no energy."""

    seconds: float
    energy_wh: float | None = None


Amounts = Mapping[tuple[str, str], Amount]
"""(kind, address) -> cost."""


@dataclass(frozen=True)
class RunCost:
    """The cost of a row's run. `selecting`: its scores and their inputs; `rest`: its adapter and evaluation.

    `seconds`, `device_hours` and `money` (None: price unknown) are the recorded totals of the run.
    """

    row: Row
    selecting: Amounts
    rest: Amounts
    seconds: float
    device_hours: float
    money: float | None
    currency: str = ""
    reference: str = ""
    """The content digest of its reference sets, empty where unknown."""


@dataclass(frozen=True)
class Spending:
    """The cost of several runs from an empty store.

    - `seeds`: the number of distinct results.
    - `single`: seconds of selection for one target from an empty store, mean over score tables.
    - `shared`: seconds of selection for all targets and seeds; shared passes count once.
    - `train`, `evaluate`: seconds, means over the runs with that phase; None without any.
    - `device_hours`, `energy_wh`, `money`: totals; shared artifacts count once.

    `single` and `shared` are None where no row was selected. In the line of all methods together, `single`, `train`
    and `evaluate` are sums.
    """

    name: Name
    targets: int
    seeds: int
    runs: int
    single: float | None
    shared: float | None
    train: float | None
    evaluate: float | None
    device_hours: float
    energy_wh: float | None
    money: float | None
    currency: str

    @property
    def per_target(self) -> float | None:
        """Selection seconds per target."""
        return None if self.shared is None else self.shared / self.targets


def spendings(runs: Sequence[RunCost]) -> list[Spending]:
    """The cost of each method, lowest selection seconds per target first, and last of all methods together."""
    groups: dict[Name, list[RunCost]] = {}
    for run in runs:
        row = run.row
        name = (row.selector, row.model, row.pool, row.budget)
        groups.setdefault(name, []).append(run)
    found = [_spending(name, group) for name, group in groups.items()]
    found.sort(key=lambda one: (one.name[1:], one.per_target or 0.0, one.name))
    return [*found, _together(runs)] if runs else []


def _together(runs: Sequence[RunCost]) -> Spending:
    """The cost of all methods together: sums over all runs; shared adapters and evaluations count once."""
    rest = _union(run.rest for run in runs)
    scores = {frozenset(run.selecting): _seconds(run.selecting) for run in runs if run.selecting}
    train, evaluate = (
        sum(amount.seconds for (kind, _), amount in rest.items() if kind == wanted)
        for wanted in ("adapters", "evaluations")
    )
    whole = _spending((ALL, "", "", ""), runs)
    return replace(whole, single=sum(scores.values()), train=train, evaluate=evaluate)


def _spending(name: Name, runs: Sequence[RunCost]) -> Spending:
    everything = _union(part for run in runs for part in (run.selecting, run.rest))
    charged = _charged(runs)
    scores = {frozenset(run.selecting): _seconds(run.selecting) for run in runs if run.selecting}
    currencies = {run.currency for run in runs}
    priced = all(run.money is not None for run in runs) and len(currencies) == 1
    selects = any(run.row.seconds_select is not None for run in runs)
    return Spending(
        name=name,
        targets=_targets(runs),
        seeds=measurements(run.row for run in runs),
        runs=len(runs),
        single=_mean(scores.values()) if selects else None,
        shared=_seconds(_union(run.selecting for run in runs)) if selects else None,
        train=_known([run.row.seconds_train for run in runs]),
        evaluate=_known([run.row.seconds_evaluate for run in runs]),
        device_hours=sum(seconds * _rate(run.device_hours, run) for seconds, run in charged),
        energy_wh=_energy(everything),
        money=sum(seconds * _rate(run.money or 0.0, run) for seconds, run in charged) if priced else None,
        currency=currencies.pop() if priced else "",
    )


def _union(parts: Iterable[Amounts]) -> Amounts:
    return {place: amount for part in parts for place, amount in part.items()}


def _charged(runs: Sequence[RunCost]) -> list[tuple[float, RunCost]]:
    """The seconds of each artifact with the last run that used it, whose devices and price it is charged at."""
    last = {
        place: (amount.seconds, run)
        for run in runs
        for part in (run.selecting, run.rest)
        for place, amount in part.items()
    }
    return list(last.values())


def _rate(total: float, run: RunCost) -> float:
    """A run's total per second of the run."""
    return total / run.seconds if run.seconds else 0.0


def _seconds(amounts: Amounts) -> float:
    return sum(amount.seconds for amount in amounts.values())


def _energy(amounts: Amounts) -> float | None:
    known = [amount.energy_wh for amount in amounts.values() if amount.energy_wh is not None]
    return sum(known) if known and len(known) == len(amounts) else None


def _targets(runs: Sequence[RunCost]) -> int:
    """The number of targets. A target with several reference sets at one seed counts once for each set."""
    contents: dict[str, dict[int, set[str]]] = {}
    for run in runs:
        contents.setdefault(run.row.target, {}).setdefault(run.row.seed, set()).add(run.reference)
    return sum(max(len(found) for found in by_seed.values()) for by_seed in contents.values())


def _known(values: Sequence[float | None]) -> float | None:
    """The mean over the runs with the phase, None without any."""
    found = [value for value in values if value is not None]
    return _mean(found) if found else None


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
