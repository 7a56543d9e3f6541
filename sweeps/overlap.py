"""What was selected: how far selections agree, what they share, how long their rows are.

The Jaccard index of two selections is the share of their rows that both have. N rows of a pool.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from nait.core.rankings import spearman

from .contrasts import CONTROL, TARGETLESS
from .drawing import Grid
from .names import aims, apart
from .selections import Picks, jaccard

MOST = 24
"""More lines than this make no readable picture."""


def names(picks: Sequence[Picks]) -> list[str]:
    """What tells these selections apart: the selector, with target and budget where they differ."""
    return apart(
        [(one.selector, "" if one.method in TARGETLESS else one.target, one.budget) for one in picks]
    )


def distinct(picks: Sequence[Picks]) -> list[Picks]:
    """Without a targetless method's repetitions for other targets; no more than fit a picture."""
    seen: dict[tuple[str, str, str], Picks] = {}
    for one in picks:
        target = "" if one.method in TARGETLESS else one.target
        seen.setdefault((one.selector, target, one.budget), one)
    return list(seen.values())[:MOST]


def overlaps(picks: Sequence[Picks]) -> Grid | None:
    """Jaccard indices between lines, averaged over seeds; on the diagonal, between a line's own seeds."""
    if len(picks) < 2:
        return None
    size = len(picks)
    values = np.full((size, size), np.nan)
    for (r, a), (c, b) in combinations(enumerate(picks), 2):
        shared = sorted(set(a.by_seed) & set(b.by_seed))
        pairs = [(a.by_seed[s], b.by_seed[s]) for s in shared] or [(a.first, b.first)]
        values[r, c] = values[c, r] = np.mean([jaccard(x.chosen, y.chosen) for x, y in pairs])
    for k, one in enumerate(picks):
        stability = one.stability
        values[k, k] = np.nan if stability is None else stability
    none = np.zeros((size, size), dtype=bool)
    said = names(picks)
    return Grid("Jaccard index of the selected rows", said, said, values, none, np.eye(size, dtype=bool))


def settled(picks: Sequence[Picks]) -> list[tuple[str, str, int, float]]:
    """Method with target and budget, the settings it was run with, how many, and their selections' mean agreement.

    Settings are whatever runs of the method differed in: layers, reference draws, templates.
    """
    groups: dict[tuple[str, str, str], list[Picks]] = {}
    for one in picks:
        groups.setdefault((one.method, one.target, one.budget), []).append(one)
    found, targets = [], aims(one.target for one in picks)
    for (method, target, budget), group in groups.items():
        if len(group) > 1:
            pairs = [jaccard(a.first.chosen, b.first.chosen) for a, b in combinations(group, 2)]
            keys = ", ".join(sorted({key for one in group for key in one.settings}))
            found.append((f"{method}, {targets[target]}, {budget}", keys, len(group), float(np.mean(pairs))))
    return found


@dataclass(frozen=True)
class Core:
    """Rows that a method chose for more than half of its targets, and rows it chose for one alone."""

    selector: str
    budget: str
    targets: int
    core: tuple[str, ...]
    specific: Mapping[str, tuple[str, ...]]
    texts: Mapping[str, str]


def cores(picks: Sequence[Picks]) -> list[Core]:
    """The core subsets of methods that were run for three single targets or more."""
    groups: dict[tuple[str, str], list[Picks]] = {}
    for one in picks:
        if "+" not in one.target and one.method not in TARGETLESS:
            groups.setdefault((one.selector, one.budget), []).append(one)
    found = []
    for (selector, budget), group in sorted(groups.items()):
        if len(group) < 3:
            continue
        counts = Counter(key for one in group for key in one.first.chosen)
        ranks = Counter[str]()
        for one in group:
            ranks.update({key: place for place, key in enumerate(one.first.chosen)})
        often = [key for key, count in counts.items() if 2 * count > len(group)]
        core = sorted(often, key=lambda key: (-counts[key], ranks[key] / counts[key], key))
        specific = {one.target: tuple(k for k in one.first.chosen if counts[k] == 1) for one in group}
        texts = {key: text for one in group for key, text in one.first.texts.items()}
        found.append(Core(selector, budget, len(group), tuple(core), specific, texts))
    return found


def correlations(picks: Sequence[Picks]) -> Grid | None:
    """Spearman's rho between the score columns of all lines, of one seed and budget each."""
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for one in picks:
        if one.method == CONTROL:
            continue
        for target, values in _by_target(one.first.scores).items():
            name = f"{one.selector}, {target}" if target else one.selector
            while name in columns and not np.array_equal(columns[name], values, equal_nan=True):
                name += "'"  # the same method and target within a merge, whose scores are others
            columns[name] = values
    said = list(columns)[:MOST]
    if len(said) < 2 or len({len(columns[name]) for name in said}) > 1:
        return None
    values = np.array([[spearman(columns[a], columns[b]) for b in said] for a in said])
    none = np.zeros(values.shape, dtype=bool)
    return Grid("Spearman's rho between score columns", said, said, values, none, none)


def _by_target(scores: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.float64]]:
    """The columns; of those that a method has for each reference row of a target (`target/row`), the largest."""
    found: dict[str, npt.NDArray[np.float64]] = {}
    for column, values in scores.items():
        target = column.partition("/")[0]
        found[target] = np.fmax(found[target], values) if target in found else values
    return found


def lengths(picks: Sequence[Picks]) -> list[tuple[str, int, float, float, float, float]]:
    """Name, rows, and the answer tokens' mean and quartiles of each selection; the pool first."""
    found = []
    if picks:
        found.append(("the pool", *_quartiles(picks[0].first.answer_tokens)))
    for name, one in zip(names(picks), picks, strict=True):
        places = {key: row for row, key in enumerate(one.first.ids)}
        rows = [places[key] for key in one.first.chosen]
        found.append((name, *_quartiles(one.first.answer_tokens[rows])))
    return found


def _quartiles(tokens: npt.NDArray[np.int64]) -> tuple[int, float, float, float, float]:
    if not len(tokens):
        return 0, 0.0, 0.0, 0.0, 0.0
    low, middle, high = np.percentile(tokens, [25, 50, 75])
    return len(tokens), float(tokens.mean()), float(low), float(middle), float(high)
