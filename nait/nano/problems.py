"""Problems and skills, and the split that keeps evaluation, reference and pool problems apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

EVALUATION_PERCENT = 16
REFERENCE_PERCENT = 8


@dataclass(frozen=True)
class Problem:
    """One question of a skill with its correct answer, worded for pools and for pretraining."""

    key: str  # the content without its wording: problems with the same key are the same problem
    instruction: str
    input: str
    output: str  # the complete correct answer
    result: str  # the part that an evaluation compares
    given: str  # the text before the result in a raw pretraining document
    options: tuple[str, ...] = ()  # multiple choice only
    house: bool = False  # uses a house word, which only pool rows explain
    fixed_side: str = ""  # set if the wording, not the content, determines the side (facts)

    @property
    def side(self) -> str:
        """`evaluation`, `reference` or `pool`: the only split in which this problem may appear."""
        return self.fixed_side or bucket(self.key)


@dataclass(frozen=True)
class Skill:
    """A labelled sub-skill: `draw` generates a problem, `labels` are its names in pretraining text.

    `house_share` is the share of dealt problems that use a house word; None leaves it to `draw`.
    """

    name: str
    labels: tuple[str, ...]
    draw: Callable[[Random], Problem]
    house_share: float | None = None


def bucket(key: str) -> str:
    """The split of a key, by a hash of it: `evaluation`, `reference` or `pool`, the same for every draw."""
    number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) % 100
    if number < EVALUATION_PERCENT:
        return "evaluation"
    return "reference" if number < EVALUATION_PERCENT + REFERENCE_PERCENT else "pool"


def draw_from(skill: Skill, side: str, random: Random, *, house: bool = True) -> Problem:
    """A problem of this skill from one split; `house=False` excludes house words.

    Raises: RuntimeError if 10,000 draws give none.
    """
    for _ in range(10_000):
        problem = skill.draw(random)
        if problem.side == side and (house or not problem.house):
            return problem
    raise RuntimeError(
        f"skill '{skill.name}' has no problem in the split '{side}': it generates too few different problems"
    )


def deal(skill: Skill, side: str, random: Random, *, count: int, house: bool = True) -> list[Problem]:
    """`count` distinct problems: distinct in content, or at least in wording once content repeats too often."""
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
