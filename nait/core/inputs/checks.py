"""What a recipe's values must be, said by config key before a model is opened."""

from __future__ import annotations

from collections.abc import Iterable

from nait.core.errors import ConfigError, did_you_mean


def one_of(key: str, value: object, known: Iterable[str]) -> None:
    """Nothing, when `value` is one of the known words. Raises: ConfigError with the nearest of them."""
    if value not in tuple(known):
        raise ConfigError(f"'{value}' is unknown", where=key, mend=did_you_mean(str(value), known))


def number(key: str, value: object, interval: str) -> None:
    """Nothing, when `value` is a number in an interval such as "[0, 1)". Raises: ConfigError."""
    low, high = (float(end) for end in interval[1:-1].split(","))
    inside = (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and (low <= value if interval[0] == "[" else low < value)
        and (value <= high if interval[-1] == "]" else value < high)
    )
    if not inside:
        raise ConfigError(f"{value} is not a number in {interval}", where=key, mend="Give one that is")


def whole(key: str, value: object, *, least: int) -> None:
    """Nothing, when `value` is an integer of `least` or more. Raises: ConfigError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{value} is not a whole number", where=key, mend=f"Give {least} or more.")


def flag(key: str, value: object) -> None:
    """Nothing, when `value` is true or false. Raises: ConfigError."""
    if not isinstance(value, bool):
        raise ConfigError(f"{value} is neither true nor false", where=key, mend="Give one of the two.")
