"""Contamination: texts of a pool or a reference set that stand in the evaluation, or in each other.

Two signs: a text that is equal after normalisation (lower case, letters and digits alone), or a run of `ngram`
words in common (13, as in the GPT-3 paper). Shapes: S texts' n-grams in one sorted array of 64-bit hashes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from nait.core.errors import DataError
from nait.core.examples import Example, Pool, Target

Kind = Literal["equal", "ngram"]
Hashes = npt.NDArray[np.uint64]

WORDS = re.compile(r"\w+")
SHORTEST_EQUAL = 5
"""Words a text must have for its equality with another to mean anything."""
COMMON = 10
"""What more items than this say is the task's own wording (the bound of the GPT-3 paper for n-grams)."""
_BASE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Hit:
    """A text of `rows` (a pool or a target) that stands in `other` (a task or a target), with both ids."""

    rows: str
    id: str
    other: str
    other_id: str
    kind: Kind


@dataclass(frozen=True)
class Item:
    """A text to be looked for: what an evaluation asks, or what a reference row says."""

    id: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Contamination:
    """How rows are compared, and what is done about a hit.

    `ngram` words in common make a hit. `exclude` leaves the pool's hits out of every selection.
    `allow_test_references` lets a reference set be used though it holds evaluation items.
    """

    ngram: int = 13
    exclude: bool = False
    allow_test_references: bool = False

    def compare(self, rows: Pool | Target, others: Mapping[str, Sequence[Item]]) -> list[Hit]:
        """The hits of these rows among the others' items, at most one a row and other: its first."""
        indexes = {other: _index(items, self.ngram) for other, items in others.items()}
        found: list[Hit] = []
        for example in rows.examples:
            texts = [_prepared(text, self.ngram) for text in _texts(example)]
            for other, index in indexes.items():
                match = index.find(texts)
                if match:
                    found.append(Hit(rows.name, example.id, other, *match))
        return found

    def refuse_test_references(self, hits: Sequence[Hit], targets: Sequence[Target]) -> None:
        """Raises: DataError for a reference set that holds evaluation items word for word."""
        if self.allow_test_references:
            return
        for target in targets:
            equal = [hit for hit in hits if hit.rows == target.name and hit.kind == "equal"]
            if equal:
                raise DataError(
                    f"{len(equal)} of its {len(target)} rows are evaluation items, such as row {equal[0].id} "
                    f"(item {equal[0].other_id} of {equal[0].other})",
                    where=f"target '{target.name}'",
                    mend="Take rows of a training split, or set contamination.allow_test_references=true.",
                )


def as_items(target: Target) -> list[Item]:
    """A reference set's rows as texts to be looked for."""
    return [Item(example.id, _texts(example)) for example in target.examples]


def _texts(example: Example) -> tuple[str, ...]:
    """Each turn's question with its input, the input and the answer. An instruction to an input says too little."""
    texts: list[str] = []
    for turn in example.turns:
        texts += [f"{turn.instruction} {turn.input}".strip(), turn.input, turn.answer]
    return tuple(dict.fromkeys(text for text in texts if text))


@dataclass(frozen=True)
class _Text:
    """A text's digest (None: too short to mean anything) and the hashes of its n-grams."""

    digest: bytes | None
    grams: Hashes


def _prepared(text: str, ngram: int) -> _Text:
    words = WORDS.findall(text.lower())
    digest = _digest(words) if len(words) >= SHORTEST_EQUAL else None
    return _Text(digest, np.unique(_grams(words, ngram)))


@dataclass(frozen=True)
class _Index:
    """Items by the hashes of their texts and n-grams; `owners` [G] are the items of the sorted `grams` [G]."""

    items: Sequence[Item]
    equal: Mapping[bytes, str]
    grams: Hashes
    owners: npt.NDArray[np.int64]

    def find(self, texts: Sequence[_Text]) -> tuple[str, Kind] | None:
        """The item that one of these texts equals, or else shares words with."""
        for text in texts:
            if text.digest is not None and text.digest in self.equal:
                return self.equal[text.digest], "equal"
        for text in texts:
            if not len(self.grams) or not len(text.grams):
                continue
            places = np.searchsorted(self.grams, text.grams).clip(max=len(self.grams) - 1)
            hits = places[self.grams[places] == text.grams]
            if len(hits):
                return self.items[int(self.owners[hits[0]])].id, "ngram"
        return None


def _index(items: Sequence[Item], ngram: int) -> _Index:
    """The index of these items, without what several of them say: a task's own phrases are in all its prompts."""
    owners: dict[bytes, set[int]] = {}
    parts, numbers = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)]
    for number, item in enumerate(items):
        texts = [_prepared(text, ngram) for text in item.texts]
        for text in texts:
            if text.digest is not None:
                owners.setdefault(text.digest, set()).add(number)
        grams = np.unique(np.concatenate([parts[0][:0], *(text.grams for text in texts)]))
        parts.append(grams)
        numbers.append(np.full(len(grams), number, dtype=np.int64))
    equal = {key: items[min(said)].id for key, said in owners.items() if len(said) <= COMMON}
    grams, first, counts = np.unique(np.concatenate(parts), return_index=True, return_counts=True)
    rare = counts <= COMMON
    return _Index(items, equal, grams[rare], np.concatenate(numbers)[first[rare]])


def _digest(words: Sequence[str]) -> bytes:
    return hashlib.blake2b(" ".join(words).encode(), digest_size=16).digest()


def _grams(words: Sequence[str], ngram: int) -> Hashes:
    """A hash of each run of `ngram` words: a polynomial in the words' own hashes, modulo 2^64."""
    count = len(words) - ngram + 1
    if count < 1:
        return np.empty(0, dtype=np.uint64)
    hashes = np.fromiter(map(_word, words), dtype=np.uint64, count=len(words))
    total = np.zeros(count, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for place in range(ngram):
            total = total * _BASE + hashes[place : place + count]
    return total


@lru_cache(maxsize=1 << 18)
def _word(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
