"""Examples, pools and targets: the user's rows in one common form.

A pool sorts its examples by id. Every number computed from a pool is therefore independent of the row order of the
file, and equal pools have equal fingerprints.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from nait.core.addresses import digest_lines
from nait.core.errors import ConfigError, DataError, did_you_mean

ID_CHARS = 16


@dataclass(frozen=True, slots=True)
class Turn:
    """One instruction with its optional input, and the answer.

    An answer that is not `trained` is context: the model sees it, but it is never scored or trained on. `options`:
    the answers to choose from, written as the answer is; empty where there are none. `offered`: whether the row lists
    options, also if its answer is none of them. The id does not depend on these two.
    """

    instruction: str
    answer: str
    input: str = ""
    trained: bool = True
    options: tuple[str, ...] = field(default=(), compare=False)
    offered: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Example:
    """One training row: a conversation of one or more turns. `row` is its 0-based position in the source."""

    id: str
    turns: tuple[Turn, ...]
    system: str = ""
    subtask: str = ""
    row: int = 0

    @property
    def has_own_id(self) -> bool:
        """Whether the id is from the source, not derived from the content."""
        return self.id != content_id(self.system, self.turns)

    @property
    def answered(self) -> bool:
        """Whether any trained answer has a visible character."""
        return any(turn.trained and turn.answer.strip() for turn in self.turns)


class RawRows(Protocol):
    """A source that can return the user's rows unchanged."""

    def lines(self, rows: Sequence[int]) -> Iterator[str]:
        """The JSON texts of these 0-based rows, in this order."""
        ...


@dataclass(frozen=True)
class Pool:
    """Candidate examples, sorted by id.

    `duplicates` counts the rows with the same content as an earlier row, kept or not.
    `skipped` counts the rows that an option left out, by reason. `reading` records how the source was read: format,
    columns, unused columns, counts.
    """

    name: str
    examples: tuple[Example, ...]
    fingerprint: str
    source: RawRows | None = None
    duplicates: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def blind(self) -> Pool:
        """This pool without access to the source rows, whose other columns may hold ground truth."""
        return replace(self, source=None)

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(example.id for example in self.examples)

    @cached_property
    def answered(self) -> tuple[bool, ...]:
        """For each row, whether any trained answer has a visible character."""
        return tuple(example.answered for example in self.examples)


@dataclass(frozen=True)
class Target:
    """A capability, defined by a small in-domain reference set.

    `derived` holds an artifact computed from a reference set that is not available (NAIT: its directions). Then
    `examples` is empty and `fingerprint` is the artifact's.
    """

    name: str
    examples: tuple[Example, ...]
    fingerprint: str
    derived: Any = field(default=None, compare=False, repr=False)
    duplicates: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    source: RawRows | None = field(default=None, compare=False, repr=False)
    reading: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.examples)

    def without(self, ids: Collection[str], reason: str) -> Target:
        """The target without these rows, which are counted as skipped; itself when it has none of them."""
        kept = tuple(example for example in self.examples if example.id not in ids)
        gone = len(self.examples) - len(kept)
        if not gone:
            return self
        skipped = {**self.skipped, reason: self.skipped.get(reason, 0) + gone}
        return replace(self, examples=kept, fingerprint=fingerprint(kept), skipped=skipped)


def content_id(system: str, turns: Iterable[Turn]) -> str:
    """The id of a row without an id of its own: a hash of its text."""
    return hashlib.sha256(_text(system, turns).encode()).hexdigest()[:ID_CHARS]


def fingerprint(examples: Iterable[Example]) -> str:
    """The digest of an example set: ids, texts and subtasks, but not positions in the file."""
    return digest_lines(
        line
        for example in examples
        for line in (example.id, example.subtask, _text(example.system, example.turns))
    )


def _text(system: str, turns: Iterable[Turn]) -> str:
    parts: list[str | bool] = [system]
    for turn in turns:
        parts += (turn.instruction, turn.input, turn.answer)
        if not turn.trained:
            parts.append(False)
    return json.dumps(parts, ensure_ascii=False)


def gather(
    name: str,
    examples: Iterable[Example],
    *,
    source: RawRows | None = None,
    skipped: Mapping[str, int] | None = None,
    reading: Mapping[str, Any] | None = None,
    where: str = "",
) -> Pool:
    """A pool sorted by id. An empty id becomes a hash of the row's content; equal rows get `-2`, `-3`, ...

    Raises: DataError when two rows of the source have the same id, also one of its own and a hash, or when there is
    no row.
    """
    rows = list(examples)
    if not rows:
        raise DataError("there is no row", where=where or name, fix="Check its path and limit.")
    named: dict[str, int] = {}
    for example in rows:
        if example.id and named.setdefault(example.id, example.row) != example.row:
            raise DataError(
                f"id '{example.id}' is in row {named[example.id]} and in row {example.row} (counted from 0)",
                where=where or name,
                fix="Make the ids unique, or set id_column=null to use content hashes.",
            )
    seen: Counter[str] = Counter()
    finished = []
    for example in rows:
        key = content_id(example.system, example.turns)
        seen[key] += 1
        if not example.id:
            own = key if seen[key] == 1 else f"{key}-{seen[key]}"
            if own in named:
                raise DataError(
                    f"the id of row {named[own]} is the hash '{own}' of the content of row {example.row}, which has "
                    "no id (counted from 0)",
                    where=where or name,
                    fix="Give every row an id, or set id_column=null to use content hashes.",
                )
            example = Example(own, example.turns, example.system, example.subtask, example.row)
        finished.append(example)
    finished.sort(key=lambda example: example.id)
    duplicates = sum(count - 1 for count in seen.values())
    ordered = tuple(finished)
    return Pool(
        name=name,
        examples=ordered,
        fingerprint=fingerprint(ordered),
        source=source,
        duplicates=duplicates,
        skipped=dict(skipped or {}),
        reading=dict(reading or {}),
    )


def chosen_names(wanted: str | Sequence[str] | None, known: Collection[str]) -> list[str]:
    """The capabilities that `wanted` names, in its order; all `known` ones for None.

    Raises: ConfigError for an unknown name.
    """
    if wanted is None:
        return list(known)
    names = [wanted] if isinstance(wanted, str) else [str(name) for name in wanted]
    for name in names:
        if name not in known:
            fix = did_you_mean(name, known)
            raise ConfigError(f"there is no '{name}' to choose", where="target.capabilities", fix=fix)
    return names


def as_target(pool: Pool) -> Target:
    """The pool as a reference set of the same name."""
    return Target(
        name=pool.name,
        examples=pool.examples,
        fingerprint=pool.fingerprint,
        duplicates=pool.duplicates,
        skipped=pool.skipped,
        source=pool.source,
        reading=pool.reading,
    )
