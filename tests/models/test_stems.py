"""Stems are the prefixes that rows share, and each row belongs to one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nait.models.kv.stems import FEWEST_TOKENS, LEAST_SAVED, Ids, Stem, find_stems


def found(rows: list[Ids], limits: list[int] | None = None) -> Stem:
    return find_stems(rows, limits or [len(row) - 1 for row in rows])


def all_stems(stem: Stem) -> Iterator[Stem]:
    yield stem
    for longer in stem.longer:
        yield from all_stems(longer)


def behind(prefix: Ids, ends: range) -> list[Ids]:
    return [np.concatenate([prefix, [1000 + end, 7]]) for end in ends]


def test_rows_that_share_much_have_a_stem_and_others_do_not() -> None:
    prefix = np.arange(100)
    rows = [*behind(prefix, range(10)), np.array([5, 6]), np.array([9])]
    root = found(rows)
    (stem,) = root.longer
    assert (stem.tokens, sorted(stem.rows), sorted(root.rows)) == (100, list(range(10)), [10, 11])


def test_a_passage_inside_a_preamble_is_a_stem_inside_a_stem() -> None:
    preamble, passage = np.arange(100), np.arange(500, 900)
    rows = [*behind(preamble, range(20)), *behind(np.concatenate([preamble, passage]), range(3))]
    (outer,) = found(rows).longer
    (inner,) = outer.longer
    assert (outer.tokens, inner.tokens) == (100, 500)
    assert sorted(outer.rows) == list(range(20))
    assert sorted(inner.rows) == [20, 21, 22]


def test_little_saving_makes_no_stem() -> None:
    few = behind(np.arange(LEAST_SAVED - 1), range(2))
    short = behind(np.arange(FEWEST_TOKENS - 1), range(1000))
    assert not found(few).longer
    assert not found(short).longer


def test_a_stem_is_within_its_rows_limits() -> None:
    rows = behind(np.arange(100), range(10))
    assert max(stem.tokens for stem in all_stems(found(rows, [40] * 10))) == 40


def test_every_row_belongs_to_one_stem_and_begins_with_it() -> None:
    drawn = np.random.default_rng(0)
    prefixes = [drawn.integers(3, size=size) for size in (0, 30, 200)]
    rows = [np.concatenate([prefixes[i % 3], drawn.integers(3, size=1 + i % 40)]) for i in range(300)]
    rows = [np.array(row) for row in dict.fromkeys(tuple(row.tolist()) for row in rows)]
    stems = list(all_stems(found(rows)))
    assert sorted(row for stem in stems for row in stem.rows) == list(range(len(rows)))
    for stem in stems:
        first = rows[stem.first_row()][: stem.tokens]
        assert all(len(rows[i]) > stem.tokens and (rows[i][: stem.tokens] == first).all() for i in stem.rows)


def test_no_rows_have_no_stems() -> None:
    assert found([]) == Stem(0)
