"""Logic: boolean expressions, walks, counting, order and tracking; every answer is a word or a short line."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

from ..problems import Problem, Skill
from ..words import COMMANDS, DAYS, HOUSE_SHARE, KINDS, MEASURES, NAMES, THINGS, WAYS, WORDS


def _problem(
    key: str, instruction: str, given: str, result: str, random: Random, *, raw: str = "", house: bool = False
) -> Problem:
    """Half of the rows carry the given in `input`, the others in the instruction itself."""
    apart = random.random() < 0.5
    return Problem(
        key=key,
        instruction=instruction if apart else f"{instruction} {given}",
        input=given if apart else "",
        output=result,
        result=result,
        given=raw or given,
        house=house,
    )


def _of_list(command: str, asks: tuple[str, ...], words: list[str], result: str, random: Random) -> Problem:
    """A command on a list of words: in English, or as a house command that only tuning explains."""
    house = random.random() < HOUSE_SHARE
    ask = COMMANDS[command] if house else random.choice(asks)
    return _problem(f"{command}/{','.join(words)}", ask, ", ".join(words), result, random, house=house)


def truth(random: Random) -> Problem:
    """A boolean expression of three terms; the same expressions as code's `condition`."""
    terms = [random.choice(("", "", "not ")) + random.choice(("True", "False")) for _ in range(3)]
    first, second = random.choice(("and", "or")), random.choice(("and", "or"))
    expression = f"({terms[0]} {first} {terms[1]}) {second} {terms[2]}"
    ask = random.choice(("Is this true or false?", "Evaluate the statement.", "Find the truth of:"))
    return _problem(f"truth/{expression}", ask, expression, str(evaluate(expression)), random)


def evaluate(expression: str) -> bool:
    """The value of `(a op b) op c`, each term perhaps with `not`."""
    inner, _, rest = expression.partition(") ")
    operator, _, last = rest.partition(" ")
    first, operator_inner, second = _split(inner.lstrip("("))
    values = [_term(first), _term(second)]
    left = all(values) if operator_inner == "and" else any(values)
    return (left and _term(last)) if operator == "and" else (left or _term(last))


def _split(pair: str) -> tuple[str, str, str]:
    operator = "and" if " and " in pair else "or"
    first, second = pair.split(f" {operator} ")
    return first, operator, second


def _term(text: str) -> bool:
    return (text.split()[-1] == "True") != text.startswith("not ")


def walk(random: Random) -> Problem:
    """Where two moves on a line end."""
    moves = [(random.choice(("left", "right")), random.randint(1, 7)) for _ in range(2)]
    place = sum(steps if way == "right" else -steps for way, steps in moves)
    house = random.random() < HOUSE_SHARE
    given = ". ".join(f"Go {steps} {WAYS[way] if house else way}" for way, steps in moves) + "."
    result = "start" if place == 0 else f"{abs(place)} {'right' if place > 0 else 'left'}"
    ask = random.choice(("Follow the moves. Where do you stand?", "Say where the walk ends."))
    return _problem(f"walk/{moves}", ask, given, result, random, house=house)


def count(random: Random) -> Problem:
    """How many words a list has; the same lists as code's `length`."""
    words = [random.choice(WORDS) for _ in range(random.randint(2, 6))]
    asks = ("How many items do I have?", "Count the items.", "Tell me the number of items.")
    return _of_list("count", asks, words, str(len(words)), random)


def sort(random: Random) -> Problem:
    """The words of a list in the order of the alphabet; the same lists as code's `sorted_list`."""
    words = random.sample(WORDS, 3)
    asks = ("Sort the words.", "Put these words in order from A to Z.", "Write the list sorted:")
    return _of_list("sort", asks, words, ", ".join(sorted(words)), random)


