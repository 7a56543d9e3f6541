"""The selections of each leaderboard line, by seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nait.core.statistics.results import Row
from nait.sweeps.stored_runs.method_names import BASE, TARGETLESS
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.stored_runs.selections import Chosen, jaccard


@dataclass(frozen=True)
class Picks:
    """The selections of one leaderboard line by seed, all from one pool. `targetless`: independent of the target."""

    method: str
    selector: str
    target: str
    budget: str
    by_seed: Mapping[int, Chosen]
    settings: Mapping[str, str]
    targetless: bool = False

    @property
    def first(self) -> Chosen:
        return self.by_seed[min(self.by_seed)]

    @property
    def unseeded(self) -> bool:
        """Whether the selection is the same for every seed."""
        return all(one.like(self.first) for one in self.by_seed.values())

    @property
    def stability(self) -> float | None:
        """The mean Jaccard index between seeds; None with one seed or independent of the seed."""
        if self.unseeded:
            return None
        pairs = list(combinations(self.by_seed.values(), 2))
        return float(np.mean([jaccard(a.chosen, b.chosen) for a, b in pairs])) if pairs else None


def read_picks(runs: RunSet, rows: Sequence[Row]) -> list[Picks]:
    """The selections behind these rows, from the pool with most lines; without full data and the base model."""
    groups: dict[tuple[str, str, str, str, str], dict[int, Chosen]] = {}
    settings = {row.selector: row.settings for row in rows}
    targetless = {row.selector: row.targetless or row.method in TARGETLESS for row in rows}
    for row in rows:
        if not row.selection or row.method in ("full", BASE):
            continue
        chosen = runs.chosen(row.selection)
        if chosen:
            key = (row.pool, row.method, row.selector, row.target, row.budget)
            groups.setdefault(key, {}).setdefault(row.seed, chosen)
    pools = Counter(key[0] for key in groups)
    pool = pools.most_common(1)[0][0] if pools else ""
    first_seen = {selector: place for place, (_, _, selector, _, _) in reversed(list(enumerate(groups)))}

    def rank(key: tuple[str, ...]) -> tuple[bool, str, int, str]:
        _, method, selector, target, _ = key
        return method in TARGETLESS, method, first_seen[selector], target

    return [
        Picks(*key[1:], groups[key], settings[key[2]], targetless[key[2]])
        for key in sorted(groups, key=rank)
        if key[0] == pool
    ]
