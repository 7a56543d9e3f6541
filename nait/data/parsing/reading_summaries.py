"""What was read from a source: counted notes, text that is not used, and the summary for the manifest."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from nait.data.chat.conversations import CONTEXT
from nait.data.columns.formats import PAIRED
from nait.data.columns.hints.row_hints import mapping_text
from nait.data.columns.layouts import KEYS, Layout
from nait.data.field_names import INPUTS, INSTRUCTIONS
from nait.data.row_errors import SHOWN_NAMES, quoted

_log = logging.getLogger(__name__)


def log_notes(source: str, notes: Mapping[str, int]) -> None:
    """Log how many rows each note counts."""
    for note, count in notes.items():
        level = logging.INFO if note == CONTEXT else logging.WARNING
        _log.log(level, "%s: %d row(s): %s", source, count, note)


def log_unused(source: str, layout: Layout, unused: Sequence[str]) -> None:
    """Log the columns and message keys with text that is not used; a part of the example is a warning."""
    if not unused:
        return
    more = f" and {len(unused) - SHOWN_NAMES:,} more" if len(unused) > SHOWN_NAMES else ""
    names = {name.casefold(): name for name in unused}
    level, advice = logging.INFO, ""
    if unused_questions(layout, unused):
        level = logging.WARNING
    given = next((names[name] for name in INPUTS if name in names), "")
    if layout.format in KEYS and given:
        level = logging.WARNING
        if not layout.optional.get("system"):
            mapping = mapping_text({"system": given})
            advice = f". If {quoted(given)} is part of it, data.columns={mapping} reads it as the system text"
    shown = ", ".join(map(quoted, unused[:SHOWN_NAMES]))
    _log.log(level, "%s: text that is not used: %s%s%s", source, shown, more, advice)


def unused_questions(layout: Layout, unused: Sequence[str]) -> list[str]:
    """The unused columns and message keys that usually hold a question, beside a pair or in a turn."""
    paired = layout.format in PAIRED
    own = {name: name.casefold() if paired else name.casefold().rpartition("[].")[2] for name in unused}
    return [name for name, last in own.items() if last in INSTRUCTIONS and (paired or "[]." in name)]


def reading_summary(layout: Layout, unused: Sequence[str], notes: Mapping[str, int]) -> Mapping[str, Any]:
    """Summary for the manifest: format, columns, unused text and counts."""
    columns = {name: column for name, column in {**layout.required, **layout.optional}.items() if column}
    if layout.option_columns:
        columns["options"] = ", ".join(layout.option_columns)
    return {
        "format": layout.format,
        "columns": columns,
        "unused": unused[:SHOWN_NAMES],
        "unused_columns": len(unused),
        "unused_questions": unused_questions(layout, unused),
        "counts": dict(notes),
    }
