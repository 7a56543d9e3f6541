"""Scores that were computed elsewhere: an LLM judge, another package, a published selection.

Shapes: N rows of the pool, F rows of the file, C columns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from nait.baselines.shared.score_rows import ID, PREFIX, RANKS, ROW, TEXT, ScoreRows, read_score_rows
from nait.core.addresses import digest_file
from nait.core.contracts import Extractor
from nait.core.dataset.examples import Example, Pool, Target, content_id
from nait.core.errors import ConfigError, DataError
from nait.core.inputs.checks import check_choice, check_number
from nait.core.inputs.visible_text import visible_line
from nait.core.ranking.score_table import ScoreTable
from nait.data.files.named_files import Paths, named_files

JOINS = ("auto", ID, ROW, TEXT)
DIRECTIONS = ("highest", "lowest")
COSTS = ("hours", "money")
NAMED = 20
"""The number of unmatched rows that a warning names."""
WHOLE = re.compile(r"\d+\.0+")
"""An id that is a whole number, written as a fraction."""
SHOWN = 3
"""The number of keys of file and pool that an error shows."""
ABSENT, EMPTY = "not in the file of scores", "missing in its row of the file of scores"
"""Reasons why a row of the pool has no score."""


@dataclass(frozen=True)
class FileScores:
    """Scores [N, C] read from files of any kind that a pool can have.

    - `path`: a file, a list of files, a pattern or a folder.
    - `join`: "id", "row" (the 0-based row of the pool's file), "text" (rows with the same instruction, input and
      answer) or "auto" (the first of these that the file has).
    - `key`: the column with ids or row numbers; None: the column of that name.
    - `columns`: the score columns; None: `score`, else `score:NAME`, else every column of numbers but ranks.
    - `direction`: "lowest" reverses the sign, so that the best row scores highest under every order.
    - `only`: column -> value: only these rows of the file.
    - `cost`: what scoring cost elsewhere: `hours` of the run's devices, and `money` in its currency.
    """

    version: ClassVar[int] = 6
    """Part of the scores' key. 2: a column `row` or `id` beside the key is not a score. 3: neither is pandas' index;
    whole ids may be written as fractions. 4: nor is `Rank` or `ranking`. 5: a column of numbers in
    which one is missing, such as `NA`, is a score; true and false are not.
    6: nor are the row's own texts, such as an `output` of numbers."""

    path: Paths
    join: str = "auto"
    key: str | None = None
    columns: str | Sequence[str] | None = None
    direction: str = "highest"
    only: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice("selector.join", self.join, JOINS)
        check_choice("selector.direction", self.direction, DIRECTIONS)
        for key, value, kind in (
            ("key", self.key, str),
            ("only", self.only, Mapping),
            ("cost", self.cost, Mapping),
        ):
            if value is not None and not isinstance(value, kind):
                raise ConfigError(
                    f"{value!r} does not fit", where=f"selector.{key}", fix="See nait --cfg job."
                )
        if self.columns is not None and not _names(self.columns):
            fix = "Give a name, or a list of names: selector.columns=[a,b]."
            raise ConfigError(f"{self.columns!r} names no column", where="selector.columns", fix=fix)
        for name, amount in self.cost.items():
            check_choice("selector.cost", name, COSTS)
            check_number(f"selector.cost.{name}", amount, "[0, inf)")

    def content(self) -> list[str]:
        """The digests of the files."""
        return [digest_file(path) for path in named_files(self.path, key="selector.path")]

    @property
    def by_row(self) -> bool:
        """Whether the file's rows are joined by row number."""
        return self._rows.join == ROW

    def check(self, targets: Sequence[Target]) -> None:  # noqa: ARG002
        """Raises: DataError or ConfigError for a file that cannot be read, before a model is hashed."""
        self._rows  # noqa: B018  # reads the file

    @cached_property
    def _rows(self) -> ScoreRows:
        return read_score_rows(self.path, join=self.join, key=self.key, columns=self.columns, only=self.only)

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:  # noqa: ARG002
        """A column for each of the file's, or the column `any` for a single one. Opens no model.

        Raises: DataError when two rows of the file score one row differently, or when none is of the pool.
        """
        keys = [_key(example, self._rows.join) for example in pool.examples]
        rows = _with_whole_ids(self._rows, set(keys))
        places = _places(rows)
        found = np.array([places.get(key, -1) for key in keys], dtype=np.int64)
        if keys and (found < 0).all():
            raise _nothing_in_common(rows, keys)
        sign = -1.0 if self.direction == "lowest" else 1.0
        values = np.where(found[:, None] < 0, np.nan, sign * rows.values[found])
        blank = np.asarray(np.isnan(values).all(axis=1), dtype=np.bool_)
        reasons = {
            example.id: ABSENT if place < 0 else EMPTY
            for example, place, none in zip(pool.examples, found.tolist(), blank.tolist(), strict=True)
            if none
        }
        names = tuple(visible_line(name.removeprefix(PREFIX)) for name in rows.columns)
        if twice := next((name for name, count in Counter(names).items() if count > 1), None):
            raise ConfigError(
                f"two columns have the name '{twice}'", where="selector.columns", fix="Name one of them."
            )
        return ScoreTable(
            ids=pool.ids,
            targets=names if len(names) > 1 else ("any",),
            values=values,
            unit="as in the file",
            definition=f"{'minus ' if sign < 0 else ''}{', '.join(names)} of a file, joined by {rows.join}",
            reasons=reasons,
            warnings=(*self._rank_warnings(), *_without_score(reasons), *_without_row(rows, set(keys))),
            stated_cost=self._stated_cost,
        )

    def _rank_warnings(self) -> list[str]:
        """A warning for each rank of which the highest number is best."""
        return [
            f"Column '{visible_line(name)}': the highest number is selected first. "
            "If 1 is the best rank, set selector.direction=lowest."
            for name in self._rows.columns
            if self.direction == "highest" and name.casefold() in RANKS
        ]

    @property
    def _stated_cost(self) -> dict[str, float]:
        stated = {"seconds": 3600 * self.cost.get("hours", 0.0), "money": self.cost.get("money", 0.0)}
        return {name: value for name, value in stated.items() if value}


