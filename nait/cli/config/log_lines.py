"""Lines of the log: without secrets, and without control characters that a terminal would obey."""

from __future__ import annotations

import logging

from nait.core.inputs.secrets import masked
from nait.core.inputs.visible_text import visible


class LogLines(logging.Formatter):
    """Formats records as `logging.Formatter` does, then masks secrets and escapes control characters."""

    def __init__(self, format: str, datefmt: str) -> None:  # the name of Python's log configuration
        super().__init__(format, datefmt)

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return visible(masked(super().format(record)))
