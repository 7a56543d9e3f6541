"""Laws of config checks: a good value passes, and a message names the key, the value and what is allowed."""

from __future__ import annotations

import math

import pytest

from nait.core.errors import ConfigError
from nait.core.inputs.checks import check_choice, check_flag, check_number, check_whole


def test_a_choice_is_one_of_the_known_words() -> None:
    check_choice("order", "lowest", ("lowest", "highest"))
    with pytest.raises(ConfigError, match=r"^order: 'lowst' is not a choice\. Did you mean 'lowest'\?$"):
        check_choice("order", "lowst", ("lowest", "highest"))


@pytest.mark.parametrize(
    ("value", "interval"), [(0, "[0, 1)"), (0.99, "[0, 1)"), (1, "(0, 1]"), (1e9, "(0, inf)")]
)
def test_an_interval_holds_what_its_brackets_include(value: float, interval: str) -> None:
    check_number("q", value, interval)


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (1, "[0, 1)"),
        (-0.1, "[0, 1)"),
        (0, "(0, 1]"),
        (0, "(0, inf)"),
        (math.nan, "[0, inf)"),
        (math.inf, "[0, inf)"),
    ],
)
def test_a_number_outside_its_interval_is_refused(value: float, interval: str) -> None:
    with pytest.raises(ConfigError, match=r"^q: .* is not in .*\. Give a number that is\.$"):
        check_number("q", value, interval)


@pytest.mark.parametrize("value", ["0.5", True, None])
def test_what_is_not_a_number_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match=r"is not a number\. 0\.33 is published\."):
        check_number("q", value, "[0, 1)", fix="0.33 is published.")


@pytest.mark.parametrize("value", [1.0, "1", True, None])
def test_what_is_not_a_whole_number_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="is not a whole number"):
        check_whole("count", value, least=1)


def test_a_whole_number_has_a_least_value() -> None:
    check_whole("count", 2, least=2)
    with pytest.raises(ConfigError, match=r"^count: 1 is below 2\. Give 2 or more\.$"):
        check_whole("count", 1, least=2)


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_a_flag_is_true_or_false(value: object) -> None:
    check_flag("strip", False)
    with pytest.raises(ConfigError, match="neither true nor false"):
        check_flag("strip", value)