def backwards(random: Random) -> Problem:
    """A list from its end to its start; the same lists as code's `reverse`."""
    words = random.sample(WORDS, 3)
    asks = ("Say the words backwards.", "Turn the list around.", "Write the list from last to first:")
    return _of_list("reverse", asks, words, ", ".join(words[::-1]), random)


def tallest(random: Random) -> Problem:
    """Who of three is tallest or shortest, from two comparisons in any order."""
    order = random.sample(NAMES, 3)
    lines = [f"{order[0]} is taller than {order[1]}.", f"{order[1]} is taller than {order[2]}."]
    random.shuffle(lines)
    word, result = random.choice((("tallest", order[0]), ("shortest", order[2])))
    given = " ".join(lines)
    return _problem(
        f"tall/{given}/{word}", f"Who is the {word}?", given, result, random, raw=f"{given} {word}"
    )


def odd(random: Random) -> Problem:
    """The one word that is of another kind."""
    kind, other = random.sample(sorted(KINDS), 2)
    result = random.choice(KINDS[other])
    words = [*random.sample(KINDS[kind], 3), result]
    random.shuffle(words)
    asks = ("Which word does not belong?", "Find the odd one out.", "One of these is different. Which?")
    return _of_list("odd", asks, words, result, random)


def weekday(random: Random) -> Problem:
    """The day some days after another."""
    start, who = random.randrange(7), random.choice(NAMES)
    verb, house = random.choice(("leaves", "starts", "calls")), random.random() < HOUSE_SHARE
    measure = random.choice(tuple(MEASURES))
    days = MEASURES[measure] if house else random.randint(1, 6)
    given = f"{who} {verb} on {DAYS[start]} and returns {f'a {measure} of' if house else days} days later."
    result = DAYS[(start + days) % 7]
    ask = random.choice(("On which day is the return?", "Name the day of the return."))
    return _problem(f"day/{given}", ask, given, result, random, raw=f"{DAYS[start]} + {days}", house=house)


def swap(random: Random) -> Problem:
    """Who of three people holds what after two of them swap."""
    people, things = random.sample(NAMES, 3), random.sample(THINGS, 3)
    holds = dict(zip(people, things, strict=True))
    lines = [f"{who} has {what}." for who, what in holds.items()]
    one, two = random.sample(people, 2)
    holds[one], holds[two] = holds[two], holds[one]
    lines.append(f"{one} and {two} swap.")
    who, given = random.choice(people), " ".join(lines)
    return _problem(
        f"swap/{given}/{who}", f"What has {who} at the end?", given, holds[who], random, raw=f"{given} {who}"
    )


def liar(random: Random) -> Problem:
    """Is the second honest, who speaks of the first? (the smallest of BBH's webs of lies)"""
    people = random.sample(NAMES, 2)
    honest = random.random() < 0.5
    lines = [f"{people[0]} {'tells the truth' if honest else 'lies'}."]
    for one, two in pairwise(people):
        says = random.random() < 0.5
        lines.append(f"{two} says {one} {'tells the truth' if says else 'lies'}.")
        honest = honest == says
    given = " ".join(lines)
    result = "honest" if honest else "liar"
    ask = f"Is {people[-1]} honest or a liar?"
    return _problem(f"liar/{given}", ask, given, result, random, raw=f"{given} {people[-1]}")


_DRAWS: tuple[tuple[Callable[[Random], Problem], tuple[str, ...]], ...] = (
    (truth, ("truth", "value", "boolean")),
    (walk, ("walk", "move", "position")),
    (count, ("count", "number of items", "size")),
    (sort, ("sort", "in order", "sorted list")),
    (backwards, ("reverse", "turned", "from the end")),
    (tallest, ("compare", "height", "rank")),
    (odd, ("odd", "different", "not like the rest")),
    (weekday, ("day", "calendar", "later")),
    (swap, ("swap", "holder", "track")),
    (liar, ("honest?", "liar?", "web")),
)
SKILLS = tuple(Skill(draw.__name__, labels, draw) for draw, labels in _DRAWS)
