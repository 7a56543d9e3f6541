"""Plain JSON values."""

from __future__ import annotations

import json
import math
from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from nait.store.jsonable import plain


class Kind(Enum):
    """An enum with a value that JSON has."""

    LORA = "lora"


def test_plain_values_by_hand() -> None:
    given = {
        "a": (1, np.float32(0.5)),
        2: {"z", "y"},
        "p": Path("x/y"),
        "n": np.array([1, 2]),
        "i": float("inf"),
        "k": [Kind.LORA],
    }
    assert plain(given) == {"a": [1, 0.5], "2": ["y", "z"], "p": "x/y", "n": [1, 2], "i": None, "k": ["lora"]}
    assert plain(np.bool_(True)) is True


@pytest.mark.parametrize("value", [math.nan, -math.inf, np.float64("nan"), [math.inf], np.array([math.nan])])
def test_values_that_are_not_finite_stay_on_request(value: object) -> None:
    assert json.dumps(plain(value, finite=False)).strip("[]") in ("NaN", "Infinity", "-Infinity")
    assert json.dumps(plain(value)).strip("[]") == "null"


def test_what_json_has_is_unchanged() -> None:
    value = {"a": [1, 0.25, True, None, "é", {"b": math.nan}], "c": {}}
    assert json.dumps(plain(value, finite=False)) == json.dumps(value)
