"""Pull: the records that a W&B project's runs left, into a store of this machine.

Names and files come from others: only places of a bundle are taken, only where the manifest and its address agree,
and nothing is opened but JSON.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nait.core.addresses import ADDRESS_CHARS
from nait.core.errors import NaitError, StoreError
from nait.store import Artifact, Store
from nait.tracking.bundles import PARTS, RECORD, is_place
from nait.tracking.wandb.tracker import asking

SUMMARY = "leaderboard"
"""The tag of a sweep's summary, a run without a record."""


@dataclass
class Pulled:
    """What became of a project's finished runs. `size` in bytes, of what was fetched."""

    fetched: int = 0
    known: int = 0
    without: int = 0
    size: int = 0
    refused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = [f"{self.fetched} records fetched ({self.size / 1e6:.1f} MB), {self.known} were here"]
        if self.without:
            said.append(f"{self.without} runs have none (an older version, or they reached no result)")
        if self.refused:
            said.append(f"{len(self.refused)} refused: {'; '.join(self.refused)}")
        return ". ".join(said) + "."


def pull(project: str, store: Store, *, group: str | None = None) -> Pulled:
    """What was done to bring the records of ENTITY/PROJECT's finished runs (of one group) into `store`.

    Raises: NaitError without a key, a network, such a project, or a single record.
    """
    filters = {"state": "finished", **({"group": group} if group else {})}
    with asking(project) as api:
        pulled = take(api.runs(project, filters=filters), store)
    if not pulled.fetched and not pulled.known:
        raise NaitError(
            f"no record to take. {pulled}",
            where=project,
            mend="Run the jobs with tracking.mode=online, or wandb sync.",
        )
    return pulled


def take(runs: Iterable[Any], store: Store) -> Pulled:
    """The same of runs as W&B's API gives them. A record that is not in order is named, and the rest go on."""
    pulled = Pulled()
    for run in tqdm(runs, desc="Pull", unit="run", disable=None):
        if SUMMARY in run.tags:
            continue
        records = [one for one in run.logged_artifacts() if one.type == RECORD]
        pulled.without += not records
        for record in records:
            try:
                at = _address(record.name)
                if store.find("runs", at):
                    pulled.known += 1
                    continue
                pulled.size += _fetch(record, at, store)
                pulled.fetched += 1
            except StoreError as error:
                pulled.refused.append(f"{run.name}: {error}")
    return pulled


def _address(name: str) -> str:
    found = re.fullmatch(rf"{RECORD}-([0-9a-f]{{{ADDRESS_CHARS}}})(:\w+)?", name)
    if not found:
        raise StoreError("this is not a record's name", where=name)
    return found[1]


def _fetch(record: Any, at: str, store: Store) -> int:
    """Bytes fetched; the record's artifacts are in the store. Raises: StoreError, and then the run is not there."""
    entries = list(record.manifest.entries.values())
    for entry in entries:
        if not is_place(entry.path) or entry.ref is not None or entry.size is None:
            raise StoreError(f"a file that is not part of a record: '{entry.path}'", where=record.name)
    size = sum(entry.size for entry in entries)
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.root, suffix=".part") as folder:
        record.download(root=folder, skip_cache=True)
        for entry in entries:
            if (Path(folder) / entry.path).stat().st_size != entry.size:
                raise StoreError(f"'{entry.path}' is not as long as it was said to be", where=record.name)
        for artifact in _linked(Store(folder), at):
            store.adopt(artifact.path)
    return int(size)


def _linked(staged: Store, at: str) -> list[Artifact]:
    """What the run links to, itself last. Raises: StoreError where one is missing."""
    run = staged.find("runs", at)
    links = run.manifest.get("links") if run and isinstance(run.manifest, Mapping) else None
    if not isinstance(links, Mapping):
        raise StoreError("there is no run in its record", where=at)
    found = []
    for kind, link in PARTS.items():
        name = {**links, "run": at}.get(link)
        artifact = staged.find(kind, str(name)) if name else None
        if name and not artifact:
            raise StoreError(f"its {link} is missing", where=at)
        found += [artifact] if artifact else []
    return found
