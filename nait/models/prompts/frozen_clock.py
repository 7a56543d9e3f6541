"""Clocks: chat templates with one day written in place of today, so that a text is the same today and tomorrow."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from nait.core.errors import ConfigError

DAY = "2024-07-26"
"""The day that Llama 3's own templates name where they have no clock."""
_ASKS = re.compile(r"""\bstrftime_now\s*\(\s*(['"])(?P<form>.*?)\1\s*\)""", re.DOTALL)
_TESTS = re.compile(r"\bstrftime_now\s+is\s+(not\s+)?defined\b")
_DRAWS = re.compile(r"\|\s*random\b|\blipsum\s*\(")


def midnight(day: str) -> datetime:
    """The beginning of a day in ISO 8601. Raises: ConfigError when it is none."""
    try:
        return datetime.strptime(day, "%Y-%m-%d")
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"'{day}' is not a date", where="template.date", mend=f"Write it as {DAY}."
        ) from error


@lru_cache(maxsize=8)
def still(template: str, day: str = DAY) -> str:
    """A chat template whose calls of `strftime_now` are the text they give at the beginning of `day`.

    Raises: ConfigError for one that draws at random, or asks the clock in another way.
    """
    found = _DRAWS.search(template)
    if found:
        raise ConfigError(
            f"the model's chat template draws at random ({found.group().strip()})",
            where="template",
            mend="Use template=alpaca or plain, or remove it from the chat template.",
        )
    now = midnight(day)
    told = _ASKS.sub(lambda call: call[1] + now.strftime(call["form"]) + call[1], template)
    if "strftime_now" in _TESTS.sub("", told):
        raise ConfigError(
            "the model's chat template asks the clock in a form that is not written in the call",
            where="template",
            mend="Use template=alpaca or plain, or write the date into the chat template.",
        )
    return told


def stop_clock(tokenizer: Any) -> None:
    """Give the tokenizer's own chat template the day `DAY`."""
    tokenizer.chat_template = still(str(tokenizer.get_chat_template()))
