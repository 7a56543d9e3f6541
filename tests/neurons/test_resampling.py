"""Bootstrap draws of the reference rows, against the scorer on the drawn rows themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nait.core.dataset.examples import Pool, Target, fingerprint
from nait.core.errors import DataError
from nait.neurons.resampling import SEED
from nait.neurons.scorer import Nait
from nait.signals.extractor import StoredExtractor
from tests.families import pool, target

POOL, MATH = pool(12), target(6, name="math")
SETTINGS = [
    Nait(),
    Nait("mlp", "mean", "mean", direction="contrast", sign="none", layer_weight="zscore"),
    Nait(similarity="cosine", layers=[1, 2], center=True),
]


def drawn_target(draw: int) -> Target:
    """The reference set of one draw, its rows renamed so that each counts."""
    rng = np.random.default_rng([SEED, len(MATH)])
    for _ in range(draw + 1):
        rows = rng.integers(len(MATH), size=len(MATH))
    examples = tuple(replace(MATH.examples[row], id=f"{place}") for place, row in enumerate(rows))
    return replace(MATH, examples=examples, fingerprint=fingerprint(examples))


@pytest.mark.parametrize("scorer", SETTINGS, ids=["published", "contrast", "cosine"])
def test_a_draw_scores_as_its_rows_would_as_a_reference_set(scorer: Nait, x: StoredExtractor) -> None:
    found = list(scorer.draw_scores(POOL, [MATH], x, draws=3))
    for draw in (0, 2):
        slow = scorer.score(POOL, [drawn_target(draw)], x).values
        np.testing.assert_allclose(found[draw], slow, rtol=1e-3, atol=1e-4 * np.abs(slow).max())


def test_all_draws_share_the_pass_of_the_scores(x: StoredExtractor) -> None:
    scorer = SETTINGS[1]
    ((view, rows, wanted),) = scorer.requests(POOL, [MATH], x)
    ((_, _, redrawn),) = scorer.draw_requests(POOL, [MATH], x, draws=3)
    view.measure(rows, [*wanted, *redrawn])
    assert scorer.score(POOL, [MATH], x.stored_only()).values.shape == (12, 1)
    assert len(list(scorer.draw_scores(POOL, [MATH], x.stored_only(), draws=3))) == 3


@pytest.mark.parametrize(
    "scorer", [SETTINGS[1], Nait(feature="mean", reference_feature="delta")], ids=["one", "two features"]
)
def test_a_reference_row_is_most_like_itself(scorer: Nait, x: StoredExtractor) -> None:
    for place in (0, 4):
        example = MATH.examples[place]
        alone = Pool("one row", (example,), fingerprint([example]))
        alike = scorer.likeness(alone, POOL, [MATH], x)["math"]
        assert alike.argmax() == place
        assert alike[place] == pytest.approx(1.0, abs=1e-5)


def test_rows_that_span_no_direction_in_any_draw_are_refused(x: StoredExtractor) -> None:
    one = replace(MATH.examples[0], id="other")
    same = (MATH.examples[0], one)
    with pytest.raises(DataError, match="too few to be drawn again"):
        list(
            Nait().draw_scores(
                POOL, [replace(MATH, examples=same, fingerprint=fingerprint(same))], x, draws=2
            )
        )
