"""Progress display of a sweep's parallel jobs, read from their folders."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nait.core.inputs.visible_text import visible_line
from nait.runs.records.interrupted_runs import RUN, settle

POLL_SECONDS = 0.5
PLAN = "plan.json"
Version = tuple[int, int, int]
"""What changes when a file is written again: its number, time and size."""


@dataclass(frozen=True)
class JobFiles:
    """The files of the jobs of one sweep, in the sweep's folder.

    `earlier`: the files that earlier sweeps left in this folder. They count once a job has written them again.
    `depth`: how many folders a job's own is below the sweep's.
    """

    folder: Path
    earlier: Mapping[Path, Version] = field(default_factory=dict)
    depth: int = 1

    @classmethod
    def at_start(cls, folder: Path, *, depth: int = 1) -> JobFiles:
        """The files of a sweep that begins now. Records of killed jobs are settled first, which rewrites them."""
        files = cls(folder, depth=depth)
        for path, _ in files._versions(RUN):
            settle(path.parent)
        return replace(files, earlier=dict(one for name in (RUN, PLAN) for one in files._versions(name)))

    def written(self, name: str) -> list[Path]:
        """The files with this name that jobs of this sweep have written, in the order of the jobs' numbers."""
        return [path for path, version in self._versions(name) if self.earlier.get(path) != version]

    def _versions(self, name: str) -> Iterator[tuple[Path, Version]]:
        for path in sorted(self.folder.glob(f"{'*/' * self.depth}{name}"), key=_place):
            with suppress(FileNotFoundError):  # a job may be replaced meanwhile
                facts = path.stat()
                yield path, (facts.st_ino, facts.st_mtime_ns, facts.st_size)


def _place(path: Path) -> tuple[bool, int, str]:
    """Sort key: by the job's number, else by the name of its folder."""
    name = path.parent.name
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name


def states(files: JobFiles) -> list[dict[str, Any]]:
    """The `run.json` of each job of a sweep: status, stage, selector, target, seed."""
    found = []
    for path in files.written(RUN):
        try:
            found.append({"folder": str(path.parent), **json.loads(path.read_text(encoding="utf-8"))})
        except (OSError, json.JSONDecodeError):
            continue  # being replaced; the next poll reads it
    return found


class Display:
    """Progress of the jobs, shown by a thread that only reads files.

    On a terminal: a bar with the time left. Elsewhere: one line per finished job.
    """

    def __init__(self, files: JobFiles, *, jobs: int) -> None:
        self.files = files
        self.jobs = jobs
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(timeout=5)

    def _show(self) -> None:
        if sys.stderr.isatty():
            self._show_bar()
        else:
            self._show_lines()

    def _polls(self) -> Iterator[list[dict[str, Any]]]:
        """The jobs' states every `POLL_SECONDS`, and once after `stop`."""
        while not self._over.wait(POLL_SECONDS):
            yield states(self.files)
        yield states(self.files)

    def _show_lines(self) -> None:
        shown: set[str] = set()
        for jobs in self._polls():
            for job in jobs:
                if job["status"] != "running" and job["folder"] not in shown:
                    shown.add(job["folder"])
                    name = f"{job['selector']}, target {job['target']}, seed {job['seed']}"
                    sys.stderr.write(
                        visible_line(f"[{len(shown)}/{self.jobs}] {name}: {job['status']}") + "\n"
                    )

    def _show_bar(self) -> None:
        from rich import progress as rich
        from rich.console import Console
        from rich.markup import escape as rich_escape

        columns = (
            rich.TextColumn("jobs"),
            rich.BarColumn(),
            rich.MofNCompleteColumn(),
            rich.TimeElapsedColumn(),
            rich.TextColumn("left"),
            rich.TimeRemainingColumn(),
            rich.TextColumn("{task.description}"),
        )
        with rich.Progress(*columns, console=Console(stderr=True)) as bars:
            bar = bars.add_task("starting", total=self.jobs)
            for jobs in self._polls():
                running = [
                    f"{j['selector']} {j['target']} s{j['seed']}: {j['stage']}" for j in jobs if _runs(j)
                ]
                done = len(jobs) - len(running)
                bars.update(
                    bar, completed=done, description=rich_escape(visible_line("; ".join(running))) or " "
                )


def _runs(job: dict[str, Any]) -> bool:
    return bool(job["status"] == "running")
