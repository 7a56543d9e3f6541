"""Perplexity against the RDS+ repository's numbers, and answers' losses against the IFD codes' (../shared/parity)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.parity import assert_same_ranking, columns


def test_the_published_preset_is_the_whole_texts_perplexity(
    preset: Any, methods: Any, rows: Any, open_at: Any
) -> None:
    (wanted,) = columns(methods["perplexity"]["rows"], rows.ids, "whole_text_nll")
    table = preset("selector=perplexity_rds").score(rows, [], open_at(2048))
    found = np.log(table.column("any"))
    np.testing.assert_allclose(found, wanted, rtol=5e-6)
    assert_same_ranking(found, wanted)


@pytest.mark.parametrize(
    ("template", "name"), [("cherry", "answer_nll_alpaca"), ("plain", "answer_nll_no_template")]
)
def test_the_answers_loss_given_its_prompt(
    template: str, name: str, preset: Any, methods: Any, rows: Any, open_at: Any
) -> None:
    (wanted,) = columns(methods["perplexity"]["rows"], rows.ids, name)
    scorer = preset("selector=perplexity", f"template@selector.template={template}")
    found = np.log(scorer.score(rows, [], open_at(256)).column("any"))
    np.testing.assert_allclose(found, wanted, rtol=5e-6)
    assert_same_ranking(found, wanted)
