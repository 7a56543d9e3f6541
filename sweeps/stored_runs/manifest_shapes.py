"""Shapes of the manifests that tables read. A store may come from elsewhere: its manifests are data to be checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nait.core.errors import StoreError
from nait.core.inputs.shapes import (
    Shape,
    fault,
    finite,
    flag,
    keyed,
    listed,
    optional,
    real,
    record,
    text,
    whole,
)
from nait.core.inputs.visible_text import visible_parts
from nait.store import MANIFEST, Artifact

ELSEWHERE = "Copy the store from its source again, or make a table of other stores."
OBJECT = keyed(lambda _: "")
NAMES = listed(text)
SUITE = record({}, requested=NAMES, tasks=keyed(OBJECT))
LABELS = record(
    {"selector": text, "target": text, "budget": text, "model": text, "pool": text, "seed": whole, "trained": flag}
)  # fmt: skip
RUN = record(
    {
        "key": OBJECT, "links": keyed(optional(text)), "labels": LABELS, "phase_seconds": keyed(finite),
        "device_hours": finite, "money": optional(finite), "selected_rows": optional(whole),
        "answer_tokens": optional(whole),
    },
    phase_energy_wh=keyed(optional(finite)), phase_device_hours=keyed(finite),
    settings=optional(OBJECT), options=optional(OBJECT),
    training=optional(record({}, recipe=optional(OBJECT))), truth=optional(keyed(finite)),
    stated_cost=optional(keyed(finite)), seeded=optional(NAMES), reference_rows=optional(keyed(whole)),
    fingerprints=optional(record({}, targets=optional(keyed(text)))), budget_rows=optional(whole), warnings=NAMES,
    command=optional(text), currency=optional(text),
)  # fmt: skip


def _part(value: Any) -> str:
    """The shape of what a result was made of: kind and address, and perhaps the numbers of the signals used."""
    kind_and_address = NAMES(value[:2]) if isinstance(value, list) else NAMES(value)
    if not kind_and_address and len(value) not in (2, 3):
        return f" has {len(value)} entries, not two or three"
    return kind_and_address or listed(listed(whole))(value[2:])


SIDE = record({"rows": whole, "too_short": whole})
NAMED = record({"name": text, "rows": whole, "too_short": whole})
MANIFESTS: Mapping[str, Shape] = {
    "runs": RUN,
    "evaluations": record({"key": record({}, suite=SUITE)}, warnings=NAMES, requested=keyed(NAMES)),
    "selections": record(
        {"key": record({}, order=OBJECT, budget=OBJECT)},
        digest=optional(text), layer_means=optional(keyed(keyed(real))),
    ),
    "scores": record(
        {
            "key": record({}, targets=listed(lambda _: "")), "length_correlation": keyed(optional(finite)),
            "diagnostics": keyed(
                record({}, sign_margin=keyed(real), layer_share_of_score_variance=keyed(real))
            ),
        },
        targets=NAMES, made_of=listed(_part), energy_of=NAMES, warnings=NAMES, stated_cost=keyed(finite),
    ),
    "contamination": record({"key": record({}, suite=optional(record({}, limit=optional(whole))))},
                            compared=optional(record({"pool": NAMED, "targets": keyed(SIDE), "tasks": keyed(SIDE)}))),
    "adapters": record({"key": record({}, recipe=optional(OBJECT))}, warnings=NAMES),
}  # fmt: skip
COSTS = record({}, created=text, seconds=finite, energy_wh=optional(finite), energy_of=NAMES,
               earlier_seconds=finite, earlier_energy_wh=optional(finite),
               meters=listed(record({"seconds": finite, "signals": listed(whole)})))  # fmt: skip


def check_shape(found: Artifact) -> Artifact:
    """The artifact, with the control characters in its manifest as escapes: its names reach terminals and figures.

    Raises: StoreError when the manifest lacks an entry, or one has another type.
    """
    wrong = fault(found.manifest, COSTS) or fault(found.manifest, MANIFESTS.get(found.kind, OBJECT))
    if wrong:
        raise StoreError(wrong, where=str(found.path / MANIFEST), fix=ELSEWHERE)
    return replace(found, manifest=visible_parts(found.manifest))
