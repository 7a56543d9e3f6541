"""Topic clustering: texts grouped by vocabulary, each topic named by its distinctive words.

TF-IDF, latent semantic analysis and k-means. Vocabulary and centres are fitted on at most `SAMPLE` texts, and the
others are assigned in chunks, so memory does not grow with the pool.
Shapes: S sampled texts, V words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.addresses import unit_intervals

SAMPLE, CHUNK = 20_000, 8_192
VOCABULARY, DIRECTIONS = 8_192, 64
ROWS_A_TOPIC = 5
"""Minimum number of texts per topic."""
NAME_WORDS = MIN_WORDS = 3
SEED = 0
ONE_TOPIC, NO_WORDS = "one topic", "without words"
DIGITS = "0-9"
"""Token that replaces every number."""
_CJK = "぀-ヿ㐀-鿿"
_WORDS = re.compile(rf"[{_CJK}]|[^\W\d_{_CJK}]{{2,}}|\d+")


def words(text: str) -> list[str]:
    """Words of a text in lower case, without English stop words; Chinese and Japanese text by character."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    found = _WORDS.findall(text.lower())
    return [DIGITS if word[0].isdigit() else word for word in found if word not in ENGLISH_STOP_WORDS]


def find_topics(ids: Sequence[str], texts: Sequence[str], count: int) -> list[str]:
    """Topic of each text, at most `count` topics, independent of the order of the rows."""
    drawn = _sample(ids)
    count = min(count, len(drawn) // ROWS_A_TOPIC)
    if count < 2:
        return [ONE_TOPIC] * len(texts)
    from sklearn.feature_extraction.text import TfidfVectorizer

    sample = [texts[row] for row in drawn]
    if not any(map(words, sample)):
        return [ONE_TOPIC] * len(texts)
    vectorizer = TfidfVectorizer(analyzer=words, max_features=VOCABULARY, sublinear_tf=True)
    weights = vectorizer.fit_transform(sample)
    if weights.shape[1] < MIN_WORDS:
        return [ONE_TOPIC] * len(texts)
    clusters = _Clusters(weights, count)
    names = _names(weights, clusters.of(weights), vectorizer.get_feature_names_out())
    found: list[str] = []
    for start in range(0, len(texts), CHUNK):
        part = vectorizer.transform(texts[start : start + CHUNK])
        wordless = part.getnnz(axis=1) == 0
        numbers = clusters.of(part)
        found += [NO_WORDS if none else names[number] for number, none in zip(numbers, wordless, strict=True)]
    return found


def _sample(ids: Sequence[str]) -> list[int]:
    """Indices of at most `SAMPLE` rows, sampled by id, in the order of the ids."""
    draws = np.array(unit_intervals("topics", keys=ids))
    return sorted(np.argsort(draws, kind="stable")[:SAMPLE].tolist(), key=lambda row: ids[row])


class _Clusters:
    """K-means clusters in the LSA space of TF-IDF weights [S, V]."""

    def __init__(self, weights: Any, count: int) -> None:
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.decomposition import TruncatedSVD

        size = min(DIRECTIONS, weights.shape[0] - 1, weights.shape[1] - 1)
        self.directions = TruncatedSVD(size, random_state=SEED)
        with np.errstate(divide="ignore", invalid="ignore"):  # identical texts have zero variance
            self.directions.fit(weights)
        self.centres = MiniBatchKMeans(count, random_state=SEED, n_init=3, batch_size=4096)
        self.centres.fit(self._reduced(weights))

    def _reduced(self, weights: Any) -> Any:
        from sklearn.preprocessing import normalize

        return normalize(self.directions.transform(weights))

    def of(self, weights: Any) -> npt.NDArray[np.int64]:
        """Cluster index of each text [S]."""
        return np.asarray(self.centres.predict(self._reduced(weights)), dtype=np.int64)


def _names(weights: Any, numbers: npt.NDArray[np.int64], terms: Sequence[str]) -> dict[int, str]:
    """Names by cluster: the words whose mean weight most exceeds that of all texts, ties in alphabetical order."""
    everywhere = np.asarray(weights.mean(axis=0)).ravel()
    found: dict[int, str] = {}
    for number in range(int(numbers.max()) + 1):
        inside = numbers == number
        own = np.asarray(weights[inside].mean(axis=0)).ravel() if inside.any() else everywhere
        top = np.argsort(-(own - everywhere), kind="stable")[:NAME_WORDS]
        name = ", ".join(terms[k] for k in top)
        found[number] = name if name not in found.values() else f"{name} ({number})"
    return found
