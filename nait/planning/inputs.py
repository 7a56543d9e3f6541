"""Work: all that a plan is made of."""

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
    """What a job would do. `trainer`, `evaluator` and `describer`: None where it has no such phase, `select` False.

    `given`: labels [N] of the pool's own that go with its traits, by their columns' names. `extractor` makes the
    job's extractor on another store, for the same model as another object.
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
