"""Contamination: texts of a pool or a reference set that are in the evaluation, or in each other.

Three signs, from the strongest: two texts are equal after normalisation; a whole text of 8 words or more is part of
another; two texts share a run of `ngram` words (13, as in the GPT-3 paper). `nait.core.words` says what a word is.
Shapes: an n-gram is one 64-bit hash, a text's n-grams a sorted array of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nait.core.errors import DataError
from nait.core.examples import Example, Pool, Target
from nait.core.words import Hashes, digest, hashed, ngrams, words_of

Kind = Literal["equal", "contained", "ngram"]
Role = Literal["pool", "target", "task", ""]

SHORTEST_EQUAL = 5
"""Words a text must have for its equality with another to mean anything."""
SHORTEST_CONTAINED = 8
"""Words a text must have to be looked for inside another: the smallest N of the GPT-3 paper."""
COMMON, COMMON_SHARE = 10, 0.01
"""What more items than both say is the task's own wording: 10 is the GPT-3 paper's bound for n-grams."""
REFUSED: tuple[Kind, ...] = ("equal", "contained")


class Side(NamedTuple):
    """One side of a comparison. The role is part of the identity: a target and a task may share a name.

    The role is empty for hits of a store from before roles were recorded.
    """

    role: Role
    name: str

    def __str__(self) -> str:
        return f"{self.role} {self.name}".strip()


@dataclass(frozen=True)
class Hit:
    """A row of `rows` (a pool or a target) that shares text with `other` (a task or a target), with both ids."""

    rows: Side
    id: str
    other: Side
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

    def compare(self, rows: Pool | Target, others: Mapping[Side, Sequence[Item]]) -> list[Hit]:
        """The hits of these rows among the others' items, at most one a row and other: its strongest."""
        side = side_of(rows)
        indexes = {other: _index(items, self.ngram) for other, items in others.items()}
        found: list[Hit] = []
        for example in rows.examples:
            texts = [_prepared(text, self.ngram) for text in texts_of(example)]
            for other, index in indexes.items():
                match = index.find(texts)
                if match:
                    found.append(Hit(side, example.id, other, *match))
        return found

    def refuse_test_references(self, hits: Sequence[Hit], targets: Sequence[Target]) -> None:
        """Raises: DataError for a reference set that holds evaluation items word for word."""
        if self.allow_test_references:
            return
        for target in targets:
            own = [hit for hit in hits if hit.rows == side_of(target) and hit.other.role == "task"]
            whole = [hit for hit in own if hit.kind in REFUSED]
            if whole:
                raise DataError(
                    f"{len({hit.id for hit in whole})} of its {len(target)} rows hold evaluation items, such as row "
                    f"{whole[0].id} (item {whole[0].other_id} of {whole[0].other})",
                    where=f"target '{target.name}'",
                    mend="Take rows of a training split, or set contamination.allow_test_references=true.",
                )


def side_of(rows: Pool | Target) -> Side:
    """The pool or the target as a side of a comparison."""
    return Side("pool" if isinstance(rows, Pool) else "target", rows.name)


def as_items(target: Target) -> list[Item]:
    """A reference set's rows as texts to be looked for."""
    return [Item(example.id, texts_of(example)) for example in target.examples]


def texts_of(example: Example) -> tuple[str, ...]:
    """The system prompt; each turn's question with its input, the input, the answer.

    An instruction apart from its input says too little: many rows share it.
    """
    texts: list[str] = [example.system]
    for turn in example.turns:
        texts += [f"{turn.instruction} {turn.input}".strip(), turn.input, turn.answer]
    return tuple(dict.fromkeys(text for text in texts if text))


def comparable(texts: Sequence[str]) -> bool:
    """Whether any of these texts is long enough to be found at all."""
    return any(len(words_of(text)) >= SHORTEST_EQUAL for text in texts)


@dataclass(frozen=True)
class _Text:
    """A text's digest (None: too short to mean anything), its words' hashes [W] and the hashes of its n-grams."""

    digest: bytes | None
    words: Hashes
    grams: Hashes


