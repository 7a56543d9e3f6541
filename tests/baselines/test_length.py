"""Length: counts by hand, and no model opened."""

from __future__ import annotations

import numpy as np
import pytest

from nait.baselines.controls.length import Length
from nait.core.dataset.examples import Example, Turn, gather
from nait.core.errors import ConfigError
from nait.core.ranking.orders import Highest
from nait.models.loading import LocalModel
from tests.baselines.conftest import Open
from tests.families import pool

ROWS = gather(
    "rows",
    [
        Example("a", (Turn("Do", "one two"),), row=0),
        Example("b", (Turn("Do it", "1"), Turn("Again", "12")), row=1),
    ],
)


@pytest.mark.parametrize(
    ("unit", "wanted"),
    # <s>"Q: Do\nA: one two" and <s>"Q: Do it\nA: 1\n\nQ: Again\nA: 12", a token a character
    [("answer_tokens", [7, 3]), ("tokens", [17, 30]), ("characters", [7, 3])],
)
def test_lengths_by_hand(opened: Open, unit: str, wanted: list[int]) -> None:
    table = Length(unit).score(ROWS, [], opened())  # type: ignore[arg-type]
    assert table.values[:, 0].tolist() == wanted
    assert table.targets == ("any",)


def test_the_longest_answer_comes_first_and_no_model_is_opened(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    table = Length().score(pool(), [], opened())
    answers = np.array([len(row.turns[0].answer) for row in pool().examples])
    assert (np.diff(answers[Highest()(table)]) <= 0).all()


def test_a_wrong_unit_is_named() -> None:
    with pytest.raises(ConfigError, match="character"):
        Length("character")  # type: ignore[arg-type]
