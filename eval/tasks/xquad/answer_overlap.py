"""F1 and exact match of SQuAD (Rajpurkar et al., 2016): words without case, punctuation and English articles."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def scores(item: Mapping[str, Any], answers: Sequence[str]) -> dict[str, float]:
    """The best F1 and exact match of the first answer against any of the right ones."""
    given, right = answers[0], item["answers"]["text"]
    return {
        "f1": max(f1(given, one) for one in right),
        "exact_match": max(float(words(given) == words(one)) for one in right),
    }


def f1(given: str, right: str) -> float:
    """Harmonic mean of the shares of words in common. Without words on a side: 1 if both sides have none."""
    given_words, right_words = words(given), words(right)
    if not given_words or not right_words:
        return float(given_words == right_words)
    common = (Counter(given_words) & Counter(right_words)).total()
    return 2 * common / (len(given_words) + len(right_words))


def words(text: str) -> list[str]:
    """The normalized words of a text, split at white space: a text without spaces, as in Chinese, is one word."""
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()
