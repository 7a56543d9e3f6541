"""Perplexity: how surprised the model is by a row. Which end of it to select is the order's business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nait.baselines.shared.single_column import mean_nll, one_column
from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, Target
from nait.core.ranking.score_table import ScoreTable
from nait.models.prompts.templates import Template
from nait.signals.specs.activations import Losses, Scope, Signal


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean negative log-likelihood of the answer's tokens, or of the whole text's.

    `template` and `max_length` (null: the run's) are how the row is written and cut.
    """

    scope: Scope = "answer"
    template: Template | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        Losses(self.scope)  # refuses a scope that is none

    def requests(
        self,
        pool: Pool,
        targets: Sequence[Target],  # noqa: ARG002
        extractor: Extractor,
    ) -> list[tuple[Extractor, Pool, Sequence[Signal]]]:
        """What is measured of the pool: losses of one text."""
        view = extractor.under(template=self.template, max_length=self.max_length)
        return [(view, pool, [Losses(self.scope)])]

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        """One column for all targets; unit: perplexity."""
        ((view, rows, signals),) = self.requests(pool, targets, extractor)
        (losses,) = view.measure(rows, signals)
        with np.errstate(over="ignore"):  # an infinite perplexity is not ranked, and counted
            values = np.exp(mean_nll(losses))
        return one_column(
            pool, values, {f"no token of the {self.scope} to predict": losses[:, 1] == 0},
            unit="perplexity", definition=f"exp of the mean NLL of the {self.scope}",
        )  # fmt: skip
