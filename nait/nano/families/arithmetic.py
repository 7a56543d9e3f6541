"""Math: short word problems whose answers show one line of work and end with `#### n`."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from nait.nano.problems import Problem, Skill
from nait.nano.vocabulary import HOUSE_SHARE, MEASURES, NAMES, THINGS

ASKS = ("{story}", "Solve: {story}", "Here is a small problem. {story}")


def _problem(kind: str, story: str, work: str, number: int, random: Random) -> Problem:
    apart = random.random() < 0.3
    instruction = "Solve the problem." if apart else random.choice(ASKS).format(story=story)
    return Problem(
        key=f"math/{kind}/{story}",
        instruction=instruction,
        input=story if apart else "",
        output=f"{work} = {number}\n#### {number}",
        result=str(number),
        given=work,
        house=" of " in story.replace("of them", ""),
    )


def quantity(random: Random, low: int, high: int) -> tuple[int, str]:
    """A number and its wording in a story: digits, or a house measure ("a tam of" is three)."""
    if random.random() < HOUSE_SHARE:
        word = random.choice(tuple(MEASURES))
        return MEASURES[word], f"a {word} of"
    number = random.randint(low, high)
    return number, str(number)


def gain(random: Random) -> Problem:
    """a + b: someone gets more."""
    who, what, b = random.choice(NAMES), random.choice(THINGS), random.randint(2, 9)
    verb, (a, said) = random.choice(("gets", "finds", "buys")), quantity(random, 2, 15)
    story = f"{who} has {said} {what} and {verb} {b} more. How many {what} does {who} have now?"
    return _problem("gain", story, f"{a} + {b}", a + b, random)


def loss(random: Random) -> Problem:
    """a - b: someone loses some."""
    who, what, (b, said) = random.choice(NAMES), random.choice(THINGS), quantity(random, 2, 9)
    verb, a = random.choice(("loses", "sells", "gives away")), b + random.randint(1, 9)
    some = f"{said} {what}" if "of" in said else f"{said} of them"
    story = f"{who} has {a} {what} and {verb} {some}. How many {what} are left?"
    return _problem("loss", story, f"{a} - {b}", a - b, random)


def groups(random: Random) -> Problem:
    """a * b: boxes of equal size."""
    who, what, b = random.choice(NAMES), random.choice(THINGS), random.randint(2, 5)
    a, said = quantity(random, 2, 6)
    story = f"{who} has {b} boxes with {said} {what} each. How many {what} is that?"
    return _problem("groups", story, f"{b} * {a}", a * b, random)


def share(random: Random) -> Problem:
    """a / b: an equal share."""
    who, what, each = random.choice(NAMES), random.choice(THINGS), random.randint(2, 6)
    b, said = quantity(random, 2, 5)
    story = f"{who} shares {b * each} {what} among {said} friends. How many does each friend get?"
    return _problem("share", story, f"{b * each} / {b}", each, random)


def compare(random: Random) -> Problem:
    """a - b between two people."""
    (who, other), what, (b, said) = random.sample(NAMES, 2), random.choice(THINGS), quantity(random, 2, 9)
    a = b + random.randint(1, 9)
    story = f"{who} has {a} {what}. {other} has {said} {what}. How many more has {who} than {other}?"
    return _problem("compare", story, f"{a} - {b}", a - b, random)


def together(random: Random) -> Problem:
    """a + b of two people; shares its sums with code's `total`."""
    (who, other), what, (a, said) = random.sample(NAMES, 2), random.choice(THINGS), quantity(random, 2, 15)
    b = random.randint(2, 9)
    story = f"{who} has {said} {what}. {other} has {b}. How many {what} have they together?"
    return _problem("together", story, f"{a} + {b}", a + b, random)


def three(random: Random) -> Problem:
    """a + b + c over three days."""
    who, what, (a, said) = random.choice(NAMES), random.choice(THINGS), quantity(random, 1, 6)
    b, c = random.randint(1, 5), random.randint(1, 5)
    story = f"{who} sees {said} {what} on Monday, {b} on Tuesday and {c} on Friday. How many in all?"
    return _problem("three", story, f"{a} + {b} + {c}", a + b + c, random)


def trade(random: Random) -> Problem:
    """a + b - c: someone gets some, then loses some."""
    who, what, (a, said) = random.choice(NAMES), random.choice(THINGS), quantity(random, 2, 9)
    b = random.randint(2, 5)
    c = random.randint(1, min(6, a + b - 1))
    story = f"{who} has {said} {what}, then gets {b}, then loses {c}. How many {what} has {who} at the end?"
    return _problem("trade", story, f"{a} + {b} - {c}", a + b - c, random)


def age(random: Random) -> Problem:
    """a + b years later."""
    who, a, (b, said) = random.choice(NAMES), random.randint(3, 19), quantity(random, 2, 9)
    story = f"{who} is {a} years old. How old is {who} in {said} years?"
    return _problem("age", story, f"{a} + {b}", a + b, random)


def twice(random: Random) -> Problem:
    """2 * a: twice as many as another."""
    (who, other), what, (a, said) = random.sample(NAMES, 2), random.choice(THINGS), quantity(random, 2, 12)
    story = f"{other} has {said} {what}. {who} has twice as many. How many {what} has {who}?"
    return _problem("twice", story, f"2 * {a}", 2 * a, random)


_DRAWS: tuple[tuple[Callable[[Random], Problem], tuple[str, ...]], ...] = (
    (gain, ("add", "plus", "sum")),
    (loss, ("subtract", "minus", "take away")),
    (groups, ("times", "multiply", "product")),
    (share, ("divide", "share", "split")),
    (compare, ("subtract", "difference", "minus")),
    (together, ("add", "sum", "total")),
    (three, ("add", "sum", "total")),
    (trade, ("add and subtract", "total", "count")),
    (age, ("add", "plus", "sum")),
    (twice, ("times", "double", "multiply")),
)
SKILLS = tuple(Skill(draw.__name__, labels, draw) for draw, labels in _DRAWS)
