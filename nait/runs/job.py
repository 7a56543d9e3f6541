"""Jobs: one method, one list of targets and one seed, with all parts built and no state of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nait.core.contracts import Describer, Evaluator, Model, Reporter, Tracker, Trainer
from nait.core.dataset.contamination import Contamination
from nait.core.dataset.examples import Pool, Target
from nait.core.estimates.costs import Cost
from nait.core.ranking.ground_truth import Labels, TruthColumns
from nait.models.prompts.templates import Template
from nait.runs.job_checks import CONTROL
from nait.runs.processes.launch import main_process_store, without_launcher
from nait.runs.records.recorded_config import RecordedConfig
from nait.runs.truth_labels import PoolLabels
from nait.stages.select import Selector
from nait.stages.train import for_pool, train_on
from nait.store import Artifact, Store
from nait.tracking.trackers import Trackers

if TYPE_CHECKING:
    from nait.signals.extractor import StoredExtractor
    from nait.signals.passes.options import Engine


@dataclass(frozen=True)
class Parts:
    """The objects that a config names, one field each; None where the config has none or no stage needs it."""

    model: Model
    template: Template
    reference_template: Template | None
    engine: Engine
    selector: Selector
    trainer: Trainer
    evaluator: Evaluator | None
    describer: Describer | None
    reporter: Reporter
    cost: Cost
    contamination: Contamination | None
    truth: TruthColumns | None


def trains(stages: Sequence[str], trainer: Trainer) -> bool:
    """Whether these stages fine-tune a model. Evaluation implies training."""
    return bool({"train", "evaluate"} & set(stages)) and trainer.recipe is not None


def adapts(trainer: Trainer) -> bool:
    """Whether an adapter may be evaluated: not with the base model, nor with trained weights of the model's own."""
    recipe = trainer.recipe
    return recipe is not None and recipe.get("lora", recipe) is not None


def selects(stages: Sequence[str], trainer: Trainer) -> bool:
    """Whether these stages select rows. Training implies selection."""
    return "select" in stages or trains(stages, trainer)


@dataclass(frozen=True)
class Job:
    """Everything that a run or a dry run needs, built before any model is opened.

    `labels`: the names that tables show. `ground_truth`: labels of the pool's rows. `warnings`: findings of assembly.
    `configured_trainer`: the trainer whose length has yet to be derived from the pool; None without a training.
    """

    parts: Parts
    pool: Pool
    targets: tuple[Target, ...]
    ground_truth: PoolLabels | None
    labels: Mapping[str, Any]
    seed: int
    group: str
    folder: Path
    store: Store
    tracker: Tracker
    recorded: RecordedConfig
    warnings: tuple[str, ...] = ()
    configured_trainer: Trainer | None = None

    def with_pool(self, pool: Pool) -> Job:
        """The job on the rows that are left of its pool, from which the length of its training may follow."""
        if self.configured_trainer is None or pool.fingerprint == self.pool.fingerprint:
            return replace(self, pool=pool)
        parts = self.parts
        trainer = for_pool(self.configured_trainer, pool, model=parts.model, template=parts.template)
        return replace(self, pool=pool, parts=replace(parts, trainer=trainer))

    def trains(self, stages: Sequence[str]) -> bool:
        """Whether these stages fine-tune a model. Evaluation implies training."""
        return trains(stages, self.parts.trainer)

    def selects(self, stages: Sequence[str]) -> bool:
        """Whether these stages select rows. Training implies selection; the base model selects none."""
        return self.parts.selector.selects and selects(stages, self.parts.trainer)

    @property
    def tracked_labels(self) -> Mapping[str, Any]:
        """The labels for a tracker, which groups runs by them. A shuffled order is named `random`, as in tables."""
        is_control = self.parts.selector.is_control and not self.recorded.resolved["label"]
        return {**self.labels, "selector": CONTROL} if is_control else self.labels

    @cached_property
    def truth_labels(self) -> Labels | None:
        """Labels of the pool's rows, from the columns that the config names."""
        return self.ground_truth.of(self.pool) if self.ground_truth else None

    @property
    def given_labels(self) -> dict[str, list[str]]:
        """Families [N] from the pool's own rows, by the name of their column."""
        columns, labels = self.parts.truth, self.truth_labels
        if columns is None or columns.family is None or labels is None or labels.family is None:
            return {}
        return {columns.family: labels.family.tolist()}

    def extractor(self, store: Store, model: Model) -> StoredExtractor:
        """The job's extractor on a store. Warm-ups become adapters in that store and are not tracked."""
        from nait.signals.extractor import StoredExtractor

        parts = self.parts

        def tune(pool: Pool, ids: Collection[str], trainer: Trainer, seed: int) -> Artifact | None:
            wanted = set(ids)
            rows = [example for example in pool.examples if example.id in wanted]
            shared = main_process_store(store)
            with without_launcher():
                return train_on(
                    rows, model=model, template=parts.template, trainer=trainer, seed=seed, store=shared,
                    tracker=Trackers([]),
                )  # fmt: skip

        engine = parts.engine if store is self.store else replace(parts.engine, progress=False)
        return StoredExtractor(
            model,
            store,
            parts.template,
            reference_template=parts.reference_template,
            engine=engine,
            tune=tune,
        )
