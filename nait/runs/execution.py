"""Execution of a job: checks, then select, train, evaluate and report."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nait.core.estimates.human_units import counted
from nait.core.ranking.budgets import WHOLE, shortfall
from nait.core.ranking.score_table import ScoreTable
from nait.core.ranking.selection import Selection
from nait.models.devices.leases import check_present, lease
from nait.runs.job import Job
from nait.runs.processes.launch import (
    devices_to_lease,
    dismissing_helpers,
    is_tensor_parallel,
    without_launcher,
)
from nait.runs.processes.shared_work import ending_helpers, help_job, shared_evaluator, shared_trainer
from nait.runs.records.run_log import log_evaluation, log_selection, log_training, log_truth
from nait.runs.records.run_record import RunRecord
from nait.runs.truth_labels import judge
from nait.stages.artifacts.score_files import LAYERS, read_scores, write_scored_rows, write_selected_rows
from nait.stages.checks.detect_contamination import check_contamination
from nait.stages.checks.opened_models import model_warnings
from nait.stages.checks.prompt_mismatch import prompt_mismatch, try_prompts
from nait.stages.checks.score_checks import TIED_COLUMNS, ranks_by_score, tie_warnings, warnings_under
from nait.stages.describe_pool import characterise
from nait.stages.evaluate import evaluate
from nait.stages.report import report
from nait.stages.select import assist, select, with_answers
from nait.stages.train import cut_rows, train
from nait.store import Artifact, DamagedError, read_json, write_json
from nait.tracking.sigterm import Termination

if TYPE_CHECKING:
    from nait.signals.extractor import StoredExtractor

log = logging.getLogger("nait")

HEALS = 20
"""The most artifacts that one run makes again because they turn out to be damaged while it reads them."""


def run_job(job: Job, stages: Sequence[str], *, last: bool) -> str:
    """Run the stages of a job. Returns the text to print; with `last`, it ends with this run's leaderboard.

    Raises: ConfigError if the config names a GPU that this machine lacks.
    """
    devices = devices_to_lease(job.parts.model, job.parts.engine.devices)
    check_present(devices)
    with Termination(), lease(devices):
        return Execution(job, stages, RunRecord([*job.warnings])).run(last=last)


def assist_run(job: Job, stages: Sequence[str]) -> None:
    """Compute a share of the passes, the training and the evaluation of a job that another process runs.

    Writes to the store only.
    """
    parts = job.parts
    if is_tensor_parallel(parts.model):
        parts.model.follow()
        return
    with Termination():
        execution = Execution(job, stages, RunRecord([*job.warnings]))
        if job.selects(stages):
            execution.assist()
        parts = execution.job.parts  # on the pool that the check has cleaned
        help_job(parts.model, parts.trainer, parts.evaluator)


@dataclass
class Execution:
    """One run of a job. Checks replace `job` by a copy with a cleaned pool and cleaned targets."""

    job: Job
    stages: Sequence[str]
    record: RunRecord

    def run(self, *, last: bool) -> str:
        """Run the stages and record them, also when one fails."""
        failed, interrupted = True, False
        try:
            self.record.start(self.job, self.stages)
            with dismissing_helpers(self.job.parts.model), ending_helpers(self.job.parts.model):
                text = self._healed(last=last)
            failed = False
        except (KeyboardInterrupt, SystemExit):
            interrupted = True
            raise
        finally:
            self.record.end(self.job, failed=failed, interrupted=interrupted)
        return text

    def _healed(self, *, last: bool) -> str:
        """Run the stages. If one meets a damaged artifact, set it aside and run them again, which makes it again.

        Raises: DamagedError for an artifact of another store, or for more than `HEALS` artifacts.
        """
        job = self.job
        for _ in range(HEALS):
            try:
                return self._run(last=last)
            except DamagedError as error:
                if not error.artifact.is_relative_to(job.store.root):
                    raise
                job.store.set_aside(error.artifact, f"is damaged: {error.where} {error.what}")
                self.job, self.record.warnings = job, [*job.warnings]
        return self._run(last=last)

    def assist(self) -> None:
        """Compute a share of the selection's passes."""
        self._check_contamination()
        job = self.job
        extractor = job.extractor(job.store, job.parts.model)
        assist(job.pool, job.targets, job.parts.selector, extractor, job.store)
        extractor.close()

    def _run(self, *, last: bool) -> str:
        lines = []
        selection: Selection | None = None
        adapter: Artifact | None = None
        self._check_contamination()
        mismatch = self._check_prompts()
        job, stages, record = self.job, self.stages, self.record
        if job.selects(stages):
            selection = self._select()
            lines.append(
                f"Selected {len(selection):,} of {counted(len(job.pool), 'row')}: {job.folder / 'selected.jsonl'}"
            )
        elif not job.parts.selector.selects:
            log.info("%s: no rows are selected; the model is evaluated unchanged.", job.labels["selector"])
        if "report" in stages and selection is not None:
            self._describe_pool()
        if job.trains(stages) and selection is not None:
            adapter = self._train(selection)
        if "evaluate" in stages:
            evaluation = self._evaluate(adapter)
            write_json(job.folder / "results.json", read_json(evaluation.path / "results.json"))
        unused = model_warnings(job.parts.model, job.store)
        record.warn(unused)
        if {"evaluate", "report"} & set(stages) and {"selection", "evaluation"} & set(record.links):
            caveats = [*mismatch, *unused, *self._of_selection(selection), *_of_training(adapter)]
            record.store_run(self.job, selection, adapter, caveats=caveats)
        else:
            record.store_partial_run(self.job)
        run = record.links.get("run")
        if last and run:
            with record.phase(self.job, "report"):
                lines.append(report(job.parts.reporter, job.store, [run], job.folder / "report"))
        return "\n".join(lines)

    def _check_contamination(self) -> None:
        """Search the pool and the targets for evaluation items; the rule may exclude rows from the pool."""
        job, record = self.job, self.record
        check = check_contamination(
            job.pool,
            job.targets,
            evaluator=job.parts.evaluator,
            rule=job.parts.contamination,
            store=job.store,
        )
        record.contamination = check.record()
        check.refuse_test_references()
        if check.artifact:
            log.info("Contamination: %s", " ".join(check.findings()))
        record.warn(check.warnings())
        if check.artifact:
            record.links["contamination"] = check.artifact.address
        self.job = job.with_pool(check.clean_pool())
        if check.excludes:
            left_out = len(job.pool) - len(self.job.pool)
            log.info("Left out, since the evaluation has them: %s.", counted(left_out, "row"))

    def _check_prompts(self) -> list[str]:
        """Warnings where training and evaluation prompt differently.

        Raises: NaitError for a task whose prompt the chat template refuses.
        """
        job, stages, evaluator = self.job, self.stages, self.job.parts.evaluator
        if evaluator is None:
            return []
        mismatch = prompt_mismatch(job.parts.template, evaluator) if job.trains(stages) else []
        self.record.warn(mismatch)
        if job.selects(stages):
            with without_launcher():
                try_prompts(job.parts.model, evaluator, job.store)
        return mismatch

    def _of_selection(self, selection: Selection | None) -> list[str]:
        """Warnings of a selection: of cut texts, of other rows than its budget says, of equal scores.

        `full` has no budget.
        """
        job, selector = self.job, self.job.parts.selector
        if selection is None:
            return []
        made = job.store.find("selections", str(self.record.links["selection"]))
        cut = list(made.manifest["warnings"]) if made else []
        if selector.exhaustive:
            return cut
        found = job.store.find("scores", str(self.record.links["scores"]))
        eligible = len(job.pool) - sum(found.manifest["ineligible"].values()) if found else None
        searched = found is not None and len(found.manifest["targets"]) <= TIED_COLUMNS
        return [
            *cut,
            *shortfall(selector.budget, len(selection), len(job.pool), eligible=eligible),
            *(tie_warnings(read_scores(found)[0], selector.order, selection) if found and searched else []),
        ]

    def _select(self) -> Selection:
        store, selector, record = self.job.store, self.job.parts.selector, self.record
        with record.phase(self.job, "select"):
            extractor = self.job.extractor(store, self.job.parts.model)
            self._drop_unanswered(extractor)
            job = self.job
            selection, made, scores = select(job.pool, job.targets, selector, extractor, store)
            extractor.close()
            rows = job.folder / "selected.jsonl"
            write_selected_rows(rows, job.pool, selection)
            write_scored_rows(job.folder / "scores.parquet", made, job.pool, selected=rows)
            if (made.path / LAYERS).is_file():  # few methods have layers
                shutil.copyfile(made.path / LAYERS, job.folder / LAYERS)
        record.phases["select"] = record.phases["select"].with_cost(
            float(scores.manifest["seconds_from_nothing"]),
            scores.manifest.get("energy_wh_from_nothing"),
            fresh=scores.fresh,
            process_seconds=scores.manifest.get("process_seconds_from_nothing"),
        )
        record.links |= {"scores": scores.address, "selection": made.address}
        record.warn(warnings_under(scores.manifest, selector.order))
        table, _ = read_scores(scores)
        if table.exhaustive:
            self.job = replace(job, labels={**job.labels, "budget": WHOLE})
        record.warn(self._of_selection(selection))
        log_selection(
            job.labels["selector"], table, scores, made, selection, job.pool, job.tracker,
            by_score=ranks_by_score(selector.order),
        )  # fmt: skip
        self._compare_with_labels(selection, table)
        return selection

    def _drop_unanswered(self, extractor: StoredExtractor) -> None:
        """Drop reference rows without an answer within the length limit, with a warning."""
        before = self.job.targets
        after = with_answers(before, extractor)
        dropped = [(new.name, len(old) - len(new)) for old, new in zip(before, after, strict=True)]
        self.job = replace(self.job, targets=tuple(after))
        self.record.warn(
            [
                f"Target {name}: {count} reference row(s) are left out: empty answer, or beyond max_length."
                for name, count in dropped
                if count
            ]
        )

    def _compare_with_labels(self, selection: Selection, table: ScoreTable) -> None:
        """Measure the selection's quality by ground-truth labels, if the config names their columns."""
        job = self.job
        if job.truth_labels is None:
            return
        ranked = table if ranks_by_score(job.parts.selector.order) else None
        self.record.truth = judge(job.truth_labels, selection, ranked, job.targets)
        log_truth(self.record.truth, job.tracker)

    def _describe_pool(self) -> None:
        """Store the traits of the pool's rows, which the report compares between selections."""
        job, describer = self.job, self.job.parts.describer
        if describer is None:
            return
        with self.record.phase(job, "traits"):
            made = characterise(job.pool, describer, job.store, given=job.given_labels)
        self.record.link_artifact("traits", made, link="traits")

    def _train(self, selection: Selection) -> Artifact | None:
        job, parts, record = self.job, self.job.parts, self.record
        trainer = shared_trainer(parts.trainer, parts.model)
        with record.phase(job, "train"), without_launcher():
            adapter = train(
                selection, job.pool, model=parts.model, template=parts.template, trainer=trainer,
                seed=job.seed, store=job.store, tracker=job.tracker,
            )  # fmt: skip
        if adapter:
            record.link_artifact("train", adapter, link="adapter")
            log_training(adapter, job.tracker)
            record.warn(_of_training(adapter))
        return adapter

    def _evaluate(self, adapter: Artifact | None) -> Artifact:
        job, evaluator, record = self.job, self.job.parts.evaluator, self.record
        assert evaluator is not None
        evaluator = shared_evaluator(evaluator, job.parts.model)
        with record.phase(job, "evaluate"), without_launcher():
            evaluation = evaluate(job.parts.model, adapter, evaluator=evaluator, store=job.store)
        record.link_artifact("evaluate", evaluation, link="evaluation")
        record.warn(evaluation.manifest["warnings"])
        log_evaluation(evaluation, job.tracker)
        return evaluation


def _of_training(adapter: Artifact | None) -> list[str]:
    """The warnings of a training, which a run's record repeats: a store of fetched records has no adapters."""
    return [*adapter.manifest.get("warnings", ()), *cut_rows(adapter.manifest)] if adapter else []
