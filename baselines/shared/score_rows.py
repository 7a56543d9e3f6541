"""Rows of a file of scores: their keys, and their numbers by column.

Shapes: F rows of the file, C columns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import content_id
from nait.core.errors import ConfigError, DataError, did_you_mean
from nait.data.field_names import ASKED
from nait.data.files.file_io import Decoding
from nait.data.files.named_files import Paths
from nait.data.files.sources import FileSource, file_source
from nait.data.pools import read_pool
from nait.data.row_errors import Row, is_missing

KEY = "selector.path"
ID, ROW, TEXT = "id", "row", "text"
SCORE, PREFIX = "score", "score:"
"""A score's usual column, and the prefix of the columns in a run's `scores.parquet`."""
RANKS = ("rank", "ranking")
"""Columns, in lower case, in which 1 is usually best."""
TEXTS = (*ASKED, "input", "output", "response", "answer", "completion", "solution", "target")
"""Columns of the row's own texts, which may be numbers, as the answers of sums are."""
NOT_SCORES = (ID, ROW, *RANKS, *TEXTS, "answer_tokens", "selected", "index")
"""Columns, in lower case, that are scores only if the user names them."""
PANDAS_INDEX = re.compile(r"(Unnamed: \d+|__index_level_\d+__)?")
"""Names of the columns that hold the index of a pandas frame: CSV files leave them empty."""

MISSING = frozenset({
    "", "na", "<na>", "n/a", "#na", "#n/a", "#n/a n/a", "nan", "-nan", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
    "null", "none",
})  # fmt: skip
"""Texts of a missing number, in lower case: those that pandas reads as missing."""


@dataclass(frozen=True)
class ScoreRows:
    """The rows of a file of scores. `keys` [F]: ids, row numbers or contents, `values` [F, C]; NaN: no number.

    `places` [F] locate the rows, for messages. `join` is the kind of the keys, `columns` [C] are the names.
    """

    join: str
    columns: tuple[str, ...]
    keys: tuple[str | int, ...]
    values: npt.NDArray[np.float64]
    places: tuple[str, ...]


def read_score_rows(
    path: Paths,
    *,
    join: str,
    key: str | None,
    columns: str | Sequence[str] | None,
    only: Mapping[str, Any],
) -> ScoreRows:
    """The rows of the file whose values agree with `only`. See `FileScores` for the parameters.

    Raises: DataError that names file and row; ConfigError that names the key.
    """
    source = file_source(path, Decoding(group="selector"), key=KEY)
    placed = [(str(place), place.row, row) for place, row in source.rows()]
    if not placed:
        raise DataError("there is no row", where=source.name, fix="Give a file with a row for each score.")
    known = list(dict.fromkeys(name for *_, row in placed for name in row))
    _check_columns("selector.only", only, known)
    kept = [one for one in placed if all(_is(one[2].get(name), value) for name, value in only.items())]
    if not kept:
        raise ConfigError(f"no row of {source.name} has these values", where="selector.only", fix="Check it.")
    join, key = _joined_by(join, key, known)
    names = _columns(columns, key, known, [row for *_, row in kept])
    values = [[_number(row.get(name), name, place) for name in names] for place, _, row in kept]
    return ScoreRows(
        join, tuple(names), tuple(_keys(join, key, kept, source)), np.array(values, dtype=np.float64),
        tuple(place for place, *_ in kept),
    )  # fmt: skip


