"""Comparisons between selections: overlap, core subsets, score correlations and answer lengths.

The Jaccard index of two selections is the number of rows in both, divided by the number of rows in either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from nait.core.ranking.rank_statistics import spearman
from nait.sweeps.grouping.names import target_labels, unique_names
from nait.sweeps.render.svg import Grid
from nait.sweeps.stored_runs.method_names import CONTROL
from nait.sweeps.stored_runs.picks import Picks
from nait.sweeps.stored_runs.selections import Chosen, jaccard

MOST = 24
"""Maximum number of lines in a readable figure or matrix; tables with a row per line have all."""


def names(picks: Sequence[Picks]) -> list[str]:
    """Unique names: the selector, with target and budget where they differ."""
    return unique_names([(one.selector, "" if one.targetless else one.target, one.budget) for one in picks])


def distinct(picks: Sequence[Picks]) -> list[Picks]:
    """The selections without repetitions of targetless methods."""
    seen: dict[tuple[str, str, str], Picks] = {}
    for one in picks:
        target = "" if one.targetless else one.target
        seen.setdefault((one.selector, target, one.budget), one)
    return list(seen.values())


def overlaps(picks: Sequence[Picks]) -> Grid | None:
    """Jaccard indices between lines, mean over seeds; on the diagonal, between the seeds of a line."""
    if len(picks) < 2:
        return None
    size = len(picks)
    values = np.full((size, size), np.nan)
    for (r, a), (c, b) in combinations(enumerate(picks), 2):
        values[r, c] = values[c, r] = _agreement(a, b)
    for k, one in enumerate(picks):
        stability = one.stability
        values[k, k] = np.nan if stability is None else stability
    none = np.zeros((size, size), dtype=bool)
    labels = names(picks)
    return Grid(
        "Jaccard index of the selected rows",
        labels,
        labels,
        values,
        none,
        np.eye(size, dtype=bool),
        unit="Jaccard index",
    )


def _agreement(a: Picks, b: Picks) -> float:
    """The mean Jaccard index of two lines over their shared seeds, or of their first seeds where none is shared."""
    shared = sorted(set(a.by_seed) & set(b.by_seed))
    pairs = [(a.by_seed[s], b.by_seed[s]) for s in shared] or [(a.first, b.first)]
    return float(np.mean([jaccard(x.chosen, y.chosen) for x, y in pairs]))


def setting_agreement(picks: Sequence[Picks]) -> list[tuple[str, str, int, float]]:
    """For each method with several settings: (name, keys that differ, number of settings, mean Jaccard index).

    Such keys are layers, draws of the reference set, and templates.
    """
    groups: dict[tuple[str, str, str], list[Picks]] = {}
    for one in picks:
        groups.setdefault((one.method, one.target, one.budget), []).append(one)
    found, targets = [], target_labels(one.target for one in picks)
    for (method, target, budget), group in groups.items():
        if len(group) > 1:
            pairs = [_agreement(a, b) for a, b in combinations(group, 2)]
            keys = ", ".join(sorted({key for one in group for key in one.settings}))
            found.append((f"{method}, {targets[target]}, {budget}", keys, len(group), float(np.mean(pairs))))
    return found


@dataclass(frozen=True)
class Core:
    """The core subset of a method: the rows it selected for more than half of its targets.

    `specific`: target -> the rows selected for that target only.

    `seed`: the seed of these selections, None where they are the same for every seed.
    """

    selector: str
    budget: str
    targets: int
    core: tuple[str, ...]
    specific: Mapping[str, tuple[str, ...]]
    texts: Mapping[str, str]
    seed: int | None = None


def cores(picks: Sequence[Picks]) -> list[Core]:
    """The core subsets of methods with three single targets or more."""
    groups: dict[tuple[str, str], list[Picks]] = {}
    for one in picks:
        if "+" not in one.target and not one.targetless:
            groups.setdefault((one.selector, one.budget), []).append(one)
    found = []
    for (selector, budget), group in sorted(groups.items()):
        if len(group) < 3:
            continue
        seed = _shared_seed(group)
        chosen = {one.target: one.by_seed.get(seed, one.first) for one in group}
        counts = Counter(key for picked in chosen.values() for key in picked.chosen)
        ranks = Counter[str]()
        for picked in chosen.values():
            ranks.update({key: place for place, key in enumerate(picked.chosen)})
        often = [key for key, count in counts.items() if 2 * count > len(group)]
        core = sorted(often, key=lambda key: (-counts[key], ranks[key] / counts[key], key))
        specific = {
            name: tuple(k for k in picked.chosen if counts[k] == 1) for name, picked in chosen.items()
        }
        texts = {key: text for picked in chosen.values() for key, text in picked.texts.items()}
        shown_seed = None if all(one.unseeded for one in group) else seed
        found.append(Core(selector, budget, len(group), tuple(core), specific, texts, shown_seed))
    return found


def _shared_seed(group: Sequence[Picks]) -> int:
    """The first shared seed, else the first seed of the first selection."""
    seeds = set.intersection(*(set(one.by_seed) for one in group))
    return min(seeds or group[0].by_seed)


def correlations(picks: Sequence[Picks]) -> Grid | None:
    """Spearman's rho between the score columns of all lines, for the first seed and budget of each."""
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for one in picks:
        if one.method == CONTROL:
            continue
        for target, values in _by_target(one.first.scores).items():
            name = f"{one.selector}, {target}" if target else one.selector
            while name in columns and not np.array_equal(columns[name], values, equal_nan=True):
                name += "'"  # the same method and target in a merged run, with different scores
            columns[name] = values
    labels = list(columns)[:MOST]
    if len(labels) < 2 or len({len(columns[name]) for name in labels}) > 1:
        return None
    values = np.array([[spearman(columns[a], columns[b]) for b in labels] for a in labels])
    none = np.zeros(values.shape, dtype=bool)
    seeded = not all(one.unseeded for one in picks if one.method != CONTROL)
    some = f"the first {MOST} of {len(columns)} " if len(labels) < len(columns) else ""
    title = f"Spearman's rho between {some}score columns" + (", each line's first seed" if seeded else "")
    return Grid(title, labels, labels, values, none, none, unit="rank correlation")


