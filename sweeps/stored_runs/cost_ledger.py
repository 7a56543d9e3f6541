"""Costs of runs by artifact. An artifact that several runs share counts once.

A run uses scores, an adapter and an evaluation. Scores are computed from passes, encodings and warm-ups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nait.core.estimates.costs import PAID
from nait.core.statistics.results import Row
from nait.store import Artifact
from nait.sweeps.stored_runs.method_names import BASE
from nait.sweeps.stored_runs.row_items import measurements

ALL = "all methods together"
Name = tuple[str, str, str, str]
"""Selector, model, pool and budget."""


@dataclass(frozen=True)
class Amount:
    """The cost of one artifact. `energy_wh` is None where the devices report no energy.

    `device_hours` and `money`: as charged to the run that used it. `money` includes a bill that was typed in.
    """

    seconds: float
    energy_wh: float | None = None
    device_hours: float = 0.0
    money: float = 0.0


Amounts = Mapping[tuple[str, str], Amount]
"""(kind, address) -> cost."""


@dataclass(frozen=True)
class RunCost:
    """The cost of a row's run. `selecting`: its scores and their inputs; `rest`: its adapter and evaluation.

    `priced`: whether the run has a price.
    """

    row: Row
    selecting: Amounts
    rest: Amounts
    priced: bool
    currency: str = ""
    reference: str = ""
    """The content digest of its reference sets, empty where unknown."""


@dataclass(frozen=True)
class Spending:
    """The cost of several runs from an empty store.

    - `seeds`: the number of distinct results; of all methods together, the most of one method other than `BASE`.
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
    runs = _at_one_cost(runs)
    groups: dict[Name, list[RunCost]] = {}
    for run in runs:
        row = run.row
        name = (row.selector, row.model, row.pool, row.budget)
        groups.setdefault(name, []).append(run)
    found = [_spending(name, group) for name, group in groups.items()]
    found.sort(key=lambda one: (one.name[1:], one.per_target or 0.0, one.name))
    return [*found, _together(runs, found)] if runs else []


def _together(runs: Sequence[RunCost], methods: Sequence[Spending]) -> Spending:
    """The cost of all methods together: sums over all runs; shared adapters and evaluations count once."""
    rest = _union(run.rest for run in runs)
    scores = {frozenset(run.selecting): _seconds(run.selecting) for run in runs if run.selecting}
    train, evaluate = (
        sum(amount.seconds for (kind, _), amount in rest.items() if kind == wanted)
        for wanted in ("adapters", "evaluations")
    )
    whole = _spending((ALL, "", "", ""), runs)
    seeds = max((one.seeds for one in methods if one.name[0] != BASE), default=whole.seeds)
    return replace(whole, seeds=seeds, single=sum(scores.values()), train=train, evaluate=evaluate)


def _spending(name: Name, runs: Sequence[RunCost]) -> Spending:
    everything = _union(part for run in runs for part in (run.selecting, run.rest))
    scores = {frozenset(run.selecting): _seconds(run.selecting) for run in runs if run.selecting}
    currencies = {run.currency for run in runs}
    priced = all(run.priced for run in runs) and len(currencies) == 1
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
        device_hours=sum(amount.device_hours for amount in everything.values()),
        energy_wh=_energy(everything),
        money=sum(amount.money for amount in everything.values()) if priced else None,
        currency=currencies.pop() if priced else "",
    )


def _union(parts: Iterable[Amounts]) -> Amounts:
    """The artifacts of all parts, each once, at the largest of its costs: no sum is below one of its parts."""
    found: dict[tuple[str, str], Amount] = {}
    for part in parts:
        for place, amount in part.items():
            found[place] = _larger(found[place], amount) if place in found else amount
    return found


def _larger(one: Amount, other: Amount) -> Amount:
    known = [energy for energy in (one.energy_wh, other.energy_wh) if energy is not None]
    return Amount(
        max(one.seconds, other.seconds),
        max(known, default=None),
        max(one.device_hours, other.device_hours),
        max(one.money, other.money),
    )


def _at_one_cost(runs: Sequence[RunCost]) -> list[RunCost]:
    """The runs, with the same seconds and energy of an artifact in all of them, the largest: stores may differ."""
    known = _union(part for run in runs for part in (run.selecting, run.rest))

    def same(part: Amounts) -> Amounts:
        return {
            place: replace(amount, seconds=known[place].seconds, energy_wh=known[place].energy_wh)
            for place, amount in part.items()
        }

    return [replace(run, selecting=same(run.selecting), rest=same(run.rest)) for run in runs]


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


@dataclass(frozen=True)
class PhaseCosts:
    """Phase -> device-hours, and phase -> money; None where a price is unknown.

    `bill`: the money of scores that was typed in (`selector.cost`), which no phase's money includes.
    """

    device_hours: Mapping[str, float]
    money: Mapping[str, float] | None
    bill: float = 0.0


def phase_costs(record: Artifact) -> PhaseCosts:
    """The costs of a run's phases. Older records have totals only, which their seconds divide."""
    facts = record.manifest
    total, money = float(facts["device_hours"]), facts["money"]
    hours = facts.get("phase_device_hours") or _divided(total, facts["phase_seconds"])
    hours = {name: float(hours.get(name, 0.0)) for name in PAID}
    if money is None:
        return PhaseCosts(hours, None)
    bill = min(float(money), float((facts.get("stated_cost") or {}).get("money", 0.0)))
    sum_of_hours = sum(hours.values())
    price = (float(money) - bill) / sum_of_hours if sum_of_hours else 0.0
    return PhaseCosts(hours, {name: price * value for name, value in hours.items()}, bill)


def _divided(total: float, seconds: Mapping[str, Any]) -> dict[str, float]:
    """A total, divided among the phases by their seconds."""
    whole = sum(float(seconds.get(name, 0.0)) for name in PAID)
    return {name: total * float(seconds.get(name, 0.0)) / whole if whole else 0.0 for name in PAID}