def _check_columns(where: str, names: Iterable[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no column '{name}'", where=where, fix=did_you_mean(name, known))


def _is(value: Any, wanted: Any) -> bool:
    """Whether a cell has the wanted value: the same text, or the same number."""
    if str(value) == str(wanted):
        return True
    if isinstance(value, bool) or isinstance(wanted, bool):
        return False
    try:
        return float(value) == float(wanted)
    except (TypeError, ValueError, OverflowError):
        return False


def _joined_by(join: str, key: str | None, known: Sequence[str]) -> tuple[str, str]:
    """The kind of join and the key's column, "" for a join by text."""
    if join == "auto":
        join = next((name for name in (ID, ROW) if name in known), TEXT)
    if join == TEXT:
        if key is not None:
            fix = "Set selector.join=id or selector.join=row, or leave the key null."
            raise ConfigError("a join by text has no key", where="selector.key", fix=fix)
        return join, ""
    key = join if key is None else key
    _check_columns("selector.key", [key], known)
    return join, key


def _columns(
    columns: str | Sequence[str] | None, key: str, known: Sequence[str], rows: Sequence[Row]
) -> list[str]:
    """The score columns: as named, else `score`, else the columns `score:NAME`, else every column of numbers."""
    if columns is not None:
        names = [columns] if isinstance(columns, str) else [str(name) for name in columns]
        _check_columns("selector.columns", names, known)
        return names
    if SCORE in known:
        return [SCORE]
    if named := [name for name in known if name.startswith(PREFIX)]:
        return named
    left_out = {key, *filter(PANDAS_INDEX.fullmatch, known)}
    numeric = [name for name in known if name not in left_out and _numeric(name, rows)]
    found = [name for name in numeric if name.casefold() not in NOT_SCORES]
    if not found:
        raise _without_scores(numeric, known)
    return found


def _without_scores(numeric: Sequence[str], known: Sequence[str]) -> ConfigError:
    """The error for a file without a score column, some of whose columns may hold numbers that are not scores."""
    where = "selector.columns"
    if not numeric:
        fix = f"Set selector.columns=NAME. The file has: {', '.join(known)}."
        return ConfigError("no column holds numbers", where=where, fix=fix)
    one = next((name for name in numeric if name.casefold() in RANKS), numeric[0])
    what = f"the file's columns of numbers are not read as scores unless you name one: {', '.join(numeric)}"
    fix = f"Set selector.columns={one}, and selector.direction=lowest if its lowest number is best, as in a rank."
    return ConfigError(what, where=where, fix=fix)


def _numeric(name: str, rows: Sequence[Row]) -> bool:
    """Whether most cells of a column that are not missing are numbers: `_number` refuses the others."""
    cells = [cell for row in rows if not _is_missing(cell := row.get(name))]
    numbers = sum(not isinstance(cell, bool) and _finite(cell) is not None for cell in cells)
    return 2 * numbers > len(cells)


def _is_missing(cell: Any) -> bool:
    return is_missing(cell) or (isinstance(cell, str) and cell.strip().casefold() in MISSING)


def _finite(cell: Any) -> float | None:
    """The finite number of a cell; None for any other cell, such as the text `12_3`, which Python takes for 123."""
    if isinstance(cell, str) and ("_" in cell or not cell.isascii()):
        return None
    try:
        number = float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _number(cell: Any, column: str, place: str) -> float:
    """The number of a cell; NaN for a missing one. Raises: DataError."""
    if _is_missing(cell):
        return math.nan
    number = _finite(cell)
    if number is None:
        shown = repr(cell)[:60]
        raise DataError(
            f"column '{column}' holds {shown}, which is not a finite number",
            where=place,
            fix="Write a number, or leave the cell empty for a row without a score. If the column holds no scores, "
            "name those that do: selector.columns=NAME.",
        )
    return number


def _keys(
    join: str, key: str, kept: Sequence[tuple[str, int, Row]], source: FileSource
) -> Iterable[str | int]:
    if join == TEXT:
        contents = _contents(source)
        return [contents[row] for _, row, _ in kept]
    return [_key(join, row.get(key), key, place) for place, _, row in kept]


def _key(join: str, value: Any, column: str, place: str) -> str | int:
    """An id as text, or a row number."""
    if is_missing(value) or value == "" or isinstance(value, bool):
        raise DataError(f"column '{column}' holds no {join}", where=place, fix="Give every row its own.")
    if join == ID:
        return str(value)
    number = _finite(value)
    if number is None or not number.is_integer() or number < 0:
        raise DataError(
            f"column '{column}' holds {str(value)[:60]!r}, which is not a row number",
            where=place,
            fix="Rows of the pool's file count from 0. Join ids with selector.join=id.",
        )
    return int(number)


def _contents(source: FileSource) -> dict[int, str]:
    """Row number -> the id of its content, for a file that holds the rows themselves."""
    read = read_pool(list(source.paths), name=source.name, id_column=None, duplicates="keep")
    return {example.row: content_id(example.system, example.turns) for example in read.examples}
