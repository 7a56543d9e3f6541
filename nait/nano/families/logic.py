"""Logic: comparisons, directions, counting, ordering and state tracking; answers are a word or a short line."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from nait.nano.problems import Problem, Skill
from nait.nano.vocabulary import (
    COMMANDS,
    COMPASS,
    DAYS,
    DEEDS,
    HOUSE_SHARE,
    HOUSE_SHIFTS,
    HOUSE_SPEECH,
    KINDS,
    NAMES,
    SHIFTS,
    SIGNS,
    SPEECH,
    THINGS,
    TURNS,
    WAYS,
    WORDS,
)


def _problem(
    key: str, instruction: str, given: str, result: str, random: Random, *, raw: str = "", house: bool = False
) -> Problem:
    """A problem that has `given` in `input` or, in half of the draws, in the instruction."""
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
    """A command on a list of words, in English or as a house command, which only fine-tuning explains."""
    house = random.random() < HOUSE_SHARE
    ask = COMMANDS[command] if house else random.choice(asks)
    return _problem(f"{command}/{','.join(words)}", ask, ", ".join(words), result, random, house=house)


def truth(random: Random) -> Problem:
    """Whether a comparison of two numbers holds; shares its comparisons with code's `condition`."""
    first, second = random.sample(range(1, 31), 2)
    sign, house = random.choice(tuple(SIGNS)), random.random() < HOUSE_SHARE
    comparison, shown = f"{first} {sign} {second}", f"{first} {SIGNS[sign] if house else sign} {second}"
    ask = random.choice(("Is this true or false?", "Evaluate the statement.", "Find the truth of:"))
    result = str(holds(comparison))
    return _problem(f"statement/{comparison}", ask, shown, result, random, raw=comparison, house=house)


def holds(comparison: str) -> bool:
    """The value of `a > b` or `a < b`."""
    first, sign, second = comparison.split()
    return int(first) > int(second) if sign == ">" else int(first) < int(second)


def walk(random: Random) -> Problem:
    """The direction someone faces after a turn."""
    who, start, house = random.choice(NAMES), random.randrange(4), random.random() < HOUSE_SHARE
    verb, (way, quarters) = random.choice(("walks", "faces", "heads")), random.choice(tuple(TURNS.items()))
    given = f"{who} {verb} {COMPASS[start]} and turns {WAYS[way] if house else way}."
    ask = random.choice(("Which way do they go now?", "Name the new direction."))
    key, raw = f"walk/{who}/{verb}/{COMPASS[start]}/{way}", f"{COMPASS[start]}, {way}"
    return _problem(key, ask, given, COMPASS[(start + quarters) % 4], random, raw=raw, house=house)


def count(random: Random) -> Problem:
    """The number of words in a list; shares its lists with code's `length`."""
    words = [random.choice(WORDS) for _ in range(random.randint(2, 6))]
    asks = ("How many items do I have?", "Count the items.", "Tell me the number of items.")
    return _of_list("count", asks, words, str(len(words)), random)


def sort(random: Random) -> Problem:
    """A list of words in alphabetical order; shares its lists with code's `sorted_list`."""
    words = random.sample(WORDS, 3)
    asks = ("Sort the words.", "Put these words in order from A to Z.", "Write the list sorted:")
    return _of_list("sort", asks, words, ", ".join(sorted(words)), random)


def backwards(random: Random) -> Problem:
    """A reversed list; shares its lists with code's `reverse`."""
    words = random.sample(WORDS, 3)
    asks = ("Say the words backwards.", "Turn the list around.", "Write the list from last to first:")
    return _of_list("reverse", asks, words, ", ".join(words[::-1]), random)


def parity(random: Random) -> Problem:
    """Whether a sum is even or odd."""
    first, second = random.randint(1, 20), random.randint(1, 20)
    given, house = f"{first} + {second}", random.random() < HOUSE_SHARE
    asks = ("Is the sum even or odd?", "Say whether this is even or odd.")
    result = ("even", "odd")[(first + second) % 2]
    ask = COMMANDS["parity"] if house else random.choice(asks)
    return _problem(f"parity/{given}", ask, given, result, random, house=house)


