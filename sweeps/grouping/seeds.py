"""Seeds: which of a run's seeds follow the run's own, and so tell no lines apart.

A record names the keys that follow (`seeded`). One that does not say, or a run that two configs reach, is judged by
its neighbours: runs that are alike but for their seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nait.sweeps.grouping.identities import OF_THE_RUN, Facts, Identity

FOLLOWS, FIXED, UNSURE = "follows", "fixed", "unsure"


@dataclass(frozen=True)
class Seeded:
    """A run's seed, its identity, and the keys that its record says follow the seed; None: it does not say."""

    seed: int
    identity: Identity
    group: tuple[str, ...]
    follows: frozenset[str] | None = None

    def state(self, key: str) -> str:
        """What this run alone says of a seed."""
        if self.identity.seeds[key] != str(self.seed):
            return FIXED
        if self.follows is None:
            return UNSURE
        return FOLLOWS if key in self.follows else FIXED

    @property
    def alike(self) -> object:
        """What runs share that differ in seeds alone."""
        masked = self.identity.with_seeds(dict.fromkeys(self.identity.seeds, OF_THE_RUN))
        parts = (masked.method, masked.model, masked.pool, masked.recipe, masked.evaluation)
        return (self.group, *(tuple(sorted(part.items())) for part in parts))


def settle(runs: Sequence[Seeded]) -> list[Identity]:
    """The runs' identities; a seed that follows the run's is `OF_THE_RUN` there."""
    families: dict[object, list[Seeded]] = {}
    for run in runs:
        families.setdefault(run.alike, []).append(run)
    fixed = {
        (run.group[:1], key, run.identity.seeds[key])
        for run in runs
        for key in run.identity.seeds
        if run.state(key) == FIXED
    }
    return [run.identity.with_seeds(_seeds(run, families[run.alike], fixed)) for run in runs]


def _seeds(run: Seeded, family: Sequence[Seeded], fixed: set[tuple[tuple[str, ...], str, str]]) -> Facts:
    found: Mapping[str, str] = run.identity.seeds
    return {
        key: OF_THE_RUN if _follows(run, key, family, (run.group[:1], key, value) in fixed) else value
        for key, value in found.items()
    }


def _follows(run: Seeded, key: str, family: Sequence[Seeded], elsewhere: bool) -> bool:
    """Whether a seed follows the run's: as its record says, unless only its neighbours bear out the opposite.

    `elsewhere`: runs of the method have this very seed fixed.
    """
    value, state = run.identity.seeds[key], run.state(key)
    if value != str(run.seed):
        return False
    others = [one for one in family if one.seed != run.seed]
    following = any(one.state(key) in (FOLLOWS, UNSURE) for one in others)
    alike = any(one.identity.seeds[key] == value for one in others)
    if state == UNSURE:
        return following or not elsewhere
    return following or not alike if state == FOLLOWS else following and not alike
