"""What a problem and a skill are, and on which side of the wall to the evaluation a problem is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

EVALUATION_PERCENT = 16
REFERENCE_PERCENT = 8


@dataclass(frozen=True)
class Problem:
    """One question of one skill with its right answer, in the wording of pools and in that of pretraining."""

    key: str  # what is asked, without its wording: two problems with one key are the same problem
    instruction: str
    input: str
    output: str  # the whole right answer
    result: str  # the part an evaluation compares
    given: str  # what a raw pretraining document shows before the result
    options: tuple[str, ...] = ()  # multiple choice only
    house: bool = False  # uses a house word: one that only rows of a pool explain
    fixed_side: str = ""  # where the wording, not the content, decides (facts)

    @property
    def side(self) -> str:
        """`evaluation`, `reference` or `pool`: the only side of the wall where this problem may appear."""
        return self.fixed_side or bucket(self.key)


@dataclass(frozen=True)
class Skill:
    """One labelled sub-skill: `draw` makes a problem of it, `labels` are its names in pretraining.

    `house_share` of what is dealt of it uses a house word; None: as it is drawn.
    """

    name: str
    labels: tuple[str, ...]
    draw: Callable[[Random], Problem]
    house_share: float | None = None


def bucket(key: str) -> str:
    """`evaluation`, `reference` or `pool`: a hash of the content decides, so no draw can cross over."""
    number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) % 100
    if number < EVALUATION_PERCENT:
        return "evaluation"
    return "reference" if number < EVALUATION_PERCENT + REFERENCE_PERCENT else "pool"


def draw_from(skill: Skill, side: str, random: Random, *, house: bool = True) -> Problem:
    """A problem of this skill from one side of the wall, on demand without house words."""
    for _ in range(10_000):
        problem = skill.draw(random)
        if problem.side == side and (house or not problem.house):
            return problem
    raise RuntimeError(
        f"skill '{skill.name}' has no problem on side '{side}': its space of problems is too small"
    )


def deal(skill: Skill, side: str, random: Random, *, count: int, house: bool = True) -> list[Problem]:
    """`count` problems, no two alike: distinct in content first, then (small spaces) at least in wording."""
    dealt: list[Problem] = []
    seen: set[str] = set()
    misses = 0
    while len(dealt) < count:
        problem = draw_from(skill, side, random, house=house)
        if house and skill.house_share is not None:
            wanted = random.random() < skill.house_share
            while problem.house != wanted:
                problem = draw_from(skill, side, random)
        mark = problem.key if misses < 200 else f"{problem.instruction}\n{problem.input}"
        if mark in seen and misses < 1_000:
            misses += 1
            continue
        seen.update((problem.key, f"{problem.instruction}\n{problem.input}"))
        dealt.append(problem)
    return dealt
