"""A job: one selector, one target list, one seed, through the stages; what it leaves in its folder."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nait import records
from nait.core.address import address
from nait.core.contamination import Contamination
from nait.core.contracts import Describer, Model, Tracker, Trainer
from nait.core.errors import DataError
from nait.core.examples import Pool, Target
from nait.core.selection import Selection
from nait.core.truth import Labels, TruthColumns
from nait.core.truth import measure as measure_truth
from nait.energy import gauge
from nait.planning.doubles import Aside, NotStored
from nait.planning.planner import Work, make_plan
from nait.planning.texts import describe as say_plan
from nait.processes import alone, of_the_first
from nait.provenance import provenance
from nait.stages.characterise import characterise
from nait.stages.contaminate import contaminate, decontaminated, read_hits
from nait.stages.contaminate import describe as say_hits
from nait.stages.evaluate import evaluate
from nait.stages.evaluations import read_results
from nait.stages.report import record_run, report
from nait.stages.select import Selector, assist, describe, select
from nait.stages.tables import LAYERS, read_ranking, read_scores, write_selected_rows
from nait.stages.train import train, train_on
from nait.store import Artifact, Store, read_json, write_json
from nait.tracking.bundles import RECORD, bundle
from nait.tracking.trackers import Trackers

if TYPE_CHECKING:
    from nait.signals.extractor import StoredExtractor
    from nait.signals.passes import Engine

log = logging.getLogger("nait")

SHOWN_ROWS = 20
TRAINING = ("model", "template", "recipe")
"""Of an adapter's key, what a run's record tells, which goes where the weights do not."""
PLAN_VERSION = 1


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
    stage: str = "start"

    def run(self, stages: Sequence[str], *, last: bool) -> str:
        """Runs the stages; the text to print (a leaderboard when this job is not one of a sweep)."""
        failed = True
        try:
            self._announce()
            text = self._run(stages, last=last)
            failed = False
        finally:
            self._write_manifest("failed" if failed else "done")
            self._hand_over()
            self.tracker.finish(failed=failed)
        return text

    def help(self, stages: Sequence[str]) -> None:
        """Takes part in the passes of the same job in another process, and writes nothing but what they leave."""
        if self._selects(stages):
            self._contamination()
            extractor = self._extractor(self.store, self.model)
            assist(self.pool, self.targets, self.selector, extractor, self.store)
            extractor.close()

    def _trains(self, stages: Sequence[str]) -> bool:
        return bool({"train", "evaluate"} & set(stages)) and self.parts["train"].recipe is not None

    def _selects(self, stages: Sequence[str]) -> bool:
        return "select" in stages or self._trains(stages)

    def plan(self, stages: Sequence[str]) -> str:
        """What the stages would do and take, as text; left as `plan.json` and in the store."""
        trains = self._trains(stages)
        with tempfile.TemporaryDirectory(prefix="nait-plan-") as name:
            self._leave_out_if_known(Path(name) / "contamination")
            work = Work(
                pool=self.pool, targets=self.targets, selector=self.selector, model=self.model,
                template=self.parts["template"], engine=self.parts["engine"], extractor=self._extractor,
                seed=self.config["seed"], cost=self.parts["cost"], select=self._selects(stages),
                trainer=self.parts["train"] if trains else None,
                evaluator=self.parts["eval"] if "evaluate" in stages else None,
            )  # fmt: skip
            made = make_plan(work, self.store, Path(name))
        record = {**made.record(), "notes": [*made.notes, *self.warnings]}
        write_json(self.folder / "plan.json", record)
        if made.scores:
            kept = self._plan_file(made.scores)
            try:
                kept.parent.mkdir(parents=True, exist_ok=True)
                write_json(kept, record)
            except OSError as error:
                log.warning("The run itself will not know of this plan: %s", error)
        return (
            f"{self.labels['selector']}, {self.labels['target'] or 'no target'}, {self.labels['budget']}, "
            + (f"seed {self.labels['seed']}: {self.folder / 'plan.json'}\n{say_plan(made)}")
        )

    def _leave_out_if_known(self, scratch: Path) -> None:
        """Leaves out the rows that stand in the evaluation, where an earlier run has found them."""
        rule: Contamination | None = self.parts["contamination"]
        if rule is None:
            return
        store = Aside(scratch, self.store, refused=("contamination",))
        try:
            made = contaminate(
                self.pool, self.targets, evaluator=self.parts.get("eval"), rule=rule, store=store
            )
        except NotStored:
            if rule.exclude:
                self._warn(["The rows that stand in the evaluation are not known yet: the plan counts them."])
            return
        hits = read_hits(made)
        rule.refuse_test_references(hits, self.targets)
        if rule.exclude:
            self.pool = decontaminated(self.pool, hits, self.targets)

    def _plan_file(self, scores: str) -> Path:
        """Where the plan of a job with these scores is kept."""
        key = {
            "plan": PLAN_VERSION, "scores": scores, "order": self.config["order"], "budget": self.config["budget"],
            "recipe": self.parts["train"].recipe, "seed": self.config["seed"], "eval": self.config["eval"],
        }  # fmt: skip
        return self.store.root / "plans" / f"{address(key)}.json"

    def _announce(self) -> None:
        """The tracker's run begins."""
        labels = self.labels
        self.tracker.start(
            f"{labels['selector']}-{labels['target']}-s{labels['seed']}",
            {**self.config, "labels": labels, "fingerprints": self.fingerprints, **provenance()},
            group=self.config["group"] or labels["pool"],
            tags=[f"{name}={labels[name]}" for name in ("selector", "target", "budget")],
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
        if self._selects(stages):
            selection = self._select()
            lines.append(
                f"Selected {len(selection)} of {len(self.pool)} rows: {self.folder / 'selected.jsonl'}"
            )
        if "report" in stages and selection is not None:
            self._characterise()
        if self._trains(stages) and selection is not None:
            adapter = self._train(selection)
        if "evaluate" in stages:
            evaluation = self._evaluate(adapter)
            write_json(self.folder / "results.json", read_json(evaluation.path / "results.json"))
        if {"evaluate", "report"} & set(stages) and self.links:
            facts = records.facts(self.config, selection, self.seconds, self.energy_wh, self.parts["cost"])
            facts |= {"truth": self.truth, "fingerprints": self.fingerprints, **provenance()}
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
            return
        made = contaminate(
            self.pool, self.targets, evaluator=self.parts.get("eval"), rule=rule, store=self.store
        )
        hits = read_hits(made)
        rule.refuse_test_references(hits, self.targets)
        self._warn(say_hits(hits))
        self.links["contamination"] = made.address
        if rule.exclude:
            before = len(self.pool)
            self.pool = decontaminated(self.pool, hits, self.targets)
            log.info("%d rows that stand in the evaluation were left out.", before - len(self.pool))

    def _warn(self, messages: Sequence[str]) -> None:
        for message in messages:
            self.warnings.append(message)
            log.warning("%s", message)

    def _select(self) -> Selection:
        with self._phase("select"):
            extractor = self._extractor(self.store, self.model)
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
        self._tell(scores, made, selection)
        self._hold_against_truth(scores, selection)
        return selection

    def _extractor(self, store: Store, model: Model) -> StoredExtractor:
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
        """The engine; without a bar for a rehearsal, which is no progress."""
        engine: Engine = self.parts["engine"]
        return engine if store is self.store else replace(engine, progress=False)

    def _characterise(self) -> None:
        """What the pool's rows are by their texts and labels, for the report to hold selections against."""
        describer: Describer | None = self.parts["traits"]
        if describer is None:
            return
        columns: TruthColumns | None = self.parts["truth"]
        labels = self._labels
        given = {columns.family: labels.family.tolist()} if columns and labels else {}
        made = characterise(self.pool, describer, self.store, given=given)
        self.links["traits"] = made.address
        if made.fresh:
            log.info("Read the traits of %d rows in %.1f s.", len(self.pool), made.seconds)

    @cached_property
    def _labels(self) -> Labels | None:
        """The labels in the user's own rows, where the config names them."""
        columns: TruthColumns | None = self.parts["truth"]
        if columns is None or self.pool.source is None:
            return None
        lines = self.pool.source.lines([example.row for example in self.pool.examples])
        try:
            return columns.labels([json.loads(line) for line in lines])
        except KeyError as error:
            raise DataError(
                f"the rows have no column {error}",
                where="truth",
                mend="Name the label columns, or set truth=null.",
            ) from error

    def _hold_against_truth(self, scores: Artifact, selection: Selection) -> None:
        """What the selection is worth by the labels in the user's own rows."""
        labels = self._labels
        if labels is None:
            return
        table, _ = read_scores(scores)
        names = [target.name for target in self.targets]
        by_target = {name: table.column(name) for name in table.targets}
        self.truth = {
            name: round(value, 4)
            for name, value in measure_truth(labels, selection.rows, names, by_target).items()
        }
        self.tracker.summary({f"truth/{name}": value for name, value in self.truth.items()})
        log.info("By the labels: %s.", ", ".join(f"{name} {value:.2f}" for name, value in self.truth.items()))

    def _tell(self, scores: Artifact, made: Artifact, selection: Selection) -> None:
        """What the log and the tracker hear of a selection."""
        table, _ = read_scores(scores)
        log.info("%s: %s; %d selected.", self.labels["selector"], describe(table), len(selection))
        for name, rho in scores.manifest["length_correlation"].items():
            log.info("%s: Spearman's rho of the score with token length: %s", name, rho)
        for name, facts in scores.manifest["diagnostics"].items():
            log.info("%s: %s", name, json.dumps(facts))
        self._warn(scores.manifest["warnings"])
        for name in table.targets:
            values = table.column(name)
            self.tracker.histogram(f"scores/{name}", np.asarray(values[np.isfinite(values)]))
        places = {key: row for row, key in enumerate(self.pool.ids)}
        ranking = read_ranking(made)
        for title, keys in (("top", ranking[:SHOWN_ROWS]), ("bottom", ranking[-SHOWN_ROWS:])):
            rows = [self._show(places[key], table.values) for key in keys]
            self.tracker.table(f"examples/{title}", ["id", "scores", "instruction", "answer"], rows)

    def _show(self, row: int, values: Any) -> list[Any]:
        example = self.pool.examples[row]
        turn = example.turns[0]
        scores = " ".join(f"{value:.4g}" for value in values[row])
        return [example.id, scores, f"{turn.instruction}\n{turn.input}".strip()[:500], turn.answer[:500]]

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
        return adapter

    def _evaluate(self, adapter: Artifact | None) -> Artifact:
        with self._phase("evaluate"), alone():
            evaluation = evaluate(self.model, adapter, evaluator=self.parts["eval"], store=self.store)
        self.seconds["evaluate"] = evaluation.seconds
        self.energy_wh["evaluate"] = evaluation.energy_wh
        self.fresh["evaluate"] = evaluation.fresh
        self.links["evaluation"] = evaluation.address
        self._warn(evaluation.manifest["warnings"])
        results = read_results(evaluation.path)
        self.tracker.summary({f"eval/{r.task}/{r.metric}": r.value for r in results if r.primary})
        columns = ["task", "metric", "filter", "value", "stderr", "n"]
        self.tracker.table(
            "evaluation", columns, [[getattr(r, column) for column in columns] for r in results]
        )
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

    def _planned(self) -> dict[str, Any] | None:
        """Predicted and true seconds of the phases whose results the plan, as this run, had to make; or had not."""
        kept = self._plan_file(str(self.links["scores"])) if self.links.get("scores") else None
        if kept is None or not kept.is_file():
            return None
        phases = {
            phase["name"]: phase["seconds"]
            for phase in read_json(kept)["phases"]
            if phase["name"] in self.elapsed and bool(phase["stored"]) != self.fresh.get(phase["name"])
        }
        return {
            "predicted": {
                name: records.rounded({name: s})[name] if s is not None else None
                for name, s in phases.items()
            },
            "seconds": records.rounded({name: self.elapsed[name] for name in phases}),
        }

    def _write_manifest(self, status: str) -> None:
        read: list[Pool | Target] = [self.pool, *self.targets]
        manifest: dict[str, Any] = {
            "status": status,
            "stage": self.stage,
            "stages": list(self.config["stages"]),
            **self.labels,
            "links": self.links,
            "truth": self.truth,
            "fingerprints": self.fingerprints,
            "rows": {one.name: records.counts(one) for one in read},
            "seconds": records.rounded(self.seconds),
            "energy_wh": self.energy_wh,
            "plan": self._planned(),
            "warnings": self.warnings,
            "config": self.config,
            **provenance(),
        }
        scores = self.store.find("scores", str(self.links["scores"])) if self.links.get("scores") else None
        if scores:
            keys = ("definition", "unit", "ineligible", "length_correlation", "diagnostics")
            manifest["scores"] = {key: scores.manifest[key] for key in keys}
        write_json(self.folder / "run.json", json.loads(json.dumps(manifest, default=str)))
