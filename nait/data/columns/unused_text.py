"""Tracking of text columns, to report the text that no field uses."""

from __future__ import annotations

from dataclasses import dataclass, field

from nait.data.chat.messages import KNOWN, SYSTEM, turn_keys
from nait.data.columns.layouts import Layout
from nait.data.row_errors import Row, value_at


@dataclass
class TextColumns:
    """Columns seen so far, and the columns and message keys that hold text."""

    seen: dict[str, None] = field(default_factory=dict)
    with_text: dict[str, None] = field(default_factory=dict)

    def observe(self, row: Row, layout: Layout) -> list[str]:
        """Record the columns of one more row; returns the columns that no earlier row had."""
        new = [name for name in row if name not in self.seen]
        self.seen.update(dict.fromkeys(new))
        for name, value in row.items():
            if name not in self.with_text and _holds_text(value):
                self.with_text[name] = None
        if layout.format in ("messages", "sharegpt"):
            self._observe_messages(row, next(iter(layout.required.values())))
        return new

    def _observe_messages(self, row: Row, column: str) -> None:
        """Record message keys that hold text and are not read."""
        messages = value_at(row, column)
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, dict):
                names = turn_keys(message)
                read = {*names, SYSTEM} if names else KNOWN
                for key, value in message.items():
                    name = f"{column}[].{key}"
                    if key not in read and name not in self.with_text and _holds_text(value):
                        self.with_text[name] = None

    def unused(self, layout: Layout, id_column: str | None) -> list[str]:
        """Text columns and message keys that neither a field nor the id uses."""
        return [name for name in self.with_text if name not in layout.columns and name != id_column]


def _holds_text(value: object) -> bool:
    """Whether a value is non-blank text, or a list that begins with one."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], str) and bool(value[0].strip())
    return isinstance(value, str) and bool(value.strip())
