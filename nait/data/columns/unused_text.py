"""Tracking of text columns, to report the text that no field uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from nait.data.chat.flags import PARTS
from nait.data.chat.messages import KNOWN, as_message_list, turn_keys, unread_texts
from nait.data.chat.roles import SYSTEM
from nait.data.columns.layouts import Layout
from nait.data.columns.nested_texts import MAX_NAMES
from nait.data.field_names import WEIGHTS
from nait.data.row_errors import Row, value_at

_DEPTH, _ITEMS = 5, 4
"""Levels of a value, and first items of each list, that are searched for text."""
_PARSED_ROWS = 200
"""First rows whose conversations are searched where they are JSON text."""


@dataclass
class TextColumns:
    """Columns seen so far, and the columns and message keys that hold text."""

    seen: dict[str, None] = field(default_factory=dict)
    with_text: dict[str, None] = field(default_factory=dict)
    rows: int = 0

    def observe(self, row: Row, layout: Layout) -> list[str]:
        """Record the columns of one more row; returns the columns that no earlier row had."""
        new = [name for name in row if name not in self.seen]
        self.seen.update(dict.fromkeys(new))
        self.rows += 1
        for name, value in row.items():
            if name not in self.with_text and _holds_text(value):
                self.with_text[name] = None
        for column in layout.required.values():
            messages = row[column] if column in row else value_at(row, column)
            if isinstance(messages, str) and messages[:1] != "[":
                continue
            if isinstance(messages, dict) or (
                self.rows <= _PARSED_ROWS and isinstance(messages, str) and messages[:1] == "["
            ):
                messages = as_message_list(messages)
            if isinstance(messages, list):
                self._observe_messages(messages, column)
        return new

    def _observe_messages(self, messages: list[Any], column: str) -> None:
        """Record message keys that hold text and are not read."""
        for message in messages:
            if isinstance(message, dict) and len(message) > 2:  # two keys are a role and a text, or a pair
                names = turn_keys(message)
                read = {*names, SYSTEM, *WEIGHTS, PARTS} if names else KNOWN - unread_texts(message)
                for key, value in message.items():
                    name = f"{column}[].{key}"
                    if key not in read and name not in self.with_text and _holds_text(value):
                        self.with_text[name] = None

    def unused(self, layout: Layout, id_column: str | None) -> list[str]:
        """Text columns and message keys that neither a field nor the id uses."""
        return [name for name in self.with_text if name not in layout.columns and name != id_column]


def _holds_text(value: object, depth: int = _DEPTH) -> bool:
    """Whether a value holds non-blank text, at most `depth` lists and objects deep; judged by its first items."""
    if isinstance(value, str):
        return bool(value.strip())
    if not depth or not isinstance(value, (list, dict)):
        return False
    items = islice(value, _ITEMS) if isinstance(value, list) else islice(value.values(), MAX_NAMES)
    return any(_holds_text(one, depth - 1) for one in items)
