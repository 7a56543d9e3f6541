"""RDS+ (Ivison et al., 2025, arXiv 2503.01807): similarity of weighted-mean embeddings to the reference rows.

Shapes: N pool rows, R reference rows, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import DataError
from nait.core.inputs.checks import check_choice, check_limit
from nait.core.ranking.score_table import ScoreTable
from nait.models.prompts.templates import Template
from nait.signals.specs.activations import Embedding, Pooling, Signal

Reduce = Literal["none", "max", "mean"]
REDUCTIONS: tuple[Reduce, ...] = ("none", "max", "mean")
CHUNK_ROWS = 2048

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Rds:
    """Cosine of a row's embedding with each reference row's, both from the decoder's output after the final norm.

    `reduce=none` gives one column per reference row, named target/id, for `order=round_robin` (as published);
    `max` and `mean` over a target's reference rows give one column per target. `template` and `max_length` (null:
    the run's) define the texts of rows and reference rows.
    """

    pooling: Pooling = "weighted_mean"
    reduce: Reduce = "none"
    template: Template | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        check_limit(self.max_length)
        Embedding(self.pooling)  # raises for an unknown pooling
        check_choice("selector.reduce", self.reduce, REDUCTIONS)

    def check(self, targets: Sequence[Target]) -> None:
        """Raises: DataError if there is no target, or a target without reference rows."""
        if not targets:
            raise DataError("RDS+ needs a target", where="target", fix="Set target=file target.path=FILE.")
        for target in targets:
            if not len(target):
                raise DataError(
                    "it has no reference rows", where=f"target '{target.name}'", fix="Use target=file."
                )

    def requests(
        self,
        pool: Pool,
        targets: Sequence[Target],  # noqa: ARG002
        extractor: Extractor,
    ) -> list[tuple[Extractor, Pool, Sequence[Signal]]]:
        """The signals measured on the pool: embeddings of one text."""
        view = extractor.under(template=self.template, max_length=self.max_length)
        return [(view, pool, [Embedding(self.pooling)])]

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        """One column per reference row or per target; unit: cosine."""
        self.check(targets)
        ((view, rows, signals),) = self.requests(pool, targets, extractor)
        references = [unit_rows(view.measure(target, signals)[0]) for target in targets]
        (h_nd,) = view.measure(rows, signals)
        names = [name for target in targets for name in self._names(target)]
        values = np.empty((len(pool), len(names)), dtype=np.float32)
        for at in range(0, len(pool), CHUNK_ROWS):  # h_nd is memory-mapped
            part = slice(at, at + CHUNK_ROWS)
            e_nd = unit_rows(h_nd[part])
            values[part] = np.concatenate([self._reduce(e_nd @ e_rd.T) for e_rd in references], axis=1)
        blank = [pool.ids[row] for row in np.flatnonzero(np.isnan(values).all(axis=1))]
        return ScoreTable(
            ids=pool.ids,
            targets=tuple(names),
            values=values,
            unit="cosine",
            definition=f"RDS+: cosine of {self.pooling} embeddings, reduce={self.reduce}",
            reasons=dict.fromkeys(blank, "no embedding"),
        )

    def _names(self, target: Target) -> list[str]:
        if self.reduce != "none":
            return [target.name]
        return [f"{target.name}/{example.id}" for example in target.examples]

    def _reduce(self, cosine_nr: Floats) -> Floats:
        if self.reduce == "none":
            return cosine_nr
        reduced = cosine_nr.max(axis=1) if self.reduce == "max" else cosine_nr.mean(axis=1)
        return np.asarray(reduced)[:, None]


def unit_rows(h_nd: npt.NDArray[Any]) -> Floats:
    """Rows [N, D] scaled to unit norm, in float64; NaN where the norm is 0 or not finite."""
    h = np.asarray(h_nd, dtype=np.float64)
    norms = np.linalg.norm(h, axis=1, keepdims=True)
    return np.asarray(h / np.where((norms > 0) & np.isfinite(norms), norms, np.nan))
