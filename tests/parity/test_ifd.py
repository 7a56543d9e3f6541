"""IFD against the numbers of Cherry's and Superfiltering's published code (../shared/parity)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nait.baselines.shared.single_column import mean_nll
from tests.parity import assert_same_ranking, columns

MAX_LENGTH = 256


@pytest.mark.parametrize(
    ("name", "ratio", "tolerance"), [("ifd_cherry", "ratio", 5e-6), ("ifd_superfiltering", "ifd", 3e-5)]
)
def test_losses_ratios_and_ranking(
    name: str, ratio: str, tolerance: float, preset: Any, methods: Any, rows: Any, open_at: Any
) -> None:
    s_c, s_d, wanted = columns(methods[name]["rows"], rows.ids, "s_c", "s_d", ratio)
    scorer, extractor = replace(preset(f"selector={name}"), highest=None), open_at(MAX_LENGTH)
    (conditioned, _, signals), (direct, _, _) = scorer.requests(rows, [], extractor)
    np.testing.assert_allclose(mean_nll(conditioned.measure(rows, signals)[0]), s_c, rtol=5e-6)
    np.testing.assert_allclose(mean_nll(direct.measure(rows, signals)[0]), s_d, rtol=5e-6)
    found = scorer.score(rows, [], extractor).column("any")
    np.testing.assert_allclose(found, wanted, rtol=tolerance)
    assert_same_ranking(found, wanted)


@pytest.mark.parametrize("name", ["ifd_cherry", "ifd_superfiltering"])
def test_texts_are_cut_where_the_published_code_cuts_them(
    name: str, preset: Any, methods: Any, rows: Any, open_at: Any
) -> None:
    """[length of the conditioned text, its answer tokens, length of the direct text, its answer tokens]."""
    views = preset(f"selector={name}").requests(rows, [], open_at(MAX_LENGTH))
    conditioned, direct = (view.tokens(rows) for view, _, _ in views)
    for place, key in enumerate(rows.ids):
        wanted = methods[name]["rows"][key]["tokens"]
        found = [
            int(conditioned.lengths[place]), int(conditioned.answer_tokens[place]),
            int(direct.lengths[place]), int(direct.answer_tokens[place]),
        ]  # fmt: skip
        assert found[: len(wanted)] == wanted, key


def test_the_rows_that_cherry_keeps_are_ranked_and_no_others(
    preset: Any, methods: Any, rows: Any, open_at: Any
) -> None:
    table = preset("selector=ifd_cherry").score(rows, [], open_at(MAX_LENGTH))
    kept = [methods["ifd_cherry"]["rows"][key]["kept"] for key in rows.ids]
    assert table.eligible.tolist() == kept
    assert table.ineligible_counts() == {"IFD above 1": kept.count(False)}
