"""Cherry's warm-up: a model fine-tuned on a few rows of each cluster of instructions, for scoring.

Li et al., NAACL 2024, arXiv 2308.12032, section 3.1 ("brief experience"). Shapes: N rows, D width.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nait.core.addresses import unit_interval
from nait.core.contracts import Extractor, Trainer
from nait.core.dataset.examples import Pool
from nait.core.dataset.token_table import trainable
from nait.core.inputs.checks import check_whole
from nait.signals.specs.activations import Embedding


@dataclass(frozen=True)
class Warmup:
    """Fine-tuning by `trainer` on `rows_each` rows of each of `clusters` clusters of prompts.

    A prompt is represented by the mean of its last hidden states; k-means with `seed` finds the clusters. Within a
    cluster, rows are drawn by id and `seed` from those that have an answer to train on.
    """

    version: ClassVar[int] = 2
    """Part of the scores' key. 2: scikit-learn's k-means, as in Cherry's published code."""

    trainer: Trainer
    clusters: int = 100
    rows_each: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("clusters", "rows_each"):
            check_whole(f"selector.warmup.{key}", getattr(self, key), least=1)

    def tuned(self, pool: Pool, extractor: Extractor, run: Extractor) -> Extractor:
        """The extractor with the fine-tuned model. `run` encodes the rows as the trainer does."""
        from nait.training.adapters.adapted_models import AdaptedModel

        made = extractor.fine_tune(pool, self.choose(pool, extractor, run), self.trainer, seed=self.seed)
        return extractor.on(AdaptedModel(extractor.model, made.path, made.address))

    def choose(self, pool: Pool, extractor: Extractor, run: Extractor) -> list[str]:
        """The ids of the rows to train on: clustered as `extractor` encodes them, with an answer as `run` does."""
        (h_nd,) = extractor.measure(pool, [Embedding("mean", part="prompt")])
        cluster_n = _clusters(h_nd, min(self.clusters, len(pool)), self.seed)
        draws = np.asarray([unit_interval("warmup", self.seed, key) for key in pool.ids])
        able_n = trainable(pool, run.tokens(pool))
        chosen: list[str] = []
        for cluster in np.unique(cluster_n):
            rows = np.flatnonzero((cluster_n == cluster) & able_n)
            chosen += [pool.ids[row] for row in rows[np.argsort(draws[rows])][: self.rows_each]]
        return sorted(chosen)


def _clusters(h_nd: npt.NDArray[np.float32], count: int, seed: int) -> npt.NDArray[np.int64]:
    """[N] the k-means cluster of each row."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Equal prompts can give fewer clusters than `count`; rows are then drawn from fewer.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = KMeans(count, random_state=seed).fit_predict(np.asarray(h_nd))
    return np.asarray(labels, dtype=np.int64)
