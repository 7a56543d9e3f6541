"""Report stage: records of runs in the store, and leaderboards of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.core.contracts import Reporter
from nait.store import Artifact, Store
from nait.store.last_use import mark_used

VERSION = 1


def record_run(
    store: Store, links: Mapping[str, str | None], labels: Mapping[str, Any], facts: Mapping[str, Any]
) -> Artifact:
    """The `runs` artifact: links to the run's artifacts, and the labels that tables show.

    Ground-truth measures, the digest of the labels behind them, and the price are part of its key: other labels or
    prices give another record. A record that is in the store already is marked as used now.
    """
    key = {"run": VERSION, **links, **labels}
    key |= {name: facts[name] for name in ("truth", "truth_labels", "cost") if facts.get(name) is not None}
    record = store.produce("runs", key, lambda _: {"links": dict(links), "labels": dict(labels), **facts})
    mark_used(record)
    return record


def record_partial_run(store: Store, links: Mapping[str, str | None], labels: Mapping[str, Any]) -> Artifact:
    """The `partial_runs` artifact of a run without a report, as of `nait select`: what the store keeps for it.

    Leaderboards do not read it.
    """
    key = {"partial_run": VERSION, **links, **labels}
    return store.produce("partial_runs", key, lambda _: {"links": dict(links), "labels": dict(labels)})


def report(
    reporter: Reporter, store: Store, runs: Sequence[str] | None, folder: Path, *, failed: Sequence[str] = ()
) -> str:
    """Write the report's files into `folder` and return the text to print. `runs`: addresses; None: all runs.

    `failed`: lines on jobs without a result.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return reporter.report(store, runs, folder, failed=failed)
