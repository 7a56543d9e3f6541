"""Amounts: what runs took, by the artifacts they rest on, so that what several of them share counts once.

A run rests on scores, which were made of passes, encodings and warm-ups; on an adapter; on an evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nait.core.statistics.results import Row
from nait.sweeps.stats.contrasts import measurements

ALL = "all methods together"
Name = tuple[str, str, str, str]
"""Selector, model, pool and budget."""


@dataclass(frozen=True)
class Amount:
    """What one artifact took. `energy_wh` None: the devices did not tell."""

    seconds: float
    energy_wh: float | None = None


Amounts = Mapping[tuple[str, str], Amount]
"""(kind, address) -> what it took."""


@dataclass(frozen=True)
class RunCost:
    """A row's run: `selecting` holds what its scores rest on, `rest` its adapter and evaluation.

    `device_hours` and `money` (None: no price is known) are those of its `seconds`, as its record has them.
    """

    row: Row
    selecting: Amounts
    rest: Amounts
    seconds: float
    device_hours: float
    money: float | None
    currency: str = ""
    reference: str = ""
    """The content of its reference sets, empty where it is not known."""


@dataclass(frozen=True)
class Spending:
    """What some runs took together, as from an empty store.

    `seeds`: how many distinct results they came to. Seconds: `alone` of a target's scores if there were nothing else,
    the mean over scores; `shared` of selecting for all targets and seeds, both None where no row was selected;
    `train` and `evaluate` the means over the runs that did so, None where none did. The rest is of everything, shared
    parts once. Of all methods together, `alone`, `train` and `evaluate` are sums too.
    """

    name: Name
    targets: int
    seeds: int
    runs: int
    alone: float | None
    shared: float | None
    train: float | None
    evaluate: float | None
    device_hours: float
    energy_wh: float | None
    money: float | None
    currency: str

    @property
    def a_target(self) -> float | None:
        """Seconds of selecting, spread over the targets."""
        return None if self.shared is None else self.shared / self.targets


def spendings(runs: Sequence[RunCost]) -> list[Spending]:
    """What each method took, the least a target first; then all of them together."""
    groups: dict[Name, list[RunCost]] = {}
    for run in runs:
        row = run.row
        name = (row.selector, row.model, row.pool, row.budget)
        groups.setdefault(name, []).append(run)
    found = [_spending(name, group) for name, group in groups.items()]
    found.sort(key=lambda one: (one.name[1:], one.a_target or 0.0, one.name))
    return [*found, _together(runs)] if runs else []


def _together(runs: Sequence[RunCost]) -> Spending:
    """The last line: sums over all runs; an adapter or an evaluation that several runs reached counts once."""
    rest = _union(run.rest for run in runs)
    scores = {frozenset(run.selecting): _seconds(run.selecting) for run in runs if run.selecting}
    train, evaluate = (
        sum(amount.seconds for (kind, _), amount in rest.items() if kind == wanted)
        for wanted in ("adapters", "evaluations")
    )
    whole = _spending((ALL, "", "", ""), runs)
    return replace(whole, alone=sum(scores.values()), train=train, evaluate=evaluate)


def _spending(name: Name, runs: Sequence[RunCost]) -> Spending:
    everything = _union(part for run in runs for part in (run.selecting, run.rest))
    recorded = sum(run.seconds for run in runs)
    share = _seconds(everything) / recorded if recorded else 0.0
    scores = {frozenset(run.selecting): _seconds(run.selecting) for run in runs if run.selecting}
    prices, currencies = [run.money for run in runs if run.money is not None], {run.currency for run in runs}
    priced = len(prices) == len(runs) and len(currencies) == 1
    selects = any(run.row.seconds_select is not None for run in runs)
    return Spending(
        name=name,
        targets=_targets(runs),
        seeds=measurements(run.row for run in runs),
        runs=len(runs),
        alone=_mean(scores.values()) if selects else None,
        shared=_seconds(_union(run.selecting for run in runs)) if selects else None,
        train=_known([run.row.seconds_train for run in runs]),
        evaluate=_known([run.row.seconds_evaluate for run in runs]),
        device_hours=share * sum(run.device_hours for run in runs),
        energy_wh=_energy(everything),
        money=share * sum(prices) if priced else None,
        currency=currencies.pop() if priced else "",
    )


def _union(parts: Iterable[Amounts]) -> Amounts:
    return {place: amount for part in parts for place, amount in part.items()}


def _seconds(amounts: Amounts) -> float:
    return sum(amount.seconds for amount in amounts.values())


def _energy(amounts: Amounts) -> float | None:
    known = [amount.energy_wh for amount in amounts.values() if amount.energy_wh is not None]
    return sum(known) if known and len(known) == len(amounts) else None


def _targets(runs: Sequence[RunCost]) -> int:
    """How many targets there are: of a name, as many as one seed has reference sets of different content."""
    contents: dict[str, dict[int, set[str]]] = {}
    for run in runs:
        contents.setdefault(run.row.target, {}).setdefault(run.row.seed, set()).add(run.reference)
    return sum(max(len(found) for found in by_seed.values()) for by_seed in contents.values())


def _known(values: Sequence[float | None]) -> float | None:
    """The mean over the runs that had the phase; None where none had."""
    found = [value for value in values if value is not None]
    return _mean(found) if found else None


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
