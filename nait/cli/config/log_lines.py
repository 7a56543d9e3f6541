"""Lines of the log: without secrets and control characters; warnings and errors are coloured on a terminal."""

from __future__ import annotations

import copy
import hashlib
import logging
import os
import sys
from pathlib import Path

from nait.core.inputs.secrets import masked
from nait.core.inputs.visible_text import visible_record

YELLOW, RED, PLAIN = "\x1b[33m", "\x1b[31m", "\x1b[0m"
REPEATED = "repeated"
"""The attribute of a record that the terminal has shown before."""
AGAIN = "The same error as in an earlier job."
_SAID: set[str] = set()
"""The warnings and errors that this process has shown. The jobs of a sweep set up their logs one after the other."""
SAID = "NAIT_SAID"
"""The variable with the folder in which the processes of a sweep's jobs mark what one of them has shown."""


class LogLines(logging.Formatter):
    """Formats records as `logging.Formatter` does, then masks secrets and escapes control characters.

    Lines after a record's first are indented: a name with a line break cannot forge a record.
    """

    def __init__(self, format: str, datefmt: str) -> None:  # the name of Python's log configuration
        super().__init__(format, datefmt)

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return visible_record(masked(super().format(record)))


class TerminalLines(LogLines):
    """The same for standard error: on a terminal a warning is yellow and an error red, unless NO_COLOR is set."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text, with its colour."""
        text = super().format(_shortened(record) if getattr(record, REPEATED, False) else record)
        if record.levelno < logging.WARNING or not _colours():
            return text
        return f"{RED if record.levelno >= logging.ERROR else YELLOW}{text}{PLAIN}"


def _colours() -> bool:
    """Whether standard error is a terminal that shows colours and the user has not turned them off (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _shortened(record: logging.LogRecord) -> logging.LogRecord:
    again = copy.copy(record)
    again.msg, again.args = AGAIN, ()
    return again


class SaidOnce(logging.Filter):
    """Drops a warning that the terminal has shown before, and marks such an error as repeated, for `TerminalLines`.

    Jobs of a sweep often share them. The log file of each job has all of its own.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the terminal shows the record."""
        if record.levelno < logging.WARNING or record.exc_info:
            return True
        text = record.getMessage()
        if _is_first(text):
            return True
        setattr(record, REPEATED, True)
        return record.levelno >= logging.ERROR


def _is_first(text: str) -> bool:
    """Whether no job has shown this text: neither of this process nor of another one beside it."""
    if text in _SAID:
        return False
    _SAID.add(text)
    folder = os.environ.get(SAID)
    if not folder:
        return True
    try:
        Path(folder, hashlib.sha256(text.encode(errors="replace")).hexdigest()).touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True  # shown twice rather than not at all
    return True
