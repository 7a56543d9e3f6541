"""Plan: a job in, what it would do and take out, before anything is started.

The stages themselves are asked, on stores that write elsewhere: one that refuses to compute says what the real store
has; one for a few rows of the pool says what the rest would take. Whatever they write is thrown away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np

from nait.core.address import canonical, unit_interval
from nait.core.contracts import Evaluator, Model, Requests, Trainer
from nait.core.costs import Cost
from nait.core.errors import ConfigError, ModelError, NaitError
from nait.core.examples import Example, Pool, Target
from nait.core.plans import (
    Ints,
    Pass,
    Phase,
    Plan,
    characters,
    expected,
    known_seconds,
    per_unit,
    updates,
)
from nait.core.selection import Selection
from nait.models.batches import padded_share
from nait.models.batches import plan as plan_batches
from nait.models.templates import Template
from nait.planning.doubles import STEPS, Aside, Clock, Enough, NotStored, Timed
from nait.planning.samples import bytes_of, draw, draw_target, eligible, first, part_of, updates_rows
from nait.signals.extractor import StoredExtractor
from nait.signals.passes import Engine
from nait.signals.readings import Embedding
from nait.stages.evaluate import evaluate
from nait.stages.foresee import foreseen
from nait.stages.select import Selector, select
from nait.stages.train import train, train_on
from nait.store import Artifact, Store

PLAN_SECONDS = 30.0
TOKEN_ROWS = 500
FEW_ROWS = 24
MANY_ROWS = 1024
TARGET_ROWS = 512
"""Reference rows in all that a rehearsal reads; of larger sets a draw, and the rest by their number."""


@dataclass(frozen=True)
class Work:
    """What a job would do: `trainer` and `evaluator` None where it has no such phase, `select` False likewise.

    `extractor` makes the job's extractor on another store, for the same model as another object.
    """

    pool: Pool
    targets: Sequence[Target]
    selector: Selector
    model: Model
    template: Template
    engine: Engine
    extractor: Callable[[Store, Model], StoredExtractor]
    seed: int
    cost: Cost
    select: bool = True
    trainer: Trainer | None = None
    evaluator: Evaluator | None = None


@dataclass
class Planner:
    """Makes the plan of one job; what its phases learn of each other stands in the fields."""

    work: Work
    store: Store
    scratch: Path
    seconds: float = PLAN_SECONDS
    scores: str = ""
    selection: Selection | None = None
    lengths: Ints | None = None
    answers: Ints | None = None
    exhaustive: bool = False
    passes: list[Pass] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    opening: float = 0.0

    def __post_init__(self) -> None:
        self.timed = Timed(self.work.model)
        self.aside = Aside(self.scratch / "rehearsal", self.store)
        self.extractor = self.work.extractor(self.aside, self.timed)

    def plan(self) -> Plan:
        """The plan. Raises: NaitError for what the job itself would refuse."""
        work = self.work
        phases = [self._select()] if work.select else []
        trains = work.trainer is not None and work.trainer.recipe is not None
        adapter: Artifact | None = None
        if trains:
            phase, adapter = self._train()
            phases.append(phase)
        if work.evaluator is not None:
            phases.append(self._evaluate(adapter, known=not trains or adapter is not None))
        self.extractor.close()
        lengths, total = self.lengths, known_seconds(phases)
        shown = () if work.evaluator is None else foreseen(work.evaluator, self.store, seeds=1)
        batches = None if lengths is None else plan_batches(lengths, work.engine.batch_tokens)
        return Plan(
            rows=len(work.pool), targets={target.name: len(target) for target in work.targets},
            tokens=None if lengths is None else int(lengths.sum()),
            padded_share=None if lengths is None or batches is None else padded_share(lengths, batches),
            phases=tuple(phases), scores=self.scores, passes=tuple(self.passes), opening_seconds=self.opening,
            memory_bytes=self.timed.weight_bytes + self._chunk_bytes(), detectable=shown,
            eval_items=shown[0].items if shown else None,
            device_hours=work.cost.device_hours(total), money=work.cost.money(total), currency=work.cost.currency,
            notes=tuple(self.notes),
        )  # fmt: skip

    # Select.

    def _select(self) -> Phase:
        started = time.monotonic()
        missing = self._ask("scores")
        self.scores = missing.address if missing else self.scores
        if missing is None:
            self._count_tokens(stored_only=True)
            return Phase("select", stored=True, seconds=0.0, how="its scores are in the store")
        if self._ask("encodings", "passes", "adapters") is None:
            self._count_tokens(stored_only=True)
            took = time.monotonic() - started
            return Phase("select", stored=False, seconds=took, how="all it measures is in the store")
        self._count_tokens()
        return Phase("select", stored=False, seconds=self._rehearse(), how="from a rehearsal on some rows")

    def _ask(self, *refused: str) -> NotStored | None:
        """Selects on a store that refuses to compute these kinds: what it lacks, None if it lacks nothing."""
        aside = Aside(self.scratch / "-".join(refused), self.store, refused=refused)
        extractor = self.work.extractor(aside, self.work.model)
        try:
            self.selection, _, scores = select(
                self.work.pool, self.work.targets, self.work.selector, extractor, aside
            )
        except NotStored as missing:
            return missing
        finally:
            extractor.close()
        self.scores = scores.address
        return None

    def _count_tokens(self, *, stored_only: bool = False) -> None:
        """Each row's tokens: the store's where it has them, else expected from some rows that are tokenised."""
        pool = self.work.pool
        aside = Aside(self.scratch / "tokens", self.store, refused=("encodings",))
        try:
            table = self.work.extractor(aside, self.work.model).tokens(pool)
            self.lengths, self.answers = table.lengths, table.answer_tokens
            return
        except NotStored:
            if stored_only:
                return
        drawn = draw(pool, TOKEN_ROWS)
        table = self.extractor.tokens(drawn)
        places = {key: row for row, key in enumerate(pool.ids)}
        rows = np.asarray([places[key] for key in drawn.ids])
        most = self.work.model.max_length
        self.lengths = expected(characters(pool.examples), rows, table.lengths, most=most)
        share = float(table.answer_tokens.sum()) / max(1, int(table.lengths.sum()))
        self.answers = np.maximum(1, np.rint(share * self.lengths)).astype(np.int64)

    def _rehearse(self) -> float:
        """Seconds of the select phase: once with all that a start costs, then by what more rows cost."""
        targets, times = self._references()
        few = draw(self.work.pool, FEW_ROWS)
        seconds = self._time(few, targets)
        self.opening = self.timed.seconds  # before a model that the method tunes is opened once more
        seconds += self.opening + (times - 1) * self._seconds_over({one.fingerprint for one in targets})
        full, begun = self._padded(self.work.pool), self._padded(few)
        a_token, sample = self._more(few, targets, seconds - self.opening)
        seconds += a_token * (full - begun)
        if not isinstance(self.work.selector.scorer, Requests) and self.aside.artifacts("passes"):
            self.notes.append(
                "Select is a lower bound: the method does not say beforehand what it measures, and may measure less "
                "of a few rows than of the pool."
            )
        return max(0.0, seconds - self._note_passes(sample, full / self._padded(sample)))

    def _more(self, few: Pool, targets: Sequence[Target], spent: float) -> tuple[float, Pool]:
        """Seconds a padded token of the pool, and the larger of the two rehearsals they come from.

        Both find what the first one left: their difference is that of their rows alone.
        """
        if few is self.work.pool:
            return 0.0, few
        alone = self._seconds_over({few.fingerprint})
        count = min(MANY_ROWS, int(len(few) * 0.8 * (self.seconds - spent) / max(alone, 1e-9)))
        if count < 2 * FEW_ROWS:
            return alone / self._padded(few), few
        other, many = draw(self.work.pool, FEW_ROWS, after=FEW_ROWS), self._batches(count)
        small, large = ((self._padded(rows), self._time(rows, targets)) for rows in (other, many))
        return per_unit(small, large), many

    def _batches(self, rows: int) -> Pool:
        """About so many rows: whole batches of the real plan, spread over it, so that they pad as it does."""
        pool = self.work.pool
        assert self.lengths is not None
        batches = plan_batches(self.lengths, self.work.engine.batch_tokens)
        count = rows * len(batches) // len(pool)
        if count < 2 or rows >= len(pool):
            return draw(pool, rows)
        places = (np.arange(count) + 0.5) * len(batches) / count
        chosen = np.sort(np.concatenate([batches[int(place)] for place in places]))
        return part_of(pool, [pool.examples[row] for row in chosen])

    def _time(self, rows: Pool, targets: Sequence[Target]) -> float:
        """Seconds of the select phase on these rows, without the opening of models."""
        opened, started = self.timed.seconds, time.monotonic()
        self._run(rows, targets)
        return time.monotonic() - started - (self.timed.seconds - opened)

    def _references(self) -> tuple[Sequence[Target], float]:
        """The reference sets to rehearse with, and how many times as many rows the real ones have."""
        targets = self.work.targets
        total = sum(len(target) for target in targets)
        if total <= TARGET_ROWS:
            return targets, 1.0
        share = TARGET_ROWS / total
        drawn = [draw_target(target, max(8, round(share * len(target)))) for target in targets]
        return drawn, total / sum(len(target) for target in drawn)

    def _run(self, sample: Pool, targets: Sequence[Target]) -> None:
        """The select phase on these rows; one plain pass over them for a method that needs more of them."""
        selector = replace(self.work.selector, order=eligible, budget=first)
        try:
            _, _, scores = select(sample, targets, selector, self.extractor, self.aside)
            self.exhaustive = bool(scores.manifest["exhaustive"])
        except (ConfigError, ModelError):
            raise  # the job itself would refuse, too
        except NaitError as error:
            note = f"Select is a lower bound, one plain pass: so few rows were not rated ({error})"
            self.notes = [*(kept for kept in self.notes if kept != note), note]
            self.extractor.measure(sample, [Embedding()])

    def _padded(self, rows: Pool) -> float:
        """Padded tokens of the batches of these rows of the pool: what a pass over them costs."""
        assert self.lengths is not None
        wanted = set(rows.ids)
        lengths = self.lengths[[key in wanted for key in self.work.pool.ids]]
        share = padded_share(lengths, plan_batches(lengths, self.work.engine.batch_tokens))
        return float(lengths.sum()) / (1.0 - share)

    def _seconds_over(self, fingerprints: Collection[str]) -> float:
        """Seconds of the rehearsal's passes over these examples and of their tokenisation."""
        signals = self.aside.artifacts("signals")
        made_in = {s.manifest["pass"] for s in signals if s.manifest["key"]["examples"] in fingerprints}
        coded = [
            a for a in self.aside.artifacts("encodings") if a.manifest["key"]["examples"] in fingerprints
        ]
        passes = [one for one in self.aside.artifacts("passes") if one.address in made_in]
        return sum(one.seconds for one in (*coded, *passes))

    def _note_passes(self, sample: Pool, times: float) -> float:
        """Notes the passes over the pool; the seconds of those that the real store has already."""
        over: dict[str, list[Artifact]] = {}
        for signal in self.aside.artifacts("signals"):
            if signal.manifest["key"]["examples"] == sample.fingerprint:
                over.setdefault(signal.manifest["pass"], []).append(signal)
        saved = 0.0
        for name, signals in over.items():
            made = self.aside.find("passes", name)
            assert made is not None
            keys = [{**one.manifest["key"], "examples": self.work.pool.fingerprint} for one in signals]
            stored = all(self.store.find("signals", key) for key in keys)
            size = sum(bytes_of(path, len(sample), len(self.work.pool)) for path in made.path.glob("*.npy"))
            self.passes.append(Pass(tuple(key["signal"] for key in keys), stored, size))
            saved += made.seconds * times if stored else 0.0
        return saved

    def _chunk_bytes(self) -> int:
        """Results of a pass that wait in memory for the next write."""
        if self.lengths is None or not self.passes:
            return 0
        share = min(1.0, self.work.engine.chunk_tokens / max(1, int(self.lengths.sum())))
        return int(share * max(one.disk_bytes for one in self.passes))

    # Train.

    def _train(self) -> tuple[Phase, Artifact | None]:
        work = self.work
        assert work.trainer is not None
        if self.selection is not None:
            aside = Aside(self.scratch / "adapters", self.store, refused=("adapters",))
            try:
                found = train(
                    self.selection, work.pool, model=work.model, template=work.template, trainer=work.trainer,
                    seed=work.seed, store=aside, tracker=Clock(0.0),
                )  # fmt: skip
                return Phase("train", stored=True, seconds=0.0, how="its adapter is in the store"), found
            except NotStored:
                pass
        stored = None if self.selection is None else False
        return Phase("train", stored, *self._time_steps(work.trainer)), None

    def _time_steps(self, trainer: Trainer) -> tuple[float | None, str]:
        """Seconds of a training on the selected rows, from its first steps on some of them."""
        work, count = self.work, self._selected_rows()
        steps = updates(trainer.recipe or {}, count)
        if steps is None:
            return None, "unknown: this recipe does not say how many steps it takes"
        rows = self._training_rows(min(count, STEPS * updates_rows(trainer.recipe or {})))
        started = time.monotonic()
        clock = Clock(started + self.seconds)
        with suppress(Enough):
            train_on(
                rows, model=self.timed, template=work.template, trainer=trainer, seed=work.seed,
                store=self.aside, tracker=clock,
            )  # fmt: skip
        times = clock.times
        if len(times) < 2:
            return time.monotonic() - started, f"from {len(times)} step(s)"
        a_step = (times[-1] - times[0]) / (len(times) - 1)
        took = times[0] - started + (steps - 1) * a_step
        return took, f"{steps} steps of {a_step:.3g} s on {count} rows, from {len(times)} of them"

    def _selected_rows(self) -> int:
        work = self.work
        if self.selection is not None:
            return len(self.selection)
        if self.exhaustive or self.answers is None:
            return len(work.pool)
        return work.selector.budget(np.arange(len(work.pool)), self.answers)

    def _training_rows(self, count: int) -> Sequence[Example]:
        if self.selection is not None:
            return [self.work.pool.examples[row] for row in self.selection.rows[:count]]
        answered = [example for example in self.work.pool.examples if example.answered]
        return sorted(answered, key=lambda example: unit_interval("plan", example.id))[:count]

    # Evaluate.

    def _evaluate(self, adapter: Artifact | None, *, known: bool) -> Phase:
        work = self.work
        assert work.evaluator is not None
        if known:
            aside = Aside(self.scratch / "evaluations", self.store, refused=("evaluations",))
            try:
                evaluate(work.model, adapter, evaluator=work.evaluator, store=aside)
                return Phase("evaluate", stored=True, seconds=0.0, how="it is in the store")
            except NotStored:
                pass
        suite, model = canonical(work.evaluator.key()), work.model.fingerprint
        earlier = [
            one.seconds
            for one in self.store.artifacts("evaluations")
            if one.manifest["key"]["suite"] == suite and one.manifest["key"]["model"] == model
        ]
        stored = False if known else None
        if not earlier:
            return Phase("evaluate", stored, None, "unknown: the store has no evaluation by this suite yet")
        return Phase("evaluate", stored, median(earlier), f"median of {len(earlier)} earlier evaluation(s)")


def make_plan(work: Work, store: Store, scratch: Path, *, seconds: float = PLAN_SECONDS) -> Plan:
    """The plan of a job, its rehearsals together about `seconds` long; nothing is written but under `scratch`."""
    return Planner(work, store, scratch, seconds).plan()
