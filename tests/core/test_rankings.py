"""Laws of rankings: values in order, equal ones by place, nothing rounded."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from nait.core.ranking.rank_statistics import lowest_first, mean_ranks

NEAR_ONE = st.integers(-4, 4).map(lambda steps: 1 + steps * 2.0**-52)
NUMBERS = st.one_of(
    st.floats(allow_nan=False),
    NEAR_ONE,
    NEAR_ONE.map(lambda x: -x),
    st.sampled_from([0.0, -0.0, math.nan, -math.nan]),
)


def obvious(values: npt.NDArray[np.floating]) -> list[int]:
    places = [place for place, value in enumerate(values) if not math.isnan(value)]
    return sorted(places, key=lambda place: (float(values[place]), place))


@given(arrays(np.float64, st.integers(0, 40), elements=NUMBERS))
def test_the_lowest_value_comes_first_and_equal_ones_by_place(values: npt.NDArray[np.float64]) -> None:
    found = lowest_first(values)
    assert found.dtype == np.int64
    assert found.tolist() == obvious(values)


@given(arrays(np.float16, st.integers(0, 40), elements=st.floats(width=16)))
def test_floats_of_any_width_and_layout_are_ranked(values: npt.NDArray[np.float16]) -> None:
    for kind in (np.float16, np.float32, ">f8"):
        spread = np.repeat(values.astype(kind), 2)[::2]
        assert lowest_first(spread).tolist() == obvious(values)


@pytest.mark.parametrize("levels", [1, 3, 300, 2**40])
def test_many_rows_that_differ_in_the_last_bits_alone_are_in_order(levels: int) -> None:
    values = 1 + np.random.default_rng(0).integers(0, levels, 5000) * 2.0**-52
    np.testing.assert_array_equal(lowest_first(values), np.lexsort((np.arange(5000), values)))


def test_the_values_are_left_as_they_were() -> None:
    values = np.array([2.0, -0.0, math.nan, 1.0])
    kept = values.tobytes()
    assert lowest_first(values).tolist() == [1, 3, 0]
    assert values.tobytes() == kept


@given(
    arrays(np.float64, st.integers(0, 40), elements=st.one_of(st.integers(-3, 3), NEAR_ONE, st.just(-0.0)))
    | arrays(np.int64, st.integers(0, 40), elements=st.integers(-3, 3))
)
def test_ties_share_the_mean_of_their_ranks(values: npt.NDArray[np.floating]) -> None:
    np.testing.assert_array_equal(mean_ranks(values), stats.rankdata(values))
