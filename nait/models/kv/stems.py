"""Stems: the prefixes that rows of token ids share, as a tree.

A stem is worth its own cache if it saves enough tokens: it is run once, and its rows only after it. Stems nest: the
examples of a subject are a stem, and a passage with several questions is a longer stem inside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

FEWEST_TOKENS = 8
"""Minimum tokens that a stem adds to the stem that it extends."""
LEAST_SAVED = 256
"""Minimum tokens that a stem saves over all of its rows. Rows of different stems cannot share a batch."""


@dataclass
class Stem:
    """A prefix of `tokens` tokens, the rows that continue it, and the longer stems that extend it."""

    tokens: int
    rows: list[int] = field(default_factory=list)
    longer: list[Stem] = field(default_factory=list)

    def first_row(self) -> int:
        """Any row that begins with this stem."""
        stem = self
        while not stem.rows:
            stem = stem.longer[0]
        return stem.rows[0]


def find_stems(rows: Sequence[Ids], limits: Sequence[int]) -> Stem:
    """The tree of stems of these rows; its root has no tokens. Every row belongs to one stem.

    `limits[i]` is the maximum length of a stem of row `i`, in tokens; it is less than the row's length.
    """
    root = Stem(0)
    if not rows:
        return root
    order = sorted(range(len(rows)), key=lambda i: rows[i].tolist())
    common = _common(rows, limits, order)
    ranges = [(0, len(order), root)]
    while ranges:
        start, end, stem = ranges.pop()
        if end - start == 1:
            stem.rows.append(order[start])
            continue
        depth = int(common[start + 1 : end].min())
        added = depth - stem.tokens
        if added >= FEWEST_TOKENS and added * (end - start - 1) >= LEAST_SAVED:
            longer = Stem(depth)
            stem.longer.append(longer)
            stem = longer
        ranges += [(first, last, stem) for first, last in _branches(common, start, end, depth)]
    return root


def _common(rows: Sequence[Ids], limits: Sequence[int], order: Sequence[int]) -> Ids:
    """Tokens that each row of `order` shares with the row before it, within both limits [N]; 0 for the first."""
    common = np.zeros(len(order), dtype=np.int64)
    for place in range(1, len(order)):
        i, j = order[place - 1], order[place]
        most = min(limits[i], limits[j])
        differ = rows[i][:most] != rows[j][:most]
        common[place] = int(differ.argmax()) if differ.any() else most
    return common


def _branches(common: Ids, start: int, end: int, depth: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows that share more than `depth` tokens."""
    cuts = [start, *(start + 1 + np.flatnonzero(common[start + 1 : end] == depth)).tolist(), end]
    yield from pairwise(cuts)
