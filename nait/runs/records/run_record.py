"""The record of a run in progress, and its outputs: manifest `run.json`, stored artifact, tracker entry."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nait.core.estimates.human_units import human_seconds
from nait.core.inputs.paths import at_home
from nait.core.ranking.budgets import asked_rows
from nait.core.ranking.ground_truth import evidence
from nait.core.ranking.selection import Selection
from nait.runs.job import Job
from nait.runs.records.interrupted_runs import INTERRUPTED, RUN, RUNNING, settle_all, this_process
from nait.runs.records.phases import PhaseRecord, phase_energy, phase_seconds, without_scores
from nait.runs.records.plan_accuracy import plan_accuracy, plan_file
from nait.runs.records.run_facts import facts, fingerprints, read_rows, spent
from nait.runs.records.run_identity import kind_of, run_identity
from nait.runs.records.run_lineage import lineage
from nait.stages.report import record_partial_run, record_run
from nait.store import Artifact, write_json
from nait.store.energy import gauge
from nait.store.jsonable import plain
from nait.store.provenance import provenance
from nait.tracking.bundles import RECORD, bundle

log = logging.getLogger("nait")

SCORE_FACTS = ("definition", "unit", "ineligible", "truncated", "length_correlation", "diagnostics")
"""Facts of a `scores` artifact that the manifest repeats, if it has them."""
SELECTION_FACTS = ("rows", "answer_tokens", "truncated")
"""Facts of a `selections` artifact that the manifest repeats. Answer tokens of `truncated` rows are as read."""
TRAINING = ("model", "template", "recipe")
"""Parts of an adapter's key that the run's artifact repeats, for readers that have the run without the weights."""


@dataclass
class RunRecord:
    """What a run has produced so far. Methods take the current job, since checks may clean its pool and targets."""

    warnings: list[str]
    phases: dict[str, PhaseRecord] = field(default_factory=dict)
    links: dict[str, str | None] = field(default_factory=dict)
    truth: dict[str, float] = field(default_factory=dict)
    contamination: dict[str, Any] = field(default_factory=dict)
    stage: str = "start"

    def start(self, job: Job, stages: Sequence[str]) -> None:
        """Start the tracker's run. A job that gives the same record resumes it. Runs that were killed are settled."""
        settle_all(at_home(job.recorded.resolved["paths"]["runs"]))
        labels = job.tracked_labels
        job.tracker.start(
            f"{labels['selector']}-{labels['target']}-s{labels['seed']}",
            {**job.recorded.resolved, "labels": labels, "fingerprints": inputs_of(job), **provenance()},
            group=job.group,
            tags=[f"{name}={labels[name]}" for name in ("selector", "target", "budget") if labels[name]],
            kind=kind_of(job, stages),
            key=run_identity(job, stages),
        )

    def end(self, job: Job, *, failed: bool, interrupted: bool = False) -> None:
        """Write the manifest and finish the tracker's run, which has the costs that the leaderboard has.

        `failed`: the job has no result. `interrupted`: because of Ctrl-C or SIGTERM.
        """
        self.write_manifest(job, INTERRUPTED if interrupted else "failed" if failed else "done")
        job.tracker.summary(
            {**self._costs(job), "warnings": len(self.warnings), "warning_texts": self.warnings}
        )
        self._track(job)
        job.tracker.finish(failed=failed)

    def _costs(self, job: Job) -> dict[str, Any]:
        """The job's costs from an empty store, as in the leaderboard. Unknown ones are left out.

        A control does not pay for scores that its order ignores.
        """
        is_control = job.parts.selector.is_control
        phases = without_scores(self.phases) if is_control else self.phases
        energy = {f"energy_wh/{name}": value for name, value in phase_energy(phases).items()}
        total = spent(phases, job.parts.cost, stated={} if is_control else self._stated_cost(job))
        costs = {f"seconds/{name}": seconds for name, seconds in phase_seconds(phases).items()}
        known = {name: value for name, value in {**energy, **total}.items() if value is not None}
        if "money" not in known:
            del known["currency"]
        return {**costs, **known}

    def _track(self, job: Job) -> None:
        """Give the tracker the run's inputs and outputs, and its record if it has one."""
        for one in lineage(job, self.links):
            job.tracker.artifact(
                one.name, one.kind, one.files, one.metadata, used=one.used, aliases=one.aliases
            )
        run = self.links.get("run")
        if run:
            job.tracker.artifact(f"{RECORD}-{run}", RECORD, bundle(job.store, self.links), job.tracked_labels)

    def warn(self, messages: Sequence[str]) -> None:
        """Log warnings and keep them for the manifest."""
        for message in messages:
            self.warnings.append(message)
            log.warning("%s", message)

    @contextmanager
    def phase(self, job: Job, name: str) -> Iterator[None]:
        """Context that times a phase and names it in the manifest."""
        started, since = time.monotonic(), gauge().joules()
        self.stage = name
        self.write_manifest(job, RUNNING)
        yield
        elapsed = time.monotonic() - started
        job.tracker.summary({f"elapsed/{name}": round(elapsed, 3)})
        log.info("%s took %s.", name.capitalize(), human_seconds(elapsed))
        self.phases[name] = PhaseRecord(elapsed, elapsed, gauge().watt_hours(since))

    def link_artifact(self, phase: str, made: Artifact, *, link: str) -> None:
        """Link the artifact that a phase produced, and record its cost as the cost of the phase."""
        self.phases[phase] = self.phases[phase].with_cost(
            made.seconds, made.energy_wh, fresh=made.fresh, process_seconds=made.seconds * made.processes
        )
        self.links[link] = made.address

    def store_run(
        self, job: Job, selection: Selection | None, adapter: Artifact | None, *, caveats: Sequence[str]
    ) -> None:
        """Store the run's artifact. `caveats`: the warnings that concern its results."""
        known = facts(job.recorded, selection, self.phases, job.parts.cost, stated=self._stated_cost(job))
        known |= {
            "warnings": [*caveats],
            "truth": self.truth if job.ground_truth else None,
            "fingerprints": inputs_of(job),
            **provenance(),
        }
        if self.truth and job.truth_labels is not None:
            names = [target.name for target in job.targets]
            known["truth_labels"] = evidence(job.truth_labels, job.pool.ids, names)
        if selection and not job.parts.selector.exhaustive:
            known["budget_rows"] = asked_rows(job.parts.selector.budget, len(job.pool))
        if adapter:
            known["training"] = {name: adapter.manifest["key"][name] for name in TRAINING}
        known["reference_rows"] = {target.name: len(target) for target in job.targets}
        self.links["run"] = record_run(job.store, dict(self.links), job.labels, known).address

    def store_partial_run(self, job: Job) -> None:
        """Store what a run without an evaluation and a report has made, so that the store's upkeep keeps it."""
        if {"selection", "adapter"} & set(self.links):
            record_partial_run(job.store, dict(self.links), job.labels)

    def _stated_cost(self, job: Job) -> dict[str, float]:
        """The cost of the run's scores as the user states it; empty for scores of our own."""
        scores = self.links.get("scores")
        found = job.store.find("scores", scores) if scores else None
        return dict(found.manifest.get("stated_cost", {})) if found else {}

    def write_manifest(self, job: Job, status: str) -> None:
        """Write `run.json`. Values that JSON cannot hold become text."""
        scores = self.links.get("scores")
        manifest: dict[str, Any] = {
            "status": status,
            "process": this_process(),
            "stage": self.stage,
            "stages": job.recorded.stages,
            **job.labels,
            "budget": job.labels["budget"] or None,
            "links": self.links,
            "truth": self.truth,
            "fingerprints": inputs_of(job),
            "rows": read_rows(job.pool, job.targets),
            "contamination": self.contamination,
            "seconds": phase_seconds(self.phases),
            "energy_wh": phase_energy(self.phases),
            "plan": self._plan_accuracy(job, scores) if scores else None,
            "warnings": self.warnings,
            "config": job.recorded.resolved,
            **provenance(),
        }
        for kind, link, facts_of in (
            ("scores", "scores", SCORE_FACTS),
            ("selections", "selection", SELECTION_FACTS),
        ):
            address = self.links.get(link)
            found = job.store.find(kind, address) if address else None
            if found:
                manifest[link] = {key: found.manifest[key] for key in facts_of if key in found.manifest}
        write_json(job.folder / RUN, plain(manifest, finite=False))

    def _plan_accuracy(self, job: Job, scores: str) -> dict[str, Any] | None:
        plan = plan_file(job.store, job.recorded, job.parts.trainer.recipe, scores=scores)
        return plan_accuracy(plan, self.phases)


def inputs_of(job: Job) -> dict[str, Any]:
    """Fingerprints of the job's inputs."""
    return fingerprints(job.parts.model, job.pool, job.targets, job.parts.template)
