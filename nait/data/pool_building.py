"""Walks: the rows of a source become a pool, and what is told of it.

The layout is found from the head of the source, not from its first row. Rows that cannot be used are all counted;
the first of them are named, or, with `on_bad=skip`, left out.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from nait.core.dataset.examples import Example, Pool, gather
from nait.core.errors import ConfigError, DataError, did_you_mean
from nait.data.chat.conversations import CONTEXT
from nait.data.chat.reasoning import Handling
from nait.data.columns.formats import OPTIONAL_NAMES, find_layout
from nait.data.columns.layouts import Layout
from nait.data.columns.unused_text import TextColumns
from nait.data.files.file_io import MEGABYTE
from nait.data.files.named_files import bare_name
from nait.data.files.sources import Source
from nait.data.row_errors import (
    SHOWN_NAMES,
    Place,
    Row,
    RowError,
    checked_text,
    has_column,
    kind,
    shown,
    value_at,
)
from nait.data.row_parser import RowParser

_log = logging.getLogger(__name__)

HEAD_ROWS = 200
HEAD_CHARACTERS = 16 * MEGABYTE
NAMED_FAULTS = 20
EMPTY_INSTRUCTION, EMPTY_ANSWER = "empty instruction", "empty answer"
SPELLED = "an answer that spells a missing value (nan, None, #N/A), read as text"
_MISSING = {"nan", "none", "null", "<na>", "#n/a"}
NO_ID = "no id of its own: one from its content"

Placed = Iterator[tuple[Place, Row]]


def pool_of(reading: RowParser, source: Source, name: str) -> Pool:
    """The rows of a source as a pool. Raises: DataError, ConfigError."""
    walk = _Walk(reading, source)
    examples = list(walk.examples())
    walk.end()
    if not examples:
        counts = _counted(walk.skipped)
        what = f"no row is left after leaving out {counts}" if walk.skipped else "there is no row"
        raise DataError(what, where=source.name, mend="Check the file and its format.")
    if not any(example.answered for example in examples):
        raise DataError(
            f"none of its {len(examples):,} rows has an answer to train on",
            where=source.name,
            mend=f"Name the column of the answers: {reading.group}.columns={{output: COLUMN}}.",
        )
    return gather(
        name,
        examples,
        source=source,
        skipped=dict(walk.skipped),
        reading=walk.told(),
        where=source.name,
    )


@dataclass
class _Walk:
    """One walk over a source: its layout, and what is counted on the way."""

    reading: RowParser
    source: Source
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[Place, RowError]] = field(default_factory=list)
    bad: int = 0
    layout: Layout | None = None
    id_column: str | None = None
    text_columns: TextColumns = field(default_factory=TextColumns)
    ids: dict[str, Place] = field(default_factory=dict)

    @property
    def _handling(self) -> Handling:
        return Handling(self.reading.reasoning, self.reading.turns)

    def on_bad(self, place: Place, error: RowError) -> None:
        """Counts a row that cannot be used; the first ones are kept to be named."""
        if self.reading.on_bad == "skip":
            self.skipped[error.reason] += 1
            return
        self.bad += 1
        if len(self.faults) < NAMED_FAULTS:
            self.faults.append((place, error))

    def examples(self) -> Iterator[Example]:
        """The good rows as examples, in the order of the source."""
        placed = self.source.rows(self.reading.limit, self.on_bad)
        while head := _head(placed):
            if self._found_layout(head):
                handling = self._handling
                for place, row in chain(head, placed):
                    example = self._example(place, row, handling)
                    if example is not None:
                        yield example

    def _found_layout(self, head: list[tuple[Place, Row]]) -> bool:
        """Whether a layout fits any of these rows. Raises: DataError for rows none of which has one."""
        rows = [row for _, row in head]
        options: dict[str, Any] = {
            "format": self.reading.format, "columns": self.reading.columns, "where": self.source.name,
            "group": self.reading.group,
        }  # fmt: skip
        try:
            self.layout = find_layout(*rows, **options)
        except RowError as error:
            error = _of_table(error, head[0][0])
            for place, _ in head:
                self.on_bad(place, error)
            if self.reading.on_bad == "error":
                raise error.at_place(head[0][0], group=self.reading.group) from error
            return False
        self.id_column = self._id_column(rows)
        for row in rows:
            self.text_columns.seen.update(dict.fromkeys(row))
        _log.info("%s: %s", self.source.name, self.layout)
        return True

    def _id_column(self, rows: list[Row]) -> str | None:
        wanted = self.reading.id_column
        if wanted == "auto":
            return "id" if any("id" in row for row in rows) else None
        if wanted is not None and not any(has_column(row, wanted) for row in rows):
            known = [name[:60] for name in dict.fromkeys(name for row in rows for name in row)][:1000]
            raise ConfigError(
                f"there is no column '{wanted}' in the first row of {self.source.name}",
                where=f"{self.reading.group}.id_column",
                mend=f"{did_you_mean(wanted, known)} null makes ids from the content.",
            )
        return wanted

    def _example(self, place: Place, row: Row, handling: Handling) -> Example | None:
        assert self.layout is not None
        new = self.text_columns.observe(row, self.layout)
        if any(name.strip().casefold() in OPTIONAL_NAMES for name in new):
            self._late(row)
        try:
            content = self.layout.read(row, handling)
            key = self._own_id(row, place)
        except RowError as error:
            self.on_bad(place, error)
            return None
        self.notes.update(content.notes)
        example = Example(key, content.turns, content.system, content.subtask, place.row)
        if not example.answered:
            self.notes[EMPTY_ANSWER] += 1
        if any(turn.answer.strip().casefold() in _MISSING for turn in content.turns):
            self.notes[SPELLED] += 1
        if not any(turn.instruction.strip() or turn.input.strip() for turn in content.turns):
            self.notes[EMPTY_INSTRUCTION] += 1
        return example

    def _late(self, row: Row) -> None:
        """A column that appears late fills a field that is free."""
        old = self.layout
        assert old is not None
        try:
            new = find_layout(
                dict.fromkeys(self.text_columns.seen, "") | row,
                format=old.format,
                columns=self.reading.columns,
            )
        except (RowError, ConfigError):
            return
        if dict(new.required) == dict(old.required) and new.option_columns == old.option_columns:
            merged = {name: old.optional.get(name) or column for name, column in new.optional.items()}
            self.layout = replace(old, optional=merged)

    def _own_id(self, row: Row, place: Place) -> str:
        """The user's id as text, "" where it is to come from the content. Raises: RowError."""
        column = self.id_column
        if column is None:
            return ""
        value = value_at(row, column)
        if _is_missing(value) and self.reading.id_column == "auto":
            self.notes[NO_ID] += 1
            return ""
        mend = "Give every row an id of its own; data.id_column=null makes ids from the content"
        if _is_missing(value):
            raise RowError("is missing", column=column, mend=mend)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise RowError(f"is {kind(value)}, neither text nor a number", column=column, mend=mend)
        key = checked_text(str(value), column)
        first = self.ids.setdefault(key, place)
        if first is not place:
            raise RowError(
                "is that of another row",
                column=column,
                at="",
                mend=f"{shown(key)} is the id of {first}. {mend}",
            )
        return key

    def end(self) -> None:
        """Says what was left out. Raises: DataError for rows that cannot be used, the first of them named."""
        if self.bad == 1:
            place, error = self.faults[0]
            raise error.at_place(place, group=self.reading.group) from error
        if self.bad:
            raise self._many()
        if self.skipped:
            _log.warning("%s: left out %s", self.source.name, _counted(self.skipped))
        for note, count in self.notes.items():
            _log.log(
                logging.WARNING if note != CONTEXT else logging.INFO,
                "%s: %d row(s): %s",
                self.source.name,
                count,
                note,
            )
        if self.layout and (unused := self.text_columns.unused(self.layout, self.id_column)):
            more = f" and {len(unused) - SHOWN_NAMES:,} more" if len(unused) > SHOWN_NAMES else ""
            _log.info(
                "%s: text that is not used: %s%s",
                self.source.name,
                ", ".join(map(shown, unused[:SHOWN_NAMES])),
                more,
            )

    def _many(self) -> DataError:
        """The error for several rows, by place, field and fault."""
        lines = []
        for place, error in self.faults:
            spot = place.spot if place.file == self.source.name else str(place)
            lines.append(f"\n  {', '.join(part for part in (spot, error.field) if part)}: {error.what}")
        more = f"\n  and {self.bad - len(self.faults):,} more" if self.bad > len(self.faults) else ""
        return DataError(
            f"{self.bad:,} rows cannot be used:{''.join(lines)}{more}",
            where=self.source.name,
            mend=f"Of the first: {self.faults[0][1].mend_in(self.reading.group)}.",
        )

    def told(self) -> Mapping[str, Any]:
        """What the manifest says of the reading."""
        layout = self.layout
        if layout is None:
            return {}
        unused = self.text_columns.unused(layout, self.id_column)
        columns = {name: column for name, column in {**layout.required, **layout.optional}.items() if column}
        if layout.option_columns:
            columns["options"] = ", ".join(layout.option_columns)
        return {
            "format": layout.format,
            "columns": columns,
            "unused": unused[:SHOWN_NAMES],
            "unused_columns": len(unused),
            "counts": dict(self.notes),
        }


def _of_table(error: RowError, place: Place) -> RowError:
    """The fault of rows that no layout fits; of a table it says where the names of the columns come from."""
    if bare_name(Path(place.file))[1] not in (".csv", ".tsv"):
        return error
    mend = f"{error.mend}. The first line is read as the names of the columns: if it is a row, write names above it"
    return RowError(error.what, column=error.column, at=error.at, mend=mend)


def _head(placed: Placed) -> list[tuple[Place, Row]]:
    """The next rows, so many that a layout can be found from them, and not more text than can be held."""
    head, size = [], 0
    for place, row in placed:
        head.append((place, row))
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(head) == HEAD_ROWS or size > HEAD_CHARACTERS:
            break
    return head


def _is_missing(value: object) -> bool:
    return value is None or value == "" or value != value  # NaN, as pandas writes a missing id


def _counted(skipped: Counter[str]) -> str:
    return ", ".join(f"{count:,} rows ({reason})" for reason, count in skipped.most_common(SHOWN_NAMES))
