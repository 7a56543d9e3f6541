"""The file tracker: a run's metrics, tables and histograms as files in the run's folder."""

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
from nait.core.inputs.spreadsheets import inert
from nait.core.inputs.visible_text import visible
from nait.store import write_json
from nait.store.jsonable import plain
from nait.tracking.guard import Guard
from nait.tracking.histograms import histogram


class FileTracker:
    """Writes to `folder`:

    - `metrics.jsonl`: one line per log call (`time`, `phase`, `step`, `values`), on disk when the call returns;
    - `summary.json`, `tables/NAME.csv` and `histograms/NAME.json`.

    A second run in the same folder appends to `metrics.jsonl` and replaces the other files. Config and artifacts
    are not copied: the manifest and the artifact files are already in the folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._summary: dict[str, Any] = {}
        self._named: dict[Path, str] = {}
        self._guard = Guard("files")

    def start(
        self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str], kind: str = "", key: str = ""  # noqa: ARG002
    ) -> None:  # fmt: skip
        """Create the folder and reset the summary."""
        self._summary, self._named = {}, {}
        self._guard = Guard("files")
        with self._guard:
            self.folder.mkdir(parents=True, exist_ok=True)

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:
        """Append one line to `metrics.jsonl`; NaN becomes null."""
        row = {"time": round(time.time(), 3), "phase": phase, "step": step, "values": plain(metrics)}
        # Reopened for each call, so that the line is on disk even if the process is killed afterwards.
        with self._guard, (self.folder / "metrics.jsonl").open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    def summary(self, values: Mapping[str, Any]) -> None:
        """Add final values to `summary.json`."""
        with self._guard:
            self._summary |= plain(values)
            write_json(self.folder / "summary.json", self._summary)

    def histogram(self, name: str, values: npt.NDArray[Any]) -> None:
        """Write a histogram's counts and edges, and the number of values that are not finite."""
        with self._guard:
            counts, edges, nonfinite = histogram(values)
            shape = {"counts": plain(counts), "edges": plain(edges), "nonfinite": nonfinite}
            write_json(self._place("histograms", name, ".json"), shape)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Write a CSV file with a header. No cell is a formula, and none has characters that a terminal obeys."""
        with (
            self._guard,
            self._place("tables", name, ".csv").open("w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(map(_cell, columns))
            writer.writerows([_cell(plain(cell)) for cell in row] for row in rows)

    def page(self, name: str, path: Path) -> None:
        """Do nothing: the page is already in the run's folder."""

    def artifact(
        self, name: str, kind: str, files: Files, metadata: Mapping[str, Any], *, used: bool = False,
        aliases: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Do nothing: the artifact's files are already on disk."""

    def finish(self, *, failed: bool = False) -> None:
        """Do nothing: every call has already written its data."""

    def _place(self, kind: str, name: str, suffix: str) -> Path:
        """The file of a name; with a number where another name of this run has the same file."""
        folder = self.folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        short, number = re.sub(r"[^\w.-]+", "_", name), 1
        path = folder / (short + suffix)
        while self._named.setdefault(path, name) != name:
            number += 1
            path = folder / f"{short}-{number}{suffix}"
        return path


def _cell(value: Any) -> Any:
    """A cell of a CSV file: a text has no controls that a terminal obeys, and none is a formula."""
    return inert(visible(value) if isinstance(value, str) else value)
