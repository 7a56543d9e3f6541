"""Secrets in texts: values of environment variables, tokens and passwords in addresses are replaced by `***`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

HIDDEN = "***"
SHORTEST = 8
"""Shorter values of variables are not replaced: they would hide ordinary words."""
NAMES = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)$", re.IGNORECASE)
"""Names of variables, and of parameters in an address, whose values are secret."""
_GIVEN = re.compile(r"(\bhydra\.job\.env_set(?:\.\w+)?=\s*)('[^']*'|\"[^\"]*\"|\{[^}]*\}|[^\s'\"]+)")
_GIVEN_WORD = re.compile(r"(\+*hydra\.job\.env_set[\w.]*=)")
_USER = re.compile(r"(\b[a-zA-Z][\w+.-]*\\?://)[^/\s@'\"]+@")
_PARAMETER = re.compile(
    r"([?&](?:[\w.-]*(?:key|token|secret|password|signature|credential)|sig|pwd)=)[^&\s'\"#]+", re.IGNORECASE
)
_TOKEN = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|sk-[\w-]{20,}|gh[pousr]_\w{30,}|github_pat_\w{30,}|AKIA[0-9A-Z]{16}|wandb_v1_\w{20,})\b"
)


def masked(text: str, also: Iterable[str] = ()) -> str:
    """The text without secrets. `also`: further values that are secret."""
    text = _GIVEN.sub(rf"\1{HIDDEN}", text)
    text = _TOKEN.sub(HIDDEN, without_login(text))
    for value in sorted({*also, *_secret_values()}, key=len, reverse=True):
        text = text.replace(value, HIDDEN) if value else text
    return text


def without_login(url: str) -> str:
    """An address without its user and password, and without the values of its secret parameters."""
    return _PARAMETER.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", url))


def masked_parts(value: Any) -> Any:
    """A value of plain types, with the secrets in all its texts masked."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {key: masked_parts(part) for key, part in value.items()}
    return [masked_parts(part) for part in value] if isinstance(value, (list, tuple)) else value


def masked_words(words: Iterable[str]) -> list[str]:
    """The words of a command line without secrets. A value of `hydra.job.env_set` may hold spaces."""
    return [f"{found[1]}{HIDDEN}" if (found := _GIVEN_WORD.match(word)) else masked(word) for word in words]


@contextmanager
def masked_arguments() -> Iterator[None]:
    """Within the block, the words of this process's command line are without secrets."""
    words = sys.argv
    sys.argv = masked_words(words)
    try:
        yield
    finally:
        sys.argv = words


def _secret_values() -> set[str]:
    return {value for name, value in os.environ.items() if NAMES.search(name) and len(value) >= SHORTEST}
