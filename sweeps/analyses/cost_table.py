"""Cost table: time, energy and money of each method, from an empty store and with shared passes counted once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nait.core.estimates.costs import PAID
from nait.core.statistics.results import Row
from nait.store import Artifact, Store, write_text
from nait.sweeps.grouping.collect import NO_RUNS, sheets
from nait.sweeps.grouping.identities import reference
from nait.sweeps.render.leaderboard_tables import MARKDOWN, seconds, tabulated, written
from nait.sweeps.render.markdown import failed_section
from nait.sweeps.render.report_document import Table
from nait.sweeps.stored_runs.cost_ledger import (
    Amount,
    Amounts,
    RunCost,
    Spending,
    phase_costs,
    spendings,
)
from nait.sweeps.stored_runs.manifest_shapes import check_shape
from nait.sweeps.stored_runs.method_names import is_base, is_shuffled
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.stored_runs.stores import ReadableStore

HEADER = ("selector", "model", "pool", "budget", "targets", "seeds", "runs", "single s", "shared s", "per target s",
          "train s", "evaluate s", "device h", "Wh", "money")  # fmt: skip
LEGEND = (
    "Costs from an empty store. A method is charged for a shared pass as if alone: the forward pass and its own "
    "measurements. single: selection for one target; shared: selection for all targets and seeds, "
    "shared passes counted once; per target: shared divided by the number of targets; train, evaluate: means over "
    "runs; device h, Wh, money: totals. Of an artifact with several costs, as from two stores, the largest counts, "
    "but not in train and evaluate. The last line has sums: single over all scores, train and evaluate over all runs."
)
METER = "meter"
"""The kind of a meter's part of a pass in the ledger. The store has no such kind."""
COUNTED = "Wh is the energy of the whole devices, including other work on them: {}."
UNKNOWN = "Wh: blank where a device reports no energy."


@dataclass(frozen=True)
class Costs:
    """Writes `costs.md`, the costs of every run of the store, including runs that only selected."""

    def report(
        self, store: ReadableStore, runs: Sequence[str] | None, folder: Path, *, failed: Sequence[str] = ()
    ) -> str:
        """Write `costs.md` into `folder` and return the table to print. `failed`: lines on jobs without a result."""
        loaded = RunSet.load(store, runs)
        found = sheets(loaded)
        tables = [(f"Table {one.number}: {one.head.text}", amortised(loaded, one.rows)) for one in found]
        if len(found) == 1:
            tables = [("", tables[0][1])]
        elif found:
            whole = amortised(loaded, [row for one in found for row in one.rows])
            tables.append(("All tables", replace(whole, body=whole.body[-1:])))
        captions = list(dict.fromkeys(table.caption for _, table in tables))[-1:]

        def text(form: str, mark: str) -> str:
            parts = [
                part
                for title, table in tables
                for part in (
                    title and mark + written(title, form),
                    tabulated(table.header, table.body, form),
                )
            ]
            return "\n\n".join(filter(None, [*parts, *(written(text, form) for text in captions)])) or NO_RUNS

        parts = ["# Costs", *failed_section(failed), text(MARKDOWN, "## ")]
        write_text(folder / "costs.md", "\n\n".join(parts) + "\n")
        return f"{text('simple', '')}\nCosts: {folder / 'costs.md'}"


def amortised(runs: RunSet, rows: Sequence[Row]) -> Table:
    """One line per method, model, pool and budget; then the total."""
    costs = read_costs(runs, rows)
    counted = {
        name
        for run in costs
        for place, amount in {**run.selecting, **run.rest}.items()
        if amount.energy_wh is not None and place[0] != METER and (found := runs.find(*place))
        for name in found.manifest.get("energy_of", ())
    }
    caption = f"{LEGEND} {COUNTED.format(', '.join(sorted(counted))) if counted else UNKNOWN}"
    return Table.of("amortised", HEADER, [_cells(one) for one in spendings(costs)], caption=caption)


def _cells(one: Spending) -> list[object]:
    taken = (one.single, one.shared, one.per_target, one.train, one.evaluate)
    energy = "" if one.energy_wh is None else f"{one.energy_wh:.2f}"
    money = "" if one.money is None else f"{one.money:.2f} {one.currency}".strip()
    return [*one.name, one.targets, one.seeds, one.runs, *map(seconds, taken),
            f"{one.device_hours:.4f}", energy, money]  # fmt: skip


