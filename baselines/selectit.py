"""SelectIT (Liu et al., NeurIPS 2024, arXiv 2402.16705): the model's own rating of a row, weighted by certainty.

Shapes: N rows, K rating prompts, 5 digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nait.baselines.shared.single_column import Floats, one_column
from nait.core.contracts import Extractor
from nait.core.dataset.examples import Example, Pool, Target
from nait.core.errors import ConfigError, ModelError
from nait.core.inputs.checks import check_choice, check_limit, check_number
from nait.core.ranking.score_table import ScoreTable
from nait.models.prompts.templates import Span, Template
from nait.signals.specs.activations import Choice, Signal

Level = Literal["sentence", "token"]
LEVELS: tuple[Level, ...] = ("sentence", "token")
DIGITS = ("1", "2", "3", "4", "5")


@dataclass(frozen=True)
class Rating:
    """A template that wraps another: a rating prompt, the row in the template `row`, and the cue for a digit."""

    prompt: str
    row: Template
    cue: str

    @property
    def digest(self) -> str:
        from nait.core.addresses import address

        return address({"rating": [self.prompt, self.row.digest, self.cue]})

    @property
    def eos(self) -> Literal["never"]:
        """Never: the text must end where the digit follows."""
        return "never"

    @property
    def join(self) -> Literal["text", "tokens"]:
        return self.row.join

    @property
    def boundary(self) -> Literal["prefix", "offsets"]:
        return self.row.boundary

    @property
    def adds_bos(self) -> bool:
        return self.row.adds_bos

    def spans(self, example: Example, tokenizer: Any) -> list[Span]:
        row = [span for span in self.row.spans(example, tokenizer) if span.text]
        return [Span(self.prompt, "prompt"), *row, Span(self.cue, "prompt")]


@dataclass(frozen=True)
class SelectIt:
    """The model's rating of a row, weighted by its certainty and by the agreement between several prompts.

    The text is a rating prompt, the row in the template `template`, and `cue`; p holds the probabilities of the
    digits 1 to 5 as the next token. With q = softmax(p / sum p) and b its argmax, a prompt's score is
    b sum_j (q_b - q_j) / 4. `level=sentence`: mean over the prompts / (1 + `alpha` std); `level=token`: the first
    prompt's score alone. A row whose text exceeds `max_length` (null: the run's) loses its cue and is not ranked.
    """

    prompts: Sequence[str]
    template: Template
    cue: str = "\nThe answer is: \n"
    level: Level = "sentence"
    alpha: float = 0.2
    max_length: int | None = None

    def __post_init__(self) -> None:
        check_limit(self.max_length)
        check_choice("selector.level", self.level, LEVELS)
        if not self.prompts:
            raise ConfigError(
                "there is no rating prompt", where="selector.prompts", fix="Five are published."
            )
        check_number("selector.alpha", self.alpha, "[0, inf)", fix="0.2 is published.")

    def requests(
        self,
        pool: Pool,
        targets: Sequence[Target],  # noqa: ARG002
        extractor: Extractor,
    ) -> list[tuple[Extractor, Pool, Sequence[Signal]]]:
        """The signals measured on the pool: the digits' probabilities, in one text per prompt."""
        digits = Choice(digit_ids(extractor.tokenizer(), self.cue))
        prompts = self.prompts if self.level == "sentence" else self.prompts[:1]
        ratings = [Rating(prompt, self.template, self.cue) for prompt in prompts]
        views = [extractor.under(template=rating, max_length=self.max_length) for rating in ratings]
        return [(view, pool, [digits]) for view in views]

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        """One column for all targets, from 0 to 5; unit: rating points."""
        requests = self.requests(pool, targets, extractor)
        scores_nk = np.stack(
            [token_scores(view.measure(rows, signals)[0]) for view, rows, signals in requests], axis=1
        )
        cut_nk = np.stack([view.tokens(rows).truncated for view, rows, _ in requests], axis=1)
        return one_column(
            pool, sentence_scores(scores_nk, self.alpha),
            {
                "rating text longer than max_length": np.asarray(cut_nk.any(axis=1)),
                "no digit is likely": np.asarray(np.isnan(scores_nk).any(axis=1)),
            },
            unit="rating points", definition=f"SelectIT, {self.level} level, {len(requests)} rating prompt(s)",
        )  # fmt: skip


def token_scores(p_n5: npt.NDArray[Any]) -> Floats:
    """Rating times certainty [N] from the digits' probabilities; NaN where all of them are 0."""
    p = np.asarray(p_n5, dtype=np.float64)
    total = p.sum(axis=1, keepdims=True)
    e = np.exp(p / np.where(total > 0, total, np.nan))
    q = e / e.sum(axis=1, keepdims=True)
    best = q.max(axis=1, keepdims=True)
    certainty = (best - q).sum(axis=1) / (p.shape[1] - 1)
    return np.asarray((p.argmax(axis=1) + 1) * certainty)


def sentence_scores(scores_nk: Floats, alpha: float) -> Floats:
    """Mean over the prompts [N], reduced by their disagreement (population standard deviation)."""
    return np.asarray(scores_nk.mean(axis=1) / (1 + alpha * scores_nk.std(axis=1)))


def digit_ids(tokenizer: Any, cue: str) -> tuple[int, ...]:
    """The token id of each digit when it follows `cue`.

    Raises: ConfigError if the tokenizer merges a digit with the end of the cue; ModelError if a digit is not a token
    of its own.
    """
    return tuple(_digit_id(tokenizer, cue, digit) for digit in DIGITS)


def _digit_id(tokenizer: Any, cue: str, digit: str) -> int:
    # Compared as text: trailing white space may be tokenized differently from white space before a digit.
    before = tokenizer.decode(tokenizer(cue, add_special_tokens=False)["input_ids"])
    *head, last = tokenizer(cue + digit, add_special_tokens=False)["input_ids"]
    if tokenizer.decode([last]).strip() != digit:
        raise ModelError(
            f"the digit {digit} is not a token of its own, but part of '{tokenizer.decode([last])}'",
            where="selector=selectit",
            fix="Use a model whose tokenizer has a token for each digit.",
        )
    if tokenizer.decode(head) != before:
        raise ConfigError(
            f"the tokenizer merges the digit {digit} with the end of the cue",
            where="selector.cue",
            fix="End the cue with a line break.",
        )
    return int(last)
