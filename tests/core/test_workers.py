"""Workers are read from what a launcher says in the environment."""

from __future__ import annotations

import pytest

from nait.core.ranks import Workers, workers_from


@pytest.mark.parametrize(
    ("environment", "workers"),
    [
        ({}, Workers(0, 1)),
        ({"LOCAL_RANK": "3"}, Workers(0, 1)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, Workers(1, 2, None, 2)),
        (
            {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"},
            Workers(5, 8, 1, 4),
        ),
    ],
    ids=["none", "alone", "by hand", "torchrun"],
)
def test_workers_are_those_of_the_environment(environment: dict[str, str], workers: Workers) -> None:
    assert workers_from(environment) == workers
