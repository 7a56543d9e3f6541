"""Plans: the work and the cost of a job, before it starts.

A plan runs the real stages on temporary overlays of the job's store. An overlay that refuses to compute shows which
artifacts the store lacks. A rehearsal on a few rows, in another overlay, gives the time for the whole pool.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from nait.core.addresses import address, canonical
from nait.core.contracts import AdapterTrainer, Describer, Sizes
from nait.core.estimates.plans import Pass, Phase, Plan, known_seconds
from nait.core.estimates.training_memory import describe as describe_memory
from nait.core.ranking.budgets import asked_rows
from nait.core.ranking.selection import Selection
from nait.planning.dry_run_doubles import NotStored, OverlayStore, StepClock, TimedModel
from nait.planning.inputs import Work
from nait.planning.subsample import draw
from nait.planning.timings.evaluation_timing import UNKNOWN, evaluated_kind, time_evaluation
from nait.planning.timings.select_timing import Rehearsal, is_targetless
from nait.planning.timings.train_timing import time_steps
from nait.planning.timings.trait_timing import time_traits
from nait.planning.token_estimates import TokenEstimates, counted, extrapolated
from nait.stages.artifacts.stored_names import stored_names
from nait.stages.checks.minimum_effect import effects_of_suite
from nait.stages.describe_pool import characterise
from nait.stages.evaluate import evaluate
from nait.stages.select import select, with_answers
from nait.stages.train import train
from nait.store import Artifact, Store

PLAN_SECONDS = 30.0
TOKEN_ROWS = 500
_TIMED: dict[str, tuple[float | None, str]] = {}
"""Address of suite and model -> the predicted time of an evaluation: the jobs of a sweep often share both."""


@dataclass
class Planner:
    """Plans one job, phase by phase.

    The fields after `seconds` are results of earlier phases that later phases and the plan need.
    `opening_seconds`: the time to load the model and its tokenizer.
    """

    work: Work
    store: Store
    scratch: Path
    seconds: float = PLAN_SECONDS
    scores: str = ""
    selection: Selection | None = None
    tokens: TokenEstimates | None = None
    counted_rows: int | None = None
    exhaustive: bool = False
    targetless: bool = False
    passes: list[Pass] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    opening_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.timed = TimedModel(self.work.model)
        self.overlay = OverlayStore(self.scratch / "rehearsal", self.store, timed=self.timed)
        self.extractor = self.work.extractor(self.overlay, self.timed)

    def plan(self) -> Plan:
        """The plan. Raises: NaitError for anything that the job would refuse."""
        if (
            self.work.select
        ):  # tokenizes the targets into the overlay, where stores that refuse encodings find them
            self.work = replace(self.work, targets=with_answers(self.work.targets, self.extractor))
        work = self.work
        phases = [self._select()] if work.select else []
        if work.describer is not None:
            phases.append(self._read_traits(work.describer))
        trains = work.trainer is not None and work.trainer.recipe is not None
        adapter: Artifact | None = None
        if trains:
            phase, adapter = self._train()
            phases.append(phase)
        if work.evaluator is not None:
            phases.append(self._evaluate(adapter, known=not trains or adapter is not None))
        self.extractor.close()
        tokens, total = self.tokens, known_seconds(phases)
        sizes: Mapping[str, int] = work.evaluator.sizes() if isinstance(work.evaluator, Sizes) else {}
        shown = () if work.evaluator is None else effects_of_suite(work.evaluator, self.store, seeds=1)
        return Plan(
            rows=len(work.pool), targets={target.name: len(target) for target in work.targets},
            tokens=None if tokens is None else tokens.total,
            shared_tokens=0 if tokens is None else tokens.shared, counted_rows=self.counted_rows,
            padded_share=None if tokens is None else tokens.padded_share,
            phases=tuple(phases), scores=self.scores, pool=work.pool.fingerprint, passes=tuple(self.passes),
            opening_seconds=self.opening_seconds,
            memory_bytes=self.timed.size.weight_bytes + self._chunk_bytes(),
            training_memory=self._training_memory(), detectable=shown,
            eval_items=shown[0].items if shown else sum(sizes.values()) or None,
            device_hours=work.cost.device_hours(total), money=work.cost.money(total), currency=work.cost.currency,
            notes=tuple(self.notes), results=self._results(trains=trains),
        )  # fmt: skip

    def _results(self, *, trains: bool) -> dict[str, str]:
        """Phase -> the address of what decides its result, as far as a plan knows it."""
        work, selector = self.work, self.work.selector
        shared = self.targetless and not wraps(selector.config["selector"])
        targets = [] if shared else [[one.name, self.extractor.identity(one)] for one in work.targets]
        chosen = {
            "selector": stored_names(selector.config["selector"]), "pool": self.extractor.identity(work.pool),
            "targets": targets,
        }  # fmt: skip
        cut = (
            {}
            if self.exhaustive
            else {name: stored_names(selector.config[name]) for name in ("order", "budget")}
        )
        trained = {
            **chosen,
            **cut,
            "recipe": work.trainer.recipe if work.trainer else None,
            "seed": work.seed,
        }
        found = {"select": address(chosen)} if work.select else {}
        found |= {"train": address(trained)} if trains else {}
        if work.evaluator is not None:
            suite = {"suite": canonical(work.evaluator.key()), "model": work.model.fingerprint}
            found["evaluate"] = address({**suite, "trained": trained if trains else None})
        return found

    def _select(self) -> Phase:
        started = time.monotonic()
        missing = self._first_missing("scores")
        self.scores = missing.address if missing else self.scores
        if missing is None:
            self.tokens = self._stored_tokens()
            return Phase("select", stored=True, seconds=0.0, how="its scores are in the store")
        if self._first_missing("encodings", "passes", "adapters") is None:
            self.tokens = self._stored_tokens()
            took = time.monotonic() - started
            return Phase("select", stored=False, seconds=took, how="its measurements are in the store")
        self.tokens = self._stored_tokens() or self._expected_tokens()
        rehearsal = Rehearsal(
            self.work, self.extractor, self.overlay, self.timed, self.store, self.tokens, self.seconds
        )
        seconds = rehearsal.predict()
        self.opening_seconds, self.exhaustive = rehearsal.opening_seconds, rehearsal.exhaustive
        self.targetless = rehearsal.targetless
        self.passes, self.notes = rehearsal.passes, rehearsal.notes
        return Phase("select", stored=False, seconds=seconds, how="from a rehearsal on some rows")

    def _first_missing(self, *refused: str) -> NotStored | None:
        """The first artifact of these kinds that selection needs and the store lacks; None if it has all."""
        overlay = OverlayStore(self.scratch / "-".join(refused), self.overlay, refused=refused)
        extractor = self.work.extractor(overlay, self.work.model)
        try:
            self.selection, _, scores = select(
                self.work.pool, self.work.targets, self.work.selector, extractor, overlay
            )
        except NotStored as missing:
            return missing
        finally:
            extractor.close()
        self.scores = scores.address
        self.exhaustive = bool(scores.manifest["exhaustive"])
        self.targetless = is_targetless(scores, self.work.targets)
        return None

    def _stored_tokens(self) -> TokenEstimates | None:
        """Tokens of the pool from the store; None if it lacks them."""
        overlay = OverlayStore(self.scratch / "tokens", self.store, refused=("encodings",))
        try:
            return counted(
                self.work.extractor(overlay, self.work.model).tokens(self.work.pool), self.work.engine
            )
        except NotStored:
            return None

    def _expected_tokens(self) -> TokenEstimates:
        """Tokens of the pool, extrapolated from a sample that is tokenized."""
        pool = self.work.pool
        drawn = draw(pool, TOKEN_ROWS)
        self.counted_rows = len(drawn) if len(drawn) < len(pool) else None
        table = self.extractor.tokens(drawn)
        return extrapolated(pool, drawn, table, self.work.engine, most=self.work.model.max_length)

    def _chunk_bytes(self) -> int:
        """Bytes of a pass's results that are buffered in memory before a write."""
        if self.tokens is None or not self.passes:
            return 0
        share = min(1.0, self.work.engine.chunk_tokens / max(1, self.tokens.total))
        return int(share * max(one.disk_bytes for one in self.passes))

    def _read_traits(self, describer: Describer) -> Phase:
        overlay = OverlayStore(self.scratch / "traits", self.store, refused=("traits",))
        try:
            characterise(self.work.pool, describer, overlay, given=self.work.given)
            return Phase("traits", stored=True, seconds=0.0, how="they are in the store")
        except NotStored:
            seconds = time_traits(self.work.pool, describer)
            return Phase("traits", stored=False, seconds=seconds, how="from the texts of some rows")

    def _train(self) -> tuple[Phase, Artifact | None]:
        work = self.work
        assert work.trainer is not None
        if self.selection is not None:
            overlay = OverlayStore(self.scratch / "adapters", self.store, refused=("adapters",))
            try:
                found = train(
                    self.selection, work.pool, model=work.model, template=work.template, trainer=work.trainer,
                    seed=work.seed, store=overlay, tracker=StepClock(0.0),
                )  # fmt: skip
                return Phase("train", stored=True, seconds=0.0, how="its adapter is in the store"), found
            except NotStored:
                pass
        rows = self._selected_rows()
        if (
            self.selection is None
            and not self.exhaustive
            and asked_rows(work.selector.budget, len(work.pool)) is None
        ):
            self.notes.append(
                "How many rows this budget selects depends on their lengths, and so on the method: training is "
                f"planned for {rows:,}, as if it selected the pool's rows in the order of their ids."
            )
        seconds, how = time_steps(
            work, work.trainer, rows, self.selection,
            model=self.timed, store=self.overlay, seconds=self.seconds,
        )  # fmt: skip
        return Phase("train", None if self.selection is None else False, seconds, how), None

    def _training_memory(self) -> str:
        """A line on the memory of training; empty for a job that does not train."""
        recipe = self.work.trainer.recipe if self.work.trainer else None
        return describe_memory(recipe, self.timed.size) if recipe and self.timed.size.parameters else ""

    def _selected_rows(self) -> int:
        work = self.work
        if self.selection is not None:
            return len(self.selection)
        if self.exhaustive or self.tokens is None:
            return len(work.pool)
        least = int(self.tokens.answers.argmin())  # first: a token budget refuses a first row that exceeds it
        ranking = np.concatenate([[least], np.delete(np.arange(len(work.pool)), least)])
        return work.selector.budget(ranking, self.tokens.answers)

    def _evaluate(self, adapter: Artifact | None, *, known: bool) -> Phase:
        work = self.work
        assert work.evaluator is not None
        if known:
            overlay = OverlayStore(self.scratch / "evaluations", self.store, refused=("evaluations",))
            try:
                evaluate(work.model, adapter, evaluator=work.evaluator, store=overlay)
                return Phase("evaluate", stored=True, seconds=0.0, how="it is in the store")
            except NotStored:
                pass
        suite, model = canonical(work.evaluator.key()), work.model.fingerprint
        own = evaluated_kind(work.trainer.recipe if work.trainer else None)
        earlier = self._earlier_evaluations(suite, model)
        seconds: float | None
        if alike := earlier.pop(own, None):
            seconds, how = median(alike), f"median of {len(alike)} earlier evaluation(s)"
        else:
            seconds, how = self._time_evaluation(suite, model)
        if seconds is None and earlier:
            kind, others = max(earlier.items(), key=lambda one: len(one[1]))
            seconds, how = median(others), f"median of {len(others)} earlier evaluation(s) of {kind}"
        return Phase("evaluate", False if known else None, seconds, how)

    def _earlier_evaluations(self, suite: Any, model: str) -> dict[str, list[float]]:
        """Kind of what was evaluated -> the seconds of the store's evaluations of this suite with this model."""
        adapters = self.store.artifacts("adapters")
        kinds = {one.address: evaluated_kind(one.manifest["key"].get("recipe")) for one in adapters}
        found: dict[str, list[float]] = {}
        for one in self.store.artifacts("evaluations"):
            key = one.manifest["key"]
            if key["suite"] == suite and key["model"] == model:
                adapter = key["adapter"]
                kind = evaluated_kind(None) if adapter is None else kinds.get(adapter, UNKNOWN)
                found.setdefault(kind, []).append(one.seconds)
        return found

    def _time_evaluation(self, suite: Any, model: str) -> tuple[float | None, str]:
        """The time of the evaluation, with the layers of an adapter if one is trained, and its origin."""
        trainer: object = self.work.trainer
        evaluator = self.work.evaluator
        assert evaluator is not None
        recipe = (self.work.trainer.recipe if self.work.trainer else None) or {}
        adapting = trainer if recipe and isinstance(trainer, AdapterTrainer) else None
        shape = recipe.get("lora", recipe) if adapting else None
        name = address({"suite": suite, "model": model, "adapter": shape})
        if name not in _TIMED:
            folder = adapting.save_untrained(self.timed, self.scratch / "adapter") if adapting else None
            scratch = self.scratch / "evaluation"
            _TIMED[name] = time_evaluation(
                evaluator, self.timed, scratch, seconds=self.seconds, adapter=folder
            )
        return _TIMED[name]


def wraps(config: Any) -> bool:
    """Whether the config of a method contains another class, which may depend on the target."""
    parts = (
        config.values()
        if isinstance(config, Mapping)
        else config
        if isinstance(config, (list, tuple))
        else ()
    )
    return any((isinstance(part, Mapping) and "_target_" in part) or wraps(part) for part in parts)


def make_plan(work: Work, store: Store, scratch: Path, *, seconds: float = PLAN_SECONDS) -> Plan:
    """The plan of a job. Its rehearsals take about `seconds`; they write under `scratch` only."""
    return Planner(work, store, scratch, seconds).plan()
