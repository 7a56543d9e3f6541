"""The tokens of a held-out row's answer.

The harness moves the white space at the end of a question to the answer: after "### Response:\\n" it would score the
line break too, which is a part of the prompt and not trained. Here the answer begins after the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nait.core.contracts import Model
from nait.eval.harness import LmEval


def answer_start(question: Sequence[int], whole: Sequence[int]) -> int:
    """The place of the first answer token in the tokens of question and answer.

    A token in which the end of the question and the beginning of the answer are merged belongs to the answer.
    """
    most = min(len(question), len(whole) - 1)
    return next((k for k in range(most) if question[k] != whole[k]), most)


class AnswerEval(LmEval):
    """The harness on tasks of log-likelihoods, whose answers begin after the whole question."""

    @contextmanager
    def _opened(
        self, model: Model, adapter: Path | None, counters: Sequence[Any], *, splits: bool = True
    ) -> Iterator[Any]:
        with super()._opened(model, adapter, counters, splits=splits) as lm:
            lm._encode_pair = _encoder(lm)
            yield lm


def _encoder(lm: Any) -> Callable[[str, str], tuple[list[int], list[int]]]:
    """A replacement of `lm._encode_pair`."""

    def encode_pair(context: str, continuation: str) -> tuple[list[int], list[int]]:
        whole = lm.tok_encode(context + continuation)
        start = answer_start(lm.tok_encode(context), whole)
        return whole[:start] or [lm.prefix_token_id], whole[start:]

    return encode_pair
