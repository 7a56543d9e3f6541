"""Pretraining text: every skill in many surface formats, and a small part formatted as instructions.

Transfer needs diverse formats: a model that sees each skill in a single format learns it there and does not transfer
it to instructions. The part formatted as instructions determines the base model's accuracy: skills in PLAIN have
the pools' answers; the others have a chatty answer that fails an exact match and leaves room for fine-tuning. No
document explains a house word or states a fact about the evaluated lands; house words appear only in copies, so
that the model learns to distinguish them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

from nait.nano.families import PRACTICE, facts, translation
from nait.nano.families.fillers import CHAT, STORY
from nait.nano.families.lookalikes import LOOKALIKES
from nait.nano.problems import Skill, draw_from
from nait.nano.prompt import prompt
from nait.nano.vocabulary import COMMANDS, DEEDS, HOUSE_SHIFTS, HOUSE_SPEECH, MEASURES, SIGNS, WAYS, WORDS

# Per mille of documents. The rest are raw documents of the capabilities, in equal parts.
INSTRUCTION_SHAPED = 80
FILLER = 50
COPY = 40  # teaches copying, which lists and code need
FACTS_WEIGHT = 0.5  # relative to a capability: facts in pretraining only teach their wordings

# Skills whose instruction documents have the pools' answers; the base model partly masters them.
PLAIN = frozenset(
    (
        "gain",
        "together",
        "age",
        "count",
        "sort",
        "weekday",
        "length",
        "sorted_list",
        "total",
        "phrase",
        "sentence",
        "many",
    )
)
CHATTY = ("The answer is {}.", "I think it is {}.", "It is {}, I believe.", "Sure! The answer: {}")
HOUSE_WORDS = (
    *MEASURES,
    *(word for group in (WAYS, SIGNS, DEEDS, HOUSE_SHIFTS, HOUSE_SPEECH) for word in group.values()),
    *(command.split()[0] for command in COMMANDS.values()),
    *(
        "tally",
        "tidy",
        "flip",
        "ena",
        "dyo",
        "fin",
        "hyf",
        "kru",
        "sla",
        "heap",
        "peak",
        "pit",
        "uno",
        "duo",
        "resta",
        "coda",
    ),
    *sorted(translation.HOUSE),
    *sorted(
        {**translation.NOUNS, **translation.ADJECTIVES, **translation.VERBS}[word]
        for word in translation.HOUSE
    ),
)
OPEN, CLOSE = "\x02", "\x03"  # enclose an answer while a document is built; not part of its text


@dataclass(frozen=True)
class PretrainingDocument:
    """A text and the character spans of its answers; the rest is random and cannot be predicted."""

    text: str
    answers: tuple[tuple[int, int], ...]


Format = Callable[[str, str, str], str]
CANONICAL: Format = lambda label, given, result: f"{label}: {given} -> {result}"  # noqa: E731
VARIED: tuple[Format, ...] = (
    lambda label, given, result: f"{label} {given} = {result}",
    lambda label, given, result: f"{label}({given}) = {result}",
    lambda label, given, result: f"{given} | {label} | {result}",
    lambda label, given, result: f"Q: {label}: {given}\nA: {result}",
    lambda label, given, result: f"Question: {given} ({label})\nAnswer: {result}",
    lambda label, given, result: f"{given}\n{label}: {result}",
    lambda label, given, result: f"Input: {given}\nTask: {label}\nOutput: {result}",
    lambda label, given, result: f"Task: {label}\n{given}\n=> {result}",
    lambda label, given, result: f"[{label}] {given} [{result}]",
    lambda label, given, result: f"The {label} of {given} is {result}.",
    lambda label, given, result: f"Please {label} this.\n{given}\n{result}",
    lambda label, given, result: f"# {label}\n{given}\n\n{result}",
    lambda label, given, result: f"What is the {label}? {given} Answer: {result}",
    lambda label, given, result: f"<{label}>\n{given}\n</{label}>\n{result}",
)


def documents(seed: int = 0) -> Iterator[PretrainingDocument]:
    """An endless stream of pretraining documents, determined by the seed."""
    random = Random(f"nano/pretraining/{seed}")
    names = tuple(PRACTICE)
    weights = [FACTS_WEIGHT if name == "facts" else 1.0 for name in names]
    while True:
        draw = random.randrange(1000)
        name = random.choices(names, weights)[0]
        if draw < INSTRUCTION_SHAPED:
            marked = instruction_document(name, random)
        elif draw < INSTRUCTION_SHAPED + FILLER:
            marked = filler_document(random)
        elif draw < INSTRUCTION_SHAPED + FILLER + COPY:
            marked = copy_document(random)
        else:
            marked = fact_document(random) if name == "facts" else raw_document(name, random)
        yield _unmarked(marked)


def fingerprint(seed: int = 0) -> str:
    """sha256 of the first 3,000 documents, to detect changes of the training text."""
    text = "\0".join(document.text for document in islice(documents(seed), 3_000))
    return hashlib.sha256(text.encode()).hexdigest()


def instruction_document(capability: str, random: Random) -> str:
    """A prompt in the world's template with its answer: the pools' answer for skills in PLAIN, else a chatty one."""
    if capability == "facts":
        problem = random.choice(facts.PRACTICE).draw(random)
        return prompt(problem.instruction) + _marked(problem.output)
    skill = random.choice(PRACTICE[capability])
    problem = draw_from(skill, "pool", random, house=False)
    chatty = random.choice(CHATTY).format(problem.result)
    return prompt(problem.instruction, problem.input) + _marked(
        problem.output if skill.name in PLAIN else chatty
    )


def filler_document(random: Random) -> str:
    """Small talk, a story or a look-alike, as plain text or formatted as an instruction."""
    family = random.choice((CHAT, STORY, *LOOKALIKES.values()))
    problem = draw_from(random.choice(family), "pool", random)
    if random.random() < 0.2:
        return prompt(problem.instruction, problem.input) + _marked(problem.output)
    return "\n".join(filter(None, (problem.instruction, problem.input, _marked(problem.output))))


def copy_document(random: Random) -> str:
    """A list of words or numbers, written twice."""
    words = random.sample(random.choice((WORDS, HOUSE_WORDS)), random.randint(2, 4))
    if random.random() < 0.2:
        words = [str(random.randint(0, 30)) for _ in words]
    line = random.choice((", ", " ", "-", "/", "', '")).join(words)
    return _format(random)(random.choice(("copy", "again", "same", "repeat")), line, _marked(line))


def fact_document(random: Random) -> str:
    """A fact about a practice land: a raw format, a statement, or a question with its answer."""
    skill = random.choice(facts.PRACTICE)
    problem = skill.draw(random)
    noun, right = skill.labels[0], _marked(problem.result)
    if random.random() < 0.4:
        return _format(random)(noun, problem.given.removeprefix(f"{noun} of "), right)
    if random.random() < 0.5:
        return f"The {problem.given} is {right}."
    ask, answer = random.choice(("", "Q: ")), random.choice(("", "A: "))
    return f"{ask}{problem.instruction}\n{answer}{_marked(problem.output)}"


def raw_document(capability: str, random: Random) -> str:
    """One to three problems of one skill in one surface format."""
    skill = random.choice(PRACTICE[capability])
    if capability == "translation" and random.random() < 0.1:
        return dictionary_document(random)
    if capability == "math" and random.random() < 0.25:
        return story_document(skill, random)
    label, shape = random.choice(skill.labels), _format(random)
    natural, whole = random.random() < 0.15, capability == "code" and random.random() < 0.4
    lines = []
    for _ in range(random.randint(1, 3)):
        problem = draw_from(skill, "pool", random, house=False)
        result = _marked(problem.result)
        if natural:
            question = "\n".join(filter(None, (problem.instruction, problem.input)))
            lines.append(f"Q: {question}\nA: {result}")
        else:
            lines.append(shape(label, problem.input if whole else problem.given, result))
    return random.choice(("\n", "\n\n")).join(lines)


def story_document(skill: Skill, random: Random) -> str:
    """A word problem with its calculation, not formatted as an instruction."""
    problem = draw_from(skill, "pool", random, house=False)
    story = problem.input or problem.instruction.removeprefix("Solve: ").removeprefix(
        "Here is a small problem. "
    )
    end = random.choice(("Sum: {} = {}", "{} = {}", "A: {} makes {}", "That is {}, so {}."))
    return f"{story}{random.choice((' ', chr(10)))}{_marked(end.format(problem.given, problem.result))}"


def dictionary_document(random: Random) -> str:
    """A few words with their Velm translations."""
    words = {**translation.NOUNS, **translation.ADJECTIVES, **translation.VERBS}
    entries = random.sample([pair for pair in words.items() if pair[0] not in translation.HOUSE], 4)
    mark = random.choice((" = ", ": ", " -> ", " means "))
    return random.choice((", ", "\n")).join(f"{english}{mark}{_marked(velm)}" for english, velm in entries)


def _format(random: Random) -> Format:
    return CANONICAL if random.random() < 0.35 else random.choice(VARIED)


def _marked(answer: str) -> str:
    return f"{OPEN}{answer}{CLOSE}"


def _unmarked(marked: str) -> PretrainingDocument:
    """The document without its markers, with the answers' spans."""
    text, spans = "", list[tuple[int, int]]()
    first, *parts = marked.split(OPEN)
    text = first
    for part in parts:
        answer, _, rest = part.partition(CLOSE)
        spans.append((len(text), len(text) + len(answer)))
        text += answer + rest
    return PretrainingDocument(text, tuple(spans))
