"""The identity of a job's result: what a tracker recognises a rerun by, before any stage has run."""

from __future__ import annotations

from collections.abc import Sequence

from nait.core.addresses import address
from nait.core.contracts import content_of, is_by_row, version_of
from nait.runs.job import Job
from nait.runs.processes.shared_work import shared_trainer
from nait.runs.records.run_facts import fingerprints
from nait.stages.artifacts.stored_names import stored_names
from nait.stages.select import row_numbers
from nait.stages.train import drawn_by

VERSION = 1


def kind_of(job: Job, stages: Sequence[str]) -> str:
    """The last stage that gives a job its result: `select`, `train` or `evaluate`."""
    if "evaluate" in stages:
        return "evaluate"
    return "train" if job.trains(stages) else "select"


def run_identity(job: Job, stages: Sequence[str]) -> str:
    """The address of everything that determines the job's record: inputs, method, recipe, evaluation, labels, price.

    Two jobs share it exactly when they give the same record. Settings of speed and the W&B group are not part of it.
    """
    parts, config = job.parts, job.recorded.resolved
    reference = parts.reference_template
    return address(
        {
            "tracked": VERSION,
            "kind": kind_of(job, stages),
            "labels": dict(job.labels),
            "inputs": fingerprints(parts.model, job.pool, job.targets, parts.template),
            "reference_template": reference.digest if reference else None,
            "max_length": parts.model.max_length,
            "precision": str(getattr(parts.model, "dtype", "auto")),
            "selector": stored_names(parts.selector.config),
            "version": version_of(parts.selector.scorer),
            "content": content_of(parts.selector.scorer),
            **({"rows": row_numbers(job.pool)} if is_by_row(parts.selector.scorer) else {}),
            "recipe": parts.trainer.recipe,
            **(
                drawn_by(shared_trainer(parts.trainer, parts.model), parts.model)
                if job.trains(stages)
                else {}
            ),
            "suite": parts.evaluator.key() if parts.evaluator else None,
            **{name: stored_names(config.get(name)) for name in ("contamination", "truth", "cost")},
        }
    )
