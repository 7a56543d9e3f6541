"""A selection inside a running program: the same job as `nait run 'stages=[select]'`, with its results as objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nait.cli.config.composed_config import ComposedConfig, composed
from nait.cli.config.plain_config import build
from nait.core.dataset.examples import Pool
from nait.core.ranking.score_table import ScoreTable
from nait.core.ranking.selection import Selection
from nait.runs.assembly import assemble
from nait.runs.execution import Execution
from nait.runs.job import Job
from nait.runs.records.run_record import RunRecord
from nait.stages.artifacts.score_files import read_scores, read_selection
from nait.store import Artifact
from nait.tracking.sigterm import Termination

STAGES = ("select",)
Read = Callable[[dict[str, Any]], Any]
"""A function from the config of a group to what it builds, for rows that are in memory."""


@dataclass(frozen=True)
class SelectionRun:
    """A finished selection: its job, the chosen rows, the artifacts of scores and selection, warnings, seconds.

    `seconds`: of this run; `seconds_from_nothing`: of scoring, as from an empty store. `fresh`: this run scored.
    """

    job: Job
    selection: Selection
    scores: Artifact
    made: Artifact
    warnings: tuple[str, ...]
    seconds: float
    fresh: bool

    @property
    def pool(self) -> Pool:
        return self.job.pool

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.job.folder

    def table(self) -> ScoreTable:
        """The score of each row for each target."""
        return read_scores(self.scores)[0]

    @property
    def seconds_from_nothing(self) -> float:
        return float(self.scores.manifest["seconds_from_nothing"])


def run_selection(
    words: Sequence[str], *, command: str = "", pool: Read | None = None, targets: Read | None = None,
    start: Callable[[ComposedConfig], None] = lambda _: None,
) -> SelectionRun:  # fmt: skip
    """Select rows as these words of `nait run` say.

    `command` repeats the run. `pool` and `targets` replace what the config's `data` and `target` build. `start` is
    called before the pool is read.

    Raises: NaitError for anything that the user must fix.
    """
    started = time.monotonic()
    with composed(words, command=command) as composition:
        composition.folder.mkdir(parents=True, exist_ok=True)
        start(composition)
        job = job_of(composition, pool=pool, targets=targets)
        with Termination():
            execution = Execution(job, STAGES, RunRecord([*job.warnings]))
            execution.run(last=False)
    job, links = execution.job, execution.record.links
    scores = job.store.find("scores", str(links["scores"]))
    made = job.store.find("selections", str(links["selection"]))
    assert scores is not None
    assert made is not None
    return SelectionRun(
        job, read_selection(made, job.pool), scores, made, tuple(execution.record.warnings),
        seconds=time.monotonic() - started, fresh=bool(execution.record.phases["select"].fresh),
    )  # fmt: skip


def job_of(composition: ComposedConfig, *, pool: Read | None, targets: Read | None) -> Job:
    """The job of a composed config. Raises: NaitError."""
    plain = composition.plain
    given: list[tuple[Any, Read]] = [
        (plain[group], read) for group, read in (("data", pool), ("target", targets)) if read is not None
    ]

    def built(node: Any) -> Any:
        for config, read in given:
            if node is config:
                return read(config)
        return build(node)

    return assemble(
        plain,
        built,
        folder=composition.folder,
        names=composition.names,
        other_selector=composition.other_selector(),
    )
