"""Texts: which columns of a source hold text, so that what is not used of it can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from nait.data.chat.messages import KNOWN, SYSTEM, pair_keys
from nait.data.columns.layouts import Layout
from nait.data.row_errors import Row, value_at


@dataclass
class Texts:
    """The columns seen so far, and those of them that hold text, keys of messages included."""

    seen: dict[str, None] = field(default_factory=dict)
    held: dict[str, None] = field(default_factory=dict)

    def notice(self, row: Row, layout: Layout) -> list[str]:
        """Looks at one more row; the columns that no earlier row had."""
        new = [name for name in row if name not in self.seen]
        self.seen.update(dict.fromkeys(new))
        for name, value in row.items():
            if name not in self.held and _holds_text(value):
                self.held[name] = None
        if layout.format in ("messages", "sharegpt"):
            self._notice_messages(row, next(iter(layout.required.values())))
        return new

    def _notice_messages(self, row: Row, column: str) -> None:
        """The keys of messages that hold text and are not read."""
        messages = value_at(row, column)
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, dict):
                names = pair_keys(message)
                read = {*names, SYSTEM} if names else KNOWN
                for key, value in message.items():
                    name = f"{column}[].{key}"
                    if key not in read and name not in self.held and _holds_text(value):
                        self.held[name] = None

    def unused(self, layout: Layout, id_column: str | None) -> list[str]:
        """The columns of text that no field and no id is read from."""
        return [name for name in self.held if name not in layout.columns and name != id_column]


def _holds_text(value: object) -> bool:
    """Whether a value is text, or a list of texts."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], str) and bool(value[0].strip())
    return isinstance(value, str) and bool(value.strip())
