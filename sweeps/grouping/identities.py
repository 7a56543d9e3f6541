"""Run identities: all settings and contents that determine a run's numbers, except its seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nait.core.addresses import address
from nait.store import Artifact
from nait.sweeps.grouping.recorded_facts import MERGING, Facts, RecordedFacts
from nait.sweeps.stored_runs.method_names import is_base
from nait.sweeps.stored_runs.run_set import RunSet

SEED = "seed"
RUN_SEED = ""
"""Replaces the value of a seed that follows the run's, so that runs of different seeds compare equal."""


@dataclass(frozen=True)
class Identity:
    """Everything that determines the addresses of a run's artifacts, except the run's seed.

    `method`: selector, order, budget and reference sets. The other four facts determine the table. `unknown`: the
    parts known only by name and settings. `targetless`: the scores are the same for every target. `exhaustive`: every
    eligible row is selected at any budget.
    """

    method: Facts
    model: Facts
    pool: Facts
    recipe: Facts
    evaluation: Facts
    unknown: tuple[str, ...] = ()
    targetless: bool = False
    exhaustive: bool = False

    @property
    def table(self) -> tuple[str, ...]:
        """The key of the run's table."""
        return tuple(address(part) for part in (self.model, self.pool, self.recipe, self.evaluation))

    @property
    def benchmark(self) -> tuple[str, ...]:
        """The key of the model and the evaluation, without how an adapter is run."""
        facts = {key: value for key, value in self.evaluation.items() if key != f"eval.{MERGING}"}
        return address(self.model), address(facts)

    @property
    def seeds(self) -> dict[str, str]:
        """The seeds among the facts by key, without the run's own."""
        both = {**self.method, **self.evaluation}
        return {key: value for key, value in both.items() if key.rsplit(".", 1)[-1] == SEED}

    def with_seeds(self, seeds: Facts) -> Identity:
        """A copy with these seeds."""
        method = {key: seeds.get(key, value) for key, value in self.method.items()}
        return replace(
            self, method=method, evaluation={k: seeds.get(k, v) for k, v in self.evaluation.items()}
        )


def identity(runs: RunSet, record: Artifact) -> Identity:
    """The identity of a recorded run."""
    source = RecordedFacts(runs, record)
    base = is_base(record)
    return Identity(
        method={} if base else source.method(),
        model=source.model(),
        pool={} if base else source.pool(),
        recipe={} if base else source.recipe(),
        evaluation=source.evaluation(),
        unknown=tuple(source.unknown(base=base)),
        targetless=source.targetless,
        exhaustive=source.exhaustive and not base,
    )


def reference(runs: RunSet, record: Artifact) -> str:
    """The content digest of a run's reference sets, empty where unknown."""
    return RecordedFacts(runs, record).reference
