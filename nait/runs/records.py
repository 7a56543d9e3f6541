"""Records: what a job leaves in writing about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nait.core.contracts import Model
from nait.core.dataset.examples import Pool, Target
from nait.core.estimates.costs import Cost
from nait.core.ranking.selection import Selection

SETTINGS = ("selector", "order", "template", "reference_template", "train", "model", "eval")
"""Groups whose keys tell runs of one selector apart; a table shows those that differ."""
OPTIONS = ("template", "train", "eval", "model", "data", "target", "selector", "order")
"""Groups whose chosen option is worth a place in the record: a short name for a long config."""
NO_SETTING = {
    "selector.name", "model.name", "model.path", "model.fingerprints", "model.device", "model.device_map",
    "model.attn_implementation", "model.tensor_parallel", "model.trust_remote_code", "model.download",
    "template.path", "reference_template.path", "train.save_seconds", "train.deterministic",
    "train.gradient_checkpointing", "eval.batch_size", "eval.mirror", "eval.online", "eval.allow_partial",
}  # fmt: skip
"""Keys that change no result, or whose content a fingerprint in the record tells."""


def settings(config: Mapping[str, Any]) -> dict[str, str]:
    """What a run of a selector was set to, flat: `layers` for selector.layers, `train.epochs`, ..."""
    found: dict[str, str] = {}

    def walk(node: Any, path: list[str]) -> None:
        if isinstance(node, Mapping):
            for key, value in node.items():
                if ".".join([*path, str(key)]) not in NO_SETTING:
                    walk(value, [*path, str(key)])
        elif path[-1] != "_target_" or path[0] in ("order", "selector"):
            name = ".".join(path).removeprefix("selector.").removesuffix("._target_")
            found[name] = str(node).rsplit(".", 1)[-1] if path[-1] == "_target_" else str(node)

    for group in SETTINGS:
        walk(config[group], [group])
    return found


def facts(
    config: Mapping[str, Any],
    selection: Selection | None,
    seconds: Mapping[str, float],
    energy_wh: Mapping[str, float | None],
    cost: Cost,
) -> dict[str, Any]:
    """What a run took and what it was set to: part of its record in the store.

    Counts are None without a selection.
    """
    total = sum(seconds.get(name, 0.0) for name in ("select", "train", "evaluate"))
    return {
        "selected_rows": len(selection) if selection else None,
        "answer_tokens": selection.answer_tokens if selection else None,
        "phase_seconds": rounded(seconds),
        "phase_energy_wh": dict(energy_wh),
        "device_hours": cost.device_hours(total),
        "money": cost.money(total),
        "currency": cost.currency,
        "settings": settings(config),
        "label": config["label"],
        "options": {group: config.get("options", {}).get(group) for group in OPTIONS},
        "seeded": list(config.get("seeded", ())),
        "command": config.get("command", ""),
    }


def fingerprints(model: Model, pool: Pool, targets: Sequence[Target], template: Any) -> dict[str, Any]:
    """What names the content that went in."""
    return {
        "model": model.fingerprint,
        "pool": pool.fingerprint,
        "targets": {target.name: target.fingerprint for target in targets},
        "template": template.digest,
    }


def read_rows(pool: Pool, targets: Sequence[Target]) -> dict[str, Any]:
    """How many rows were read of the pool and of each target; apart, since a target may have the pool's name."""
    return {
        "pool": {"name": pool.name, **counts(pool)},
        "targets": {target.name: counts(target) for target in targets},
    }


def counts(rows: Pool | Target) -> dict[str, Any]:
    """How many rows were read, how, and what was made of the rest."""
    counted = {"rows": len(rows), "duplicates": rows.duplicates, "skipped": dict(rows.skipped)}
    return {**counted, "reading": dict(rows.reading)}


def rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds a phase, to the millisecond."""
    return {name: round(value, 3) for name, value in seconds.items()}
