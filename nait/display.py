"""One display of the jobs of a sweep that run side by side, read from the folders they write."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import TracebackType

POLL_SECONDS = 0.5


def states(folder: Path) -> list[dict[str, str]]:
    """What each job under a sweep's folder says of itself: its status, stage, selector, target and seed."""
    found = []
    for path in sorted(folder.glob("*/run.json")):
        try:
            found.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError):
            continue  # replaced while it was read: the next look sees it
    return found


class Display:
    """A bar of finished jobs with time left, and what the others are doing; a thread that only reads files."""

    def __init__(self, folder: Path, *, jobs: int) -> None:
        self.folder = folder
        self.jobs = jobs
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(timeout=5)

    def __enter__(self) -> Display:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("jobs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
                   TimeRemainingColumn(), TextColumn("{task.description}"))  # fmt: skip
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("starting", total=self.jobs)
            while not self._over.is_set():
                self._update(progress, bar)
                time.sleep(POLL_SECONDS)
            self._update(progress, bar)

    def _update(self, progress: object, bar: object) -> None:
        jobs = states(self.folder)
        running = [
            f"{j['selector']} {j['target']} s{j['seed']}: {j['stage']}"
            for j in jobs
            if j["status"] == "running"
        ]
        done = sum(job["status"] != "running" for job in jobs)
        progress.update(bar, completed=done, description="; ".join(running) or " ")  # type: ignore[attr-defined]
