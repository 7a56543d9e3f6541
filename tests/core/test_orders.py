"""Laws of score tables, orders, budgets and selections."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nait.core.errors import ConfigError, NaitError
from nait.core.ranking import orders
from nait.core.ranking.budgets import Count, Ratio, Tokens, shortfall
from nait.core.ranking.orders import (
    BestRank,
    EqualQuota,
    FromQuantile,
    Highest,
    Lowest,
    MeanZScore,
    Middle,
    RoundRobin,
    Shuffled,
)
from nait.core.ranking.score_table import ScoreTable
from nait.core.ranking.selection import cut

SINGLE = [
    Highest(),
    Lowest(),
    Middle(),
    FromQuantile(0.4),
    RoundRobin(),
    BestRank(),
    EqualQuota(),
    MeanZScore(),
    Shuffled(3),
]
SEVERAL = [RoundRobin(), BestRank(), EqualQuota(), MeanZScore(), Shuffled(3)]

scores = st.one_of(st.just(math.nan), st.integers(-3, 3).map(float), st.floats(-1e3, 1e3, width=32))


def table(values: np.ndarray, ids: list[str] | None = None) -> ScoreTable:
    rows, columns = values.shape
    names = ids or [f"row{i:03d}" for i in range(rows)]
    return ScoreTable(tuple(names), tuple(f"t{c}" for c in range(columns)), values, "1", "a test")


@st.composite
def tables(draw: st.DrawFn, columns: int = 1) -> ScoreTable:
    rows = draw(st.integers(1, 25))
    values = draw(st.lists(scores, min_size=rows * columns, max_size=rows * columns))
    ids = draw(st.permutations([f"row{i:03d}" for i in range(rows)]))
    return table(np.array(values).reshape(rows, columns), list(ids))


@pytest.mark.parametrize("order", SINGLE, ids=lambda order: type(order).__name__)
@given(tables())
@settings(max_examples=40, deadline=None)
def test_an_order_ranks_each_eligible_row_once(order, one: ScoreTable) -> None:
    ranking = order(one)
    assert sorted(ranking.tolist()) == np.flatnonzero(one.eligible).tolist()


@pytest.mark.parametrize("order", SEVERAL, ids=lambda order: type(order).__name__)
@given(tables(columns=3), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_row_order_is_irrelevant(order, one: ScoreTable, random) -> None:
    places = list(range(len(one.ids)))
    random.shuffle(places)
    other = table(one.values[places], [one.ids[i] for i in places])
    assert [one.ids[i] for i in order(one)] == [other.ids[i] for i in order(other)]


@given(tables())
@settings(max_examples=40, deadline=None)
def test_highest_is_sorted_and_ties_break_by_id(one: ScoreTable) -> None:
    ranking = Highest()(one)
    pairs = [(-one.values[i, 0], one.ids[i]) for i in ranking]
    assert pairs == sorted(pairs)


def test_middle_starts_at_the_median_and_goes_outwards() -> None:
    one = table(np.array([[5.0], [1.0], [3.0], [2.0], [4.0]]))
    assert one.values[Middle()(one), 0].tolist() == [3.0, 2.0, 4.0, 1.0, 5.0]


def test_from_quantile_goes_down_from_its_place_then_up() -> None:
    one = table(np.array([[5.0], [1.0], [3.0], [2.0], [4.0], [math.nan]]))
    assert one.values[FromQuantile(0.5)(one), 0].tolist() == [3.0, 2.0, 1.0, 4.0, 5.0]
    np.testing.assert_array_equal(FromQuantile(0)(one), Highest()(one))


def test_from_quantile_refuses_values_outside_0_to_1() -> None:
    with pytest.raises(ConfigError, match=r"order\.q"):
        FromQuantile(1)


@given(tables(columns=3))
@settings(max_examples=40, deadline=None)
def test_a_prefix_of_best_rank_is_the_union_of_the_targets_top_k(one: ScoreTable) -> None:
    ranking = BestRank()(one).tolist()
    for k in (1, 2, 4):
        tops = [
            Highest()(table(one.values[:, [t]], list(one.ids)))[:k].tolist() for t in range(len(one.targets))
        ]
        union = set().union(*map(set, tops))
        assert set(ranking[: len(union)]) == union


def test_round_robin_takes_each_targets_best_in_turn() -> None:
    one = table(np.array([[9.0, 9.0], [8.0, 1.0], [1.0, 8.0]]))
    assert RoundRobin()(one).tolist() == [0, 2, 1]  # the second target's best is taken already


def in_turn(one: ScoreTable) -> list[int]:
    """Round robin, said plainly."""
    columns = [Highest()(table(one.values[:, [t]], list(one.ids))).tolist() for t in range(len(one.targets))]
    taken: list[int] = []
    while any({*column} - {*taken} for column in columns):
        for column in columns:
            taken += [row for row in column if row not in taken][:1]
    return taken


@pytest.mark.parametrize("turns", [1, 3, orders.TURNS])
@pytest.mark.parametrize("columns", [1, 2, 7])
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_round_robin_is_each_target_in_turn_however_many_rows_are_looked_at(
    columns: int, turns: int, data: st.DataObject
) -> None:
    one = data.draw(tables(columns=columns))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(orders, "TURNS", turns)
        assert RoundRobin()(one).tolist() == in_turn(one)


@pytest.mark.parametrize("spread", [0.0, 0.1, 10.0])
def test_round_robin_of_targets_that_agree_or_differ_is_each_target_in_turn(spread: float) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(60, 1)) + spread * generator.normal(size=(60, 9))
    values[generator.random(values.shape) < 0.2] = np.nan
    values[:, 4] = np.nan
    one = table(values)
    assert RoundRobin()(one).tolist() == in_turn(one)


@given(tables(columns=6))
@settings(max_examples=40, deadline=None)
def test_best_rank_is_by_the_smallest_place_then_by_id(one: ScoreTable) -> None:
    columns = [Highest()(table(one.values[:, [t]], list(one.ids))).tolist() for t in range(len(one.targets))]
    best = {
        row: min(column.index(row) for column in columns if row in column)
        for row in np.flatnonzero(one.eligible)
    }
    assert BestRank()(one).tolist() == sorted(best, key=lambda row: (best[row], one.ids[row]))


def with_own_rows(one: ScoreTable) -> list[int]:
    """Equal quotas the slow way: lists of each target's own rows, taken in turn by place."""
    columns = [Highest()(table(one.values[:, [t]], list(one.ids))).tolist() for t in range(len(one.targets))]
    own: list[list[tuple[int, str, int]]] = [[] for _ in columns]
    for row in np.flatnonzero(one.eligible).tolist():
        places = [column.index(row) if row in column else len(one.ids) for column in columns]
        own[places.index(min(places))].append((min(places), one.ids[row], row))
    lists = [[row for *_, row in sorted(rows)] for rows in own]
    longest = max(map(len, lists))
    return [rows[place] for place in range(longest) for rows in lists if place < len(rows)]