def _prepared(text: str, ngram: int) -> _Text:
    words = words_of(text)
    hashes = hashed(words)
    return _Text(
        digest(words) if len(words) >= SHORTEST_EQUAL else None, hashes, np.unique(ngrams(hashes, ngram))
    )


@dataclass(frozen=True)
class _Places:
    """Sorted hashes [G] and the item [G] that each stands for."""

    hashes: Hashes
    owners: npt.NDArray[np.int64]

    def owners_of(self, hashes: Hashes) -> npt.NDArray[np.int64]:
        """The items of those of these hashes that are here, in the hashes' order."""
        if not len(self.hashes) or not len(hashes):
            return np.empty(0, dtype=np.int64)
        places = np.searchsorted(self.hashes, hashes).clip(max=len(self.hashes) - 1)
        found: npt.NDArray[np.int64] = self.owners[places[self.hashes[places] == hashes]]
        return found


@dataclass(frozen=True)
class _Index:
    """Items by their whole texts, by those shorter than an n-gram (length -> places), and by their n-grams.

    `long` has the n-grams of each of an item's longer texts.
    """

    items: Sequence[Item]
    equal: Mapping[bytes, int]
    short: Mapping[int, _Places]
    grams: _Places
    long: Sequence[Sequence[Hashes]]

    def find(self, texts: Sequence[_Text]) -> tuple[str, Kind] | None:
        """The item that one of these texts equals, or else contains, or else shares words with."""
        for text in texts:
            if text.digest is not None and text.digest in self.equal:
                return self.items[self.equal[text.digest]].id, "equal"
        shared = [self.grams.owners_of(text.grams) for text in texts]
        for text, owners in zip(texts, shared, strict=True):
            for number in self._contained(text, owners):
                return self.items[number].id, "contained"
        for owners in shared:
            if len(owners):
                return self.items[int(owners[0])].id, "ngram"
        return None

    def _contained(self, text: _Text, owners: npt.NDArray[np.int64]) -> Iterator[int]:
        """The items with a whole text inside this one. `owners` share an n-gram with it."""
        for number in dict.fromkeys(owners.tolist()):
            if any(np.isin(grams, text.grams, assume_unique=True).all() for grams in self.long[number]):
                yield number
        for length, places in self.short.items():
            yield from places.owners_of(ngrams(text.words, length)).tolist()


def _index(items: Sequence[Item], ngram: int) -> _Index:
    """The index of these items, without what many of them say: a task's own phrases are in all its prompts."""
    most = max(COMMON, int(COMMON_SHARE * len(items)))
    owners: dict[bytes, set[int]] = {}
    short: dict[int, list[tuple[int, Hashes]]] = {}
    grams: list[tuple[int, Hashes]] = []
    long: list[list[Hashes]] = []
    for number, item in enumerate(items):
        texts = [_prepared(text, ngram) for text in item.texts]
        for text in texts:
            if text.digest is not None:
                owners.setdefault(text.digest, set()).add(number)
        for length in {len(text.words) for text in texts}:
            if SHORTEST_CONTAINED <= length < ngram:
                whole = [ngrams(text.words, length) for text in texts if len(text.words) == length]
                short.setdefault(length, []).append((number, np.unique(np.concatenate(whole))))
        long.append([text.grams for text in texts if len(text.grams)])
        grams.append((number, np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *long[-1]]))))
    equal = {key: min(said) for key, said in owners.items() if len(said) <= most}
    places = {length: _places(parts, most) for length, parts in short.items()}
    return _Index(items, equal, places, _places(grams, most), long)


def _places(parts: Sequence[tuple[int, Hashes]], most: int) -> _Places:
    """The first item of each hash that at most `most` items have."""
    hashes = np.concatenate([np.empty(0, dtype=np.uint64), *(part for _, part in parts)])
    numbers = np.repeat([number for number, _ in parts], [len(part) for _, part in parts]).astype(np.int64)
    kept, first, counts = np.unique(hashes, return_index=True, return_counts=True)
    rare = counts <= most
    return _Places(kept[rare], numbers[first[rare]])
