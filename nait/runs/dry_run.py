"""Previews: a job's plan, as text, in its folder, and kept in the store for the run that follows."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nait.core.dataset.contamination import Contamination
from nait.planning.dry_run_doubles import Aside, NotStored
from nait.planning.inputs import Work
from nait.planning.plan_text import describe
from nait.planning.planner import make_plan
from nait.runs.job import Job
from nait.runs.plan_accuracy import plan_file
from nait.stages.checks.detect_contamination import UNCHECKED, contaminate, decontaminated, read_hits
from nait.store import write_json

log = logging.getLogger("nait")


def preview(job: Job, stages: Sequence[str]) -> str:
    """What the stages would do and take, as text; left as `plan.json` and in the store."""
    trains = job.trains(stages)
    with tempfile.TemporaryDirectory(prefix="nait-plan-") as name:
        _leave_out_if_known(job, Path(name) / "contamination")
        describer = job.parts["traits"] if "report" in stages and job.selects(stages) else None
        work = Work(
            pool=job.pool, targets=job.targets, selector=job.selector, model=job.model,
            template=job.parts["template"], engine=job.parts["engine"], extractor=job.extractor,
            seed=job.config["seed"], cost=job.parts["cost"], select=job.selects(stages),
            trainer=job.parts["train"] if trains else None,
            evaluator=job.parts["eval"] if "evaluate" in stages else None,
            describer=describer, given=job.given_labels if describer else {},
        )  # fmt: skip
        made = make_plan(work, job.store, Path(name))
    record = {**made.record(), "notes": [*made.notes, *job.warnings]}
    write_json(job.folder / "plan.json", record)
    if made.scores:
        kept = plan_file(job.store, job.config, job.parts["train"].recipe, scores=made.scores)
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_json(kept, record)
        except OSError as error:
            log.warning("The run itself will not know of this plan: %s", error)
    labels = job.labels
    named = (labels["selector"], labels["target"] or "no target", labels["budget"], f"seed {labels['seed']}")
    return f"{', '.join(filter(None, named))}: {job.folder / 'plan.json'}\n{describe(made)}"


def _leave_out_if_known(job: Job, scratch: Path) -> None:
    """Leaves out the rows that stand in the evaluation, where an earlier run has found them."""
    rule: Contamination | None = job.parts["contamination"]
    if rule is None:
        job.warn([UNCHECKED])
        return
    store = Aside(scratch, job.store, refused=("contamination",))
    try:
        made = contaminate(job.pool, job.targets, evaluator=job.parts.get("eval"), rule=rule, store=store)
    except NotStored:
        if rule.exclude:
            job.warn(["Which rows are in the evaluation is not known yet: the plan counts them."])
        return
    hits = read_hits(made)
    rule.refuse_test_references(hits, job.targets)
    if rule.exclude:
        job.pool = decontaminated(job.pool, hits)
