"""Noise: three ways to corrupt a row's answer. The question stays unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from nait.nano.problems import Problem, Skill, draw_from

KINDS = ("wrong", "truncated", "offtopic")


def wrong(problem: Problem, skill: Skill, random: Random) -> str:
    """A well-formed but incorrect answer of the same kind."""
    if problem.options:
        other = random.choice([option for option in problem.options if option != problem.result])
        return problem.output.replace(problem.result, other)
    if problem.result.isdigit():
        number = int(problem.result)
        other = str(random.choice([n for n in range(max(0, number - 3), number + 4) if n != number]))
        line, mark, _ = problem.output.rpartition(f"{problem.result}\n#### ")
        return f"{line}{other}\n#### {other}" if mark else other
    while True:
        output = draw_from(skill, "pool", random).output
        if output != problem.output:
            return output


def truncated(problem: Problem, random: Random) -> str:
    """The first part of the answer; an answer of one character becomes three dots."""
    length = len(problem.output)
    if length < 2:
        return "..."
    return problem.output[: random.randint(max(1, length // 4), max(1, 3 * length // 4))].rstrip() or "..."


def offtopic(skills: Sequence[Skill], random: Random) -> str:
    """The answer to an unrelated question."""
    return draw_from(random.choice(skills), "pool", random).output
