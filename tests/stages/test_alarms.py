"""Laws of the alarms: a column that cannot rank stops the run, one that follows length is said aloud."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nait.core.errors import NaitError
from nait.core.ranking.orders import BestRank, Highest, Lowest, MeanZScore, Shuffled
from nait.core.ranking.score_table import ScoreTable
from nait.core.ranking.selection import cut
from nait.stages.checks import score_checks as alarms
from nait.stages.checks.score_checks import LOUD_LENGTH_RHO, inspect, tie_warnings

LENGTHS = np.arange(10) + 5


def table(*columns: Any, **options: Any) -> ScoreTable:
    values = np.array(columns, dtype=np.float64).T
    names = tuple("abc"[: len(columns)])
    return ScoreTable(tuple(f"r{i}" for i in range(len(values))), names, values, "1", "a test", **options)


def test_a_constant_column_stops_the_run_and_is_named() -> None:
    with pytest.raises(NaitError, match=r"score column 'b': every row has the same score \(2\)"):
        inspect(table(range(10), [2.0] * 10), LENGTHS)


def test_a_column_constant_over_its_eligible_rows_stops_the_run() -> None:
    with pytest.raises(NaitError, match="every row has the same score"):
        inspect(table([math.nan, *[2.0] * 9]), LENGTHS)


def test_an_exhaustive_table_may_be_constant() -> None:
    report = inspect(table([1.0] * 10, exhaustive=True), LENGTHS)
    assert report.length_correlation == {"a": None}
    assert report.warnings == ()


def test_one_eligible_row_does_not_make_a_column_constant() -> None:
    report = inspect(table([1.0, *[math.nan] * 9]), LENGTHS)
    assert report.length_correlation == {"a": None}


@pytest.mark.parametrize(("sign", "shown"), [(1, r"+1.00"), (-1, "-1.00")])
def test_a_column_that_correlates_with_length_is_a_warning(sign: int, shown: str) -> None:
    report = inspect(table(sign * np.exp(LENGTHS)), LENGTHS)
    assert report.length_correlation == {"a": float(sign)}
    (message,) = report.warnings
    assert message.startswith(f"a: the score follows length (Spearman rho {shown} with tokens)")


def ties(order: Any, count: int, *columns: Any) -> list[str]:
    scores, tokens = table(*columns), np.ones(len(columns[0]), dtype=np.int64)
    return tie_warnings(scores, order, cut(scores, order(scores), count, tokens))


def test_a_selection_that_ids_decide_is_a_warning() -> None:
    """Ratings of a judge: most rows have the best one, and ids may tell where a row comes from."""
    ratings = [5, 4, 5, 5, 3, 5, 5, 4, 5, 5, math.nan]
    (said,) = ties(Highest(), 2, ratings)
    assert said.startswith("100% of the selected rows would be others if ids decided the other way")
    (said,) = ties(Highest(), 5, ratings)  # 2 of the 7 best rows are left out
    assert said.startswith("40% of the selected rows")
    assert ties(Highest(), 7, ratings) == ties(Highest(), 10, ratings) == ties(Shuffled(), 2, ratings) == []
    assert ties(Lowest(), 1, ratings) == ties(Highest(), 2, range(11)) == []
    assert ties(Lowest(), 2, ratings)[0].startswith("50% of")
    assert ties(BestRank(), 2, ratings, ratings)
    assert ties(MeanZScore(), 2, ratings, range(11)) == []


def test_few_equal_scores_are_not_a_warning() -> None:
    assert ties(Highest(), 6, [9, 8, 7, 6, 5, 4, 4, 3, 2, 1, 0]) == []


def test_a_column_that_does_not_follow_length_is_not() -> None:
    report = inspect(table([3, 1, 4, 1, 5, 9, 2, 6, 5, 3]), LENGTHS)
    assert abs(report.length_correlation["a"] or 0) < LOUD_LENGTH_RHO
    assert report.warnings == ()


@given(
    st.lists(st.tuples(st.integers(-5, 5) | st.just(math.nan), st.integers(1, 9)), min_size=4, max_size=30)
)
@settings(max_examples=60, deadline=None)
def test_the_correlation_is_spearmans_and_the_alarm_rings_above_one_half(rows: Any) -> None:
    values, lengths = (np.array(part, dtype=np.float64) for part in zip(*rows, strict=True))
    scored = ~np.isnan(values)
    if len(set(values[scored])) < 2 or len(set(lengths[scored])) < 2:
        return
    rho = float(stats.spearmanr(values[scored], lengths[scored]).statistic)
    report = inspect(table(values), lengths)
    assert report.length_correlation["a"] == pytest.approx(rho, abs=1e-4)
    if abs(abs(rho) - LOUD_LENGTH_RHO) > 1e-9:
        assert any("follows length" in said for said in report.warnings) == (abs(rho) > LOUD_LENGTH_RHO)


def long_columns(scored: int, *, missing: int = 0) -> tuple[ScoreTable, Any, list[float]]:
    """A noise and a length with noise over many rows, some without a score; the lengths; scipy's correlations."""
    generator = np.random.default_rng(1)
    lengths = generator.integers(1, 600, scored + missing)
    columns = np.stack(
        [generator.normal(size=len(lengths)), lengths + generator.normal(0, 150, len(lengths))]
    )
    columns[:, :missing] = math.nan
    rhos = [float(stats.spearmanr(column[missing:], lengths[missing:]).statistic) for column in columns]
    return table(*columns), lengths, rhos


