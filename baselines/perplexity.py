"""Perplexity of a row under the model. The order decides whether low, middle or high values are selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nait.baselines.shared.single_column import mean_nll, one_column
from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, Target
from nait.core.inputs.checks import check_limit
from nait.core.ranking.score_table import ScoreTable
from nait.models.prompts.templates import Template
from nait.signals.specs.activations import Losses, Scope, Signal


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean negative log-likelihood of the answer's tokens, or of the whole text's.

    `template` and `max_length` (null: the run's) define the text that is scored.
    """

    scope: Scope = "answer"
    template: Template | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        check_limit(self.max_length)
        Losses(self.scope)  # raises for an unknown scope

    def requests(
        self,
        pool: Pool,
        targets: Sequence[Target],  # noqa: ARG002
        extractor: Extractor,
    ) -> list[tuple[Extractor, Pool, Sequence[Signal]]]:
        """The signals measured on the pool: losses of one text."""
        view = extractor.under(template=self.template, max_length=self.max_length)
        return [(view, pool, [Losses(self.scope)])]

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        """One column for all targets; unit: perplexity."""
        ((view, rows, signals),) = self.requests(pool, targets, extractor)
        (losses,) = view.measure(rows, signals)
        with np.errstate(over="ignore"):  # infinite values are left out of the ranking, with a reason
            values = np.exp(mean_nll(losses))
        return one_column(
            pool, values, {f"no token of the {self.scope} to predict": losses[:, 1] == 0},
            unit="perplexity", definition=f"exp of the mean NLL of the {self.scope}",
        )  # fmt: skip
