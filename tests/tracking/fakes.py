"""A fake of the parts of W&B's public API that the package calls."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb

from nait.store import Store
from nait.tracking.bundles import RECORD, bundle


@dataclass
class Record:
    """A logged artifact, with W&B's entries for its files."""

    name: str
    files: Mapping[str, Path]
    type: str = RECORD
    downloads: int = 0

    def __post_init__(self) -> None:
        made = wandb.Artifact(self.name.split(":")[0], type=self.type)
        for place, file in self.files.items():
            made.add_file(str(file), name=place, policy="immutable")
        self.manifest = SimpleNamespace(entries=dict(made.manifest.entries))

    def download(self, *, root: str, skip_cache: bool) -> str:
        assert skip_cache  # a record is kept once, in the store
        self.downloads += 1
        for place, file in self.files.items():
            (Path(root) / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, Path(root) / place)
        return root


@dataclass
class Run:
    """A finished run."""

    name: str
    records: Sequence[Record] = ()
    tags: Sequence[str] = ()
    summary_metrics: Mapping[str, Any] = field(default_factory=dict)
    created_at: str = "2026-01-01T00:00:00Z"

    def logged_artifacts(self) -> list[Record]:
        return [*self.records]


@dataclass
class Api:
    """A server with one project; `asked` records the filters of each request."""

    project: str
    found: Sequence[Run] = ()
    asked: list[Mapping[str, str] | None] = field(default_factory=list)

    def runs(
        self, path: str, filters: Mapping[str, str] | None = None, *, lazy: bool = True
    ) -> Iterator[Run]:
        self.asked.append(filters)
        if path != self.project:  # raised on iteration, as in W&B
            raise ValueError(f"Could not find project {path}")
        yield from self.found


def record(store: Store, run: str) -> Record:
    """The artifact that a job with this run's record uploads."""
    found = store.find("runs", run)
    assert found
    return Record(f"{RECORD}-{run}:v0", bundle(store, {**found.manifest["links"], "run": run}))


def serve(monkeypatch: pytest.MonkeyPatch, api: Any) -> None:
    """Set an API key, and replace W&B's server by this one."""
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    monkeypatch.setattr(wandb, "Api", lambda: api)
