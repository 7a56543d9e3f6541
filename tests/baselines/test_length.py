"""Length: counts by hand, and no model opened."""

from __future__ import annotations

import numpy as np
import pytest

from nait.baselines.controls.length import Length
from nait.core.contracts import version_of
from nait.core.dataset.examples import Example, Turn, gather
from nait.core.errors import ConfigError
from nait.core.ranking.orders import Highest
from nait.models.loading import LocalModel
from nait.signals.specs.activations import Losses
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


LONG = gather(
    "long",
    [
        Example("a", (Turn("Do " + "it " * 30, "a" * 400),), row=0),
        Example("b", (Turn("Do", "b" * 150),), row=1),
        Example("c", (Turn("Do it", "c" * 140),), row=2),
        Example("d", (Turn("Do", "d"),), row=3),
    ],
)
"""Of the first answer, 200 tokens hold fewer than of the others: its prompt is long."""


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [("answer_tokens", [400, 150, 140, 1]), ("tokens", [400 + 93 + 8, 160, 153, 11])],
)
def test_a_length_does_not_depend_on_the_length_limit(opened: Open, unit: str, wanted: list[int]) -> None:
    x = opened(max_length=100)
    table = Length(unit).score(LONG, [], x)  # type: ignore[arg-type]
    assert table.values[:, 0].tolist() == wanted
    assert x.lengths(LONG).tolist() == [100, 100, 100, 11]


def test_texts_without_a_limit_are_counted_and_not_measured(opened: Open) -> None:
    view = opened(max_length=100).under(uncut=True)
    assert not view.tokens(LONG).truncated.any()
    assert view.under(max_length=50).lengths(LONG).max() == 50
    with pytest.raises(ConfigError, match="not cut"):
        view.measure(LONG, [Losses("answer")])


def test_stored_lengths_that_were_cut_are_not_used_again() -> None:
    assert version_of(Length()) == 2


def test_a_wrong_unit_is_named() -> None:
    with pytest.raises(ConfigError, match="character"):
        Length("character")  # type: ignore[arg-type]
