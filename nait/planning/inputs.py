"""Inputs of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nait.core.contracts import Describer, Evaluator, Model, Trainer
from nait.core.dataset.examples import Pool, Target
from nait.core.estimates.costs import Cost
from nait.models.prompts.templates import Template
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.stages.select import Selector
from nait.store import Store


@dataclass(frozen=True)
class Work:
    """The phases of a job and their inputs.

    `trainer`, `evaluator` and `describer` are None, and `select` is False, for a job without that phase. `given`:
    label columns [N] of the user's rows, by name. `extractor` creates the job's extractor on a given store and model.
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
    describer: Describer | None = None
    given: Mapping[str, Sequence[str]] = field(default_factory=dict)
