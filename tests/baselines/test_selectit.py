"""SelectIT: its formulas by hand, its texts, and the digits it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nait.baselines.selectit import Rating, SelectIt, digit_ids, sentence_scores, token_scores
from nait.core.dataset.examples import Example, Turn, gather
from nait.core.errors import ConfigError, ModelError
from nait.models.prompts.templates import TextTemplate
from tests.baselines.conftest import Open
from tests.families import pool, tokenizer

ROW = TextTemplate(prompt="\n\nInstruction:{user}\nResponse:", separator="")
PROMPTS = ["Rate it.", "How good?"]
CUE = "\nDigit:\n"


def test_a_prompts_score_by_hand() -> None:
    """p = (0, 0, .1, .3, 0): shares (0, 0, 1/4, 3/4, 0), q their softmax; rating 4."""
    e = np.exp([0, 0, 0.25, 0.75, 0])
    q = e / e.sum()
    wanted = 4 * (4 * q[3] - q[0] - q[1] - q[2] - q[4]) / 4
    assert token_scores(np.array([[0, 0, 0.1, 0.3, 0]]))[0] == pytest.approx(wanted)


def test_a_model_that_does_not_know_scores_nothing() -> None:
    assert token_scores(np.full((1, 5), 0.2))[0] == pytest.approx(0)
    assert np.isnan(token_scores(np.zeros((1, 5))))[0]


def test_prompts_that_disagree_count_less() -> None:
    found = sentence_scores(np.array([[2.0, 4.0], [3.0, 3.0]]), alpha=0.2)
    np.testing.assert_allclose(found, [3 / 1.2, 3])


def test_the_text_is_prompt_row_and_cue(opened: Open) -> None:
    x = opened()
    rows = gather("one", [Example("a", (Turn("Say it", "tree", "now"),))])
    view, _, _ = SelectIt(PROMPTS, ROW, CUE).requests(rows, [], x)[1]
    ids, _ = view.tokens(rows).row(0)
    wanted = "How good?\n\nInstruction:Say it\nnow\nResponse:tree\nDigit:\n"
    assert ids.tolist() == x.tokenizer()(wanted)["input_ids"]


def test_a_conversation_is_rated_once_at_its_end(opened: Open) -> None:
    row = Example("a", (Turn("Say", "tree"), Turn("Again", "tree")))
    text = "".join(span.text for span in Rating("Rate.", ROW, CUE).spans(row, None))
    assert text == "Rate.\n\nInstruction:Say\nResponse:tree\n\nInstruction:Again\nResponse:tree\nDigit:\n"


def test_token_level_reads_the_first_prompt_alone(opened: Open) -> None:
    x = opened()
    token = SelectIt(PROMPTS, ROW, CUE, level="token")
    assert len(token.requests(pool(), [], x)) == 1
    alone = SelectIt(PROMPTS[:1], ROW, CUE).score(pool(), [], x)
    np.testing.assert_allclose(token.score(pool(), [], x).values, alone.values)
    both = SelectIt(PROMPTS, ROW, CUE).score(pool(), [], x)
    assert not np.allclose(both.values, alone.values)


def test_a_text_that_lost_its_cue_is_not_ranked(opened: Open) -> None:
    x = opened(max_length=90)
    scorer = SelectIt(PROMPTS, ROW, CUE)
    cut = np.any([view.tokens(pool()).truncated for view, _, _ in scorer.requests(pool(), [], x)], axis=0)
    table = scorer.score(pool(), [], x)
    assert 0 < cut.sum() < len(pool())
    np.testing.assert_array_equal(table.eligible, ~cut)
    assert table.ineligible_counts() == {"rating text longer than max_length": int(cut.sum())}


def test_digits_come_from_the_tokenizer() -> None:
    found = digit_ids(tokenizer(), CUE)
    assert [tokenizer().decode([key]) for key in found] == ["1", "2", "3", "4", "5"]


class Odd:
    """A tokenizer of the given words."""

    def __init__(self, *words: str) -> None:
        self.words = sorted([*words, *"abc: \n12345"], key=len, reverse=True)

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        ids = []
        while text:
            word = next(i for i, word in enumerate(self.words) if text.startswith(word))
            ids.append(word)
            text = text[len(self.words[word]) :]
        return {"input_ids": ids}

    def decode(self, ids: list[int]) -> str:
        return "".join(self.words[i] for i in ids)


def test_a_digit_that_melts_into_the_cue_is_refused() -> None:
    with pytest.raises(ConfigError, match="merges the digit 2"):
        digit_ids(Odd(" 2"), "abc: ")
    assert len(digit_ids(Odd(" 2"), "abc:\n")) == 5
    with pytest.raises(ModelError, match="the digit 3"):
        digit_ids(Odd(":3"), "abc:")


def test_wrong_options_are_named() -> None:
    with pytest.raises(ConfigError, match="prompts"):
        SelectIt([], ROW)
    with pytest.raises(ConfigError, match="level"):
        SelectIt(PROMPTS, ROW, level="model")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="alpha"):
        SelectIt(PROMPTS, ROW, alpha=-0.1)
