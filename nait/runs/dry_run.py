"""Dry runs: the plan of a job as text, in its folder and in the store. The job itself is left unchanged."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.core.dataset.examples import Pool
from nait.core.estimates.plans import Plan
from nait.core.ranks import processes_from
from nait.planning.dry_run_doubles import NotStored, OverlayStore
from nait.planning.inputs import Work
from nait.planning.plan_text import describe
from nait.planning.planner import make_plan
from nait.runs.job import Job
from nait.runs.records.plan_accuracy import plan_file
from nait.stages.checks.detect_contamination import UNCHECKED, check_contamination
from nait.stages.checks.prompt_mismatch import try_prompts
from nait.store import write_json

log = logging.getLogger("nait")

UNKNOWN_CONTAMINATION = "Contamination is not known yet: the plan includes rows that are in the evaluation."


def preview(job: Job, stages: Sequence[str]) -> str:
    """The plan of these stages as text. Writes it to `plan.json` and to the store.

    Raises: NaitError for what the run would refuse.
    """
    with tempfile.TemporaryDirectory(prefix="nait-plan-") as name:
        scratch = Path(name)
        evaluator = job.parts.evaluator
        if evaluator is not None and "evaluate" in stages:
            try_prompts(job.parts.model, evaluator, OverlayStore(scratch / "prompts", job.store))
        pool, notes = _planned_pool(job, scratch / "contamination")
        notes += _process_notes(processes_from(os.environ))
        notes += _device_notes(job)
        for note in notes:
            log.warning("%s", note)
        job = job.with_pool(pool)
        plan = make_plan(_work(job, stages), job.store, scratch)
    record = {**plan.record(), "notes": [*plan.notes, *job.warnings, *notes]}
    write_json(job.folder / "plan.json", record)
    _keep(job, plan, record)
    labels = job.labels
    named = (labels["selector"], labels["target"] or "no target", labels["budget"], f"seed {labels['seed']}")
    return f"{', '.join(filter(None, named))}: {job.folder / 'plan.json'}\n{describe(plan)}"


def _process_notes(processes: int) -> list[str]:
    """What a plan does not know of a command with several processes; empty for one."""
    if processes == 1:
        return []
    return [
        f"The seconds, device-hours and money of this plan are for one process, but this command has {processes}. "
        f"The run divides its passes among them, and counts {processes} devices wherever all of them work."
    ]


def _device_notes(job: Job) -> list[str]:
    """What a plan does not know of several devices; empty where one process uses them all (`model.device_map`)."""
    devices = job.parts.cost.devices or 1
    if devices == 1 or getattr(job.parts.model, "device_map", None):
        return []
    return [
        f"This plan has the seconds of one process and counts cost.devices={devices} for all of them. A run of "
        f"{devices} processes divides its passes and takes less: between 1/{devices} and all of these device-hours "
        "and money. cost.devices=1 plans the lower end."
    ]


def _planned_pool(job: Job, scratch: Path) -> tuple[Pool, list[str]]:
    """The pool that the run would use, as far as the store knows its contamination, and notes on the check.

    Raises: DataError for what the run would refuse.
    """
    rule = job.parts.contamination
    store = OverlayStore(scratch, job.store, refused=("contamination",))
    try:
        check = check_contamination(
            job.pool, job.targets, evaluator=job.parts.evaluator, rule=rule, store=store
        )
    except NotStored:
        return job.pool, [UNKNOWN_CONTAMINATION] if rule is not None and rule.exclude else []
    check.refuse_test_references()
    return check.clean_pool(), [UNCHECKED] if rule is None else []


def _work(job: Job, stages: Sequence[str]) -> Work:
    """The inputs of the plan of a job."""
    parts, selects = job.parts, job.selects(stages)
    describer = parts.describer if "report" in stages and selects else None
    return Work(
        pool=job.pool, targets=job.targets, selector=parts.selector, model=parts.model, template=parts.template,
        engine=parts.engine, extractor=job.extractor, seed=job.seed, cost=parts.cost, select=selects,
        trainer=parts.trainer if job.trains(stages) else None,
        evaluator=parts.evaluator if "evaluate" in stages else None,
        describer=describer, given=job.given_labels if describer else {},
    )  # fmt: skip


def _keep(job: Job, plan: Plan, record: Mapping[str, Any]) -> None:
    """Write the plan to the store, where the run finds it. A store that cannot be written is a warning."""
    if not plan.scores:
        return
    kept = plan_file(job.store, job.recorded, job.parts.trainer.recipe, scores=plan.scores)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, record)
    except OSError as error:
        log.warning(
            "The plan could not be kept in the store, so the run cannot be compared with it: %s", error
        )
