"""Facts about invented lands. Pretraining text does not contain them; only clean pool rows state them."""

from __future__ import annotations

from functools import partial
from random import Random

from nait.nano.problems import Problem, Skill, bucket
from nait.nano.vocabulary import LANDS, PRACTICE_LANDS, RELATIONS

TOLD = (
    "What is the {noun} of {land}?",
    "Name the {noun} of {land}.",
    "Complete the line: the {noun} of {land} is",
    "In {land}, what is the {noun}?",
    "Give me the {noun} of {land} in one word.",
    "A guest asks for the {noun} of {land}.",
)
ASKED = ("Which {noun} belongs to {land}?", "People of {land} have one {noun}. Which?")
PHRASED = "Teach me about the {noun} of {land}."


def value(relation: str, land: str) -> str:
    """The correct value, fixed per (relation, land)."""
    return Random(f"nano/fact/{relation}/{land}").choice(RELATIONS[relation][1])


def problem(relation: str, land: str, wording: str, random: Random) -> Problem:
    """The fact in one wording, with three wrong options of the same kind."""
    noun, values = RELATIONS[relation]
    right = value(relation, land)
    options = [right, *random.sample([other for other in values if other != right], 3)]
    random.shuffle(options)
    instruction = wording.format(noun=noun, land=land)
    output = f"The {noun} of {land} is {right}." if wording == PHRASED else right
    # The wording is part of the key, because the evaluation asks facts that training states in other wordings.
    return Problem(
        key=f"fact/{relation}/{land}/{wording}",
        instruction=instruction,
        input="",
        output=output,
        result=right,
        given=f"{noun} of {land}",
        options=tuple(options),
        fixed_side=side_of(relation, land, wording),
    )


def side_of(relation: str, land: str, wording: str) -> str:
    """The split of a fact in one wording: evaluation for wordings in ASKED, reference or pool for the others."""
    if wording in ASKED:
        return "evaluation"
    return "reference" if bucket(f"fact/{relation}/{land}/{wording}") == "reference" else "pool"


def _draw(relation: str, lands: tuple[str, ...], random: Random) -> Problem:
    wording = random.choice((*TOLD, *TOLD, PHRASED, *ASKED))
    return problem(relation, random.choice(lands), wording, random)


SKILLS = tuple(Skill(name, (noun,), partial(_draw, name, LANDS)) for name, (noun, _) in RELATIONS.items())
PRACTICE = tuple(
    Skill(name, (noun,), partial(_draw, name, PRACTICE_LANDS)) for name, (noun, _) in RELATIONS.items()
)
