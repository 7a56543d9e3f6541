"""A job: one selector, one target list, one seed, through the stages; what it leaves in its folder."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nait.core.contracts import Describer, Model, Tracker, Trainer
from nait.core.dataset.contamination import Contamination, Hit
from nait.core.dataset.examples import Pool, Target
from nait.core.ranking.budgets import WHOLE
from nait.core.ranking.ground_truth import Labels, TruthColumns
from nait.core.ranking.selection import Selection
from nait.runs import records
from nait.runs.plan_accuracy import outcome, plan_file
from nait.runs.processes import alone, companions, of_the_first, splits
from nait.runs.run_log import tell_evaluation, tell_selection, tell_truth
from nait.runs.truth_labels import Labelled, judge
from nait.stages.artifacts.score_files import LAYERS, read_scores, write_selected_rows
from nait.stages.checks.detect_contamination import (
    NO_EVALUATION,
    UNCHECKED,
    contaminate,
    decontaminated,
    describe_look,
    read_hits,
)
from nait.stages.checks.detect_contamination import describe as say_hits
from nait.stages.checks.opened_models import model_warnings
from nait.stages.checks.prompt_mismatch import prompt_mismatch, try_prompts
from nait.stages.checks.score_checks import heeded, heeds
from nait.stages.describe_pool import characterise
from nait.stages.evaluate import evaluate
from nait.stages.report import record_run, report
from nait.stages.select import Selector, assist, select, with_answers
from nait.stages.train import cut_rows, train, train_on
from nait.store import Artifact, Store, read_json, write_json
from nait.store.energy import gauge
from nait.store.jsonable import plain
from nait.store.provenance import provenance
from nait.tracking.bundles import RECORD, bundle
from nait.tracking.sigterm import Termination
from nait.tracking.trackers import Trackers

if TYPE_CHECKING:
    from nait.signals.extractor import StoredExtractor
    from nait.signals.passes.options import Engine

log = logging.getLogger("nait")

TRAINING = ("model", "template", "recipe")
"""Of an adapter's key, what a run's record tells, which goes where the weights do not."""


def trains(stages: Sequence[str], trainer: Trainer) -> bool:
    """Whether these stages train a model: to evaluate one is to train it first."""
    return bool({"train", "evaluate"} & set(stages)) and trainer.recipe is not None


def selects(stages: Sequence[str], trainer: Trainer) -> bool:
    """Whether these stages select rows: to train is to select first."""
    return "select" in stages or trains(stages, trainer)


@dataclass
class Job:
    """Everything a job needs, built from its config before any model is opened."""

    config: Mapping[str, Any]
    labels: dict[str, Any]
    folder: Path
    store: Store
    model: Model
    pool: Pool
    targets: list[Target]
    selector: Selector
    parts: dict[str, Any]
    tracker: Tracker
    seconds: dict[str, float] = field(default_factory=dict)
    energy_wh: dict[str, float | None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    links: dict[str, str | None] = field(default_factory=dict)
    truth: dict[str, float] = field(default_factory=dict)
    elapsed: dict[str, float] = field(default_factory=dict)
    fresh: dict[str, bool] = field(default_factory=dict)
    looked: dict[str, Any] = field(default_factory=dict)
    stage: str = "start"

    def run(self, stages: Sequence[str], *, last: bool) -> str:
        """Runs the stages; the text to print (a leaderboard when this job is not one of a sweep)."""
        with Termination():
            return self._tracked(stages, last=last)

    def _tracked(self, stages: Sequence[str], *, last: bool) -> str:
        failed = True
        try:
            self._announce()
            with companions(self.model):
                text = self._run(stages, last=last)
            failed = False
        finally:
            self._write_manifest("failed" if failed else "done")
            self.tracker.summary({"warnings": self.warnings})
            self._hand_over()
            self.tracker.finish(failed=failed)
        return text

    def help(self, stages: Sequence[str]) -> None:
        """Takes part in the passes of the same job in another process, and writes nothing but what they leave."""
        if splits(self.model):
            self.model.follow()
        elif self.selects(stages):
            with Termination():
                self._assist()

    def _assist(self) -> None:
        self._contamination()
        extractor = self.extractor(self.store, self.model)
        assist(self.pool, self.targets, self.selector, extractor, self.store)
        extractor.close()

    def trains(self, stages: Sequence[str]) -> bool:
        """Whether a model is to be trained: to evaluate one is to train it first."""
        return trains(stages, self.parts["train"])

    def selects(self, stages: Sequence[str]) -> bool:
        """Whether rows are to be selected: to train is to select first. For the base model none are."""
        return self.selector.selects and selects(stages, self.parts["train"])

    def _announce(self) -> None:
        """The tracker's run begins."""
        labels = self.labels
        self.tracker.start(
            f"{labels['selector']}-{labels['target']}-s{labels['seed']}",
            {**self.config, "labels": labels, "fingerprints": self.fingerprints, **provenance()},
            group=self.config["group"] or labels["pool"],
            tags=[f"{name}={labels[name]}" for name in ("selector", "target", "budget") if labels[name]],
        )

    def _hand_over(self) -> None:
        """The tracker gets the run's record; of one without a result its selection, of one without that nothing."""
        link = "run" if self.links.get("run") else "selection"
        kind = RECORD if link == "run" else link
        if self.links.get(link):
            files = bundle(self.store, self.links)
            self.tracker.artifact(f"{kind}-{self.links[link]}", kind, files, self.labels)

    def _run(self, stages: Sequence[str], *, last: bool) -> str:
        lines = []
        selection: Selection | None = None
        adapter: Artifact | None = None
        self._contamination()
        mismatch: list[str] = []
        if self.trains(stages) and "evaluate" in stages:
            mismatch = prompt_mismatch(self.parts["template"], self.parts["eval"])
            self.warn(mismatch)
        if self.selects(stages) and "evaluate" in stages:
            with alone():
                try_prompts(self.model, self.parts["eval"], self.store)
        if self.selects(stages):
            selection = self._select()
            lines.append(
                f"Selected {len(selection)} of {len(self.pool)} rows: {self.folder / 'selected.jsonl'}"
            )
        elif not self.selector.selects:
            log.info("%s: no row is selected; the model is evaluated as it is.", self.labels["selector"])
        if "report" in stages and selection is not None:
            self._characterise()
        if self.trains(stages) and selection is not None:
            adapter = self._train(selection)
        if "evaluate" in stages:
            evaluation = self._evaluate(adapter)
            write_json(self.folder / "results.json", read_json(evaluation.path / "results.json"))
        unused = model_warnings(self.model, self.store)
        self.warn(unused)
        if {"evaluate", "report"} & set(stages) and {"selection", "evaluation"} & set(self.links):
            facts = records.facts(self.config, selection, self.seconds, self.energy_wh, self.parts["cost"])
            facts |= {
                "warnings": [*mismatch, *unused],
                "truth": self.truth if self.parts["labelled"] else None,
                "fingerprints": self.fingerprints,
                **provenance(),
            }
            if adapter:
                facts["training"] = {name: adapter.manifest["key"][name] for name in TRAINING}
            facts["reference_rows"] = {target.name: len(target) for target in self.targets}
            self.links["run"] = record_run(self.store, dict(self.links), self.labels, facts).address
        if last and self.links.get("run"):
            with self._phase("report"):
                lines.append(
                    report(self.parts["report"], self.store, [str(self.links["run"])], self.folder / "report")
                )
        return "\n".join(lines)

    def _contamination(self) -> None:
        """Looks for evaluation items in the pool and the reference sets; leaves them out if asked to."""
        rule: Contamination | None = self.parts["contamination"]
        if rule is None:
            self.looked = {"checked": False, "said": [UNCHECKED]}
            self.warn([UNCHECKED])
            return
        made = contaminate(
            self.pool, self.targets, evaluator=self.parts.get("eval"), rule=rule, store=self.store
        )
        hits, said = read_hits(made), describe_look(made.manifest)
        self.looked = {"checked": True, "hits": len(hits), "said": said, **made.manifest["looked"]}
        rule.refuse_test_references(hits, self.targets)
        log.info("Contamination: %s", " ".join(said))
        self.warn(say_hits(hits))
        self.links["contamination"] = made.address
        if rule.exclude:
            self._exclude(hits)

    def _exclude(self, hits: Sequence[Hit]) -> None:
        """Leaves the rows out that are in the evaluation; says so where no evaluation was looked at."""
        if "eval" not in self.parts:
            self.warn([f"contamination.exclude=true leaves nothing out. {NO_EVALUATION}"])
            return
        before = len(self.pool)
        self.pool = decontaminated(self.pool, hits)
        log.info("%d rows that are in the evaluation were left out.", before - len(self.pool))

    def warn(self, messages: Sequence[str]) -> None:
        """Says these in the log and in the manifest."""
        for message in messages:
            self.warnings.append(message)
            log.warning("%s", message)

    def _select(self) -> Selection:
        with self._phase("select"):
            extractor = self.extractor(self.store, self.model)
            self.targets = self._with_answers(extractor)
            selection, made, scores = select(self.pool, self.targets, self.selector, extractor, self.store)
            extractor.close()
            for name in ("scores.parquet", LAYERS):
                if (made.path / name).is_file():  # few methods have layers
                    shutil.copyfile(made.path / name, self.folder / name)
            write_selected_rows(self.folder / "selected.jsonl", self.pool, selection)
        self.seconds["select"] = float(scores.manifest["seconds_from_nothing"])
        self.energy_wh["select"] = scores.manifest.get("energy_wh_from_nothing")
        self.fresh["select"] = scores.fresh
        self.links |= {"scores": scores.address, "selection": made.address}
        self.warn(heeded(scores.manifest, self.selector.order))
        table, _ = read_scores(scores)
        if table.exhaustive:
            self.labels["budget"] = WHOLE
        tell_selection(
            self.labels["selector"], table, scores, made, selection, self.pool, self.tracker,
            heeded=heeds(self.selector.order),
        )  # fmt: skip
        if self.truth_labels is not None:
            ranked = table if heeds(self.selector.order) else None
            self.truth = judge(self.truth_labels, selection, ranked, self.targets)
            tell_truth(self.truth, self.tracker)
        return selection

    def _with_answers(self, extractor: StoredExtractor) -> list[Target]:
        """The targets as the selection sees them: what has no answer to learn from is left out, and said."""
        found = with_answers(self.targets, extractor)
        gone = [(new.name, len(old) - len(new)) for old, new in zip(self.targets, found, strict=True)]
        self.warn(
            [
                f"Target {name}: {count} reference row(s) are left out, for their answer is empty or cut off."
                for name, count in gone
                if count
            ]
        )
        return found

    @cached_property
    def truth_labels(self) -> Labels | None:
        """The labels in the user's own rows, where the config names them."""
        labelled: Labelled | None = self.parts["labelled"]
        return labelled.of(self.pool) if labelled else None

    @property
    def given_labels(self) -> dict[str, list[str]]:
        """The families [N] in the user's own rows, by their column's name."""
        columns: TruthColumns | None = self.parts["truth"]
        labels = self.truth_labels
        if columns is None or columns.family is None or labels is None or labels.family is None:
            return {}
        return {columns.family: labels.family.tolist()}

    def extractor(self, store: Store, model: Model) -> StoredExtractor:
        """This job's extractor on a store. A method's warm-up is an ordinary artifact there, seen by no tracker."""
        from nait.signals.extractor import StoredExtractor

        def tune(pool: Pool, ids: Collection[str], trainer: Trainer, seed: int) -> Artifact | None:
            wanted = set(ids)
            rows = [example for example in pool.examples if example.id in wanted]
            keeps = of_the_first(store)
            with alone():
                return train_on(
                    rows, model=model, template=self.parts["template"], trainer=trainer, seed=seed, store=keeps,
                    tracker=Trackers([]),
                )  # fmt: skip

        return StoredExtractor(
            model, store, self.parts["template"], reference_template=self.parts["reference_template"],
            engine=self._engine(store), tune=tune,
        )  # fmt: skip

    def _engine(self, store: Store) -> Engine:
        """The engine; without a bar for a rehearsal, which is not progress."""
        engine: Engine = self.parts["engine"]
        return engine if store is self.store else replace(engine, progress=False)

    def _characterise(self) -> None:
        """What the pool's rows are by their texts and labels, for the report to hold selections against."""
        describer: Describer | None = self.parts["traits"]
        if describer is None:
            return
        with self._phase("traits"):
            made = characterise(self.pool, describer, self.store, given=self.given_labels)
        self.seconds["traits"] = made.seconds
        self.energy_wh["traits"] = made.energy_wh
        self.fresh["traits"] = made.fresh
        self.links["traits"] = made.address

    def _train(self, selection: Selection) -> Artifact | None:
        with self._phase("train"), alone():
            adapter = train(
                selection, self.pool, model=self.model, template=self.parts["template"], trainer=self.parts["train"],
                seed=self.config["seed"], store=self.store, tracker=self.tracker,
            )  # fmt: skip
        if adapter:
            self.seconds["train"] = adapter.seconds
            self.energy_wh["train"] = adapter.energy_wh
            self.fresh["train"] = adapter.fresh
            self.links["adapter"] = adapter.address
            self.warn([*adapter.manifest.get("warnings", ()), *cut_rows(adapter.manifest)])
        return adapter

    def _evaluate(self, adapter: Artifact | None) -> Artifact:
        with self._phase("evaluate"), alone():
            evaluation = evaluate(self.model, adapter, evaluator=self.parts["eval"], store=self.store)
        self.seconds["evaluate"] = evaluation.seconds
        self.energy_wh["evaluate"] = evaluation.energy_wh
        self.fresh["evaluate"] = evaluation.fresh
        self.links["evaluation"] = evaluation.address
        self.warn(evaluation.manifest["warnings"])
        tell_evaluation(evaluation, self.tracker)
        return evaluation

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        started, since = time.monotonic(), gauge().joules()
        self.stage = name
        self._write_manifest("running")
        yield
        elapsed = time.monotonic() - started
        self.tracker.summary({f"seconds/{name}": round(elapsed, 3)})
        log.info("%s took %.1f s.", name.capitalize(), elapsed)
        self.seconds[name] = self.elapsed[name] = elapsed
        self.energy_wh[name] = gauge().watt_hours(since)

    @property
    def fingerprints(self) -> dict[str, Any]:
        """What names the content that went in."""
        return records.fingerprints(self.model, self.pool, self.targets, self.parts["template"])

    def _foretold(self) -> dict[str, Mapping[str, Any]] | None:
        """What a plan of this job foretold, beside what came true; None where there is none."""
        scores = self.links.get("scores")
        if not scores:
            return None
        plan = plan_file(self.store, self.config, self.parts["train"].recipe, scores=scores)
        return outcome(plan, self.elapsed, self.fresh)

    def _write_manifest(self, status: str) -> None:
        manifest: dict[str, Any] = {
            "status": status,
            "stage": self.stage,
            "stages": list(self.config["stages"]),
            **self.labels,
            "budget": self.labels["budget"] or None,
            "links": self.links,
            "truth": self.truth,
            "fingerprints": self.fingerprints,
            "rows": records.read_rows(self.pool, self.targets),
            "contamination": self.looked,
            "seconds": records.rounded(self.seconds),
            "energy_wh": self.energy_wh,
            "plan": self._foretold(),
            "warnings": self.warnings,
            "config": self.config,
            **provenance(),
        }
        scores = self.store.find("scores", str(self.links["scores"])) if self.links.get("scores") else None
        if scores:
            keys = ("definition", "unit", "ineligible", "length_correlation", "diagnostics")
            manifest["scores"] = {key: scores.manifest[key] for key in keys}
        write_json(self.folder / "run.json", plain(manifest, finite=False))
