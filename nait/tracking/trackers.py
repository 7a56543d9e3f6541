"""Several trackers used as one, and the combinations that `conf/tracking` offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from nait.core.contracts import Files, Tracker
from nait.tracking.file_tracker import FileTracker
from nait.tracking.guard import Guard
from nait.tracking.tensorboard import TensorboardTracker
from nait.tracking.wandb.tracker import Mode, WandbTracker


class Trackers:
    """Passes each call to every tracker. If one raises, a warning is logged once and the others still run."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._guarded = [(tracker, Guard(type(tracker).__name__)) for tracker in trackers]
        self._logged: dict[str, int] = {}

    def start(
        self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str], kind: str = "", key: str = ""
    ) -> None:  # fmt: skip
        """Begin a run in each tracker."""
        self._logged = {}
        self._each(lambda tracker: tracker.start(name, config, group=group, tags=tags, kind=kind, key=key))

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:
        """Log metrics of a phase. Each phase has its own step axis.

        A run that repeats a stage, because it made a damaged artifact again, repeats its steps: they are left out.
        """
        if step is not None:
            if step <= self._logged.get(phase, step - 1):
                return
            self._logged[phase] = step
        self._each(lambda tracker: tracker.log(metrics, phase=phase, step=step))

    def summary(self, values: Mapping[str, Any]) -> None:
        """Add final values to the run's summary."""
        self._each(lambda tracker: tracker.summary(values))

    def histogram(self, name: str, values: npt.NDArray[Any]) -> None:
        """Log a histogram of the finite values."""
        self._each(lambda tracker: tracker.histogram(name, values))

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Log a table."""
        self._each(lambda tracker: tracker.table(name, columns, rows))

    def page(self, name: str, path: Path) -> None:
        """Log an HTML page."""
        self._each(lambda tracker: tracker.page(name, path))

    def artifact(
        self, name: str, kind: str, files: Files, metadata: Mapping[str, Any], *, used: bool = False,
        aliases: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Record files as an artifact with a kind and metadata."""
        self._each(lambda tracker: tracker.artifact(name, kind, files, metadata, used=used, aliases=aliases))

    def finish(self, *, failed: bool = False) -> None:
        """End the run in each tracker."""
        self._each(lambda tracker: tracker.finish(failed=failed))

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for tracker, guard in self._guarded:
            with guard:
                call(tracker)


def combined(
    folder: str,
    wandb_folder: str | None = None,
    mode: Mode = "disabled",
    project: str = "nait",
    entity: str | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
    init_timeout: float = 20.0,
    finish_timeout: float = 120.0,
    reference_mb: float = 10.0,
    targets: bool = False,
    *,
    tensorboard: bool = False,
) -> Trackers:
    """The file tracker and, on request, W&B (unless `mode` is disabled) and TensorBoard.

    `wandb_folder`: the folder of wandb/, None for `folder`. The jobs of a sweep share one.
    """
    found: list[Tracker] = [FileTracker(folder)]
    online = WandbTracker(
        folder=wandb_folder or folder,
        mode=mode,
        project=project,
        entity=entity,
        group=group,
        tags=tags,
        init_timeout=init_timeout,
        finish_timeout=finish_timeout,
        reference_mb=reference_mb,
        targets=targets,
    )
    if mode != "disabled":
        found.append(online)
    if tensorboard:
        found.append(TensorboardTracker(folder))
    return Trackers(found)
