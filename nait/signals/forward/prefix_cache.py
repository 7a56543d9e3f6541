"""Prefix caching: run the decoder once on tokens that many rows begin with, such as a preamble or system prompt.

Under causal attention a prefix's states do not depend on what follows. The decoder runs on it once per pass, and all
batches of its rows use its cached keys and values. If a row has 130 tokens, 40 of
them Alpaca's preamble, that saves a third of the work.

Shapes: N rows, B rows of a batch, T tokens, P prefix tokens, D hidden size.
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
"""Minimum tokens of a prefix, or of its extension over a shorter prefix."""
FEWEST_ROWS = 16
LEAST_SHARE = 0.05
"""Minimum share of the table's rows that begin with a prefix."""

LEAST_SAVED = 0.05
"""Minimum share of tokens saved. Caching has a cost: rows with different prefixes cannot share a batch."""

PROBE_TOKENS = 16
"""Tokens after a prefix that check whether the decoder handles a cached prefix correctly."""

UNSUPPORTED = (LookupError, TypeError, ValueError, AttributeError)
"""What a decoder raises that needs a cache of its own, such as one with the states of recurrent layers."""

Ints = npt.NDArray[np.integer[Any]]
Take = Callable[["torch.Tensor"], None]


@dataclass(frozen=True)
class Prefixes:
    """Shared prefixes of a table, `ids[k]` [P_k], and the prefix of each row, `number` [N]; -1: none.

    A row is longer than its prefix by at least one token.
    """

    ids: tuple[Ints, ...] = ()
    number: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def of(self, rows: Rows) -> Ints | None:
        """The prefix [P] of all these rows; None if they share none."""
        if not self.ids:
            return None
        first = int(self.number[rows[0]])
        return self.ids[first] if first >= 0 and bool((self.number[rows] == first).all()) else None


NONE = Prefixes()
"""No prefix caching."""


def find_prefixes(table: TokenTable) -> Prefixes:
    """Prefixes that many rows of the table share. Reads the rows' first tokens, one column at a time."""
    least = max(FEWEST_ROWS, int(LEAST_SHARE * len(table)))
    number = np.full(len(table), -1, dtype=np.int64)
    ids: list[Ints] = []
    for length, rows in _split(table, np.arange(len(table)), 0, 0, least):
        if length:
            number[rows] = len(ids)
            ids.append(np.array(table.row(int(rows[0]))[0][:length]))
    return Prefixes(tuple(ids), number)


def _split(table: TokenTable, rows: Rows, at: int, kept: int, least: int) -> Iterator[tuple[int, Rows]]:
    """Length of each shared prefix and its rows, from a walk down the trie of first tokens.

    `rows` share their first `at` tokens. Rows that leave this branch of the trie get a prefix of `kept` tokens.
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
    """Rows grouped by their token `at`, for every token that `least` rows have; and the remaining rows."""
    starts = np.asarray(table.starts)
    alive = starts[rows + 1] - starts[rows] > at + 1
    going = rows[alive]
    tokens = np.asarray(table.input_ids[starts[going] + at])
    values, counts = np.unique(tokens, return_counts=True)
    common = values[counts >= least]
    branches = [going[tokens == value] for value in common]
    return branches, np.concatenate([rows[~alive], going[~np.isin(tokens, common)]])


def plan_by_prefix(lengths: npt.NDArray[np.int64], batch_tokens: int, prefixes: Prefixes) -> list[Rows]:
    """Batches by `plan`, widest first. All rows of a batch have the same prefix."""
    if not prefixes.ids:
        return plan(lengths, batch_tokens)
    batches = []
    for number in np.unique(prefixes.number):
        rows = np.flatnonzero(prefixes.number == number)
        batches += [rows[part] for part in plan(lengths[rows], batch_tokens)]
    return sorted(batches, key=lambda rows: -width_of(int(lengths[rows].max())))


def forwarded_tokens(batches: Sequence[Rows], lengths: npt.NDArray[np.int64], prefixes: Prefixes) -> int:
    """Tokens forwarded: padding included, cached prefixes excluded."""
    most = int(lengths.max(initial=0))
    return sum(
        len(rows) * (min(width_of(int(lengths[rows].max())), most) - cached_tokens(rows, prefixes))
        for rows in batches
    )


def cached_tokens(rows: Rows, prefixes: Prefixes) -> int:
    """Tokens of the cached prefix of a batch of these rows."""
    prefix = prefixes.of(rows)
    return 0 if prefix is None else len(prefix)


def worthwhile(prefixes: Prefixes, lengths: npt.NDArray[np.int64], batch_tokens: int) -> Prefixes:
    """`prefixes` if caching saves enough tokens over rows of these lengths [N]; else none."""
    if not prefixes.ids:
        return NONE
    whole, shared = (
        forwarded_tokens(plan_by_prefix(lengths, batch_tokens, given), lengths, given)
        for given in (NONE, prefixes)
    )
    return prefixes if shared <= (1.0 - LEAST_SAVED) * whole else NONE


@dataclass(frozen=True)
class CachedPrefix:
    """KV cache of one prefix, with the decoder's output [1, P, D] and each hooked activation [1, P, D]."""

    tokens: int
    cache: Any
    output: torch.Tensor
    activations: Mapping[int, torch.Tensor]