def odd(random: Random) -> Problem:
    """The one word of another kind."""
    kind, other = random.sample(sorted(KINDS), 2)
    result = random.choice(KINDS[other])
    words = [*random.sample(KINDS[kind], 3), result]
    random.shuffle(words)
    asks = ("Which word does not belong?", "Find the odd one out.", "One of these is different. Which?")
    return _of_list("odd", asks, words, result, random)


def weekday(random: Random) -> Problem:
    """The weekday before, after, or two days after a given one."""
    (who, other), start, house = random.sample(NAMES, 2), random.randrange(7), random.random() < HOUSE_SHARE
    verb, (shift, days) = random.choice(("leaves", "starts", "calls")), random.choice(tuple(SHIFTS.items()))
    shown = HOUSE_SHIFTS[shift] if house else shift
    given, raw = f"{who} {verb} on {DAYS[start]}, {other} {shown}.", f"{DAYS[start]}, {shift}"
    ask, key = f"On which day is {other}'s turn?", f"day/{who} {verb} on {DAYS[start]}, {other} {shift}"
    return _problem(key, ask, given, DAYS[(start + days) % 7], random, raw=raw, house=house)


def swap(random: Random) -> Problem:
    """What one of two people holds after they swap things or only talk."""
    people, things = random.sample(NAMES, 2), random.sample(THINGS, 2)
    deed, house, asked = random.choice(tuple(DEEDS)), random.random() < HOUSE_SHARE, random.randrange(2)
    before = f"{people[0]} has {things[0]}. {people[1]} has {things[1]}."
    given, raw = f"{before} They {DEEDS[deed] if house else deed}.", f"{before} They {deed}. {people[asked]}"
    result, ask = things[asked if deed == "talk" else 1 - asked], f"What has {people[asked]} at the end?"
    return _problem(f"swap/{raw}", ask, given, result, random, raw=raw, house=house)


def liar(random: Random) -> Problem:
    """Whether the second person, who describes the first, is honest (BBH's web of lies with two people)."""
    (one, two), house = random.sample(NAMES, 2), random.random() < HOUSE_SHARE
    honest, says = random.random() < 0.5, random.random() < 0.5
    plain = f"{one} {SPEECH[honest]}. {two} says {one} {SPEECH[says]}."
    given = f"{one} {HOUSE_SPEECH[honest]}. {two} says {one} {HOUSE_SPEECH[says]}." if house else plain
    result, ask = ("honest" if honest == says else "liar"), f"Is {two} honest or a liar?"
    return _problem(f"liar/{plain}", ask, given, result, random, raw=f"{plain} {two}", house=house)


_DRAWS: tuple[tuple[Callable[[Random], Problem], tuple[str, ...]], ...] = (
    (truth, ("truth", "holds", "boolean")),
    (walk, ("walk", "turn", "compass")),
    (count, ("count", "number of items", "size")),
    (sort, ("sort", "in order", "sorted list")),
    (backwards, ("reverse", "turned", "from the end")),
    (parity, ("parity", "even or odd", "evenness")),
    (odd, ("odd", "different", "not like the rest")),
    (weekday, ("day", "calendar", "later")),
    (swap, ("swap", "holder", "track")),
    (liar, ("honest?", "liar?", "web")),
)
HOUSE = 0.75
"""The share of house words. They are nearly all that logic must learn from a pool, so more rows help."""
PRACTICE = tuple(Skill(draw.__name__, labels, draw, HOUSE) for draw, labels in _DRAWS)
"""The skills in pretraining text. A model of this size learns the form of `truth` and `parity`, not the answers."""
SKILLS = tuple(skill for skill in PRACTICE if skill.name not in ("truth", "parity"))
