"""Keys of the items behind a leaderboard row, and the number of distinct results over its seeds."""

from __future__ import annotations

from collections.abc import Iterable

from nait.core.statistics.results import Row


def metric_name(metric: str, filter_name: str) -> str:
    """The displayed metric, with its filter if there is one."""
    return f"{metric} ({filter_name})" if filter_name not in ("", "none") else metric


def places(row: Row) -> list[tuple[tuple[str, str, str], float]]:
    """The keys of a row's items with their weights: its own, or one per member of a group."""
    if not row.members:
        return [((row.evaluation, row.task, row.metric), 1.0)]
    return [
        ((row.evaluation, member.task, metric_name(member.metric, member.filter)), member.weight)
        for member in row.members
    ]


def measurements(rows: Iterable[Row]) -> int:
    """The number of distinct results over the seeds of these rows."""
    found: dict[int, set[str]] = {}
    for row in rows:
        found.setdefault(row.seed, set()).add(row.outcome)
    return len(set(map(frozenset, found.values())))
