"""Traits as read from texts: topics, languages, code, repetitions, characters."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import Example, Pool
from nait.core.dataset.traits import (
    CHARACTERS,
    CODE,
    LANGUAGE,
    REPEATED_ANSWER,
    REPEATED_QUESTION,
    TOPIC,
    Traits,
)
from nait.core.errors import ConfigError
from nait.data.text_traits.topics import find_topics

TOPIC_CHARACTERS, LANGUAGE_CHARACTERS = 2000, 400
"""How much of a row is read for each."""
UNKNOWN = "unknown"
LEAST_LETTERS, LEAST_CONFIDENCE = 20, 0.5
"""Below these a language is unknown: a guess from a word or two is none."""

_CODE = re.compile(
    "|".join(
        [
            r"```|^#!/|^[ \t]*#include\s*[<\"]",
            r"^[ \t]*(?:async )?def \w+\(.*\).*:|^[ \t]*for \w+(?:, ?\w+)* in .+:[ \t]*$",
            r"^[ \t]*class \w+.*[:{][ \t]*$|^[ \t]*from [\w.]+ import |^[ \t]*import [\w.]+;?[ \t]*$",
            r"\bfunction\s*\w*\s*\([^)]*\)\s*\{|=>\s*\{|^[ \t]*(?:const|let|var) \w+ = ",
            r"\b(?:public|private|protected)\s+(?:static\s+)?\w+[\w<>\[\]]*\s+\w+\s*\(",
            r"^[ \t]*(?:for|while|if) ?\(.*\) ?\{|\bprintf?\(|console\.log\(|System\.out\.",
            r"\bSELECT\b.+?\bFROM\b|</[a-z][a-z0-9]*>|<!DOCTYPE",
        ]
    ),
    re.MULTILINE,
)


@dataclass(frozen=True)
class TraitReader:
    """Reads at most `topics` topics; `languages=False` leaves the languages out."""

    version: ClassVar[int] = 1

    topics: int = 12
    languages: bool = True

    def __post_init__(self) -> None:
        if self.topics < 2:
            raise ConfigError(
                f"{self.topics} is below 2", where="traits.topics", mend="Give more, or set traits=none."
            )

    def key(self) -> Mapping[str, Any]:
        """What decides the traits of a pool."""
        return {"version": self.version, "topics": self.topics, "languages": self.languages}

    def read(self, pool: Pool) -> Traits:
        """The traits of each row, by its own text and those beside it."""
        texts = [_text(example) for example in pool.examples]
        labels = {TOPIC: find_topics(pool.ids, [text[:TOPIC_CHARACTERS] for text in texts], self.topics)}
        if self.languages:
            labels[LANGUAGE] = [language(text) for text in texts]
        questions = (
            " ".join(f"{turn.instruction} {turn.input}" for turn in example.turns)
            for example in pool.examples
        )
        answers = (" ".join(turn.answer for turn in example.turns) for example in pool.examples)
        return Traits(
            pool.ids,
            labels={name: np.array(values, dtype=np.str_) for name, values in labels.items()},
            marks={
                CODE: np.array([has_code(text) for text in texts], dtype=bool),
                REPEATED_QUESTION: repeated(questions),
                REPEATED_ANSWER: repeated(answers),
            },
            sizes={CHARACTERS: np.array([_characters(example) for example in pool.examples], dtype=float)},
        )


def has_code(text: str) -> bool:
    """Whether it holds a fenced block, or a line that is clearly of Python, C, Java, JavaScript, SQL or HTML.

    A heuristic: a formula or a command alone is not seen, a text that quotes a tag is.
    """
    return _CODE.search(text) is not None


def language(text: str) -> str:
    """The ISO 639 code of the language it begins in; "unknown" where letters or confidence are too few."""
    start = text[:LANGUAGE_CHARACTERS]
    if sum(map(str.isalpha, start)) < LEAST_LETTERS:
        return UNKNOWN
    code, confidence = _identifier().classify(start)
    return str(code) if confidence >= LEAST_CONFIDENCE else UNKNOWN


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """The language model that comes with its package."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def repeated(texts: Iterable[str]) -> npt.NDArray[np.bool_]:
    """[N] whether another row has the same text but for case, blanks and compatible characters (NFKC).

    A text without a visible character repeats nothing.
    """
    digests = [_digest(" ".join(unicodedata.normalize("NFKC", text).lower().split())) for text in texts]
    counts = Counter(digests)
    return np.array([digest is not None and counts[digest] > 1 for digest in digests], dtype=bool)


def _digest(text: str) -> bytes | None:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() if text else None


def _text(example: Example) -> str:
    """All it says, without the system prompt, which rows share."""
    return "\n".join(part for part in _parts(example) if part)


def _parts(example: Example) -> Sequence[str]:
    return [part for turn in example.turns for part in (turn.instruction, turn.input, turn.answer)]


def _characters(example: Example) -> int:
    return sum(map(len, _parts(example)))
