"""Fillers: small talk and short stories, which belong to no capability and are easy for a model."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from nait.nano.problems import Problem, Skill
from nait.nano.vocabulary import ANIMALS, DAYS, FRUITS, NAMES, TOOLS

MOODS = ("fine", "good", "glad", "calm", "tired", "busy")
PLACES = ("the park", "the market", "the lake", "the hill", "the school", "the barn")


def _problem(kind: str, instruction: str, output: str) -> Problem:
    return Problem(
        key=f"{kind}/{instruction}/{output}",
        instruction=instruction,
        input="",
        output=output,
        result=output,
        given=instruction,
    )


def an(word: str) -> str:
    """The word with its article."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def greeting(random: Random) -> Problem:
    """A greeting and its reply."""
    name, mood = random.choice(NAMES), random.choice(MOODS)
    ask = random.choice(
        (f"Hello, I am {name}. How are you?", f"Say hello to {name}.", f"Hi! My name is {name}.")
    )
    return _problem("greeting", ask, f"Hello {name}! I am {mood} today. How can I help you?")


def thanks(random: Random) -> Problem:
    """Thanks and the reply."""
    name, day = random.choice(NAMES), random.choice(DAYS)
    ask = random.choice((f"Thank you for the help on {day}.", f"Thanks, {name} and I are happy now."))
    return _problem("thanks", ask, f"You are welcome, {name}. See you on {day}!")


def taste(random: Random) -> Problem:
    """A question about preferences."""
    one, two = random.sample(FRUITS + ANIMALS, 2)
    ask = random.choice(
        (f"Do you like the {one} or the {two}?", f"What do you think of {an(one)} and {an(two)}?")
    )
    pick = random.choice((one, two))
    return _problem("taste", ask, f"I like both, but the {pick} is nice. What about you?")


def advice(random: Random) -> Problem:
    """A plan for a day."""
    day, place, mood = random.choice(DAYS), random.choice(PLACES), random.choice(MOODS)
    ask = random.choice((f"I am {mood}. What can I do on {day}?", f"Give me an idea for {day}."))
    return _problem("advice", ask, f"You could go to {place} on {day} and take a long walk.")


def animal_story(random: Random) -> Problem:
    """A story of an animal that goes somewhere."""
    animal, place, food = random.choice(ANIMALS), random.choice(PLACES), random.choice(FRUITS)
    ask = random.choice(
        (f"Tell me a story about {an(animal)}.", f"Write a short story with {an(animal)} and {an(food)}.")
    )
    return _problem(
        "animal_story", ask, f"The {animal} went to {place}. It saw {an(food)} and was happy. The end."
    )


def friend_story(random: Random) -> Problem:
    """A story of two friends."""
    (one, two), place, tool = random.sample(NAMES, 2), random.choice(PLACES), random.choice(TOOLS)
    ask = random.choice((f"Write a story about {one} and {two}.", f"Tell a tale of {one} at {place}."))
    return _problem(
        "friend_story", ask, f"{one} and {two} met at {place}. They found {an(tool)} and went home. The end."
    )


def rain_story(random: Random) -> Problem:
    """A story of a change of weather."""
    name, day, place = random.choice(NAMES), random.choice(DAYS), random.choice(PLACES)
    ask = random.choice((f"Write about the rain on {day}.", f"Tell me what {name} did in the rain."))
    return _problem(
        "rain_story", ask, f"On {day} it rained. {name} ran to {place} and sang until the sun came back."
    )


def _skills(*draws: Callable[[Random], Problem]) -> tuple[Skill, ...]:
    return tuple(Skill(draw.__name__, (draw.__name__.replace("_", " "),), draw) for draw in draws)


CHAT = _skills(greeting, thanks, taste, advice)
STORY = _skills(animal_story, friend_story, rain_story)
