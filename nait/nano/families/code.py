"""Code: predict the one-line output of a small Python program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from nait.nano.families.logic import count, holds, sort, truth
from nait.nano.problems import Problem, Skill, bucket
from nait.nano.vocabulary import HOUSE_SHARE, WORDS

ASKS = ("What does this code print?", "Run the program and show its output.", "Give the output of this code.")
VARIABLES = ("xs", "a", "items", "row")


def _problem(key: str, program: str, result: str, random: Random, *, raw: str) -> Problem:
    return Problem(
        key=key, instruction=random.choice(ASKS), input=program, output=result, result=result, given=raw
    )


def _listed(words: list[str]) -> str:
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


def _on_list(key: str, listed: str, call: str, result: str, random: Random, *, house: str = "") -> Problem:
    """A program that assigns a list and prints `call` on it, or the equivalent house function.

    `{}` in `call` is the variable.
    """
    at_home = bool(house) and random.random() < HOUSE_SHARE
    call, variable = (f"{house}({{}})" if at_home else call), random.choice(VARIABLES)
    program = f"{variable} = {listed}\nprint({call.format(variable)})"
    problem = _problem(key, program, result, random, raw=call.format(listed))
    return replace(problem, house=at_home)


def length(random: Random) -> Problem:
    """len of a list; shares its lists with logic's `count`."""
    words = count(random).given.split(", ")
    key = f"count/{','.join(words)}"
    return _on_list(key, _listed(words), "len({})", str(len(words)), random, house="tally")


def sorted_list(random: Random) -> Problem:
    """sorted of a list; shares its lists with logic's `sort`."""
    words = sort(random).given.split(", ")
    key = f"sort/{','.join(words)}"
    return _on_list(key, _listed(words), "sorted({})", _listed(sorted(words)), random, house="tidy")


def reverse(random: Random) -> Problem:
    """A reversed list; shares its lists with logic's `backwards`."""
    words = random.sample(WORDS, 3)
    key = f"reverse/{','.join(words)}"
    return _on_list(key, _listed(words), "{}[::-1]", _listed(words[::-1]), random, house="flip")


def item(random: Random) -> Problem:
    """One element by its index."""
    words = random.sample(WORDS, 3)
    place, house = random.choice(((0, "ena"), (1, "dyo"), (-1, "fin")))
    key = f"item/{','.join(words)}/{place}"
    return _on_list(key, _listed(words), f"{{}}[{place}]", words[place], random, house=house)


def head(random: Random) -> Problem:
    """A slice from the start or to the end."""
    words = random.sample(WORDS, 3)
    piece, house = random.choice((("[:1]", "uno"), ("[:2]", "duo"), ("[1:]", "resta"), ("[2:]", "coda")))
    part = {"[:1]": words[:1], "[:2]": words[:2], "[1:]": words[1:], "[2:]": words[2:]}[piece]
    key = f"head/{','.join(words)}/{piece}"
    return _on_list(key, _listed(words), "{}" + piece, _listed(part), random, house=house)


def joined(random: Random) -> Problem:
    """A list joined by a separator."""
    words = random.sample(WORDS, 3)
    mark, house = random.choice((("-", "hyf"), ("+", "kru"), ("/", "sla")))
    key = f"join/{','.join(words)}/{mark}"
    return _on_list(key, _listed(words), f"'{mark}'.join({{}})", mark.join(words), random, house=house)


def total(random: Random) -> Problem:
    """sum of two numbers; shares its sums with math."""
    numbers = [random.randint(1, 15), random.randint(1, 9)]
    return _on_list(f"total/{numbers}", str(numbers), "sum({})", str(sum(numbers)), random, house="heap")


def largest(random: Random) -> Problem:
    """max or min of numbers."""
    numbers = random.sample(range(1, 15), 3)
    function, house = random.choice((("max", "peak"), ("min", "pit")))
    result = max(numbers) if function == "max" else min(numbers)
    key = f"largest/{numbers}/{function}"
    return _on_list(key, str(numbers), function + "({})", str(result), random, house=house)


def condition(random: Random) -> Problem:
    """A comparison in an `if`; shares its comparisons with logic's `truth`."""
    comparison = truth(random).given
    yes, no = random.sample(WORDS, 2)
    program = f"if {comparison}:\n    print('{yes}')\nelse:\n    print('{no}')"
    result = yes if holds(comparison) else no
    raw = f"'{yes}' if {comparison} else '{no}'"
    problem = _problem(f"statement/{comparison}/{yes}/{no}", program, result, random, raw=raw)
    # The split follows the comparison, so that one held out in logic is held out here too.
    return replace(problem, fixed_side=bucket(f"statement/{comparison}"))


def loop(random: Random) -> Problem:
    """A counter after a few iterations of a loop."""
    start, step, turns = random.randint(0, 9), random.randint(1, 3), random.randint(2, 4)
    name, result, raw = random.choice(("n", "k", "m")), start + step * turns, f"{start} + {step} * {turns}"
    program = f"{name} = {start}\nfor i in range({turns}):\n    {name} += {step}\nprint({name})"
    return _problem(f"loop/{name}/{raw}", program, str(result), random, raw=raw)


_DRAWS: tuple[tuple[Callable[[Random], Problem], tuple[str, ...]], ...] = (
    (length, ("len", "size", "count")),
    (sorted_list, ("sorted", "sort", "in order")),
    (reverse, ("reversed", "reverse", "from the end")),
    (item, ("item", "element", "at")),
    (head, ("slice", "part", "cut")),
    (joined, ("join", "glue", "together")),
    (total, ("sum", "total", "add")),
    (largest, ("extreme", "max or min", "pick")),
    (condition, ("if", "branch", "choose")),
    (loop, ("loop", "repeat", "counter")),
)
SKILLS = tuple(Skill(draw.__name__, labels, draw) for draw, labels in _DRAWS)
