"""Flags and weights that control whether an answer is trained, as values or as text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nait.data.field_names import WEIGHTS
from nait.data.row_errors import RowError, is_empty

PROMPT_WEIGHT = "a user or system message marked as trained, which is not trained"
_TEXTS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off"), False),
}
_JUDGEMENTS = {
    **dict.fromkeys(("desirable", "chosen", "good"), True),
    **dict.fromkeys(("undesirable", "rejected", "bad"), False),
}
_LARGEST = 1e9
PARTS = "train_detail"
"""Key for spans of a message that are trained or not (Axolotl)."""
_KEYS = frozenset((*WEIGHTS, PARTS))


def read_weight(value: object) -> float | None:
    """Weight: a number, true or false as 1 or 0, or the text of one; None for anything else."""
    if isinstance(value, str):
        text = value.strip().casefold()
        if text in _TEXTS:
            return float(_TEXTS[text])
        try:
            value = float(text) if text.isascii() and "_" not in text else None
        except ValueError:
            return None
    if not isinstance(value, (bool, int, float)) or not 0 <= value <= _LARGEST:
        return None
    return float(value)


def read_flag(value: object) -> bool | None:
    """Truth value of a weight that is 0 or 1; None for anything else."""
    weight = read_weight(value)
    return bool(weight) if weight in (0, 1) else None


def read_label(value: object) -> bool | None:
    """Whether a label marks an answer as desirable: a flag or a word for one; None for anything else."""
    if isinstance(value, str) and value.strip().casefold() in _JUDGEMENTS:
        return _JUDGEMENTS[value.strip().casefold()]
    return read_flag(value)


def is_trained(message: Mapping[str, Any], column: str, at: str) -> bool:
    """Whether an answer is trained: false if any of its weights is 0 or false. Raises: RowError."""
    if _KEYS.isdisjoint(message):
        return True
    if not is_empty(message.get(PARTS)):
        fix = "Spans of a message cannot be weighted: remove the key, or split the message"
        raise RowError("weights spans of a message", column=column, at=f"{at}.{PARTS}", fix=fix)
    trained = True
    for key in WEIGHTS:
        value = message.get(key)
        if is_empty(value):
            continue
        flag = read_flag(value)
        if flag is None:
            fix = "Write 1 (trained) or 0 (context)"
            raise RowError("holds a weight other than 0 and 1", column=column, at=f"{at}.{key}", fix=fix)
        trained = trained and flag
    return trained


def trained_prompt(message: Mapping[str, Any]) -> tuple[str, ...]:
    """Note on a user or system message with a weight of 1; empty for other weights and without one."""
    if _KEYS.isdisjoint(message):
        return ()
    return (PROMPT_WEIGHT,) if any(read_flag(message.get(key)) for key in WEIGHTS) else ()
