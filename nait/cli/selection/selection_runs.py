"""A selection inside a running program: the same job as `nait run 'stages=[select]'`, with its results as objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nait.cli.config.composed_config import ComposedConfig, composed
from nait.cli.config.plain_config import build
from nait.cli.selection.recorded_code import check_record
from nait.cli.selection.run_folders import run_advice
from nait.core.dataset.examples import Pool
from nait.core.errors import ConfigError
from nait.core.ranking.selection import Selection
from nait.runs.assembly import assemble
from nait.runs.execution import Execution
from nait.runs.job import Job
from nait.runs.records.run_record import RunRecord, inputs_of
from nait.stages.artifacts.score_files import read_numbers, read_scores, read_selection
from nait.stages.checks.detect_contamination import check_contamination
from nait.stages.explanations import Explanation, explain_row, place_of
from nait.stages.select import with_answers
from nait.stages.stability import ScoredSelection, Stability, stability, with_shared_draws
from nait.store import Artifact, Store, read_json
from nait.tracking.sigterm import Termination

STAGES = ("select",)
IN_MEMORY = "(rows in memory)"
"""The path of a pool or target that a program holds in memory."""
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

    @cached_property
    def scored(self) -> ScoredSelection:
        """The selection with its scores and an extractor, for explanations."""
        job, (table, tokens) = self.job, read_scores(self.scores)
        extractor = job.extractor(job.store, job.parts.model)
        return ScoredSelection(
            job.pool, job.targets, job.parts.selector, extractor, table, self.selection, tokens
        )

    @cached_property
    def stability(self) -> Stability | None:
        """The share of the rows that other draws of the reference rows select too; None where there are none."""
        return stability(self.scored)

    def explained(self, row: str | int) -> list[Explanation]:
        """Why a row is selected or not: one explanation for each target.

        `row`: its id, or its number in the pool; an int is always the number. Raises: DataError for an unknown row.
        """
        return explain_row(place_of(self.pool, row), self.scored)

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
    record = execution.record
    return _finished(
        execution.job, record.links, record.warnings, seconds=time.monotonic() - started,
        fresh=bool(record.phases["select"].fresh),
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

    job = assemble(
        plain, built, folder=composition.folder, names=composition.names, other_selector=composition.other_selector()
    )  # fmt: skip
    return replace(job, parts=replace(job.parts, selector=with_shared_draws(job.parts.selector)))


def recorded_selection(folder: Path, *, trusted: bool = False) -> SelectionRun:
    """The selection of an earlier run, from the record in its folder and the store. It is not repeated.

    The record may come from elsewhere: a config that leads to code is built only if it is `trusted`.

    Raises: ConfigError without a record of a selection, or if its pool, target or model has changed since; NaitError
    if one cannot be read.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise ConfigError("there is no run.json", where=str(folder), fix=run_advice(folder))
    record = read_json(path)
    check_record(record, path, trusted=trusted)
    config, links = record["config"], record["links"]
    if not links.get("selection"):
        raise ConfigError("the run has selected no rows", where=str(folder), fix="Give another run.")
    if IN_MEMORY in (config["data"].get("path"), config["target"].get("path")):
        fix = "Use Selected.explain in Python."
        raise ConfigError("its rows were in the memory of a program", where=str(folder), fix=fix)
    _artifacts(Store(config["paths"]["store"], read_only=True), links)
    job = assemble(config, build, folder=folder, names=config["options"], other_selector=lambda _: {})
    check = check_contamination(
        job.pool, job.targets, evaluator=job.parts.evaluator, rule=job.parts.contamination, store=job.store
    )
    targets = with_answers(job.targets, job.extractor(job.store, job.parts.model))
    job = replace(job, pool=check.clean_pool(), targets=tuple(targets))
    _check_unchanged(job, record.get("fingerprints") or {})
    _check_numbers(job)
    return _finished(job, links, record["warnings"], seconds=0.0, fresh=False)


def _check_unchanged(job: Job, recorded: Mapping[str, Any]) -> None:
    """Raises: ConfigError if the pool, a target or the model is not what the run selected from and with.

    With another pool, the explanation would show scores of other rows. A record of an earlier version may lack a
    fingerprint; that input is not compared.
    """
    now = inputs_of(job)
    pairs = [
        ("pool", f"the pool '{job.pool.name}'"),
        ("targets", "the reference rows"),
        ("model", "the model"),
    ]
    for name, what in pairs:
        if name in recorded and recorded[name] != now[name]:
            fix = "Select again, or restore its files."
            raise ConfigError(f"{what} changed after the run", where=str(job.folder), fix=fix)


def _check_numbers(job: Job) -> None:
    """Raises: ConfigError if rows have other numbers in the pool's files than in the scores beside the record."""
    path = job.folder / "scores.parquet"
    if not path.is_file():
        return
    known = read_numbers(path)
    if any(known.get(example.id, example.row) != example.row for example in job.pool.examples):
        fix = "Select again (the scores are in the store), or restore the order."
        raise ConfigError(
            f"the order of the pool '{job.pool.name}' changed after the run", where=str(job.folder), fix=fix
        )


def _finished(
    job: Job, links: Mapping[str, Any], warnings: Sequence[str], *, seconds: float, fresh: bool
) -> SelectionRun:
    scores, made = _artifacts(job.store, links)
    return SelectionRun(job, read_selection(made, job.pool), scores, made, tuple(warnings), seconds, fresh)


def _artifacts(store: Store, links: Mapping[str, Any]) -> tuple[Artifact, Artifact]:
    """The scores and the selection. Raises: ConfigError if the store lacks one."""
    scores = store.find("scores", str(links["scores"]))
    made = store.find("selections", str(links["selection"]))
    if scores is None or made is None:
        fix = "Run the job again: its command is in run.json."
        raise ConfigError("the store no longer has the selection", where=str(store.root), fix=fix)
    return scores, made
