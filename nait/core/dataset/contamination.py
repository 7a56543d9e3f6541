"""Contamination: overlap between the texts of a pool, its reference sets and an evaluation.

Three kinds of overlap, strongest first: two texts are equal after normalisation; an item's text of 8 words or more is
part of a row's; two texts share a run of `ngram` words (13, as in the GPT-3 paper).
`nait.core.dataset.text_hashes` defines a word.
Shapes: an n-gram is one 64-bit hash, a text's n-grams a sorted array of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import Example, Pool, Target
from nait.core.dataset.text_hashes import Hashes, digest, hashed, runs, words_of
from nait.core.errors import DataError

Kind = Literal["equal", "contained", "ngram"]
Role = Literal["pool", "target", "task", ""]

SHORTEST_EQUAL = 5
"""The least words of a text that is compared for equality."""
SHORTEST_CONTAINED = 8
"""The least words of a text that is searched for inside others: the smallest N of the GPT-3 paper."""
COMMON, COMMON_SHARE = 10, 0.01
"""A text is boilerplate of a task if it occurs in more than `COMMON` items and in more than this share of the items.
10 is the GPT-3 paper's bound for n-grams."""
BEYOND = "left out by eval.limit or eval.spread"
"""How messages mark an item that the evaluation leaves out."""
REFUSED: tuple[Kind, ...] = ("equal", "contained")
"""Overlaps of whole texts, which a reference set must not have with an evaluation."""


class Side(NamedTuple):
    """One side of a comparison. The role is part of the identity: a target and a task may share a name.

    The role is empty in hits from older stores, which do not record roles.
    """

    role: Role
    name: str

    def __str__(self) -> str:
        return f"{self.role} {self.name}".strip()


@dataclass(frozen=True)
class Hit:
    """A row of `rows` (a pool or a target) that overlaps with an item of `other` (a task or a target).

    `evaluated`: the item is within the limit of the evaluation.
    """

    rows: Side
    id: str
    other: Side
    other_id: str
    kind: Kind
    evaluated: bool = True


@dataclass(frozen=True)
class EvaluationText:
    """The texts to search for of one evaluation item or reference row.

    `evaluated`: False for an item beyond the evaluation's limit, which is still a test item.
    """

    id: str
    texts: tuple[str, ...]
    evaluated: bool = True


@dataclass(frozen=True)
class Contamination:
    """How overlap is detected and what happens to the rows that have it.

    A run of `ngram` shared words is a hit. `exclude` makes the pool's hits ineligible.
    `allow_test_references` permits a reference set that contains evaluation items.
    """

    ngram: int = 13
    exclude: bool = False
    allow_test_references: bool = False

    def compare(self, rows: Pool | Target, others: Mapping[Side, Sequence[EvaluationText]]) -> list[Hit]:
        """The hits of these rows in the items of `others`: the strongest hit for each pair of row and other side.

        Items within and beyond an evaluation's limit are compared separately: a row may have a hit in both.
        """
        side, index = side_of(rows), _Index.of(others, self.ngram)
        found: list[Hit] = []
        for example in rows.examples:
            texts = [_prepared(text, self.ngram) for text in texts_of(example)]
            found += [Hit(side, example.id, *match) for match in index.find(texts)]
        return found

    def refuse_test_references(self, hits: Sequence[Hit], targets: Sequence[Target]) -> None:
        """Raises: DataError for a reference set that contains whole evaluation items."""
        if self.allow_test_references:
            return
        for target in targets:
            own = [hit for hit in hits if hit.rows == side_of(target) and hit.other.role == "task"]
            whole = [hit for hit in own if hit.kind in REFUSED]
            if whole:
                beyond = "" if whole[0].evaluated else f", {BEYOND}"
                raise DataError(
                    f"{len({hit.id for hit in whole})} of its {len(target)} rows hold evaluation items, such as row "
                    f"{whole[0].id} (item {whole[0].other_id} of {whole[0].other}{beyond})",
                    where=f"target '{target.name}'",
                    fix="Take rows of a training split, or set contamination.allow_test_references=true.",
                )


def side_of(rows: Pool | Target) -> Side:
    """The pool or the target as a side of a comparison."""
    return Side("pool" if isinstance(rows, Pool) else "target", rows.name)


def as_evaluation_texts(target: Target) -> list[EvaluationText]:
    """The rows of a reference set as texts to search for."""
    return [EvaluationText(example.id, texts_of(example)) for example in target.examples]


def texts_of(example: Example) -> tuple[str, ...]:
    """The texts of an example that are compared: the system prompt, and each turn's instruction with its input, its
    input and its answer.

    An instruction alone is left out, since many rows share it.
    """
    texts: list[str] = [example.system]
    for turn in example.turns:
        texts += [f"{turn.instruction} {turn.input}".strip(), turn.input, turn.answer]
    return tuple(dict.fromkeys(text for text in texts if text))


def comparable(texts: Sequence[str]) -> bool:
    """Whether any of these texts is long enough to be compared."""
    return any(len(words_of(text)) >= SHORTEST_EQUAL for text in texts)


class _Text(NamedTuple):
    """Hashes of a text: its digest (None: too short to compare), its n-grams, and its runs below n-gram length.

    `whole` is the hash of all its words when the text is shorter than an n-gram and long enough to search for.
    """

    digest: bytes | None
    whole: Hashes
    shorter: Hashes
    grams: Hashes


