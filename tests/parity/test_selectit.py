"""SelectIT against the numbers of its published code in float32 (../shared/parity)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.baselines.selectit import digit_ids
from tests.parity import assert_same_ranking


@pytest.fixture
def scorer(parity: Path, preset: Any) -> Any:
    """The shipped preset with the reference's rating prompts in place of ours."""
    prompts = (parity / "rating_prompts.txt").read_text().splitlines()
    return replace(preset("selector=selectit"), prompts=prompts)


def test_the_digits_are_the_reference_ones(scorer: Any, methods: Any, open_at: Any) -> None:
    wanted = methods["selectit_sentence"]["state_ids"]
    assert digit_ids(open_at(2048).tokenizer(), scorer.cue) == tuple(wanted[digit] for digit in "12345")


def test_probabilities_and_sentence_scores(scorer: Any, methods: Any, rows: Any, open_at: Any) -> None:
    published, extractor = methods["selectit_sentence"]["rows"], open_at(2048)
    probabilities = np.array([published[key]["probs"] for key in rows.ids])
    for k, (view, _, signals) in enumerate(scorer.requests(rows, [], extractor)):
        np.testing.assert_allclose(view.measure(rows, signals)[0], probabilities[:, k], rtol=5e-5)
    wanted = np.array([published[key]["float64"]["sentence"] for key in rows.ids])
    found = scorer.score(rows, [], extractor).column("any")
    np.testing.assert_allclose(found, wanted, atol=2e-5, rtol=0)
    assert_same_ranking(found, wanted)
