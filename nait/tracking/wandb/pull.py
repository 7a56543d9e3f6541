"""Fetch the records of a W&B project's runs into a local store.

Names and files are untrusted input. Only valid places of a bundle are accepted, an artifact's manifest must match
its address, and only JSON is parsed.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nait.core.addresses import ADDRESS_CHARS
from nait.core.errors import NaitError, StoreError
from nait.store import Artifact, Store
from nait.store.last_use import mark_used
from nait.tracking.bundles import PARTS, RECORD, is_place
from nait.tracking.wandb.api import public_api

SUMMARY = "leaderboard"
"""The tag of a sweep's summary, which has no record."""


@dataclass
class PullCounts:
    """Counts of a project's finished runs by outcome. `size`: bytes fetched."""

    fetched: int = 0
    known: int = 0
    without_record: int = 0
    size: int = 0
    refused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{self.fetched} records fetched ({self.size / 1e6:.1f} MB), {self.known} already stored"]
        if self.without_record:
            parts.append(f"{self.without_record} runs have none (older version, or no result)")
        if self.refused:
            parts.append(f"{len(self.refused)} refused: {'; '.join(self.refused)}")
        return ". ".join(parts) + "."


def pull(project: str, store: Store, *, group: str | None = None) -> PullCounts:
    """Fetch the records of ENTITY/PROJECT's finished runs, optionally of one group, into `store`.

    Returns counts by outcome. Raises: NaitError without an API key, network access, such a project, or any record.
    """
    filters = {"state": "finished", **({"group": group} if group else {})}
    with public_api(project) as api:
        pulled = pull_runs(api.runs(project, filters=filters), store)
    if not pulled.fetched and not pulled.known:
        raise NaitError(
            f"no record to fetch. {pulled}",
            where=project,
            fix="Run the jobs with tracking.mode=online, or send them with wandb sync.",
        )
    return pulled


def pull_runs(runs: Iterable[Any], store: Store) -> PullCounts:
    """Fetch the records of these runs of W&B's API into `store`. An invalid record is refused and named."""
    pulled = PullCounts()
    for run in tqdm(runs, desc="Pull", unit="run", disable=None):
        if SUMMARY in run.tags:
            continue
        records = [one for one in run.logged_artifacts() if one.type == RECORD]
        pulled.without_record += not records
        for record in records:
            try:
                at = _address(record.name)
                if store.find("runs", at):
                    pulled.known += 1
                else:
                    pulled.size += _fetch(record, at, store)
                    pulled.fetched += 1
                _mark_used(store.find("runs", at), getattr(run, "created_at", None))
            except StoreError as error:
                pulled.refused.append(f"{run.name}: {error}")
    return pulled


def _mark_used(record: Artifact | None, created: object) -> None:
    """Mark a record as used when W&B's run was created, in ISO 8601; without such a time it stays as it is."""
    try:
        at = datetime.fromisoformat(str(created))
    except ValueError:
        return
    if record:
        mark_used(record, at if at.tzinfo else at.replace(tzinfo=UTC))


def _address(name: str) -> str:
    found = re.fullmatch(rf"{RECORD}-([0-9a-f]{{{ADDRESS_CHARS}}})(:\w+)?", name)
    if not found:
        raise StoreError("this is not a record's name", where=name)
    return found[1]


def _fetch(record: Any, at: str, store: Store) -> int:
    """Fetch a record's artifacts into the store; returns bytes. Raises: StoreError, with the run not stored."""
    entries = list(record.manifest.entries.values())
    for entry in entries:
        if not is_place(entry.path) or entry.ref is not None or entry.size is None:
            raise StoreError(f"a file that is not part of a record: '{entry.path}'", where=record.name)
    size = sum(entry.size for entry in entries)
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.root, suffix=".part") as folder:
        record.download(root=folder, skip_cache=True)
        for entry in entries:
            got = (Path(folder) / entry.path).stat().st_size
            if got != entry.size:
                what = f"size mismatch of '{entry.path}': expected {entry.size} bytes, got {got}"
                raise StoreError(what, where=record.name)
        for artifact in _linked(Store(folder, read_only=True), at):
            store.adopt(artifact.path)
    return int(size)


def _linked(staged: Store, at: str) -> list[Artifact]:
    """The artifacts that the run links to, then the run. Raises: StoreError for a missing one."""
    run = staged.find("runs", at)
    links = run.manifest.get("links") if run and isinstance(run.manifest, Mapping) else None
    if not isinstance(links, Mapping):
        raise StoreError("the record holds no run", where=at)
    found = []
    for kind, link in PARTS.items():
        name = {**links, "run": at}.get(link)
        artifact = staged.find(kind, str(name)) if name else None
        if name and not artifact:
            raise StoreError(f"the record lacks the run's {link}", where=at)
        found += [artifact] if artifact else []
    return found
