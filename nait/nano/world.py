"""The world's public interface: pools, reference sets and evaluation items, each row with its ground truth.

Standard library only. Every draw is seeded, so the same call gives the same rows on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

from nait.nano.families import CAPABILITIES, FAMILIES, noise
from nait.nano.families.fillers import CHAT, STORY
from nait.nano.problems import Problem, Skill, deal

VERSION = "2"
SMALLEST_POOL = 100
"""The smallest size at which every family has rows."""
Row = dict[str, Any]

# Per mille of a pool. The clean rows of a capability (three quarters of it) exceed 10 % of the pool, so that an
# oracle can fill a budget of 10 % without repeating a row.
SHARES = {
    **dict.fromkeys(CAPABILITIES, 135),
    **{f"lookalike_{name}": 51 for name in CAPABILITIES},
    "chat": 40,
    "story": 30,
}
NOISE_SHARE = 0.25


def capabilities() -> tuple[str, ...]:
    """The five target capabilities, in their fixed order."""
    return tuple(CAPABILITIES)


def pool_rows(size: int, seed: int = 0) -> list[Row]:
    """`size` instruction rows in random order, 25 % of them noisy, with ground-truth columns.

    Raises: ValueError if `size` is too small to hold every family.
    """
    if size < SMALLEST_POOL:
        raise ValueError(f"a nano pool needs at least {SMALLEST_POOL} rows to hold every family, not {size}")
    random = Random(f"nano/{VERSION}/pool/{size}/{seed}")
    rows: list[Row] = []
    for family, count in _quotas(size).items():
        rows += _family_rows(family, count, random)
    random.shuffle(rows)
    return [{"id": f"nano-{size}-{seed}-{place:05d}", **row} for place, row in enumerate(rows)]


def reference_rows(capability: str, n: int = 32, seed: int = 0) -> list[Row]:
    """`n` clean rows of one capability, spread evenly over its sub-skills; disjoint from pools and evaluations."""
    random = Random(f"nano/{VERSION}/reference/{capability}/{seed}")
    pairs = _spread(_capability(capability), "reference", n, random)
    return [
        {"id": f"nano-reference-{capability}-{seed}-{place:03d}", **_row(problem, capability, skill.name)}
        for place, (skill, problem) in enumerate(pairs)
    ]


def evaluation_rows(capability: str, n: int = 200, seed: int = 0) -> list[Row]:
    """`n` held-out items with `instruction`, `input`, `answer`, `skill`; for facts also `options`, `gold` (index)."""
    random = Random(f"nano/{VERSION}/evaluation/{capability}/{seed}")
    items: list[Row] = []
    for place, (skill, problem) in enumerate(_spread(_capability(capability), "evaluation", n, random)):
        item: Row = {
            "id": f"nano-evaluation-{capability}-{seed}-{place:03d}",
            "instruction": problem.instruction,
            "input": problem.input,
            "answer": problem.result,
            "skill": skill.name,
        }
        if problem.options:
            item |= {"options": list(problem.options), "gold": problem.options.index(problem.result)}
        items.append(item)
    return items


def oracle_ids(rows: Iterable[Mapping[str, Any]], capability: str) -> list[str]:
    """The ids of the target's clean rows, from which an oracle selects."""
    _capability(capability)
    return [row["id"] for row in rows if row["clean"] and row["family"] == capability]


def fingerprint() -> str:
    """sha256 of the version, the shares and a sample of every kind of row, to detect changes of the data."""
    parts: list[object] = [VERSION, SHARES, pool_rows(400)]
    for name in CAPABILITIES:
        parts += [reference_rows(name), evaluation_rows(name, 60)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _quotas(size: int) -> dict[str, int]:
    """Rows per family; the remainder from rounding goes to chat."""
    quotas = {family: size * share // 1000 for family, share in SHARES.items()}
    quotas["chat"] += size - sum(quotas.values())
    return quotas


def _family_rows(family: str, count: int, random: Random) -> list[Row]:
    """`count` rows, a fixed share of them noisy, cycling through the three kinds of noise."""
    skills = _family(family)
    pairs = _spread(skills, "pool", count, random)
    bad = int(count * NOISE_SHARE)
    rows: list[Row] = []
    for place, (skill, problem) in enumerate(pairs):
        row = _row(problem, family, skill.name)
        if place < bad:
            kind = noise.KINDS[place % len(noise.KINDS)]
            row |= {"output": _spoilt(kind, problem, skill, family, random), "clean": False, "noise": kind}
        rows.append(row)
    return rows


def _spoilt(kind: str, problem: Problem, skill: Skill, family: str, random: Random) -> str:
    if kind == "wrong":
        return noise.wrong(problem, skill, random)
    if kind == "truncated":
        return noise.truncated(problem, random)
    return noise.offtopic(CHAT + STORY if family not in ("chat", "story") else CAPABILITIES["logic"], random)


def _spread(skills: Sequence[Skill], side: str, count: int, random: Random) -> list[tuple[Skill, Problem]]:
    """`count` problems, spread evenly over the skills and shuffled, so that prefixes cover the skills too."""
    pairs: list[tuple[Skill, Problem]] = []
    for place, skill in enumerate(skills):
        share = count // len(skills) + (place < count % len(skills))
        pairs += [(skill, problem) for problem in deal(skill, side, random, count=share)]
    random.shuffle(pairs)
    return pairs


def _row(problem: Problem, family: str, skill: str) -> Row:
    return {
        "instruction": problem.instruction,
        "input": problem.input,
        "output": problem.output,
        "family": family,
        "skill": skill,
        "clean": True,
        "noise": "",
        "lookalike": family.startswith("lookalike_"),
    }


def _family(name: str) -> tuple[Skill, ...]:
    if name not in FAMILIES:
        raise ValueError(f"Unknown nano family '{name}'. There are: {', '.join(FAMILIES)}")
    return FAMILIES[name]


def _capability(name: str) -> tuple[Skill, ...]:
    if name not in CAPABILITIES:
        raise ValueError(f"Unknown nano capability '{name}'. There are: {', '.join(CAPABILITIES)}")
    return CAPABILITIES[name]
