"""Text from elsewhere on a terminal: control characters are shown as escapes, so that none takes effect.

Escape sequences move the cursor, set the window's title or write the clipboard. Marks of text direction reverse what
is read. Names, labels, ids and texts may hold both.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"  # marks of direction, invisible separators
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with its control characters as escapes, such as `\\x1b`. Tabs and newlines stay."""
    return _CONTROLS.sub(_escape, text)


def visible_record(text: str) -> str:
    """The text of one record of a log: lines after its first are indented, so that none looks like a new record."""
    return re.sub(r"\n(?=\S)", "\n  ", visible(text))


def visible_line(text: str) -> str:
    """The text on one line, with its control characters as escapes."""
    return visible(" ".join(re.split(r"[ \t\n]+", text))).strip()


def plain_markdown(text: str) -> str:
    """The text on one line of Markdown, without effect: names come from data, and Markdown is shown as a page."""
    return re.sub(r"([\\`*\[\]|~])", r"\\\1", html.escape(visible_line(text), quote=False))


def visible_parts(value: Any) -> Any:
    """A value of JSON with the control characters of all its texts, and of the names in it, as escapes."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(name)): visible_parts(part) for name, part in value.items()}
    return [visible_parts(part) for part in value] if isinstance(value, list) else value


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