@given(tables(columns=4))
@settings(max_examples=40, deadline=None)
def test_equal_quotas_are_filled_with_rows_of_their_own(one: ScoreTable) -> None:
    assert EqualQuota()(one).tolist() == with_own_rows(one)


def test_a_target_with_many_columns_has_no_larger_quota() -> None:
    values = np.array([[9, 0, 0], [8, 1, 0], [0, 9, 0], [0, 8, 1], [0, 0, 9], [1, 0, 8]], dtype=float)
    one = ScoreTable(tuple("abcdef"), ("x", "y/1", "y/2"), values, "1", "a test")
    assert EqualQuota()(one).tolist() == [0, 2, 1, 4, 3, 5]


def test_ties_break_by_code_points() -> None:
    ids = ["é", "a\0", "Z", "a", "\U0001f600", "\uffff", "z"]
    one = table(np.zeros((7, 1)), ids)
    assert [ids[row] for row in Highest()(one)] == sorted(ids)


def test_mean_z_score_ignores_the_scale_of_columns_and_averages_those_that_a_row_has() -> None:
    # column 1: mean 2, variance 4.5 over four rows; column 2: mean 2000, deviation 1000
    one = table(
        np.array([[5, 1000], [0, 3000], [0, math.nan], [3, math.nan], [math.nan, 3000], [math.nan, 1000]])
    )
    means = [(3 / 4.5**0.5 - 1) / 2, (-2 / 4.5**0.5 + 1) / 2, -2 / 4.5**0.5, 1 / 4.5**0.5, 1.0, -1.0]
    assert MeanZScore()(one).tolist() == sorted(range(6), key=lambda row: -means[row])


