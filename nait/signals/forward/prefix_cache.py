"""Prefixes: tokens that many rows begin with, such as a template's preamble or a system prompt, read once.

Under causal attention a prefix's states do not depend on what follows. The decoder reads it once a pass, and every
batch of its rows goes on from its keys and values. Where each row of Alpaca has 40 tokens of preamble and 130 in
all, that is a third of the work. Shapes: N rows, B rows of a batch, T tokens, P of them the prefix's, D width.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.token_table import TokenTable
from nait.models.tokens.batches import Rows, plan, width_of

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

FEWEST_TOKENS = 8
"""A prefix, or what a longer one adds to a shorter one, is worth no less."""
FEWEST_ROWS = 16
LEAST_SHARE = 0.05
"""Rows that share a prefix are at least this part of the table."""

LEAST_SAVED = 0.05
"""To go on from prefixes pays where it saves this part of the tokens: rows of different ones share no batch."""

PROBE_TOKENS = 16
"""So many tokens behind a prefix show whether a decoder goes on from it as it should."""

Ints = npt.NDArray[np.integer[Any]]
Take = Callable[["torch.Tensor"], None]


@dataclass(frozen=True)
class Prefixes:
    """The shared prefixes of a table, `ids[k]` [P_k], and which of them each row begins with, `number` [N]; -1: none.

    A row is longer than its prefix: its last token is its own.
    """

    ids: tuple[Ints, ...] = ()
    number: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def of(self, rows: Rows) -> Ints | None:
        """The prefix [P] that all of these rows begin with; None where they share none."""
        if not self.ids:
            return None
        first = int(self.number[rows[0]])
        return self.ids[first] if first >= 0 and bool((self.number[rows] == first).all()) else None


NONE = Prefixes()
"""Every row is read whole."""


def find_prefixes(table: TokenTable) -> Prefixes:
    """The prefixes that many rows of the table share. Its first tokens are read, one column at a time."""
    least = max(FEWEST_ROWS, int(LEAST_SHARE * len(table)))
    number = np.full(len(table), -1, dtype=np.int64)
    ids: list[Ints] = []
    for length, rows in _split(table, np.arange(len(table)), 0, 0, least):
        if length:
            number[rows] = len(ids)
            ids.append(np.array(table.row(int(rows[0]))[0][:length]))
    return Prefixes(tuple(ids), number)


def _split(table: TokenTable, rows: Rows, at: int, kept: int, least: int) -> Iterator[tuple[int, Rows]]:
    """Tokens of a shared prefix, and the rows that have it: a walk down the tree of first tokens.

    `rows` share their first `at` tokens; `kept`: the length of the prefix that those get who leave on the way.
    """
    while True:
        branches, rest = _branches(table, rows, at, least)
        if len(branches) != 1 or len(rest) >= least:
            break
        rows, at = branches[0], at + 1
        if len(rest):
            yield kept, rest
    length = at if at - kept >= FEWEST_TOKENS else kept
    if len(rest):
        yield length, rest
    for branch in branches:
        yield from _split(table, branch, at + 1, length, least)


def _branches(table: TokenTable, rows: Rows, at: int, least: int) -> tuple[list[Rows], Rows]:
    """The rows by their token `at`, for each that many of them have; and the rows beside those."""
    starts = np.asarray(table.starts)
    alive = starts[rows + 1] - starts[rows] > at + 1
    going = rows[alive]
    tokens = np.asarray(table.input_ids[starts[going] + at])
    values, counts = np.unique(tokens, return_counts=True)
    common = values[counts >= least]
    branches = [going[tokens == value] for value in common]
    return branches, np.concatenate([rows[~alive], going[~np.isin(tokens, common)]])


def plan_by_prefix(lengths: npt.NDArray[np.int64], batch_tokens: int, prefixes: Prefixes) -> list[Rows]:
    """Batches as `plan` makes them, none of which mixes rows of different prefixes; the widest first."""
    if not prefixes.ids:
        return plan(lengths, batch_tokens)
    batches = []
    for number in np.unique(prefixes.number):
        rows = np.flatnonzero(prefixes.number == number)
        batches += [rows[part] for part in plan(lengths[rows], batch_tokens)]
    return sorted(batches, key=lambda rows: -width_of(int(lengths[rows].max())))


def tokens_read(batches: Sequence[Rows], lengths: npt.NDArray[np.int64], prefixes: Prefixes) -> int:
    """Tokens that a pass reads in these batches: padding included, the prefixes that batches go on from not."""
    return sum(
        len(rows) * (width_of(int(lengths[rows].max())) - tokens_begun(rows, prefixes)) for rows in batches
    )


def tokens_begun(rows: Rows, prefixes: Prefixes) -> int:
    """Tokens of the prefix that a batch of these rows goes on from."""
    prefix = prefixes.of(rows)
    return 0 if prefix is None else len(prefix)


def worthwhile(prefixes: Prefixes, lengths: npt.NDArray[np.int64], batch_tokens: int) -> Prefixes:
    """The prefixes, where a pass over rows of these lengths [N] reads few enough tokens with them; else none."""
    if not prefixes.ids:
        return NONE
    whole, shared = (
        tokens_read(plan_by_prefix(lengths, batch_tokens, given), lengths, given)
        for given in (NONE, prefixes)
    )
    return prefixes if shared <= (1.0 - LEAST_SAVED) * whole else NONE


@dataclass(frozen=True)
class Memory:
    """What the decoder made of one prefix: its output [1, P, D], and each hooked activation [1, P, D]."""

    tokens: int
    cache: Any
    output: torch.Tensor
    activations: Mapping[int, torch.Tensor]


class Continuation:
    """Reads rows on from a prefix that they share, and lets the hooks of the pass see whole rows none the less."""

    def __init__(self, decoder: Any, device: str) -> None:
        self.decoder = decoder
        self.device = device
        self.rows = 0
        self.hooks = 0
        self.memory: Memory | None = None
        self.memories: dict[bytes, Memory | None] = {}
        self.recorded: dict[int, torch.Tensor] | None = None

    def taking(self, take: Take) -> Take:
        """A hook's function that gives `take` the activations of whole rows."""
        number, self.hooks = self.hooks, self.hooks + 1

        def whole(activation: torch.Tensor) -> None:
            if self.recorded is not None:
                self.recorded[number] = activation.reshape(1, -1, activation.shape[-1])
            elif self.memory is not None:
                behind = activation.reshape(self.rows, -1, activation.shape[-1])
                take(join(self.memory.activations[number], behind))
            else:
                take(activation)

        return whole

    def read(self, ids_bt: torch.Tensor, prefix: Ints | None) -> torch.Tensor | None:
        """The decoder's output [B, T, D] of rows that begin with `prefix`; None where it has to read them whole."""
        self.rows, self.memory = len(ids_bt), None
        if prefix is None:
            return None
        key = prefix.tobytes()
        if key not in self.memories:
            self.memories[key] = self._remember(prefix, ids_bt[:1, : len(prefix) + PROBE_TOKENS])
        self.memory = self.memories[key]
        return None if self.memory is None else self._go_on(self.memory, ids_bt)

    def _go_on(self, memory: Memory, ids_bt: torch.Tensor) -> torch.Tensor:
        behind = self.decoder(
            input_ids=ids_bt[:, memory.tokens :], past_key_values=memory.cache, use_cache=True
        )
        return join(memory.output, behind.last_hidden_state)

    def _remember(self, prefix: Ints, row_1t: torch.Tensor) -> Memory | None:
        """The decoder's states of a prefix [P]; None for a decoder that does not go on from them as it should.

        Not every decoder keeps its past in keys and values alone, or counts positions from there: the beginning of
        one row is read both ways.
        """
        import torch

        from nait.models.tokens.kv_cache import empty, frozen

        self.recorded = {}  # what the hooks see now is not a batch
        try:
            cache = empty()
            ids = torch.from_numpy(prefix.astype(np.int64))[None].to(self.device)
            output = self.decoder(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
            kept = frozen(cache, tokens=len(prefix))
            if kept is None:
                return None
            memory = Memory(len(prefix), kept, output, self.recorded)
            self.recorded = {}
            whole = self.decoder(input_ids=row_1t, use_cache=False).last_hidden_state
            if alike(whole, self._go_on(memory, row_1t)):
                return memory
        finally:
            self.recorded = None
        log.warning("This model does not read on from a shared prefix; every row is read whole.")
        return None


def alike(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors differ by rounding alone: relative to their norm by less than sqrt(eps) of their dtype."""
    import torch

    distance = (a.float() - b.float()).norm()
    return bool(distance <= torch.finfo(a.dtype).eps ** 0.5 * a.float().norm())


def join(before_pd: torch.Tensor, behind_btd: torch.Tensor) -> torch.Tensor:
    """[B, P + T, D] whole rows: what a prefix gave [1, P, D], and each row behind it."""
    import torch

    return torch.cat([before_pd.expand(len(behind_btd), -1, -1), behind_btd], dim=1)
