"""Trait extraction: topic, language, code, repetition and length of each row."""

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
"""Characters of a row used for topic and language detection."""
UNKNOWN = "unknown"
MIN_LETTERS, MIN_CONFIDENCE = 20, 0.5
"""Minimum letters and confidence for a language; below them it is "unknown"."""

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
    """Trait extractor with at most `topics` topics; `languages=False` skips language detection."""

    version: ClassVar[int] = 1

    topics: int = 12
    languages: bool = True

    def __post_init__(self) -> None:
        if self.topics < 2:
            raise ConfigError(
                f"{self.topics} is below 2", where="traits.topics", fix="Give more, or set traits=none."
            )

    def key(self) -> Mapping[str, Any]:
        """Parameters that determine the traits of a pool."""
        return {"version": self.version, "topics": self.topics, "languages": self.languages}

    def read(self, pool: Pool) -> Traits:
        """Traits of each row. Topics and repetitions depend on all rows of the pool."""
        texts = [row_text(example) for example in pool.examples]
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
    """Whether a text contains a fenced block or a typical line of Python, C, Java, JavaScript, SQL or HTML.

    A heuristic: it misses a single formula or shell command, and matches a text that quotes a tag.
    """
    return _CODE.search(text) is not None


def language(text: str) -> str:
    """ISO 639 code of the language at the start of a text; "unknown" with too few letters or low confidence."""
    start = text[:LANGUAGE_CHARACTERS]
    if sum(map(str.isalpha, start)) < MIN_LETTERS:
        return UNKNOWN
    code, confidence = _identifier().classify(start)
    return str(code) if confidence >= MIN_CONFIDENCE else UNKNOWN


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """Language identification model bundled with py3langid."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def repeated(texts: Iterable[str]) -> npt.NDArray[np.bool_]:
    """Whether another row has the same text [N], ignoring case, white space and NFKC variants.

    Blank texts are never repetitions.
    """
    digests = [_digest(" ".join(unicodedata.normalize("NFKC", text).lower().split())) for text in texts]
    counts = Counter(digests)
    return np.array([digest is not None and counts[digest] > 1 for digest in digests], dtype=bool)


def _digest(text: str) -> bytes | None:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() if text else None


def row_text(example: Example) -> str:
    """Text of all turns, without the system prompt, which rows share."""
    return "\n".join(part for part in _parts(example) if part)


def _parts(example: Example) -> Sequence[str]:
    return [part for turn in example.turns for part in (turn.instruction, turn.input, turn.answer)]


def _characters(example: Example) -> int:
    return sum(map(len, _parts(example)))
