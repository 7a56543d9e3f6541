"""The laws that every selector keeps: `pytest test_word_overlap.py`."""

from __future__ import annotations

from word_overlap import WordOverlap

from nait.core.dataset.examples import Target, fingerprint
from nait.testing import ScorerContract


class TestWordOverlap(ScorerContract):
    def scorer(self) -> WordOverlap:
        return WordOverlap()

    def targets(self) -> list[Target]:
        """References that share words with the kit's pool, unlike the kit's own references."""
        rows = self.pool().examples
        parts = {"first": rows[3:5], "second": rows[5:7]}
        return [Target(name, part, fingerprint(part)) for name, part in parts.items()]
