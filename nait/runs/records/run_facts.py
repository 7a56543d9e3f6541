"""Facts of a run: its costs, and the fingerprints and counts of what it read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nait.core.contracts import Model
from nait.core.dataset.examples import Pool, Target
from nait.core.estimates.costs import PAID, Cost
from nait.core.ranking.selection import Selection
from nait.runs.records.phases import Phases, phase_energy, phase_seconds
from nait.runs.records.recorded_config import RecordedConfig


def facts(
    recorded: RecordedConfig,
    selection: Selection | None,
    phases: Phases,
    cost: Cost,
    *,
    stated: Mapping[str, float],
) -> dict[str, Any]:
    """Costs and settings of a run, for its artifact in the store. Counts are None without a selection.

    `stated`: the cost of scores that were computed elsewhere. The phase of selection contains its seconds.
    """
    return {
        "selected_rows": len(selection) if selection else None,
        "answer_tokens": selection.answer_tokens if selection else None,
        "phase_seconds": phase_seconds(phases),
        "phase_energy_wh": phase_energy(phases),
        "phase_device_hours": phase_device_hours(phases, cost),
        **spent(phases, cost, stated=stated),
        **({} if cost == Cost() else {"cost": asdict(cost)}),
        **({"stated_cost": dict(stated)} if stated else {}),
        **recorded.described(),
    }


def phase_device_hours(phases: Phases, cost: Cost) -> dict[str, float]:
    """Name -> device-hours of selection, training and evaluation, from an empty store."""
    return {
        name: cost.device_hours(phases[name].seconds, phases[name].process_seconds)
        for name in PAID
        if name in phases
    }


def spent(phases: Phases, cost: Cost, *, stated: Mapping[str, float]) -> dict[str, Any]:
    """Device-hours and money of selection, training and evaluation, from an empty store.

    Money is None without a price. `stated`: as in `facts`.
    """
    found = [phases[name] for name in PAID if name in phases]
    total = sum(one.seconds for one in found)
    over_processes = sum(one.seconds if one.process_seconds is None else one.process_seconds for one in found)
    money = cost.money(total, over_processes)
    return {
        "device_hours": cost.device_hours(total, over_processes),
        "money": None if money is None else money + stated.get("money", 0.0),
        "currency": cost.currency,
    }


def fingerprints(model: Model, pool: Pool, targets: Sequence[Target], template: Any) -> dict[str, Any]:
    """Fingerprints of the inputs."""
    return {
        "model": model.fingerprint,
        "pool": pool.fingerprint,
        "targets": {target.name: target.fingerprint for target in targets},
        "template": template.digest,
    }


def read_rows(pool: Pool, targets: Sequence[Target]) -> dict[str, Any]:
    """Row counts of the pool and of each target. They are separate since a target may share the pool's name."""
    return {
        "pool": {"name": pool.name, **counts(pool)},
        "targets": {target.name: counts(target) for target in targets},
    }


def counts(rows: Pool | Target) -> dict[str, Any]:
    """Rows kept, merged duplicates, skipped rows by reason, and how the file was read."""
    counted = {"rows": len(rows), "duplicates": rows.duplicates, "skipped": dict(rows.skipped)}
    return {**counted, "reading": dict(rows.reading)}
