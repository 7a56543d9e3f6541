"""Render: the rows that a model's chat template takes; the others are refused or left out before any pass."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from nait.core.contracts import Model
from nait.core.errors import DataError
from nait.core.examples import Example, Pool, Target, fingerprint
from nait.models.templates import ChatTemplate
from nait.store import Artifact, Store, write_json

VERSION = 2
"""2: a row that the template shows in part is a fault."""
FAULTS = "faults.json"
Rows = TypeVar("Rows", Pool, Target)
_log = logging.getLogger(__name__)


def rendered(rows: Rows, template: Any, *, model: Model, store: Store, group: str, on_bad: str) -> Rows:
    """The rows that the template renders. `group` and `on_bad` are the config group of the rows and its key.

    Only a model's own chat template can refuse a row: for a system message, or roles it does not expect. A row of
    which it leaves a field out without a word is refused, too.
    Raises: DataError that names file, row and mend unless `on_bad` is "skip", or when no row is left.
    """
    if not isinstance(template, ChatTemplate) or not rows.examples:
        return rows
    faults = _read(_rendering(rows, template, model, store))
    if not faults:
        return rows
    if on_bad != "skip":
        bad = min((one for one in rows.examples if one.id in faults), key=lambda one: one.row)
        what, mend = faults[bad.id]
        raise DataError(what, where=_place(rows, bad), mend=f"{mend}, or set {group}.on_bad=skip.")
    return _without(rows, faults)


def _rendering(rows: Pool | Target, template: ChatTemplate, model: Model, store: Store) -> Artifact:
    """The artifact of all faults: rendered once for these rows, this template and this model."""
    key = {
        "rendering": VERSION,
        "model": model.fingerprint,
        "template": template.digest,
        "examples": rows.fingerprint,
    }

    def write(part: Path) -> Mapping[str, Any]:
        tokenizer = model.load_tokenizer()
        faults: dict[str, tuple[str, str]] = {}
        for example in rows.examples:
            try:
                template.spans(example, tokenizer)
            except DataError as error:
                faults[example.id] = (error.what, error.mend.rstrip("."))
        write_json(part / FAULTS, faults)
        return {"rows": len(rows.examples), "faults": len(faults)}

    return store.produce("renderings", key, write)


def _read(artifact: Artifact) -> dict[str, tuple[str, str]]:
    found = json.loads((artifact.path / FAULTS).read_text(encoding="utf-8"))
    return {key: (what, mend) for key, (what, mend) in found.items()}


def _place(rows: Pool | Target, example: Example) -> str:
    place = getattr(rows.source, "place", None)
    return str(place(example.row)) if place else f"{rows.name} row {example.row} (counted from 0)"


def _without(rows: Rows, faults: Mapping[str, tuple[str, str]]) -> Rows:
    kept = tuple(example for example in rows.examples if example.id not in faults)
    counts = Counter(what for what, _ in faults.values())
    for what, count in counts.most_common():
        _log.warning("%s: left out %s rows (%s)", rows.name, f"{count:,}", what)
    if not kept:
        what, mend = next(iter(faults.values()))
        raise DataError(f"no row is left: {what}", where=rows.name, mend=f"{mend}.")
    skipped = {**rows.skipped, **{what: rows.skipped.get(what, 0) + n for what, n in counts.items()}}
    return replace(rows, examples=kept, fingerprint=fingerprint(kept), skipped=skipped)