def read_costs(runs: RunSet, rows: Sequence[Row]) -> list[RunCost]:
    """The cost of each run, from its record and its artifacts."""
    records = [(row, runs.find("runs", row.run)) for row in {row.run: row for row in rows}.values()]
    return [_run(runs, row, record) for row, record in records if record]


def _run(runs: RunSet, row: Row, record: Artifact) -> RunCost:
    facts = record.manifest
    links, seconds, energy = facts["links"], facts["phase_seconds"], facts.get("phase_energy_wh", {})
    paid = phase_costs(record)
    money = paid.money or {}
    amounts = {
        name: Amount(seconds.get(name, 0.0), energy.get(name), paid.device_hours[name], money.get(name, 0.0))
        for name in PAID
    }
    ignored = is_base(record) or is_shuffled(record)  # neither uses scores
    return RunCost(
        row,
        {}
        if ignored or not links.get("scores")
        else _selection_costs(runs, record, amounts["select"], bill=paid.bill),
        {
            (kind, links[link]): amounts[phase]
            for kind, link, phase in (("adapters", "adapter", "train"), ("evaluations", "evaluation", "evaluate"))
            if links.get(link)
        },
        facts["money"] is not None,
        facts.get("currency", ""),
        reference(runs, record),
    )  # fmt: skip


def _selection_costs(runs: RunSet, record: Artifact, whole: Amount, *, bill: float) -> Amounts:
    """The cost of each input of a run's score table, and of the table itself.

    `whole`: the cost of selection, without the `bill`, which is of the table. What the inputs do not account for is
    the table's cost, including inputs that are no longer in the store. Each input is looked up in the run's own store
    first: another store's copy has its own cost.
    """
    own, scores = Store(record.path.parents[1], read_only=True), str(record.manifest["links"]["scores"])

    def find(kind: str, name: str) -> Artifact | None:
        mine = own.find(kind, name)
        return check_shape(mine) if mine else runs.find(kind, name)

    found = find("scores", scores)
    made_of: Sequence[Sequence[Any]] = found.manifest.get("made_of", ()) if found else ()
    shared: dict[tuple[str, str], Amount] = {}
    for kind, name, *used in made_of:
        if part := find(kind, name):
            shared |= _parts(part, used[0] if used else None)
    amounts = {**shared, ("scores", scores): _remainder(whole, shared)}
    charged = {
        place: replace(
            amount, device_hours=amount.seconds * _rate(whole.device_hours, whole),
            money=amount.seconds * _rate(whole.money, whole),
        )
        for place, amount in amounts.items()
    }  # fmt: skip
    table = charged["scores", scores]
    return {**charged, ("scores", scores): replace(table, money=table.money + bill)}


def _rate(total: float, whole: Amount) -> float:
    """A total of selection per second of it."""
    return total / whole.seconds if whole.seconds else 0.0


def _parts(made: Artifact, used: Collection[int] | None) -> Amounts:
    """The cost of an artifact. A pass that several methods share has one part that each of them needs, the forward
    pass, and one for each meter. `used`: the signals that this method uses, None for all.
    """
    meters = [
        (one["seconds"] / max(made.seconds, 1e-9), one["signals"]) for one in made.manifest.get("meters", ())
    ]
    common = max(0.0, 1.0 - sum(share for share, _ in meters))
    own = {
        (METER, f"{made.address}/{k}"): _share(made, share)
        for k, (share, signals) in enumerate(meters)
        if used is None or set(signals) & set(used)
    }
    return {(made.kind, made.address): _share(made, common), **own}


def _share(made: Artifact, share: float) -> Amount:
    return Amount(made.seconds * share, None if made.energy_wh is None else made.energy_wh * share)


def _remainder(whole: Amount, shared: Mapping[tuple[str, str], Amount]) -> Amount:
    """An amount minus its parts, at least 0."""
    seconds = max(0.0, whole.seconds - sum(part.seconds for part in shared.values()))
    known = [part.energy_wh for part in shared.values() if part.energy_wh is not None]
    if whole.energy_wh is None or len(known) < len(shared):
        return Amount(seconds)
    return Amount(seconds, max(0.0, whole.energy_wh - sum(known)))
