"""Report: the store's runs in, a leaderboard out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.core.contracts import Reporter
from nait.store import Artifact, Store

VERSION = 1


def record_run(
    store: Store, links: Mapping[str, str | None], labels: Mapping[str, Any], facts: Mapping[str, Any]
) -> Artifact:
    """The `runs` artifact that ties a selection, an adapter and an evaluation to what the user called them.

    What the rows' labels told of the selection is in its key where the facts have it: other labels, another record.
    """
    key = {"run": VERSION, **links, **labels}
    if facts.get("truth") is not None:
        key["truth"] = facts["truth"]
    return store.produce("runs", key, lambda _: {"links": dict(links), "labels": dict(labels), **facts})


def report(reporter: Reporter, store: Store, runs: Sequence[str] | None, folder: Path) -> str:
    """The text to print, after the reporter wrote its files into `folder`. `runs=None`: all of the store's."""
    folder.mkdir(parents=True, exist_ok=True)
    return reporter.report(store, runs, folder)