def test_a_constant_column_adds_nothing_to_mean_z_score() -> None:
    one = table(np.array([[0.1, 1.0], [0.1, 3.0], [0.1, math.nan], [math.nan, 1.5]]))
    assert MeanZScore()(one).tolist() == [1, 2, 3, 0]  # halves of -0.98 and 1.37; 0; -0.39


@pytest.mark.parametrize("order", [BestRank(), EqualQuota(), RoundRobin()])
@given(one=tables())
def test_one_column_is_ranked_as_highest_ranks_it(order, one: ScoreTable) -> None:
    """A leaderboard takes these orders of one column for one."""
    assert order(one).tolist() == Highest()(one).tolist()


def test_mean_z_score_of_one_column_is_highest_however_small_its_spread() -> None:
    one = table(np.array([[0.0], [3e-200], [1e-200], [math.nan], [1e-200]]))
    assert MeanZScore()(one).tolist() == Highest()(one).tolist() == [1, 2, 4, 0]


def test_one_column_orders_refuse_several_targets_by_name() -> None:
    with pytest.raises(ConfigError, match="best_rank or order=round_robin"):
        Highest()(table(np.zeros((2, 2))))


@given(st.integers(1, 60), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_smaller_ratio_is_a_prefix_of_a_larger_one(rows: int, a: float, b: float) -> None:
    one = table(np.arange(rows, dtype=float)[:, None])
    tokens = np.ones(rows, dtype=np.int64)
    ranking = Highest()(one)
    small, large = (cut(one, ranking, Ratio(r)(ranking, tokens), tokens) for r in sorted((a, b)))
    assert large.ids[: len(small)] == small.ids


@pytest.mark.parametrize(
    ("ratio", "rows", "wanted"), [(0.29, 100, 29), (0.01, 52002, 520), (0.001, 10, 1), (1.0, 7, 7)]
)
def test_ratio_counts_the_whole_pool_and_rounds_down(ratio: float, rows: int, wanted: int) -> None:
    ranking = np.arange(rows)
    assert Ratio(ratio)(ranking, np.ones(rows, dtype=np.int64)) == wanted


@pytest.mark.parametrize(
    ("ratio", "label"), [(0.07, "7%"), (0.1, "10%"), (1, "100%"), (0.10001, "10.001%"), (0.10002, "10.002%")]
)
def test_two_ratios_have_two_labels(ratio: float, label: str) -> None:
    assert Ratio(ratio).label == label, "tables compare the runs of one label"


def test_too_few_eligible_rows_are_an_error_unless_allowed() -> None:
    tokens = np.ones(10, dtype=np.int64)
    with pytest.raises(ConfigError, match="asks for 8 rows, only 3 are eligible"):
        Count(8)(np.arange(3), tokens)
    assert Count(8, allow_fewer=True)(np.arange(3), tokens) == 3


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 400))
def test_a_token_budget_is_the_longest_prefix_that_fits(lengths: list[int], limit: int) -> None:
    ranking = np.arange(len(lengths))
    if lengths[0] > limit:
        with pytest.raises(ConfigError, match=f"has {lengths[0]} answer tokens, the budget is {limit}"):
            Tokens(limit)(ranking, np.array(lengths))
        return
    taken = Tokens(limit)(ranking, np.array(lengths))
    assert sum(lengths[:taken]) <= limit
    assert taken == len(lengths) or sum(lengths[: taken + 1]) > limit


