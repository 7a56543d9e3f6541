"""Stability of a selection: the share of its rows that other reference rows would select too.

Shapes: N pool rows, T score columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.contracts import Extractor, Redrawable
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError
from nait.core.ranking.orders import by_target
from nait.core.ranking.score_table import ScoreTable
from nait.core.ranking.selection import Selection
from nait.signals.extractor import StoredExtractor
from nait.stages.select import Selector

DRAWS = 50
"""Bootstrap draws of the reference rows."""
SMALL = 32
"""Reference sets below this are reported as small."""


@dataclass(frozen=True)
class ScoredSelection:
    """A finished selection and all that made it. `answer_tokens` [N]: of the whole pool."""

    pool: Pool
    targets: Sequence[Target]
    selector: Selector
    extractor: StoredExtractor
    table: ScoreTable
    selection: Selection
    answer_tokens: npt.NDArray[np.int64]

    @property
    def reference_ids(self) -> set[str]:
        """The ids of all targets' rows."""
        return {example.id for target in self.targets for example in target.examples}


def are_references(columns: Sequence[str], references: Collection[str]) -> bool:
    """Whether each column, named `target/reference row`, is that of one of these reference rows."""
    return all(name.partition("/")[2] in references for name in columns)


@dataclass(frozen=True)
class Stability:
    """The share of the selected rows that stay selected under other draws of the reference rows.

    `mean`, `low`, `high`: over `draws` bootstrap draws, with the 5th and 95th percentile. `always`: the share of the
    rows that every draw selects.
    """

    mean: float
    low: float
    high: float
    always: float
    draws: int
    references: int

    def sentence(self) -> str:
        """The stability in words."""
        few = f" {SMALL} or more reference rows are typical." if self.references < SMALL else ""
        return (
            f"Stability: {self.mean:.0%} of the chosen rows stay with other draws of the {self.references} "
            f"reference rows (90 % interval {self.low:.0%} to {self.high:.0%}, {self.draws} draws).{few}"
        )


@dataclass(frozen=True)
class SharedDraws:
    """A scorer's bootstrap, as a method whose measurements share the scorer's pass."""

    scorer: Redrawable
    draws: int = DRAWS

    def requests(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> Sequence[tuple[Extractor, Pool, Sequence[Any]]]:
        """What the bootstrap measures of the pool; nothing for directions without reference rows."""
        if any(target.derived is not None for target in targets):
            return []
        return self.scorer.draw_requests(pool, targets, extractor, draws=self.draws)

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        """Not called: the object is only measured for."""
        raise NotImplementedError


def with_shared_draws(selector: Selector) -> Selector:
    """The selector, whose pass over the pool also measures its bootstrap."""
    if not isinstance(selector.scorer, Redrawable):
        return selector
    draws = SharedDraws(selector.scorer)
    return replace(selector, sharing_passes=lambda: [*selector.sharing_passes(), draws])


def stability(of: ScoredSelection) -> Stability | None:
    """The selection's stability; None for rows in a random order, and for a method that does not read reference rows
    or cannot redraw them."""
    targets, table = of.targets, of.table
    references = sum(len(target) for target in targets)
    if table.exhaustive or not references or any(target.derived is not None for target in targets):
        return None
    if of.selector.is_control:
        return None
    chosen, kept, always = set(of.selection.rows), [], set(of.selection.rows)
    for values in _redrawn(of):
        drawn = replace(table, values=np.where(table.eligible[:, None], values, np.nan))
        ranking = of.selector.order(drawn)
        try:
            count = of.selector.budget(ranking, of.answer_tokens)
        except ConfigError:  # of tokens, which this draw's first row exceeds
            count = 0
        again = set(ranking[:count].tolist())
        kept.append(len(chosen & again) / len(chosen))
        always &= again
    if not kept:
        return None
    low, high = np.quantile(kept, (0.05, 0.95))
    return Stability(
        float(np.mean(kept)), float(low), float(high), len(always) / len(chosen), len(kept), references
    )


def _redrawn(of: ScoredSelection) -> Iterator[npt.NDArray[Any]]:
    """Scores for each draw. A table with a column per reference row needs no measurement: its columns are drawn."""
    scorer, table = of.selector.scorer, of.table
    if isinstance(scorer, Redrawable):
        yield from scorer.draw_scores(of.pool.blind(), of.targets, of.extractor, draws=DRAWS)
    elif are_references(table.targets, of.reference_ids):
        rng = np.random.default_rng(0)
        for _ in range(DRAWS):
            places = np.arange(len(table.targets))
            for columns in by_target(table.targets).values():
                places[columns] = rng.choice(columns, size=len(columns))
            yield table.values[:, places]
