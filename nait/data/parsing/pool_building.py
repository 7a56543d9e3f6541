"""Pool construction: parse the rows of a source, count notes and report faults.

The layout is detected from the first rows of the source together. All invalid rows are counted; the first are named
in the error or, with `on_bad=skip`, all are skipped.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from nait.core.dataset.examples import Example, Pool, gather
from nait.core.errors import ConfigError, DataError, did_you_mean
from nait.data.chat.reasoning import Handling
from nait.data.columns.assigned_columns import with_assigned
from nait.data.columns.exclusions import holds_media, with_media
from nait.data.columns.fields.multiple_choice import BEYOND, ZERO
from nait.data.columns.fields.text_notes import text_notes
from nait.data.columns.formats import OPTIONAL_NAMES, REQUIRED, find_layout
from nait.data.columns.layouts import Layout
from nait.data.columns.unused_text import TextColumns
from nait.data.files.file_io import MEGABYTE
from nait.data.files.sources import Source
from nait.data.parsing.reading_advice import reading_advice, with_table_hint
from nait.data.parsing.reading_summaries import log_notes, log_unused, reading_summary
from nait.data.parsing.row_parser import RowParser
from nait.data.row_errors import (
    Place,
    Row,
    RowError,
    checked_text,
    format_counts,
    has_column,
    kind,
    many_faults,
    quoted,
    value_at,
)

_log = logging.getLogger(__name__)

HEAD_ROWS = 200
HEAD_CHARACTERS = 16 * MEGABYTE
MAX_NAMED_FAULTS = 20
NO_ID = "no id, derived from the content"

Placed = Iterator[tuple[Place, Row]]


def pool_of(parser: RowParser, source: Source, name: str) -> Pool:
    """Pool of the rows of a source. Raises: DataError, ConfigError."""
    builder = _PoolBuilder(parser, source)
    examples = list(builder.examples())
    builder.end()
    if not examples:
        counts = format_counts(builder.skipped)
        what = f"no row is left after skipping {counts}" if builder.skipped else "there is no row"
        raise DataError(what, where=source.name, fix="Check the file and its format.")
    if not any(example.answered for example in examples):
        raise DataError(
            f"none of its {len(examples):,} rows has an answer to train on",
            where=source.name,
            fix=f"Assign the answer column: {parser.group}.columns={{output: COLUMN}}.",
        )
    return gather(
        name,
        examples,
        source=source,
        skipped=dict(builder.skipped),
        reading=builder.summary(),
        where=source.name,
    )


@dataclass
class _PoolBuilder:
    """State of one iteration over a source: the layout and the counts."""

    parser: RowParser
    source: Source
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[Place, RowError]] = field(default_factory=list)
    bad: int = 0
    beyond: tuple[Place, RowError] | None = None
    zeros: int = 0
    layout: Layout | None = None
    id_column: str | None = None
    text_columns: TextColumns = field(default_factory=TextColumns)
    ids: dict[str, Place] = field(default_factory=dict)

    def on_bad(self, place: Place, error: RowError) -> None:
        """Count an invalid row; keep the first faults for the error message."""
        error = self._with_assigned(error)
        if error.what == BEYOND:
            self.beyond = self.beyond or (place, error)
        if self.parser.on_bad == "skip":
            self.skipped[error.reason] += 1
            return
        self.bad += 1
        if len(self.faults) < MAX_NAMED_FAULTS:
            self.faults.append((place, error))

    def _with_assigned(self, error: RowError) -> RowError:
        """The error with advice that keeps the columns which the user has assigned."""
        named = self.parser.columns
        fix = with_assigned(error.fix, named, REQUIRED) if named else error.fix
        return error if fix == error.fix else RowError(error.what, column=error.column, at=error.at, fix=fix)

    def examples(self) -> Iterator[Example]:
        """Examples of the valid rows, in the order of the source."""
        placed = self.source.rows(self.parser.limit, self.on_bad)
        while head := _head(placed):
            if self._found_layout(head):
                handling = self.parser.handling
                for place, row in chain(head, placed):
                    example = self._example(place, row, handling)
                    if example is not None:
                        yield example

    def _found_layout(self, head: list[tuple[Place, Row]]) -> bool:
        """Whether a layout fits any of these rows. Raises: DataError when none does and `on_bad` is "error"."""
        rows = [row for _, row in head]
        options: dict[str, Any] = {
            "format": self.parser.format, "columns": self.parser.columns, "where": self.source.name,
            "group": self.parser.group,
        }  # fmt: skip
        try:
            self.layout = find_layout(*rows, **options)
        except RowError as error:
            error = with_table_hint(error, head)
            for place, _ in head:
                self.on_bad(place, error)
            if self.parser.on_bad == "error":
                raise error.at_place(head[0][0], group=self.parser.group) from error
            return False
        self.id_column = self._id_column(rows)
        for row in rows:
            self.text_columns.seen.update(dict.fromkeys(row))
        _log.info("%s: %s", self.source.name, self.layout)
        for advice in reading_advice(self.layout, rows, self.parser.group):
            _log.warning("%s: %s.", self.source.name, advice)
        return True

    def _id_column(self, rows: list[Row]) -> str | None:
        wanted = self.parser.id_column
        if wanted == "auto":
            return "id" if any("id" in row for row in rows) else None
        if wanted is not None and not any(has_column(row, wanted) for row in rows):
            known = [name[:60] for name in dict.fromkeys(name for row in rows for name in row)][:1000]
            raise ConfigError(
                f"there is no column '{wanted}' in the first row of {self.source.name}",
                where=f"{self.parser.group}.id_column",
                fix=f"{did_you_mean(wanted, known)} Set it to null to derive ids from the content.",
            )
        return wanted

    def _example(self, place: Place, row: Row, handling: Handling) -> Example | None:
        assert self.layout is not None
        new = self.text_columns.observe(row, self.layout)
        if any(name.strip().casefold() in OPTIONAL_NAMES for name in new):
            self._add_late_columns(row, new)
        if holds_media(row):
            self.layout = with_media(self.layout, [row])
        try:
            content = self.layout.read(row, handling)
            key = self._own_id(row, place)
        except RowError as error:
            self.on_bad(place, error)
            return None
        self.zeros += ZERO in content.notes
        self.notes.update(note for note in content.notes if note != ZERO)
        example = Example(key, content.turns, content.system, content.subtask, place.row)
        self.notes.update(text_notes(example))
        return example

    def _add_late_columns(self, row: Row, appeared: Sequence[str]) -> None:
        """Assign columns that first appear in this later row to optional fields without a column."""
        old = self.layout
        assert old is not None
        try:
            new = find_layout(
                dict.fromkeys(self.text_columns.seen, "") | row,
                format=old.format,
                columns=self.parser.columns,
            )
        except (RowError, ConfigError):
            return
        if dict(new.required) == dict(old.required) and new.option_columns == old.option_columns:
            self.layout = old.completed_by(new, appeared)

    def _own_id(self, row: Row, place: Place) -> str:
        """Id of the row as text; "" when it is to be derived from the content. Raises: RowError."""
        column = self.id_column
        if column is None:
            return ""
        value = value_at(row, column)
        if _is_missing(value) and self.parser.id_column == "auto":
            self.notes[NO_ID] += 1
            return ""
        fix = "Give every row a unique id, or set data.id_column=null to derive ids from the content"
        if _is_missing(value):
            raise RowError("is missing", column=column, fix=fix)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise RowError(f"is {kind(value)}, neither text nor a number", column=column, fix=fix)
        key = checked_text(str(value), column)
        first = self.ids.setdefault(key, place)
        if first is not place:
            raise RowError(
                "is used by another row",
                column=column,
                at="",
                fix=f"{quoted(key)} is the id of {first}. {fix}",
            )
        return key

    def end(self) -> None:
        """Log what was skipped and noted. Raises: DataError that counts all invalid rows and names the first.

        A number as large as the number of options, and no 0, prove that answers count from 1: this is not skipped.
        """
        if self.beyond and not self.zeros:
            place, error = self.beyond
            fix = f"No answer is 0, so they count from 1: set {self.parser.group}.first_index=1"
            raise DataError(f"{error.field} {error.what}", where=str(place), fix=fix)
        if self.bad == 1:
            place, error = self.faults[0]
            raise error.at_place(place, group=self.parser.group) from error
        if self.bad:
            raise many_faults(self.faults, self.bad, source=self.source.name, group=self.parser.group)
        if self.skipped:
            _log.warning("%s: skipped %s", self.source.name, format_counts(self.skipped))
        log_notes(self.source.name, self.notes)
        if self.layout:
            log_unused(self.source.name, self.layout, self.text_columns.unused(self.layout, self.id_column))

    def summary(self) -> Mapping[str, Any]:
        """Summary for the manifest; empty when no layout was found."""
        if self.layout is None:
            return {}
        unused = self.text_columns.unused(self.layout, self.id_column)
        return reading_summary(self.layout, unused, self.notes)


def _head(placed: Placed) -> list[tuple[Place, Row]]:
    """Next rows for layout detection, at most `HEAD_ROWS` rows and `HEAD_CHARACTERS` characters."""
    head, size = [], 0
    for place, row in placed:
        head.append((place, row))
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(head) == HEAD_ROWS or size > HEAD_CHARACTERS:
            break
    return head


def _is_missing(value: object) -> bool:
    return value is None or value == "" or value != value  # NaN: a missing id written by pandas
