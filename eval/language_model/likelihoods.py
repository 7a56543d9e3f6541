"""Log-likelihoods of continuations: contexts that share a prefix or each other are forwarded once.

Shapes: B rows, T tokens, K predicted tokens, D hidden size, V vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nait.eval.language_model.positions import SharedNetwork
from nait.models.kv.row_cache import RowCache
from nait.models.kv.shared_decoder import Prefix
from nait.models.kv.stems import Ids, Stem, find_stems
from nait.models.tokens.batches import width_of
from nait.models.tokens.uneven_rows import split

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

Answer = tuple[float, bool]
"""Log-likelihood in nats, and whether each token is the model's first choice."""
Longer = tuple[int, int, tuple[int, ...]]
"""A continuation of several tokens: its number in the batch, its context's row, and its tokens."""


@dataclass
class Context:
    """A context's token ids, and its distinct continuations with the numbers of their requests."""

    ids: Ids
    answers: dict[tuple[int, ...], list[int]] = field(default_factory=dict)

    @property
    def alone(self) -> Ids:
        """The only continuation without its last token, to forward with the context; nothing if there are several."""
        if len(self.answers) != 1:
            return self.ids[:0]
        (answer,) = self.answers
        return np.array(answer[:-1], dtype=np.int64)


class Likelihoods:
    """Rates continuations in batches of at most `batch_tokens` tokens. `dtype` is that of the log-softmax."""

    def __init__(self, network: SharedNetwork, *, batch_tokens: int, dtype: Any = None) -> None:
        self.network = network
        self.batch_tokens = batch_tokens
        self.dtype = dtype

    def rate(
        self, requests: Sequence[tuple[Sequence[int], Sequence[int]]], done: Callable[[int], Any]
    ) -> list[Answer]:
        """The answer of each request, a context and a continuation. `done` counts finished requests."""
        import torch

        contexts = _contexts(requests)
        rows = [np.concatenate([context.ids, context.alone]) for context in contexts]
        root = find_stems(rows, [len(context.ids) - 1 for context in contexts])
        answers: list[Answer] = [(0.0, False)] * len(requests)
        with torch.inference_mode():
            for prefix, batch in prefixed_batches(self.network, root, rows, self.batch_tokens):
                for numbers, answer in self._fitting(prefix, batch, rows, contexts):
                    for number in numbers:
                        answers[number] = answer
                    done(len(numbers))
        return answers

    def _fitting(
        self, prefix: Prefix, batch: list[int], rows: Sequence[Ids], contexts: Sequence[Context]
    ) -> list[tuple[list[int], Answer]]:
        """`_batch` of these rows; in halves if it does not fit into memory."""
        import torch

        try:
            tails = [rows[i][prefix.tokens :] for i in batch]
            return list(self._batch(prefix, tails, [contexts[i] for i in batch]))
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
        half = len(batch) // 2
        log.warning("Out of memory at %d rows. Continuing with half; lower eval.batch_tokens.", len(batch))
        torch.cuda.empty_cache()
        return [
            found
            for part in (batch[:half], batch[half:])
            for found in self._fitting(prefix, part, rows, contexts)
        ]

    def _batch(
        self, prefix: Prefix, tails: Sequence[Ids], contexts: Sequence[Context]
    ) -> Iterator[tuple[list[int], Answer]]:
        """The request numbers and the answer of each continuation in the batch."""
        import torch

        ids_bt, lengths = self.network.padded(tails)
        rows, h_btd = self.network.decoder.start(prefix, ids_bt, lengths)
        ends = [len(context.ids) - 1 - prefix.tokens for context in contexts]
        pairs = [(i, answer) for i, context in enumerate(contexts) for answer in context.answers]
        asked = Predictions()
        asked.add(
            h_btd[torch.arange(len(ends), device=h_btd.device), torch.tensor(ends, device=h_btd.device)]
        )
        longer = []
        for number, (i, answer) in enumerate(pairs):
            asked.ask(number, i, answer[:1])
            if len(answer) > 1 and len(contexts[i].answers) == 1:
                states = h_btd[i, ends[i] + 1 : ends[i] + len(answer)]
                asked.ask(number, asked.add(states), answer[1:])
            elif len(answer) > 1:
                longer.append((number, i, answer))
        for part in self._parts(longer, rows):
            self._after(rows, part, asked)
        for (i, answer), rated in zip(pairs, asked.rated(self.network, self.dtype), strict=True):
            yield contexts[i].answers[answer], rated

    def _parts(self, longer: Sequence[Longer], rows: RowCache) -> Iterator[Sequence[Longer]]:
        """The continuations in parts within the budget; each part is run behind copies of its contexts."""
        longer = sorted(longer, key=lambda one: -len(one[2]))
        context = int(rows.lengths.max())
        at = 0
        while at < len(longer):
            size = max(1, self.batch_tokens // (width_of(len(longer[at][2]) - 1) + context))
            yield longer[at : at + size]
            at += size

    def _after(self, rows: RowCache, part: Sequence[Longer], asked: Predictions) -> None:
        """Run the continuations behind their contexts, and ask for their tokens after the first."""
        import torch

        copies = rows.select(torch.tensor([i for _, i, _ in part], device=rows.lengths.device))
        ids_bt, lengths = self.network.padded([np.array(answer[:-1]) for _, _, answer in part])
        h_btd = self.network.decoder.extend(copies, ids_bt, lengths)
        for row, (number, _, answer) in enumerate(part):
            asked.ask(number, asked.add(h_btd[row, : len(answer) - 1]), answer[1:])


class Predictions:
    """States, and the tokens that they are asked to predict. Several tokens may be asked of one state."""

    def __init__(self) -> None:
        self.states: list[torch.Tensor] = []
        self.count = 0
        self.asked: list[tuple[int, int, int]] = []

    def add(self, states_kd: torch.Tensor) -> int:
        """Add states [K, D]; the number of the first."""
        first = self.count
        self.states.append(states_kd)
        self.count += len(states_kd)
        return first

    def ask(self, answer: int, state: int, tokens: Sequence[int]) -> None:
        """Ask for the next tokens of an answer, from `state` and the states after it."""
        self.asked += [(answer, state + place, token) for place, token in enumerate(tokens)]

    def rated(self, network: SharedNetwork, dtype: Any) -> list[Answer]:
        """Each answer's log-likelihood, and whether its tokens are all first choices, by the answer's number."""
        import torch

        h_kd = torch.cat(self.states)
        answers, states, tokens = np.array(sorted(self.asked, key=lambda one: one[1])).T
        nats, first = np.empty(len(tokens)), np.empty(len(tokens), dtype=bool)
        for start in range(0, self.count, step := network.states_at_once):
            span = slice(*np.searchsorted(states, [start, start + step]).tolist())
            logits = network.logits(h_kd[start : start + step])
            row, token = (torch.from_numpy(x).to(logits.device) for x in (states[span] - start, tokens[span]))
            nats[span] = torch.log_softmax(logits, dim=-1, dtype=dtype)[row, token].double().cpu().numpy()
            first[span] = (logits.argmax(dim=-1)[row] == token).cpu().numpy()
        sums = np.bincount(answers, weights=nats)
        missed = np.bincount(answers, weights=~first)
        return [(float(nat), not miss) for nat, miss in zip(sums, missed, strict=True)]


def _contexts(requests: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[Context]:
    """Distinct contexts of the requests, in their order."""
    found: dict[tuple[int, ...], Context] = {}
    for number, (context, answer) in enumerate(requests):
        key = tuple(context)
        if key not in found:
            found[key] = Context(np.array(context, dtype=np.int64))
        found[key].answers.setdefault(tuple(answer), []).append(number)
    return list(found.values())


def prefixed_batches(
    network: SharedNetwork, root: Stem, rows: Sequence[Ids], batch_tokens: int
) -> Iterator[tuple[Prefix, list[int]]]:
    """Each stem's prefix with batches of its rows, at most `batch_tokens` tokens after the prefix."""
    for prefix, stem in stem_prefixes(network, root, rows):
        if stem.rows:
            lengths = np.array([len(rows[i]) - prefix.tokens for i in stem.rows], dtype=np.int64)
            for part in split(lengths, batch_tokens, overhead=network.overhead):
                yield prefix, [stem.rows[i] for i in part]


def stem_prefixes(network: SharedNetwork, root: Stem, rows: Sequence[Ids]) -> Iterator[tuple[Prefix, Stem]]:
    """Each stem with its prefix, which is run when it is asked for. A longer stem continues the shorter one."""
    waiting: list[tuple[Prefix, Stem]] = [(Prefix(), root)]
    while waiting:
        shorter, stem = waiting.pop()
        prefix = shorter
        if stem.tokens:
            ids = rows[stem.first_row()][shorter.tokens : stem.tokens]
            prefix = network.decoder.prefix(ids, shorter)
        waiting += [(prefix, longer) for longer in stem.longer]
        yield prefix, stem
