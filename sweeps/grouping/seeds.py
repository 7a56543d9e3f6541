"""Which config seeds of a run follow the run's own seed, and therefore do not distinguish lines.

A record lists the keys that follow (`seeded`). A record without the list, or a run that two configs produce, is
decided by its neighbours: runs that differ only in their seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nait.sweeps.grouping.identities import OF_THE_RUN, Facts, Identity

FOLLOWS, FIXED, UNSURE = "follows", "fixed", "unsure"


@dataclass(frozen=True)
class Seeded:
    """A run's seed, its identity, and the keys recorded as following the seed; None: not recorded."""

    seed: int
    identity: Identity
    group: tuple[str, ...]
    follows: frozenset[str] | None = None

    def state(self, key: str) -> str:
        """Whether the record of this run alone shows a seed to follow, be fixed, or neither."""
        if self.identity.seeds[key] != str(self.seed):
            return FIXED
        if self.follows is None:
            return UNSURE
        return FOLLOWS if key in self.follows else FIXED

    @property
    def family(self) -> object:
        """The key that runs share when they differ only in seeds."""
        masked = self.identity.with_seeds(dict.fromkeys(self.identity.seeds, OF_THE_RUN))
        parts = (masked.method, masked.model, masked.pool, masked.recipe, masked.evaluation)
        return (self.group, *(tuple(sorted(part.items())) for part in parts))


def without_run_seeds(runs: Sequence[Seeded]) -> list[Identity]:
    """The identities of the runs, with `OF_THE_RUN` for each seed that follows the run's."""
    families: dict[object, list[Seeded]] = {}
    for run in runs:
        families.setdefault(run.family, []).append(run)
    fixed = {
        (run.group[:1], key, run.identity.seeds[key])
        for run in runs
        for key in run.identity.seeds
        if run.state(key) == FIXED
    }
    return [run.identity.with_seeds(_seeds(run, families[run.family], fixed)) for run in runs]


def _seeds(run: Seeded, family: Sequence[Seeded], fixed: set[tuple[tuple[str, ...], str, str]]) -> Facts:
    found: Mapping[str, str] = run.identity.seeds
    return {
        key: OF_THE_RUN if _follows(run, key, family, (run.group[:1], key, value) in fixed) else value
        for key, value in found.items()
    }


def _follows(run: Seeded, key: str, family: Sequence[Seeded], elsewhere: bool) -> bool:
    """Whether a seed follows the run's: as recorded, unless the neighbours contradict the record.

    `elsewhere`: runs of the method fix this seed to this value.
    """
    value, state = run.identity.seeds[key], run.state(key)
    if value != str(run.seed):
        return False
    others = [one for one in family if one.seed != run.seed]
    following = any(one.state(key) in (FOLLOWS, UNSURE) for one in others)
    shared = any(one.identity.seeds[key] == value for one in others)
    if state == UNSURE:
        return following or not elsewhere
    return following or not shared if state == FOLLOWS else following and not shared
