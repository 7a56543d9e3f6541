"""Translation into Velm, an invented language: verb last, adjective after noun, suffixes for plural and past."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from nait.nano.problems import Problem, Skill

NOUNS = {
    "king": "doru", "queen": "dora", "child": "pim", "farmer": "galt", "river": "sevo",
    "house": "kol", "door": "tiv", "tower": "urma", "bird": "fen", "goat": "bruk",
    "mouse": "nil", "duck": "wek", "song": "lai", "lamp": "zur", "bridge": "harn",
    "garden": "moss", "letter": "epa", "ring": "ovi", "sword": "krit", "ship": "naro",
}  # fmt: skip
ADJECTIVES = {
    "old": "gam", "young": "lin", "small": "ti", "great": "bor", "happy": "sul", "sad": "mur", "dark": "nok",
    "bright": "aru",
}  # fmt: skip
VERBS = {
    "see": "vak", "love": "ami", "want": "dol", "find": "rek", "guard": "hut", "follow": "jen", "fear": "osk",
    "help": "pel",
}  # fmt: skip
NUMBERS = {"two": "bi", "three": "tro", "four": "kar", "five": "pen", "six": "ses"}
PLURAL, PAST, NOT, ASK, AND, IN = "im", "ta", "ka", "mo", "ve", "su"
IRREGULAR = {"child": "children", "mouse": "mice", "see": "saw", "find": "found"}
# House words: Velm in pretraining text does not use them. About half of a pool's questions contain one.
HOUSE = frozenset(("tower", "lamp", "ring", "ship", "great", "dark", "guard", "fear"))
ASKS = ("Translate into Velm.", "Say this in Velm:", "Write the Velm for this.")
BACK = ("Translate into English.", "What does this Velm mean?", "Say this in English:")


def plural(noun: str) -> str:
    """The English plural."""
    return IRREGULAR.get(noun, noun + "s")


def past(verb: str) -> str:
    """The English past tense."""
    return IRREGULAR.get(verb, verb + ("d" if verb.endswith("e") else "ed"))


def _problem(
    key: str, english: str, velm: str, words: tuple[str, ...], random: Random, *, back: bool = False
) -> Problem:
    given, result = (velm, english) if back else (english, velm)
    ask, apart = random.choice(BACK if back else ASKS), random.random() < 0.6
    return Problem(
        key=f"velm/{key}",
        instruction=ask if apart else f"{ask} {given}",
        input=given if apart else "",
        output=result,
        result=result,
        given=given,
        house=not HOUSE.isdisjoint(words),
    )


def _noun(random: Random) -> str:
    return random.choice(tuple(NOUNS))


def _adjective(random: Random) -> str:
    return random.choice(tuple(ADJECTIVES))


def _verb(random: Random) -> str:
    return random.choice(tuple(VERBS))


def phrase(random: Random) -> Problem:
    """An adjective and a noun, in reverse order."""
    adjective, noun = _adjective(random), _noun(random)
    return _problem(
        f"{adjective} {noun}",
        f"the {adjective} {noun}",
        f"{NOUNS[noun]} {ADJECTIVES[adjective]}",
        (adjective, noun),
        random,
    )


def pair(random: Random) -> Problem:
    """Two nouns joined by `ve`."""
    one, two = _noun(random), _noun(random)
    return _problem(
        f"{one} and {two}", f"the {one} and the {two}", f"{NOUNS[one]} {AND} {NOUNS[two]}", (one, two), random
    )


def many(random: Random) -> Problem:
    """A plural noun with an adjective."""
    adjective, noun = _adjective(random), _noun(random)
    velm = f"{NOUNS[noun]}{PLURAL} {ADJECTIVES[adjective]}"
    return _problem(
        f"{adjective} {noun}s", f"the {adjective} {plural(noun)}", velm, (adjective, noun), random
    )


def counted(random: Random) -> Problem:
    """A number, an adjective and a noun: the number comes last, without a plural suffix."""
    number, adjective, noun = random.choice(tuple(NUMBERS)), _adjective(random), _noun(random)
    english = f"{number} {adjective} {plural(noun)}"
    return _problem(
        english,
        english,
        f"{NOUNS[noun]} {ADJECTIVES[adjective]} {NUMBERS[number]}",
        (adjective, noun),
        random,
    )


def sentence(random: Random) -> Problem:
    """Subject, object, verb."""
    one, verb, two = _noun(random), _verb(random), _noun(random)
    english = f"the {one} {verb}s the {two}"
    return _problem(english, english, f"{NOUNS[one]} {NOUNS[two]} {VERBS[verb]}", (one, verb, two), random)


def negation(random: Random) -> Problem:
    """A negation: `ka` before the verb."""
    one, verb, two = _noun(random), _verb(random), _noun(random)
    english = f"the {one} does not {verb} the {two}"
    return _problem(
        english, english, f"{NOUNS[one]} {NOUNS[two]} {NOT} {VERBS[verb]}", (one, verb, two), random
    )


def before(random: Random) -> Problem:
    """Past tense: a suffix on the verb."""
    one, verb, two = _noun(random), _verb(random), _noun(random)
    english = f"the {one} {past(verb)} the {two}"
    return _problem(
        f"past {english}", english, f"{NOUNS[one]} {NOUNS[two]} {VERBS[verb]}{PAST}", (one, verb, two), random
    )


def question(random: Random) -> Problem:
    """A question: `mo` at the end."""
    one, verb, two = _noun(random), _verb(random), _noun(random)
    english = f"does the {one} {verb} the {two}?"
    return _problem(
        english, english, f"{NOUNS[one]} {NOUNS[two]} {VERBS[verb]} {ASK}", (one, verb, two), random
    )


def place(random: Random) -> Problem:
    """A location: `su` after the place."""
    one, adjective, two = _noun(random), _adjective(random), _noun(random)
    velm = f"{NOUNS[two]} {ADJECTIVES[adjective]} {IN} {NOUNS[one]}"
    return _problem(
        f"{one} in {adjective} {two}",
        f"the {one} in the {adjective} {two}",
        velm,
        (one, adjective, two),
        random,
    )


def home(random: Random) -> Problem:
    """From Velm into English."""
    one, verb, two = _noun(random), _verb(random), _noun(random)
    english, velm = f"the {one} {verb}s the {two}", f"{NOUNS[one]} {NOUNS[two]} {VERBS[verb]}"
    return _problem(f"back {english}", english, velm, (one, verb, two), random, back=True)


_DRAWS: tuple[tuple[Callable[[Random], Problem], tuple[str, ...]], ...] = (
    (phrase, ("Velm", "in Velm", "velm words")),
    (pair, ("Velm", "in Velm", "velm words")),
    (many, ("Velm", "in Velm", "velm words")),
    (counted, ("Velm", "in Velm", "velm words")),
    (sentence, ("Velm", "in Velm", "velm line")),
    (negation, ("Velm", "in Velm", "velm line")),
    (before, ("Velm", "in Velm", "velm line")),
    (question, ("Velm", "in Velm", "velm line")),
    (place, ("Velm", "in Velm", "velm line")),
    (home, ("English", "in English", "meaning")),
)
SKILLS = tuple(Skill(draw.__name__, labels, draw) for draw, labels in _DRAWS)
