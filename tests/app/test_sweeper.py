"""What a sweep composes before its first job."""

from __future__ import annotations

from itertools import product

from hydra_plugins.nait import covering


def test_each_value_is_composed_once_and_no_more_combinations_than_that_takes() -> None:
    values = [["a=1", "a=2", "a=3"], ["b=1"], ["c=1", "c=2"]]
    batch = [list(job) for job in product(*values)]
    kept = covering(batch)
    assert {word for job in kept for word in job} == {word for part in values for word in part}
    assert len(kept) == 4
    assert kept[0] == batch[0]


def test_no_jobs_are_none() -> None:
    assert covering([]) == []