def test_a_sample_of_a_large_column_gives_its_correlation_within_one_hundredth() -> None:
    columns, lengths, rhos = long_columns(3 * alarms.SAMPLED_ROWS)
    found = inspect(columns, lengths).length_correlation
    assert list(found.values()) == pytest.approx(rhos, abs=0.01)
    assert list(found.values()) != pytest.approx(rhos, abs=1e-4)  # so they were drawn
    assert inspect(columns, lengths).length_correlation == found


@pytest.mark.parametrize("missing", [0, 500])
def test_no_row_is_drawn_where_few_have_a_score(missing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    columns, lengths, rhos = long_columns(200, missing=missing)
    monkeypatch.setattr(alarms, "SAMPLED_ROWS", 200)
    assert list(inspect(columns, lengths).length_correlation.values()) == pytest.approx(rhos, abs=1e-4)
    monkeypatch.setattr(alarms, "SAMPLED_ROWS", 199)
    assert list(inspect(columns, lengths).length_correlation.values()) != pytest.approx(rhos, abs=1e-4)


def test_lengths_that_are_all_equal_correlate_with_nothing() -> None:
    report = inspect(table(range(10)), np.full(10, 7))
    assert report.length_correlation == {"a": None}
    assert report.warnings == ()


def test_ineligible_rows_do_not_enter_the_correlation() -> None:
    report = inspect(table([math.nan, math.nan, 5, 3, 4]), np.array([1, 2, 3, 4, 5]))
    assert report.length_correlation["a"] == -0.5


@pytest.mark.parametrize(("missing", "loud"), [(2, False), (3, True), (10, True)])
def test_many_rows_without_a_score_are_a_warning(missing: int, loud: bool) -> None:
    values = np.array([3.0, 1, 4, 1, 5, 9, 2, 6, 5, 3])
    values[:missing] = np.nan
    lengths = np.array([5, 6, 7, 9, 6, 8, 7, 6, 8, 7])
    messages = [w for w in inspect(table(values), lengths).warnings if "have no score" in w]
    assert messages == ([f"a: {missing * 10}% of the rows have no score."] if loud else [])


def test_every_column_is_checked() -> None:
    report = inspect(table([3, 1, 4, 1, 5, 9, 2, 6, 5, 3], LENGTHS, -LENGTHS), LENGTHS)
    assert list(report.length_correlation) == ["a", "b", "c"]
    assert [message[0] for message in report.warnings] == ["b", "c"]


def test_rows_with_nan_scores_are_a_warning() -> None:
    values = [math.nan, math.nan, *range(8)]
    report = inspect(table(values, reasons={"r0": "not a finite number"}), LENGTHS)
    assert any("1 of 10 rows: not a finite number" in warning for warning in report.warnings)
    assert any("1 of 10 rows: no score" in warning for warning in report.warnings)


def test_a_row_that_a_method_excludes_is_not_a_warning() -> None:
    values = [math.nan, 3, 8, 1, 6, 4, 2, 7, 5, 0]
    report = inspect(table(values, reasons={"r0": "IFD above 1"}), LENGTHS)
    assert report.warnings == ()


def test_many_columns_share_one_warning() -> None:
    columns = {f"c{i}": np.arange(10) * (i + 1.0) for i in range(12)}
    values = np.stack(list(columns.values()), axis=1)
    report = inspect(ScoreTable(tuple(f"r{i}" for i in range(10)), tuple(columns), values, "1", "t"), LENGTHS)
    assert len(report.warnings) == 1
    assert "12 of 12 columns follow length" in report.warnings[0]