def _by_target(scores: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.float64]]:
    """Score columns by target; columns per reference row (`target/row`) are reduced to their maximum."""
    found: dict[str, npt.NDArray[np.float64]] = {}
    for column, values in scores.items():
        target = column.partition("/")[0]
        found[target] = np.fmax(found[target], values) if target in found else values
    return found


Lengths = tuple[str, int, float, float, float, float]
"""Name, number of rows, mean and quartiles of the answer tokens."""


def lengths(picks: Sequence[Picks]) -> list[Lengths]:
    """The answer lengths of the pool and of each selection, means over seeds.

    Of the pool, the rows that can be trained on: the others have no answer tokens within the length limit.
    """
    found: list[Lengths] = []
    if picks:
        tokens = picks[0].first.answer_tokens
        found.append(("the pool", *_quartiles(tokens[tokens > 0])))
    for name, one in zip(names(picks), picks, strict=True):
        rows, *numbers = np.mean([_quartiles(_answers(chosen)) for chosen in one.by_seed.values()], axis=0)
        found.append((name, round(rows), *map(float, numbers)))
    return found


def _answers(chosen: Chosen) -> npt.NDArray[np.int64]:
    """The answer tokens of the selected rows."""
    places = {key: row for row, key in enumerate(chosen.ids)}
    return chosen.answer_tokens[[places[key] for key in chosen.chosen]]


def _quartiles(tokens: npt.NDArray[np.int64]) -> tuple[int, float, float, float, float]:
    if not len(tokens):
        return 0, 0.0, 0.0, 0.0, 0.0
    low, middle, high = np.percentile(tokens, [25, 50, 75])
    return len(tokens), float(tokens.mean()), float(low), float(middle), float(high)
