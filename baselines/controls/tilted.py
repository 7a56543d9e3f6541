"""Random subsets of varying composition, with which `sweep=validity` measures how well scores predict results.

Shapes: N rows, C clusters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.addresses import unit_intervals
from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, Target
from nait.core.inputs.checks import check_number, check_whole
from nait.core.ranking.score_table import ScoreTable
from nait.data.text_traits.text_traits import TOPIC_CHARACTERS, row_text
from nait.data.text_traits.topics import find_topics

CLUSTERING = 1
"""The version of the clusters, part of their key."""
LEAST = 1e-12
"""The smallest weight of a cluster, and the smallest uniform draw: keeps every score finite."""


@dataclass(frozen=True)
class TiltedRandom:
    """A random subset in which clusters of similar texts have random weights.

    Uniform random subsets hardly differ from each other, and neither do their results. Here the weights of the
    clusters are drawn from a symmetric Dirichlet distribution, and rows are drawn without replacement with
    probabilities proportional to the weight of their cluster. The clusters (TF-IDF and k-means) use the texts alone,
    so that no method is favoured.

    - `subset`: the number of the subset, which seeds all draws.
    - `clusters`: the number of clusters at most.
    - `concentration`: of the Dirichlet distribution; subsets with a smaller one differ more.
    """

    subset: int = 0
    clusters: int = 12
    concentration: float = 0.5

    def __post_init__(self) -> None:
        check_whole("selector.subset", self.subset, least=0)
        check_whole("selector.clusters", self.clusters, least=2)
        check_number("selector.concentration", self.concentration, "(0, inf)")

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:  # noqa: ARG002
        """One column for all targets: the logarithm of the row's weight plus a Gumbel variable. Opens no model."""
        key = {"clusters": CLUSTERING, "pool": pool.fingerprint, "count": self.clusters}
        arrays, _ = extractor.derive("clusters", key, lambda: _clusters(pool, self.clusters))
        draws = np.array(unit_intervals("tilted", self.subset, keys=pool.ids))
        values = tilted(arrays["cluster"], draws, concentration=self.concentration, seed=self.subset)
        return ScoreTable(
            ids=pool.ids,
            targets=("any",),
            values=values[:, None],
            unit="1",
            definition=f"random, clusters weighted at random, subset {self.subset}",
        )


def _clusters(pool: Pool, count: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The cluster [N] of each row, numbered in the order of their names, and the names."""
    texts = [row_text(example)[:TOPIC_CHARACTERS] for example in pool.examples]
    names, numbers = np.unique(find_topics(pool.ids, texts, count), return_inverse=True)
    return {"cluster": numbers.astype(np.int64)}, {"names": names.tolist()}


def tilted(
    cluster_n: npt.NDArray[np.int64], draws_n: npt.NDArray[np.float64], *, concentration: float, seed: int
) -> npt.NDArray[np.float64]:
    """Scores [N] whose highest k rows are a draw without replacement with random weights of the clusters.

    The Gumbel-max trick: rows sorted by log w + g, with g a standard Gumbel variable made from `draws_n` in [0, 1),
    are drawn one after another with probabilities proportional to w.
    """
    generator = np.random.default_rng([seed, 17])
    weights_c = generator.dirichlet(np.full(int(cluster_n.max()) + 1, concentration))
    logs_c = np.log(np.maximum(weights_c, LEAST))
    gumbel_n = -np.log(-np.log(np.clip(draws_n, LEAST, 1 - LEAST)))
    return np.asarray(logs_c[cluster_n] + gumbel_n)
