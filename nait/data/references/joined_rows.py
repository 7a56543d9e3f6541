"""Rows of several sources as one, each row with texts made of its columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nait.data.files.sources import Source
from nait.data.references.field_texts import FieldText
from nait.data.row_errors import OnBad, Place, Row, RowError

SUBTASK = "subtask"


@dataclass(frozen=True)
class SourcePart:
    """A source, and the subtask of its rows; "" for a subtask by `JoinedRows.texts`, or none."""

    source: Source
    subtask: str = ""


@dataclass(frozen=True)
class JoinedRows:
    """The rows of several sources, one source after another: a `Source`.

    `texts`: field -> text; with texts, a row has these fields, its subtask, and the columns `kept`. Without them, it
    keeps all its columns, and the subtask is added.
    """

    name: str
    parts: Sequence[SourcePart]
    texts: Mapping[str, FieldText] = field(default_factory=dict)
    subtask: FieldText | None = None
    kept: Sequence[str] = ()

    def rows(self, limit: int | None = None, on_bad: OnBad | None = None) -> Iterator[tuple[Place, Row]]:
        before = 0
        for part in self.parts:
            left = None if limit is None else limit - before
            if left is not None and left <= 0:
                return
            last = -1
            for place, row in part.source.rows(left, on_bad):
                first, last = last < 0, place.row
                placed = place._replace(row=before + place.row)
                try:
                    made = self._made(row, part, first=first)
                except RowError as error:
                    if on_bad is None:
                        raise error.at_place(placed) from error
                    on_bad(placed, error)
                    continue
                yield placed, made
            before += last + 1

    def lines(self, rows: Sequence[int]) -> Iterator[str]:
        """JSON texts of these rows as they are made, in this order."""
        wanted = set(rows)
        found = {place.row: row for place, row in self.rows() if place.row in wanted}
        yield from (json.dumps(found[row], ensure_ascii=False, default=str) for row in rows)

    def place(self, row: int) -> str:
        return next(str(place) for place, _ in self.rows() if place.row == row)

    def _made(self, row: Row, part: SourcePart, *, first: bool) -> Row:
        """The row with its texts. The columns are checked in the first row. Raises: RowError, ConfigError."""
        texts = {**self.texts, **({SUBTASK: self.subtask} if self.subtask else {})}
        for text in texts.values() if first else ():
            text.check(row, part.source.name)
        made = {name: text.of(row) for name, text in texts.items()}
        if part.subtask and not self.subtask:
            made[SUBTASK] = part.subtask
        kept = {name: row[name] for name in self.kept if name in row} if self.texts else row
        return {**kept, **made}