class Continuation:
    """Runs the decoder on rows after their cached prefix. The hooks of the pass still see whole rows."""

    def __init__(self, decoder: Any, device: str) -> None:
        self.decoder = decoder
        self.device = device
        self.rows = 0
        self.hooks = 0
        self.current: CachedPrefix | None = None
        self.cached: dict[bytes, CachedPrefix | None] = {}
        self.recorded: dict[int, torch.Tensor] | None = None

    def wrap(self, take: Take) -> Take:
        """A hook function that passes activations of whole rows to `take`."""
        number, self.hooks = self.hooks, self.hooks + 1

        def whole(activation: torch.Tensor) -> None:
            if self.recorded is not None:
                self.recorded[number] = activation.reshape(1, -1, activation.shape[-1])
            elif self.current is not None:
                after = activation.reshape(self.rows, -1, activation.shape[-1])
                take(join(self.current.activations[number], after))
            else:
                take(activation)

        return whole

    def read(self, ids_bt: torch.Tensor, prefix: Ints | None) -> torch.Tensor | None:
        """Decoder output [B, T, D] of rows that begin with `prefix`; None if they have to be run whole."""
        self.rows, self.current = len(ids_bt), None
        if prefix is None:
            return None
        key = prefix.tobytes()
        if key not in self.cached:
            self.cached[key] = self._cache(prefix, ids_bt[:1, : len(prefix) + PROBE_TOKENS])
        self.current = self.cached[key]
        return None if self.current is None else self._continue(self.current, ids_bt)

    def _continue(self, prefix: CachedPrefix, ids_bt: torch.Tensor) -> torch.Tensor:
        after = self.decoder(
            input_ids=ids_bt[:, prefix.tokens :], past_key_values=prefix.cache, use_cache=True
        )
        return join(prefix.output, after.last_hidden_state)

    def _cache(self, prefix: Ints, row_1t: torch.Tensor) -> CachedPrefix | None:
        """Cache of a prefix [P]; None for a decoder that needs another cache, or computes other values with it.

        Some decoders keep state other than keys and values, or count positions differently: the beginning of one row
        is run both ways.
        """
        import torch

        from nait.models.kv.frozen_cache import empty, frozen

        self.recorded = {}  # hooks record the prefix's activations in place of a batch's
        try:
            cache = empty()
            ids = torch.from_numpy(prefix.astype(np.int64))[None].to(self.device)
            output = self.decoder(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
            kept = frozen(cache, tokens=len(prefix))
            if kept is None:
                return None
            cached = CachedPrefix(len(prefix), kept, output, self.recorded)
            self.recorded = {}
            whole = self.decoder(input_ids=row_1t, use_cache=False).last_hidden_state
            if nearly_equal(whole, self._continue(cached, row_1t)):
                return cached
        except UNSUPPORTED:
            return None
        finally:
            self.recorded = None
        log.warning(
            "This model does not support prefix caching. Every row is run whole; set engine.share_prefixes=false."
        )
        return None


def nearly_equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors differ by less than sqrt(eps) of their dtype, relative to their norm."""
    import torch

    distance = (a.float() - b.float()).norm()
    return bool(distance <= torch.finfo(a.dtype).eps ** 0.5 * a.float().norm())


def join(prefix_pd: torch.Tensor, after_btd: torch.Tensor) -> torch.Tensor:
    """Whole rows [B, P + T, D]: a prefix's states [1, P, D], then each row's."""
    import torch

    return torch.cat([prefix_pd.expand(len(after_btd), -1, -1), after_btd], dim=1)