def test_an_exhaustive_table_ignores_the_budget() -> None:
    one = ScoreTable(("a", "b", "c"), ("any",), np.ones((3, 1)), "1", "all", exhaustive=True)
    assert len(cut(one, Highest()(one), 1, np.ones(3, dtype=np.int64))) == 3


def test_ineligible_rows_are_counted_by_reason_and_never_ranked() -> None:
    one = table(np.array([[1.0], [2.0], [3.0]])).without({"row001": "empty answer"})
    assert one.ineligible_counts() == {"empty answer": 1}
    assert Highest()(one).tolist() == [2, 0]


def test_an_infinite_score_is_refused() -> None:
    with pytest.raises(NaitError, match="infinite"):
        table(np.array([[math.inf]]))


def test_shuffled_depends_on_the_seed_and_on_nothing_else() -> None:
    one = table(np.random.default_rng(0).normal(size=(50, 1)))
    again = table(np.zeros((50, 1)))
    assert Shuffled(1)(one).tolist() == Shuffled(1)(again).tolist()
    assert Shuffled(1)(one).tolist() != Shuffled(2)(one).tolist()


def test_targets_have_equally_many_turns_whatever_their_numbers_of_reference_rows() -> None:
    names = ("math/a", "math/b", "math/c", "code/a", "facts/a", "facts/b")
    values = np.zeros((30, len(names)))
    for column in range(len(names)):
        values[5 * column : 5 * column + 5, column] = [5, 4, 3, 2, 1]
    one = ScoreTable(tuple(f"row{i:03d}" for i in range(30)), names, values, "1", "a test")
    owner = [names[row // 5] for row in RoundRobin()(one).tolist()]
    assert owner[:9] == [
        "math/a", "code/a", "facts/a", "math/b", "code/a", "facts/b", "math/c", "code/a", "facts/a",
    ]  # fmt: skip


@given(tables(columns=4))
@settings(max_examples=40, deadline=None)
def test_round_robin_is_what_a_hand_deals(one: ScoreTable) -> None:
    dealt: list[int] = []
    stacks = [Highest()(table(one.values[:, [t]], list(one.ids))).tolist() for t in range(4)]
    named = ScoreTable(one.ids, ("a/1", "b/1", "a/2", "b/2"), one.values, "1", "a test")
    turn = {"a": [0, 2], "b": [1, 3]}
    while any(set(stack) - set(dealt) for stack in stacks):
        for columns in turn.values():
            for _ in range(len(columns)):
                column = columns.pop(0)
                columns.append(column)
                left = [row for row in stacks[column] if row not in dealt]
                if left:
                    dealt.append(left[0])
                    break
    assert RoundRobin()(named).tolist() == dealt


def test_a_selection_below_its_budget_of_rows_has_a_warning_with_both_numbers() -> None:
    for budget in (Ratio(0.5, allow_fewer=True), Count(50, allow_fewer=True)):
        (said,) = shortfall(budget, 40, 100)
        assert "40 of 50" in said
        assert shortfall(budget, 50, 100) == []
    assert shortfall(Tokens(50), 1, 100) == []


def test_a_budget_of_tokens_that_takes_every_row_has_a_warning() -> None:
    (said,) = shortfall(Tokens(5000), 90, 100, eligible=90)
    assert "5000 answer tokens" in said
    assert "all 90 eligible rows" in said
    assert shortfall(Tokens(5000), 89, 100, eligible=90) == []
    assert shortfall(Count(90), 90, 100, eligible=90) == []


def test_a_share_of_the_pool_below_one_row_has_a_warning() -> None:
    (said,) = shortfall(Ratio(0.001), 1, 500)
    assert "budget.ratio=0.001 of 500 rows" in said
    assert "0.2% of them" in said
    assert shortfall(Ratio(0.002), 1, 500) == []
