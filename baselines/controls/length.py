"""Length: select the longest answers, a cheap and strong baseline (Zhao et al., 2024, arXiv 2402.04833)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nait.baselines.shared.single_column import one_column
from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, Target
from nait.core.inputs.checks import check_choice
from nait.core.ranking.score_table import ScoreTable

Unit = Literal["answer_tokens", "tokens", "characters"]
UNITS: tuple[Unit, ...] = ("answer_tokens", "tokens", "characters")


@dataclass(frozen=True)
class Length:
    """A row's length as it is written: tokens of the answer or of the whole text, or characters of the answer.

    No length is cut at the model's `max_length`: cut ones would rank long answers by the shortness of their prompts.
    The model's tokenizer and the run's template define the tokens.
    """

    version: ClassVar[int] = 2
    """Since 2, tokens are counted beyond `max_length`."""

    unit: Unit = "answer_tokens"

    def __post_init__(self) -> None:
        check_choice("selector.unit", self.unit, UNITS)

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:  # noqa: ARG002
        """One column for all targets; unit: `unit`. Opens no model."""
        if self.unit == "characters":
            lengths = np.asarray(
                [sum(len(turn.answer) for turn in row.turns if turn.trained) for row in pool.examples]
            )
        else:
            table = extractor.under(uncut=True).tokens(pool)
            lengths = table.answer_tokens if self.unit == "answer_tokens" else table.lengths
        return one_column(
            pool, lengths.astype(np.float64), {}, unit=self.unit.replace("_", " "),
            definition="length of the row, not cut at max_length",
        )  # fmt: skip
