"""Rows that a template renders completely. Others are refused or left out before any pass."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from nait.core.contracts import Model
from nait.core.dataset.examples import Example, Pool, Target, fingerprint
from nait.core.errors import DataError
from nait.models.prompts.chat_template import ChatTemplate
from nait.models.prompts.templates import TextTemplate
from nait.store import Artifact, Store, reading, write_json

VERSION = 3
"""Since 2, a partly rendered row is a fault. Since 3, answers with trimmed white space are counted."""
FAULTS = "faults.json"
NAMED_FAULTS = 20
TRIMMED = "answers_trimmed"
Rows = TypeVar("Rows", Pool, Target)
_log = logging.getLogger(__name__)


class Fault(NamedTuple):
    """Why a template cannot render a row, and the fix without a full stop."""

    what: str
    fix: str


Faults = Mapping[str, Fault]
"""Row id -> its fault."""


def rendered(rows: Rows, template: Any, *, model: Model, store: Store, group: str, on_bad: str) -> Rows:
    """The rows that the template renders completely. `group` is their config group, `on_bad` its key.

    A row is at fault if the template omits its input, system message or another field, or if the model's chat
    template refuses it. `reading` counts the rows whose answers only lose white space at the ends; they are kept.
    Raises: DataError that names file, row and fix unless `on_bad` is "skip", or when no row is left.
    """
    faults, trimmed = _faults(rows, template, model, store)
    if trimmed:
        _log.info(
            "%s: the chat template trims white space around the answers of %s rows; the rest of them is scored",
            rows.name,
            f"{trimmed:,}",
        )
        rows = replace(rows, reading={**rows.reading, TRIMMED: trimmed})
    if not faults:
        return rows
    if on_bad != "skip":
        raise _refusal(rows, faults, f", or set {group}.on_bad=skip")
    return _without(rows, faults)


def check_method(scorer: Any, rows: Iterable[Pool | Target], *, model: Model, store: Store) -> None:
    """Check the rows against the templates of the method itself, which are fields of `scorer`.

    Rows that cannot be rendered are never skipped here: methods would then select from different pools.
    Raises: DataError that names file, row and fix for a row that a template does not render completely.
    """
    names = [field.name for field in fields(scorer)] if is_dataclass(scorer) else []
    for name in names:
        template = getattr(scorer, name)
        for one in rows if isinstance(template, (TextTemplate, ChatTemplate)) else ():
            faults, _ = _faults(one, template, model, store)
            if faults:
                raise _refusal(one, faults, f" (this template is selector.{name})")


def _faults(rows: Pool | Target, template: Any, model: Model, store: Store) -> tuple[Faults, int]:
    """Faults of the rows, and the number of rows with a trimmed answer. A text template needs no model."""
    if isinstance(template, TextTemplate):
        return _text_faults(rows, template), 0
    if not isinstance(template, ChatTemplate) or not rows.examples:
        return {}, 0
    made = _rendering(rows, template, model, store)
    return _read(made), int(made.manifest["trimmed"])


def _text_faults(rows: Pool | Target, template: TextTemplate) -> Faults:
    faults = {}
    for example in rows.examples:
        try:
            template.check_row(example)
        except DataError as error:
            faults[example.id] = Fault(error.what, error.fix.rstrip("."))
    return faults


def _rendering(rows: Pool | Target, template: ChatTemplate, model: Model, store: Store) -> Artifact:
    """The `renderings` artifact: all faults of these rows under this template and model."""
    key = {
        "rendering": VERSION,
        "model": model.fingerprint,
        "template": template.digest,
        "examples": rows.fingerprint,
    }

    def write(part: Path) -> Mapping[str, Any]:
        tokenizer = model.load_tokenizer()
        faults: dict[str, Fault] = {}
        trimmed = 0
        for example in rows.examples:
            try:
                spans = template.spans(example, tokenizer)
            except DataError as error:
                faults[example.id] = Fault(error.what, error.fix.rstrip("."))
            else:
                shown = [span.text for span in spans if span.kind == "answer"]
                trimmed += shown != [turn.answer for turn in example.turns if turn.trained]
        write_json(part / FAULTS, faults)
        return {"rows": len(rows.examples), "faults": len(faults), "trimmed": trimmed}

    return store.produce("renderings", key, write)


def _read(artifact: Artifact) -> Faults:
    with reading(artifact.path):
        found = json.loads((artifact.path / FAULTS).read_text(encoding="utf-8"))
        return {key: Fault(*fault) for key, fault in found.items()}


def _refusal(rows: Pool | Target, faults: Faults, end: str) -> DataError:
    """The error for these rows: their number, and the places of the first ones in file order."""
    bad = sorted((one for one in rows.examples if one.id in faults), key=lambda one: one.row)
    first = faults[bad[0].id]
    if len(bad) == 1:
        return DataError(first.what, where=_place(rows, bad[0]), fix=f"{first.fix}{end}.")
    lines = [f"\n  {_place(rows, one)}: {faults[one.id].what}" for one in bad[:NAMED_FAULTS]]
    more = f"\n  and {len(bad) - NAMED_FAULTS:,} more" if len(bad) > NAMED_FAULTS else ""
    return DataError(
        f"{len(bad):,} rows cannot be used:{''.join(lines)}{more}",
        where=rows.name,
        fix=f"Of the first: {first.fix}{end}.",
    )


def _place(rows: Pool | Target, example: Example) -> str:
    place = getattr(rows.source, "place", None)
    return str(place(example.row)) if place else f"{rows.name} row {example.row} (counted from 0)"


def _without(rows: Rows, faults: Faults) -> Rows:
    kept = tuple(example for example in rows.examples if example.id not in faults)
    counts = Counter(fault.what for fault in faults.values())
    for what, count in counts.most_common():
        _log.warning("%s: left out %s rows (%s)", rows.name, f"{count:,}", what)
    if not kept:
        what, fix = next(iter(faults.values()))
        raise DataError(f"no row is left: {what}", where=rows.name, fix=f"{fix}.")
    skipped = {**rows.skipped, **{what: rows.skipped.get(what, 0) + n for what, n in counts.items()}}
    return replace(rows, examples=kept, fingerprint=fingerprint(kept), skipped=skipped)
