"""The linear datamodelling scores of all methods on all benchmarks of a group of trained subsets.

Shapes: N rows of the pool, R subsets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nait.core.dataset.traits import Traits
from nait.core.ranking.score_table import ScoreTable
from nait.stages.artifacts.score_files import read_scores
from nait.sweeps.grouping.boards import boards
from nait.sweeps.grouping.names import unique_names
from nait.sweeps.stats.target_benchmarks import Benchmarks, belongs
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.validity.lds_statistics import (
    Floats,
    Prediction,
    Resampled,
    around,
    prediction,
    results,
    split_half_reliability,
)
from nait.sweeps.validity.predictions import Worth, columns_for, order_of, recall, worth_of
from nait.sweeps.validity.trained_subsets import ScoredMethod, TrainedSubsets, scored_methods

SHUFFLED_SCORES = "shuffled scores"
"""The control: the scores of the best method, at random rows."""
GIVEN = " (given)"
"""The end of the name of a label that comes from the pool's own rows."""


@dataclass(frozen=True)
class MethodScores:
    """One method: benchmark -> LDS and recall of the target's rows; `mean` is the LDS averaged over benchmarks.

    `by_rank`: predicted by ranks, not by sums of scores. `unscored`: rows without a score.
    """

    name: str
    lds: Mapping[str, Prediction]
    mean: Prediction | None
    recall: Mapping[str, float] = field(default_factory=dict)
    by_rank: bool = False
    unscored: int = 0
    seconds: float | None = None


@dataclass(frozen=True)
class Validity:
    """All methods, best mean first, and the control. `reliability`: benchmark -> that of its results."""

    subsets: TrainedSubsets
    methods: tuple[MethodScores, ...]
    control: MethodScores | None
    reliability: Mapping[str, float]
    left_out: tuple[str, ...] = ()


@dataclass
class _Measurement:
    """The parts that all methods share: drawn subsets and items, and the labels of the pool's rows."""

    subsets: TrainedSubsets
    benchmarks: Benchmarks
    resampled: Mapping[str, Resampled]
    families: Mapping[str, str]

    def rows(self, table: ScoreTable) -> list[npt.NDArray[np.int64]]:
        """The row numbers of each subset in a table."""
        places = {key: place for place, key in enumerate(table.ids)}
        return [np.array([places[key] for key in sorted(ids)], dtype=np.int64) for ids in self.subsets.chosen]

    def method(
        self, one: ScoredMethod, name: str, worths: Mapping[str, Worth], table: ScoreTable
    ) -> MethodScores:
        lds, mean = self.scores(worths, self.rows(table))
        known = {task: self._recall(task, worth, table) for task, worth in worths.items()}
        return MethodScores(
            name, lds, mean, {task: value for task, value in known.items() if value is not None},
            any(worth.by_rank for worth in worths.values()),
            max(worth.unscored for worth in worths.values()), one.seconds,
        )  # fmt: skip

    def scores(
        self, worths: Mapping[str, Worth], rows: Sequence[npt.NDArray[np.int64]]
    ) -> tuple[dict[str, Prediction], Prediction | None]:
        """The LDS on each benchmark, and its mean over benchmarks on the same bootstrap draws.

        No mean for a method that predicts the same of all subsets on a benchmark: the others' means are of more.
        """
        found: dict[str, Prediction] = {}
        drawn: list[Floats] = []
        for task, worth in worths.items():
            predicted = worth.of(rows)
            one = prediction(predicted, self.subsets.benchmarks[task], self.resampled[task])
            if one:
                found[task] = one
                drawn.append(self.resampled[task].correlations(predicted))
        defined = {task for task, strata in self.subsets.benchmarks.items() if np.ptp(results(strata)) > 0.0}
        if not found or found.keys() != defined:
            return found, None
        mean = float(np.mean([one.rho for one in found.values()]))
        return found, around(mean, np.mean(drawn, axis=0), len(rows))

    def _recall(self, task: str, worth: Worth, table: ScoreTable) -> float | None:
        """Recall of the rows whose family is the benchmark's target."""
        families = set(self.families.values())
        names = {family for family in families if belongs(family, task, self.benchmarks, families)}
        relevant = np.array([self.families.get(key, "") in names for key in table.ids], dtype=np.bool_)
        return recall(worth.ranking, relevant)


def validity_of(runs: RunSet, subsets: TrainedSubsets, benchmarks: Benchmarks) -> Validity:
    """The LDS of every method with scores of the subsets' pool."""
    measurement = _Measurement(
        subsets, benchmarks, {task: Resampled.of(strata) for task, strata in subsets.benchmarks.items()},
        _families(runs, subsets),
    )  # fmt: skip
    scored = scored_methods(runs, subsets)
    names = unique_names([(one.name, one.target, "") for one in scored])
    methods, left_out = [], []
    kept: dict[str, tuple[Mapping[str, Worth], ScoreTable]] = {}
    for one, name in zip(scored, names, strict=True):
        order = order_of(one.order)
        found = runs.find("scores", one.scores)
        if order is None or found is None:
            left_out.append(name)
            continue
        table, _ = read_scores(found)
        worths = {
            task: worth_of(table, order, columns_for(table, task, benchmarks)) for task in subsets.benchmarks
        }
        methods.append(measurement.method(one, name, worths, table))
        kept[name] = (worths, table)
    methods.sort(key=lambda one: -one.mean.rho if one.mean else 1.0)
    reliability = {task: split_half_reliability(strata) for task, strata in subsets.benchmarks.items()}
    control = _control(measurement, *kept[methods[0].name]) if methods else None
    return Validity(subsets, tuple(methods), control, reliability, tuple(left_out))


def _control(measurement: _Measurement, worths: Mapping[str, Worth], table: ScoreTable) -> MethodScores:
    shuffled = {task: worth.shuffled(k) for k, (task, worth) in enumerate(worths.items())}
    return MethodScores(SHUFFLED_SCORES, *measurement.scores(shuffled, measurement.rows(table)))


def _families(runs: RunSet, subsets: TrainedSubsets) -> dict[str, str]:
    """Row id -> its family, from the labels of the pool's own rows; empty without labels.

    Ids may be numbers, which another pool has too: only runs on the subsets' pool count.
    """
    wanted = set().union(*subsets.chosen)
    own = (run.record for board in boards(runs) for run in board.runs if run.identity.pool == subsets.pool)
    for link in dict.fromkeys(str(record.manifest["links"].get("traits") or "") for record in own):
        traits = runs.traits(link) if link else None
        families = _given(traits) if traits and wanted <= traits.places.keys() else {}
        if families:
            return families
    return {}


def _given(traits: Traits) -> dict[str, str]:
    label = next((name for name in traits.labels if name.endswith(GIVEN)), None)
    return dict(zip(traits.ids, traits.labels[label].tolist(), strict=True)) if label else {}
