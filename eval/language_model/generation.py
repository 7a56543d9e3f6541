"""Generation behind shared prefixes: finished rows leave the batch, and waiting prompts take their place.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nait.eval.language_model.likelihoods import stem_prefixes
from nait.eval.language_model.positions import SharedNetwork
from nait.models.kv.row_cache import RowCache
from nait.models.kv.shared_decoder import Prefix
from nait.models.kv.stems import Ids, find_stems
from nait.models.tokens.uneven_rows import split

if TYPE_CHECKING:
    import torch

Pick = Callable[["torch.Tensor", Sequence[tuple[int, int]]], list[int]]
"""(logits [B, V], each row's prompt and number of answer tokens so far) -> the next token of each row."""
Finished = Callable[[list[int]], bool]
"""Whether an answer with these tokens is complete."""

log = logging.getLogger(__name__)

REFILL = 4
"""Waiting prompts join when at least one row in this many is free."""


class Generation:
    """Generates at most `most_tokens` tokens after each prompt. A batch has at most `batch_tokens` own tokens."""

    def __init__(
        self, network: SharedNetwork, pick: Pick, finished: Finished, *, most_tokens: int, batch_tokens: int
    ) -> None:
        self.network = network
        self.pick = pick
        self.finished = finished
        self.most_tokens = most_tokens
        self.batch_tokens = batch_tokens

    def answer(self, prompts: Sequence[Ids], done: Callable[[int, list[int]], None]) -> None:
        """Call `done` with the number of each prompt and its answer's tokens, as soon as it is complete."""
        import torch

        root = find_stems(prompts, [len(prompt) - 1 for prompt in prompts])
        with torch.inference_mode():
            for prefix, stem in stem_prefixes(self.network, root, prompts):
                if stem.rows:
                    waiting = deque(sorted(stem.rows, key=lambda i: -len(prompts[i])))
                    self._stem(prefix, prompts, waiting, done)

    def _stem(
        self,
        prefix: Prefix,
        prompts: Sequence[Ids],
        waiting: deque[int],
        done: Callable[[int, list[int]], None],
    ) -> None:
        import torch

        longest = len(prompts[waiting[0]]) - prefix.tokens + self.most_tokens
        size = max(1, self.batch_tokens // longest)
        batch = _Batch(self, prefix)
        while waiting or batch.numbers:
            held = len(batch.numbers)
            joining = min(size - held, len(waiting)) if not held or (size - held) * REFILL >= size else 0
            try:
                if joining > 0:
                    for part in self._parts([waiting[i] for i in range(joining)], prefix, prompts):
                        batch.admit(part, prompts)
                        for _ in part:
                            waiting.popleft()
                else:
                    batch.step()
            except torch.OutOfMemoryError:
                if held + joining < 2:
                    raise
                size = (held + joining) // 2
                waiting.extendleft(batch.shrink(size))
                log.warning("Out of memory. Continuing with %d rows; lower eval.batch_tokens.", size)
                torch.cuda.empty_cache()
                continue
            for number, tokens in batch.leave():
                done(number, tokens)

    def _parts(self, numbers: Sequence[int], prefix: Prefix, prompts: Sequence[Ids]) -> Iterator[list[int]]:
        """The prompts' numbers in parts to forward at once, in the same order: the longest prompt is first."""
        lengths = np.array([len(prompts[i]) - prefix.tokens for i in numbers], dtype=np.int64)
        for part in split(lengths, self.batch_tokens, overhead=self.network.overhead):
            yield [numbers[i] for i in part]


class _Batch:
    """The rows of one stem that are being answered: their prompts' numbers, and the tokens of their answers."""

    def __init__(self, generation: Generation, prefix: Prefix) -> None:
        self.generation = generation
        self.network = generation.network
        self.prefix = prefix
        self.numbers: list[int] = []
        self.answers: list[list[int]] = []
        self.rows: RowCache | None = None

    def admit(self, numbers: list[int], prompts: Sequence[Ids]) -> None:
        """Run these prompts, and add their rows with the first token of each answer."""
        import torch

        ids_bt, lengths = self.network.padded([prompts[i][self.prefix.tokens :] for i in numbers])
        rows, h_btd = self.network.decoder.start(self.prefix, ids_bt, lengths)
        h_bd = h_btd[torch.arange(len(numbers), device=h_btd.device), lengths.to(h_btd.device) - 1]
        del h_btd
        first = self._next(h_bd, [(number, 0) for number in numbers])
        if self.rows is None or not self.numbers:
            held = rows
        else:
            held = self.rows
            held.join(rows)
        self.rows = held
        self.numbers += numbers
        self.answers += [[token] for token in first]

    def step(self) -> None:
        """Run the last token of each answer and append the next one."""
        import torch

        assert self.rows is not None
        last = torch.tensor([answer[-1:] for answer in self.answers], device=self.network.device)
        h_bd = self.network.decoder.extend(self.rows, last, torch.ones_like(self.rows.lengths))[:, 0]
        places = [(number, len(answer)) for number, answer in zip(self.numbers, self.answers, strict=True)]
        for answer, token in zip(self.answers, self._next(h_bd, places), strict=True):
            answer.append(token)

    def _next(self, h_bd: torch.Tensor, places: Sequence[tuple[int, int]]) -> list[int]:
        return self.generation.pick(self.network.logits(h_bd), places)

    def leave(self) -> list[tuple[int, list[int]]]:
        """Remove the finished rows, and return their prompts' numbers and answers."""
        assert self.rows is not None
        left = []
        for row in reversed(range(len(self.numbers))):
            answer = self.answers[row]
            if len(answer) >= self.generation.most_tokens or self.generation.finished(answer):
                left.append((self.numbers[row], answer))
                self._drop(row)
        return left

    def shrink(self, size: int) -> list[int]:
        """Remove all rows after the first `size`, and return their prompts' numbers: they start again later."""
        removed = self.numbers[size:]
        for row in reversed(range(size, len(self.numbers))):
            self._drop(row)
        return removed

    def _drop(self, row: int) -> None:
        assert self.rows is not None
        self.rows.drop(row)
        self.numbers[row], self.answers[row] = self.numbers[-1], self.answers[-1]
        self.numbers.pop()
        self.answers.pop()


def ids_of(tokens: Sequence[int]) -> Ids:
    """Token ids as an array."""
    return np.array(tokens, dtype=np.int64)
