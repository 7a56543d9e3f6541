"""Stability and explanations of a selection, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from nait.cli.selection.summaries import _explained
from nait.core.errors import DataError
from nait.core.ranking.budgets import Count, Tokens
from nait.core.ranking.orders import FromQuantile, Highest, Lowest, MeanZScore, Middle, RoundRobin, Shuffled
from nait.core.ranking.score_table import ScoreTable
from nait.core.ranking.selection import cut
from nait.stages.explanations import explain_row, place_of
from nait.stages.select import Selector
from nait.stages.stability import DRAWS, ScoredSelection, stability
from tests.families import pool, target

POOL, REFS = pool(4), target(2, name="math")


@dataclass(frozen=True)
class Swaps:
    """Scores whose even draws are as they are, and whose odd draws exchange the second and the third row."""

    values: tuple[float, ...] = (4.0, 3.0, 2.0, 1.0)

    def draw_requests(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def draw_scores(self, *_: Any, draws: int) -> Iterator[Any]:
        for draw in range(draws):
            order = [0, 1, 2, 3] if draw % 2 == 0 else [0, 2, 1, 3]
            yield np.array(self.values)[order][:, None]

    def likeness(self, *_: Any) -> dict[str, Any]:
        return {"math": np.array([0.25, 0.75])}


def scored(scorer: Any, values: Any, targets: tuple[str, ...], order: Any) -> ScoredSelection:
    table = ScoreTable(
        POOL.ids, targets, np.asarray(values, dtype=float), "1", "by hand", {POOL.ids[3]: "why"}
    )
    tokens = np.ones(4, dtype=np.int64)
    selection = cut(table, order(table), 2, tokens)
    extractor: Any = None
    return ScoredSelection(
        POOL, [REFS], Selector(scorer, order, Count(2), {}), extractor, table, selection, tokens
    )


def test_stability_is_the_mean_share_of_rows_that_stay() -> None:
    found = stability(scored(Swaps(), [[4], [3], [2], [1]], ("math",), Highest()))
    assert found is not None
    assert (found.mean, found.low, found.high, found.always) == (0.75, 0.5, 1.0, 0.5)
    assert found.draws == DRAWS
    assert "75% of the chosen rows stay" in found.sentence()
    assert "32 or more" in found.sentence()


def test_columns_of_single_reference_rows_are_drawn_without_a_measurement() -> None:
    names = tuple(f"math/{example.id}" for example in REFS.examples)
    equal = stability(scored(object(), [[4, 4], [3, 3], [2, 2], [1, 1]], names, RoundRobin()))
    assert equal is not None
    assert equal.mean == equal.always == 1.0
    other = stability(scored(object(), [[4, 1], [3, 2], [2, 3], [1, 4]], names, RoundRobin()))
    assert other is not None
    assert 0.5 <= other.mean < 1.0


def test_a_method_that_reads_no_reference_rows_has_no_stability() -> None:
    assert stability(scored(object(), [[4], [3], [2], [1]], ("any",), Highest())) is None
    columns = ("loss/math", "loss/code")  # of a file of scores, beside a target
    assert stability(scored(object(), [[4, 1], [3, 2], [2, 3], [1, 4]], columns, RoundRobin())) is None


def test_rows_in_a_random_order_have_no_stability() -> None:
    """No draw of reference rows changes them: 100% would say something about the scores that it ignores."""
    assert stability(scored(Swaps(), [[4], [3], [2], [1]], ("math",), Shuffled())) is None


def test_a_row_is_explained_by_its_rank_and_by_what_it_lacks() -> None:
    found = scored(Swaps(), [[4], [3], [2], [np.nan]], ("math",), Highest())
    (first,), (third,), (last,) = (explain_row(place, found) for place in (0, 2, 3))
    assert (first.selected, first.rank, first.needed) == (True, 1, 3.0)
    assert (third.selected, third.rank, third.score, third.needed) == (False, 3, 2.0, 3.0)
    assert third.percentile == 0.0
    assert first.percentile == pytest.approx(2 / 3)
    assert (last.score, last.rank, last.reason) == (None, None, "why")
    assert third.nearest == [(REFS.examples[1].id, 0.75), (REFS.examples[0].id, 0.25)]


@pytest.mark.parametrize(
    ("order", "lacks"),
    [
        (Highest(), "The last selected row has 3: 1 more was needed."),
        (MeanZScore(), "The last selected row has 3: 1 more was needed."),
        (Lowest(), "The last selected row has 2: 1 less was needed."),
        (Middle(), ""),
        (FromQuantile(), ""),
        (Shuffled(), ""),
    ],
)
def test_a_row_lacks_a_score_only_where_the_order_is_by_score(order: Any, lacks: str) -> None:
    found = scored(Swaps(), [[4], [3], [2], [1]], ("math",), order)
    others = [row for row in order(found.table).tolist() if row not in found.selection.rows]
    (one,) = explain_row(others[0], found)
    said = [line.strip() for line in _explained(one, {}) if "last selected" in line]
    assert said == ([lacks] if lacks else [])


def test_an_equal_score_is_decided_by_the_ids() -> None:
    found = scored(Swaps(), [[4], [3], [3], [1]], ("math",), Highest())
    (one,) = explain_row(2, found)
    assert "The last selected row has 3: as much, and ids decide between equal scores." in "\n".join(
        _explained(one, {})
    )


def test_a_row_with_a_score_in_some_columns_has_the_best_of_these() -> None:
    values = [[np.nan, 4], [3, 1], [2, np.nan], [np.nan, np.nan]]
    found = scored(object(), values, ("math/a", "math/b"), RoundRobin())
    explained = [explain_row(place, found)[0] for place in range(4)]
    assert [one.score for one in explained] == [4.0, 3.0, 2.0, None]
    assert [one.percentile for one in explained[:3]] == [pytest.approx(2 / 3), pytest.approx(1 / 3), 0.0]
    assert explained[0].selected


def test_a_row_is_named_by_its_id_or_its_number() -> None:
    for place, example in enumerate(POOL.examples):
        assert place_of(POOL, example.id) == place_of(POOL, f"row {example.row}") == place
    with pytest.raises(DataError, match=r"there is no row '99'.* from 0 to 3\. "):
        place_of(POOL, "99")
    with pytest.raises(DataError, match=r"the pool leaves out have no score: 2 identical to another row\. "):
        place_of(replace(POOL, skipped={"identical to another row": 2}), "99")
    numbered = replace(POOL, examples=tuple(replace(one, id=str(one.row + 1)) for one in POOL.examples))
    for place, example in enumerate(numbered.examples):
        assert place_of(numbered, example.row) == place_of(numbered, example.id) == place
    with pytest.raises(DataError, match="there is no row '99'"):
        place_of(numbered, 99)
    for name in ("²", "9" * 5000, "row", ""):
        with pytest.raises(DataError, match="there is no row"):
            place_of(POOL, name)


def test_a_draw_whose_first_row_exceeds_a_budget_of_tokens_keeps_no_row() -> None:
    found = scored(Swaps((3.0, 4.0, 2.0, 1.0)), [[3], [4], [2], [1]], ("math",), Highest())
    tokens = np.array([1, 1, 9, 1])
    budget = replace(found.selector, budget=Tokens(2))
    found = replace(found, selector=budget, answer_tokens=tokens)
    kept = stability(found)
    assert kept is not None
    assert (kept.mean, kept.draws) == (0.5, DRAWS)


def test_a_column_of_merged_targets_has_the_nearest_rows_of_all() -> None:
    found = scored(Swaps(), [[4], [3], [2], [1]], ("code+math",), Highest())
    (one,) = explain_row(0, replace(found, targets=[target(2, name="code"), REFS]))
    assert one.nearest == [(REFS.examples[1].id, 0.75), (REFS.examples[0].id, 0.25)]


def test_a_rank_by_turns_is_distinguished_from_the_share_of_lower_scores() -> None:
    """By turns the third row is second, although its highest score is the third highest."""
    values = [[4, 1], [3, 0], [2, 2], [1, 0]]
    names = tuple(f"math/{example.id}" for example in REFS.examples)
    found = scored(object(), values, names, RoundRobin())
    (one,) = explain_row(2, found)
    assert (one.rank, one.percentile, one.by_score, one.columns) == (2, 0.25, False, 2)
    text = "\n".join(_explained(one, {}))
    said = "rank 2. For math: score 2 (highest of 2 reference rows), above 25.0% of the rows."
    assert said in " ".join(text.split())
    assert "the rank and the share of lower scores may disagree." in " ".join(text.split())
    assert f"is selected for {one.target}" not in text  # another column may have chosen it
    (alone,) = explain_row(2, scored(object(), [[4], [3], [2], [1]], ("math",), Highest()))
    assert alone.by_score
    assert "may disagree" not in "\n".join(_explained(alone, {}))
    (one,) = explain_row(2, scored(object(), values, ("loss/math", "loss/code"), RoundRobin()))
    assert "score 2 (highest of 2 columns), above" in "\n".join(_explained(one, {}))
    assert one.nearest == []  # a column of a file of scores is not a reference row
