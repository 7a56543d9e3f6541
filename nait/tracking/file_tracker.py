"""The tracker that is always on: a run's metrics, tables and histograms as files in its own folder."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from nait.core.contracts import Files
from nait.store import write_json
from nait.tracking.guard import Guard
from nait.tracking.jsonable import histogram, plain


class FileTracker:
    """Writes into `folder`:

    - `metrics.jsonl`: one line a log call (`time`, `phase`, `step`, `values`), on the disk at once;
    - `summary.json`; `tables/NAME.csv`; `histograms/NAME.json`.

    A second run into one folder adds to `metrics.jsonl` and replaces the rest. Config and artifacts need no
    copy: the run's manifest and the files themselves stand in the same folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._summary: dict[str, Any] = {}
        self._guard = Guard("files")

    def start(self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str]) -> None:  # noqa: ARG002
        """Nothing; makes the folder."""
        self._summary = {}
        self._guard = Guard("files")
        with self._guard:
            self.folder.mkdir(parents=True, exist_ok=True)

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:
        """Nothing; adds a line. A NaN is null."""
        row = {"time": round(time.time(), 3), "phase": phase, "step": step, "values": plain(metrics)}
        # Opened anew each time: a line is whole on the disk whatever happens to the process after it.
        with self._guard, (self.folder / "metrics.jsonl").open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    def summary(self, values: Mapping[str, Any]) -> None:
        """Nothing; adds to what the run ends with."""
        with self._guard:
            self._summary |= plain(values)
            write_json(self.folder / "summary.json", self._summary)

    def histogram(self, name: str, values: npt.NDArray[Any]) -> None:
        """Write counts, edges and how many values are not numbers."""
        with self._guard:
            counts, edges, nonfinite = histogram(values)
            shape = {"counts": plain(counts), "edges": plain(edges), "nonfinite": nonfinite}
            write_json(self._place("histograms", name, ".json"), shape)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Nothing; writes a CSV file with a header."""
        with (
            self._guard,
            self._place("tables", name, ".csv").open("w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([plain(cell) for cell in row] for row in rows)

    def page(self, name: str, path: Path) -> None:
        """Nothing: the page is where it was made."""

    def artifact(self, name: str, kind: str, files: Files, metadata: Mapping[str, Any]) -> None:
        """Nothing: the files are where they were made."""

    def finish(self, *, failed: bool = False) -> None:
        """Nothing: each call has already written what it had."""

    def _place(self, kind: str, name: str, suffix: str) -> Path:
        folder = self.folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        return folder / (re.sub(r"[^\w.-]+", "_", name) + suffix)
