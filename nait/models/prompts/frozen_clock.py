"""Frozen clock: chat templates with a fixed date in place of today's, so that texts are reproducible."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from nait.core.errors import ConfigError

DAY = "2024-07-26"
"""The fallback date of Llama 3's own templates."""
_CLOCK_CALL = re.compile(r"""\bstrftime_now\s*\(\s*(['"])(?P<form>.*?)\1\s*\)""", re.DOTALL)
_CLOCK_TEST = re.compile(r"\bstrftime_now\s+is\s+(not\s+)?defined\b")
_RANDOM = re.compile(r"\|\s*random\b|\blipsum\s*\(")


def midnight(day: str) -> datetime:
    """Midnight of a day in ISO 8601. Raises: ConfigError for an invalid date."""
    try:
        return datetime.strptime(day, "%Y-%m-%d")
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"'{day}' is not a date", where="template.date", fix=f"Write it as {DAY}."
        ) from error


@lru_cache(maxsize=8)
def freeze_clock(template: str, day: str = DAY) -> str:
    """The chat template with each call of `strftime_now` replaced by its result at midnight of `day`.

    Raises: ConfigError for a template that draws at random, or calls the clock with a computed format.
    """
    found = _RANDOM.search(template)
    if found:
        raise ConfigError(
            f"the model's chat template draws at random ({found.group().strip()})",
            where="template",
            fix="Use template=alpaca or plain, or remove it from the chat template.",
        )
    now = midnight(day)
    frozen = _CLOCK_CALL.sub(lambda call: call[1] + now.strftime(call["form"]) + call[1], template)
    if "strftime_now" in _CLOCK_TEST.sub("", frozen):
        raise ConfigError(
            "the model's chat template calls strftime_now with a format that is not a literal",
            where="template",
            fix="Use template=alpaca or plain, or write the date into the chat template.",
        )
    return frozen


def freeze_tokenizer_clock(tokenizer: Any) -> None:
    """Freeze the clock of the tokenizer's own chat template at `DAY`."""
    tokenizer.chat_template = freeze_clock(str(tokenizer.get_chat_template()))
