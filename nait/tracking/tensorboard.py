"""The TensorBoard tracker. The only importer of torch.utils.tensorboard, which needs the package tensorboard."""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.contracts import Files
from nait.core.errors import ConfigError
from nait.core.inputs.visible_text import plain_markdown
from nait.store.jsonable import plain
from nait.tracking.guard import Guard

log = logging.getLogger(__name__)

SHOWN_ROWS = 100
"""Rows of a table that are shown: TensorBoard has no tables, so they become text."""


class TensorboardTracker:
    """Writes events to `folder`/tensorboard: curves, histograms, and the summary, config and tables as text.

    `tensorboard --logdir FOLDER` shows every run below a folder. Pages and files of artifacts are not copied.

    Raises: ConfigError without the package tensorboard.
    """

    def __init__(self, folder: str | Path) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise ConfigError(
                "TensorBoard is not installed",
                where="tracking",
                fix="pip install 'nait[tensorboard]'",
            )
        self.folder = Path(folder) / "tensorboard"
        self._writer: Any = None
        self._summary: dict[str, Any] = {}
        self._counts: dict[str, int] = {}
        self._guard = Guard("TensorBoard")

    def start(
        self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str], kind: str = "", key: str = ""
    ) -> None:  # fmt: skip
        """Open the folder's event file and write the config."""
        self.finish(failed=True)  # a run that a failed job did not finish
        self._guard, self._summary, self._counts = Guard("TensorBoard"), {}, {}
        with self._guard:
            from torch.utils.tensorboard import SummaryWriter

            self.folder.mkdir(parents=True, exist_ok=True)
            self._writer = SummaryWriter(str(self.folder), flush_secs=5)
            about = {"name": name, "group": group, "tags": list(tags), "kind": kind, "key": key}
            self._text("run", about)
            self._text("config", config)

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:
        """Add a point to `phase/NAME`. Without a step, calls are counted."""
        if self._writer is None:
            return
        with self._guard:
            if step is None:
                step = self._counts[phase] = self._counts.get(phase, -1) + 1
            for name, value in metrics.items():
                self._writer.add_scalar(f"{phase}/{name}", float(value), step)

    def summary(self, values: Mapping[str, Any]) -> None:
        """Add final values. They are written when the run ends: numbers as single points, all as text."""
        if self._writer is None:
            return
        with self._guard:
            self._summary |= plain(values)

    def histogram(self, name: str, values: npt.NDArray[Any]) -> None:
        """Add a histogram of the finite values, if there are any."""
        if self._writer is None:
            return
        with self._guard:
            numbers = np.asarray(values, dtype=np.float64).ravel()
            finite = numbers[np.isfinite(numbers)]
            if len(finite):
                self._writer.add_histogram(name, finite, 0)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add the first rows as a Markdown table."""
        if self._writer is None:
            return
        with self._guard:
            body = [[_cell(cell) for cell in row] for row in rows[:SHOWN_ROWS]]
            lines = [[_cell(column) for column in columns], ["---"] * len(columns), *body]
            more = f"\n\n{len(rows) - SHOWN_ROWS} more rows." if len(rows) > SHOWN_ROWS else ""
            text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
            self._writer.add_text(name, text + more, 0)

    def page(self, name: str, path: Path) -> None:
        """Do nothing: TensorBoard shows no HTML."""

    def artifact(
        self, name: str, kind: str, files: Files, metadata: Mapping[str, Any], *, used: bool = False,
        aliases: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Add the paths and the metadata of an artifact's files as text."""
        if self._writer is None:
            return
        with self._guard:
            paths = [str(path) for path in (files.values() if isinstance(files, Mapping) else files)]
            about = {"kind": kind, "used": used, "aliases": list(aliases), "files": paths, **plain(metadata)}
            self._text(f"artifacts/{name}", about)

    def finish(self, *, failed: bool = False) -> None:
        """Write the summary and close the event file."""
        writer = self._writer
        if writer is None:
            return
        with self._guard:
            for name, value in self._summary.items():
                if isinstance(value, (int, float)) and math.isfinite(value):
                    writer.add_scalar(name, float(value), 0)
            self._text("summary", {**self._summary, "failed": failed})
        self._writer = None
        with self._guard:
            writer.close()
            log.info("TensorBoard: tensorboard --logdir %s", shlex.quote(str(self.folder)))

    def _text(self, name: str, values: Any) -> None:
        text = json.dumps(plain(values), indent=2, ensure_ascii=False)
        self._writer.add_text(name, "\n".join(f"    {line}" for line in text.split("\n")), 0)


def _cell(value: object) -> str:
    return plain_markdown(str(plain(value)))
