"""Checks of config values: choices, numbers, whole numbers, flags. Each raises a ConfigError that names the key."""

from __future__ import annotations

from collections.abc import Iterable

from nait.core.errors import ConfigError, did_you_mean


def check_choice(key: str, value: object, known: Iterable[str]) -> None:
    """Raises: ConfigError for a value that is not one of `known`, with the nearest of them."""
    known = tuple(known)
    if value not in known:
        raise ConfigError(f"'{value}' is not a choice", where=key, fix=did_you_mean(str(value), known))


def check_number(key: str, value: object, interval: str, *, fix: str = "") -> None:
    """Raises: ConfigError for a value that is not a number in `interval`, such as "[0, 1)" or "(0, inf)".

    `fix` replaces the general advice of the message.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{value!r} is not a number", where=key, fix=fix or f"Give one in {interval}.")
    low, high = (float(end) for end in interval[1:-1].split(","))
    above = low <= value if interval[0] == "[" else low < value
    below = value <= high if interval[-1] == "]" else value < high
    if not (above and below):
        raise ConfigError(f"{value} is not in {interval}", where=key, fix=fix or "Give a number that is.")


def check_whole(key: str, value: object, *, least: int, fix: str = "") -> None:
    """Raises: ConfigError for a value that is not a whole number, or one below `least`.

    `fix` replaces the general advice of the message.
    """
    fix = fix or f"Give {least} or more."
    if isinstance(value, float) and value.is_integer() and value >= least:
        fix = f"Write {key}={value:.0f}."
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{value!r} is not a whole number", where=key, fix=fix)
    if value < least:
        raise ConfigError(f"{value} is below {least}", where=key, fix=fix)


def check_limit(tokens: object) -> None:
    """Raises: ConfigError for a selector's own length limit that is not None and not a whole number from 2 on."""
    if tokens is not None:
        check_whole("selector.max_length", tokens, least=2, fix="Give 2 or more; null is the run's limit.")


def check_flag(key: str, value: object) -> None:
    """Raises: ConfigError for a value that is neither true nor false."""
    if not isinstance(value, bool):
        raise ConfigError(f"{value!r} is neither true nor false", where=key, fix="Set it to true or false.")
