"""Look-alikes: for each capability, a family that uses its words but asks for something else.

A selector that relies on words alone mistakes them for the target; training on them teaches another skill.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from nait.nano.families import arithmetic, code, logic, translation
from nait.nano.problems import Problem, Skill, draw_from
from nait.nano.vocabulary import LANDS, NAMES, RELATIONS

_LOGIC = {skill.name: skill for skill in logic.SKILLS}


def _problem(key: str, instruction: str, given: str, output: str) -> Problem:
    return Problem(
        key=f"lookalike/{key}",
        instruction=instruction,
        input=given,
        output=output,
        result=output,
        given=given,
    )


def land_words(random: Random) -> Problem:
    """Words of facts: count the words of a question."""
    (noun, _), land = random.choice(tuple(RELATIONS.values())), random.choice(LANDS)
    line = random.choice(("What is the {} of {}?", "Name the {} of {}.", "In short, the {} of {}")).format(
        noun, land
    )
    ask = random.choice(("How many words has this line?", "Count the words of the question."))
    return _problem(f"land_words/{line}/{ask}", ask, line, f"It has {len(line.split())} words.")


def land_travel(random: Random) -> Problem:
    """Words of facts: plan a visit, without any fact."""
    (noun, _), land, other = random.choice(tuple(RELATIONS.values())), *random.sample(LANDS, 2)
    ask = f"I want to see the {noun} of {land} and then {other}. Plan it."
    return _problem(f"land_travel/{ask}", ask, "", f"First go to {land}, then take the road to {other}.")


def _story(random: Random) -> str:
    problem = draw_from(random.choice(arithmetic.SKILLS), "pool", random)
    return problem.input or problem.instruction.removeprefix("Solve: ").removeprefix(
        "Here is a small problem. "
    )


def story_hero(random: Random) -> Problem:
    """Words of math: name the person in the problem."""
    story = _story(random)
    who = next(word.strip(".") for word in story.split() if word.strip(".") in NAMES)
    ask = random.choice(
        ("Who comes first in this problem? Do not solve it.", "Name the first person of the problem.")
    )
    return _problem(f"story_hero/{story}", ask, story, f"The first person is {who}.")


def story_ask(random: Random) -> Problem:
    """Words of math: copy the question without an answer."""
    story = _story(random)
    last = story.split(". ")[-1]
    return _problem(f"story_ask/{story}", "Copy only the last sentence of the problem.", story, last)


def list_ends(random: Random) -> Problem:
    """Words of logic: name the first and the last word of a list."""
    words = draw_from(_LOGIC["sort"], "pool", random).given
    first, *_, last = words.split(", ")
    ask = random.choice(("Say how the list begins and ends.", "Give both ends of the list of words."))
    return _problem(f"list_ends/{words}", ask, words, f"It begins with {first} and ends with {last}.")


def people_named(random: Random) -> Problem:
    """Words of logic: name the people in the problem."""
    riddle = draw_from(_LOGIC[random.choice(("swap", "liar"))], "pool", random).given
    riddle = riddle[: riddle.rindex(".") + 1]  # without the word that the question asks about
    named = sorted({word.strip(".") for word in riddle.split()} & set(NAMES))
    return _problem(f"people/{riddle}", "Who is named here? Do not solve it.", riddle, " and ".join(named))


def code_variable(random: Random) -> Problem:
    """Words of code: name the variable."""
    program = draw_from(random.choice(code.SKILLS[:8]), "pool", random).input
    name = program.split(" ")[0]
    ask = random.choice(("Which variable does this code set?", "Do not run the code. Name its variable."))
    return _problem(f"variable/{program}", ask, program, f"The variable is {name}.")


def code_comment(random: Random) -> Problem:
    """Words of code: put a comment above the program."""
    program = draw_from(random.choice(code.SKILLS[:8]), "pool", random).input
    return _problem(
        f"comment/{program}", "Write a comment above this code.", program, "# a short program\n" + program
    )


def velm_letters(random: Random) -> Problem:
    """Words of translation: rephrase the line politely."""
    line = draw_from(random.choice(translation.SKILLS[:9]), "pool", random).given
    ask = random.choice(("Do not translate. Say this politely.", "Make this line polite."))
    return _problem(f"polite/{line}", ask, line, f"Please, {line}, if you like.")


def other_tongue(random: Random) -> Problem:
    """Words of translation: translate a noun phrase into another invented language, Osk."""
    noun, adjective = random.choice(tuple(translation.NOUNS)), random.choice(tuple(translation.ADJECTIVES))
    ask = random.choice(("Translate into Osk.", "Say this in Osk:"))
    line = f"the {adjective} {noun}"
    return _problem(f"osk/{line}/{ask}", ask, line, f"o {adjective}ka {noun}ka")


def _skills(*draws: Callable[[Random], Problem]) -> tuple[Skill, ...]:
    return tuple(Skill(draw.__name__, (draw.__name__.replace("_", " "),), draw) for draw in draws)


LOOKALIKES: dict[str, tuple[Skill, ...]] = {
    "facts": _skills(land_words, land_travel),
    "math": _skills(story_hero, story_ask),
    "logic": _skills(list_ends, people_named),
    "code": _skills(code_variable, code_comment),
    "translation": _skills(velm_letters, other_tongue),
}
