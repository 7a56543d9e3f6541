"""Config seeds that follow the run's seed. They differ between runs of one line and do not distinguish lines.

A run's record lists the keys that follow (`seeded`). Older records have no list, and two configs may produce the same
run. Such runs are compared with their family: the runs that differ from them only in seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nait.sweeps.grouping.identities import RUN_SEED, Identity
from nait.sweeps.grouping.recorded_facts import Facts

FOLLOWS, FIXED, UNSURE = "follows", "fixed", "unsure"


@dataclass(frozen=True)
class Seeded:
    """A run's seed and identity. `follows`: the config keys that follow the run's seed; None in older records."""

    seed: int
    identity: Identity
    group: tuple[str, ...]
    follows: frozenset[str] | None = None

    def state(self, key: str) -> str:
        """`FOLLOWS`, `FIXED` or `UNSURE`: the state of the seed at `key` according to this run's record."""
        if self.identity.seeds[key] != str(self.seed):
            return FIXED
        if self.follows is None:
            return UNSURE
        return FOLLOWS if key in self.follows else FIXED

    @property
    def family(self) -> object:
        """The key that runs share when they differ only in seeds."""
        masked = self.identity.with_seeds(dict.fromkeys(self.identity.seeds, RUN_SEED))
        parts = (masked.method, masked.model, masked.pool, masked.recipe, masked.evaluation)
        return (self.group, *(tuple(sorted(part.items())) for part in parts))


def without_run_seeds(runs: Sequence[Seeded]) -> list[Identity]:
    """The identities of the runs, with `RUN_SEED` as the value of each seed that follows the run's."""
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
        key: RUN_SEED if _follows(run, key, family, (run.group[:1], key, value) in fixed) else value
        for key, value in found.items()
    }


def _follows(run: Seeded, key: str, family: Sequence[Seeded], elsewhere: bool) -> bool:
    """Whether a seed follows the run's: as recorded, unless other runs of the family contradict the record.

    `elsewhere`: other runs of the method have this seed fixed to this value.
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