NONE = np.empty(0, dtype=np.uint64)


def _prepared(text: str, ngram: int) -> _Text:
    words = words_of(text)
    *shorter, grams = runs(hashed(words), min(SHORTEST_CONTAINED, ngram), ngram)
    place = len(words) - SHORTEST_CONTAINED
    return _Text(
        digest(words) if len(words) >= SHORTEST_EQUAL else None,
        shorter[place] if 0 <= place < len(shorter) else NONE,
        np.concatenate([NONE, *shorter]),
        np.unique(grams),
    )


class _Places(NamedTuple):
    """Sorted hashes [G] and an item [G] that has each; a hash occurs once for each item that has it."""

    hashes: Hashes
    owners: npt.NDArray[np.int64]

    @classmethod
    def of(cls, parts: Sequence[_Places]) -> _Places:
        hashes = np.concatenate([NONE, *(part.hashes for part in parts)])
        owners = np.concatenate([np.empty(0, dtype=np.int64), *(part.owners for part in parts)])
        order = np.argsort(hashes, kind="stable")
        return cls(hashes[order], owners[order])

    def owners_of(self, hashes: Hashes) -> list[int]:
        """The numbers of the distinct items that have any of these hashes."""
        first, last = (np.searchsorted(self.hashes, hashes, side) for side in ("left", "right"))
        places = np.flatnonzero(last > first)
        found = (self.owners[first[place] : last[place]].tolist() for place in places)
        return list(dict.fromkeys(number for numbers in found for number in numbers))


@dataclass(frozen=True)
class _Index:
    """An index of all items, numbered consecutively over all others, by whole text and by n-gram.

    `short` holds whole texts shorter than an n-gram; `long` the n-grams of each longer text of an item.
    """

    items: Sequence[tuple[Side, EvaluationText]]
    equal: Mapping[bytes, Sequence[int]]
    short: _Places
    grams: _Places
    long: Sequence[Sequence[Hashes]]

    @staticmethod
    def of(others: Mapping[Side, Sequence[EvaluationText]], ngram: int) -> _Index:
        """The index of these items, without texts that many items of one task share, such as its boilerplate."""
        numbered: list[tuple[Side, EvaluationText]] = []
        equal: dict[bytes, list[int]] = {}
        short, grams, long = [], [], []
        for other, items in others.items():
            most, start = max(COMMON, int(COMMON_SHARE * len(items))), len(numbered)
            texts = [[_prepared(text, ngram) for text in item.texts] for item in items]
            keys = [dict.fromkeys(text.digest for text in own if text.digest) for own in texts]
            counts = Counter(key for own in keys for key in own)
            for number, own_keys in enumerate(keys, start):
                for key in own_keys:
                    if counts[key] <= most:
                        equal.setdefault(key, []).append(number)
            short.append(_rare([[text.whole for text in own] for own in texts], start, most))
            grams.append(_rare([[text.grams for text in own] for own in texts], start, most))
            long += [[text.grams for text in own if len(text.grams)] for own in texts]
            numbered += [(other, item) for item in items]
        return _Index(numbered, equal, _Places.of(short), _Places.of(grams), long)

    def find(self, texts: Sequence[_Text]) -> Iterator[tuple[Side, str, Kind, bool]]:
        """The strongest matches of these texts in each other side, as (side, item id, kind, evaluated).

        Each side has at most two: one within the evaluation's limit, then one beyond it.
        """
        found: dict[tuple[Side, bool], tuple[str, Kind]] = {}
        for number, kind in self._matches(texts):
            other, item = self.items[number]
            found.setdefault((other, item.evaluated), (item.id, kind))
        for (other, evaluated), (key, kind) in sorted(found.items(), key=lambda one: not one[0][1]):
            yield other, key, kind, evaluated

    def _matches(self, texts: Sequence[_Text]) -> Iterator[tuple[int, Kind]]:
        """Matching item numbers, strongest kind first."""
        for text in texts:
            yield from ((number, "equal") for number in self.equal.get(text.digest or b"", ()))
        shared = [self.grams.owners_of(text.grams) for text in texts]
        for text, numbers in zip(texts, shared, strict=True):
            yield from ((number, "contained") for number in numbers if self._contains(text, number))
            yield from ((number, "contained") for number in self.short.owners_of(text.shorter))
        for numbers in shared:
            yield from ((number, "ngram") for number in numbers)

    def _contains(self, text: _Text, number: int) -> bool:
        """Whether this text contains one of the item's longer texts."""
        return any(np.isin(grams, text.grams, assume_unique=True).all() for grams in self.long[number])


def _rare(items: Sequence[Sequence[Hashes]], start: int, most: int) -> _Places:
    """Each hash that at most `most` of these items have, with every such item; items are numbered from `start`."""
    own = [np.unique(np.concatenate([NONE, *parts])) for parts in items]
    numbers = np.repeat(np.arange(start, start + len(own)), [len(hashes) for hashes in own])
    hashes = np.concatenate([NONE, *own])
    _, place, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    rare = (counts <= most)[place]
    return _Places(hashes[rare], numbers[rare])
