"""Cherry's brief experience: a model tuned on a few rows of every kind of instruction, to score with.

Li et al., NAACL 2024, arXiv 2308.12032, section 3.1. Shapes: N rows, D width, K clusters.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nait.core.addresses import unit_interval
from nait.core.contracts import Extractor, Trainer
from nait.core.dataset.examples import Pool
from nait.core.inputs.checks import check_whole
from nait.signals.specs.activations import Embedding

ITERATIONS = 30


@dataclass(frozen=True)
class Warmup:
    """`rows_each` rows of each of `clusters` clusters of the prompts' mean last hidden state, and `trainer` on them.

    Within a cluster, rows are drawn by id and `seed`, from those that have an answer to train on.
    """

    trainer: Trainer
    clusters: int = 100
    rows_each: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("clusters", "rows_each"):
            check_whole(f"selector.warmup.{key}", getattr(self, key), least=1)

    def tuned(self, pool: Pool, extractor: Extractor, run: Extractor) -> Extractor:
        """The extractor's texts under the tuned model. `run` reads the rows as the trainer does."""
        from nait.training.adapter import AdaptedModel

        made = extractor.fine_tune(pool, self.choose(pool, extractor, run), self.trainer, seed=self.seed)
        return extractor.on(AdaptedModel(extractor.model, made.path, made.address))

    def choose(self, pool: Pool, extractor: Extractor, run: Extractor) -> list[str]:
        """The ids of the rows to train on: clustered by the extractor's texts, with an answer in the run's."""
        (h_nd,) = extractor.measure(pool, [Embedding("mean", part="prompt")])
        cluster_n = _clusters(h_nd, min(self.clusters, len(pool)), self.seed)
        draws = np.asarray([unit_interval("warmup", self.seed, key) for key in pool.ids])
        answered_n = np.asarray([example.answered for example in pool.examples])
        able_n = answered_n & (np.asarray(run.tokens(pool).answer_tokens) > 0)
        chosen: list[str] = []
        for cluster in np.unique(cluster_n):
            rows = np.flatnonzero((cluster_n == cluster) & able_n)
            chosen += [pool.ids[row] for row in rows[np.argsort(draws[rows])][: self.rows_each]]
        return sorted(chosen)


def _clusters(h_nd: npt.NDArray[np.float32], count: int, seed: int) -> npt.NDArray[np.int64]:
    """[N] the k-means cluster of each row."""
    from scipy.cluster.vq import kmeans2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty cluster does no harm here: the others are drawn from
        _, labels = kmeans2(
            np.asarray(h_nd), count, iter=ITERATIONS, minit="++", seed=np.random.default_rng(seed)
        )
    return np.asarray(labels, dtype=np.int64)
