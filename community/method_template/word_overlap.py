"""A method to copy: the rows whose answers share the most words with the reference rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nait.core.contracts import Extractor
from nait.core.dataset.examples import Example, Pool, Target
from nait.core.errors import ConfigError
from nait.core.ranking.score_table import ScoreTable

NO_WORD = "no word of the least length in its answer"


@dataclass(frozen=True)
class WordOverlap:
    """The share of an answer's distinct words that occur in a target's reference answers.

    The fields are the keys of the YAML file: `selector.least_letters=4` counts longer words only.
    """

    least_letters: int = 1

    def __post_init__(self) -> None:
        """Refuse wrong settings before a model is loaded."""
        if self.least_letters < 1:
            raise ConfigError(
                f"{self.least_letters} is below 1", where="selector.least_letters", fix="Use 1 or more."
            )

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:  # noqa: ARG002
        """One column of scores for each target, one row for each row of the pool; NaN where there is no word.

        What a model must be asked for comes from `extractor`: `extractor.lengths(pool)`, `extractor.measure(...)`.
        """
        rows = [self._words(example) for example in pool.examples]
        known = [set().union(*map(self._words, target.examples)) for target in targets]
        values = np.full((len(rows), len(targets)), np.nan)
        for i, words in enumerate(rows):
            if words:
                values[i] = [len(words & wanted) / len(words) for wanted in known]
        reasons = {key: NO_WORD for key, words in zip(pool.ids, rows, strict=True) if not words}
        names = tuple(target.name for target in targets)
        return ScoreTable(
            pool.ids, names, values, "share", "words shared with the reference answers", reasons
        )

    def _words(self, example: Example) -> set[str]:
        """The distinct words of a row's answers, in lower case."""
        text = " ".join(turn.answer for turn in example.turns if turn.trained).casefold()
        return {word for word in re.findall(r"\w+", text) if len(word) >= self.least_letters}