def _names(columns: Any) -> bool:
    """Whether a value is a column's name, or a list of some."""
    if isinstance(columns, str):
        return bool(columns)
    return (
        isinstance(columns, Sequence)
        and bool(columns)
        and all(isinstance(one, str) and one for one in columns)
    )


def _key(example: Example, join: str) -> str | int:
    if join == ROW:
        return example.row
    return example.id if join == ID else content_id(example.system, example.turns)


def _nothing_in_common(rows: ScoreRows, keys: Sequence[str | int]) -> DataError:
    theirs = rows.places if rows.join == TEXT else [str(key) for key in rows.keys]
    shown = "" if rows.join == TEXT else f"; the pool has {_some([str(key) for key in keys[:SHOWN]])}"
    return DataError(
        f"no row of the file of scores matches a row of the pool (joined by {rows.join}): the file has "
        f"{_some(theirs[:SHOWN])}{shown}",
        where="selector.path",
        fix="Choose another selector.join (id, row, text) or selector.key.",
    )


def _with_whole_ids(rows: ScoreRows, known: set[str | int]) -> ScoreRows:
    """The rows with ids such as 7.0 as 7, where the pool has only the latter.

    Many tools turn a column of whole numbers that lacks one into a column of fractions.
    """
    if rows.join != ID:
        return rows
    whole = {key: key.partition(".")[0] for key in map(str, rows.keys) if WHOLE.fullmatch(key)}
    keys = tuple(
        whole[key] if key not in known and whole.get(key) in known else key for key in map(str, rows.keys)
    )
    return replace(rows, keys=keys)


def _places(rows: ScoreRows) -> dict[str | int, int]:
    """Key -> the number of its row in the file. Raises: DataError for a key with different scores."""
    found: dict[str | int, int] = {}
    for place, key in enumerate(rows.keys):
        first = found.setdefault(key, place)
        if not np.array_equal(rows.values[first], rows.values[place], equal_nan=True):
            shown = "this text" if rows.join == TEXT else f"{rows.join} {key}"
            raise DataError(
                f"{shown} has another score in {rows.places[first]}",
                where=rows.places[place],
                fix="Keep one of the two, or choose rows of the file with selector.only={COLUMN: VALUE}.",
            )
    return found


def _without_score(reasons: Mapping[str, str]) -> list[str]:
    """A warning that names the rows of the pool without a score, for each reason."""
    found = []
    for reason in (ABSENT, EMPTY):
        ids = [key for key, why in reasons.items() if why == reason]
        if ids:
            found.append(f"{len(ids):,} rows of the pool have no score ({reason}): {_some(ids)}.")
    return found


def _without_row(rows: ScoreRows, keys: set[str | int]) -> list[str]:
    """A warning that names the rows of the file that the pool does not have."""
    strange = [
        place if rows.join == TEXT else str(key)
        for place, key in zip(rows.places, rows.keys, strict=True)
        if key not in keys
    ]
    if not strange:
        return []
    return [
        f"{len(strange):,} of the {len(rows.keys):,} rows of the file of scores match no row of the pool "
        f"(joined by {rows.join}): {_some(strange)}."
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(visible_line, names[:NAMED])) + (
        f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    )
