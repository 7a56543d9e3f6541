"""Selected rows as a file of the user's: in the pool's own format, or in the one that the file's suffix names."""

from __future__ import annotations

import csv
import json
import lzma
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nait.core.dataset.examples import Pool
from nait.core.errors import ConfigError, first_line
from nait.core.inputs.paths import at_home
from nait.core.ranking.selection import Selection
from nait.data.files.file_io import open_arrow
from nait.data.files.named_files import bare_name
from nait.data.files.sources import FileSource
from nait.data.files.tabular import separator_of
from nait.stages.artifacts.score_files import are_of

JSON_LINES, ARRAY, PARQUET = (".jsonl", ".ndjson"), (".json",), (".parquet",)
ARROW, CELLS = (".arrow", ".feather", ".ipc"), (".csv", ".tsv")
FORMATS = (*JSON_LINES, *ARRAY, *PARQUET, *ARROW, *CELLS)
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
XZ = ".xz"
SCORES = ".scores.parquet"
LINE_END = "\r\n"


def suffix_of(pool: Pool) -> str:
    """The suffix of the pool's files; .jsonl for a pool that is not from files."""
    source = pool.source
    found = bare_name(source.paths[0])[1] if isinstance(source, FileSource) else ""
    return found if found in FORMATS else JSON_LINES[0]


def place_for(out: str, pool: Pool) -> Path:
    """The file that `--out` means. A folder, or a name without a suffix, gets the pool's own format.

    Raises: ConfigError for an unsupported suffix, for a file of the pool itself, and for one to keep (`check_kept`).
    """
    path = at_home(out)
    if path.is_dir() or out.endswith("/"):
        path = path / f"{pool.name}.selected"
    check_format(path)
    if bare_name(path)[1] not in FORMATS:
        path = path.with_name(path.name + suffix_of(pool))
    sources = pool.source.paths if isinstance(pool.source, FileSource) else ()
    check_no_input(path, sources)
    check_kept(path)
    return path


def check_no_input(path: Path, inputs: Sequence[str | Path]) -> None:
    """Raises: ConfigError for a path that is one of these files: the rows would replace them."""
    if any(path.exists() and Path(one).exists() and path.samefile(one) for one in inputs):
        fix = "Give another file: the selected rows would replace its own."
        raise ConfigError("is a file that the selection reads", where=f"--out {path}", fix=fix)


def check_kept(path: Path) -> None:
    """Raises: ConfigError for a file other than an unchanged selection, or beside the scores of another selection.

    A selection is a file with the scores beside it that were written for it; another selection may replace both.
    """
    scores = scores_place(path)
    if path.is_file():
        if not _are_of(scores, path):
            what = f"exists, and {scores.name} does not say that it is an unchanged selection"
            fix = "Give another file, or remove this one."
            raise ConfigError(what, where=f"--out {path}", fix=fix)
    elif scores.is_file() and (owner := _owner(scores)):
        what = f"its scores would replace those of {owner.name} in {scores.name}"
        raise ConfigError(what, where=f"--out {path}", fix=f"Give another name, or remove {owner.name}.")


def _owner(scores: Path) -> Path | None:
    """The file of selected rows beside a file of scores."""
    stem = scores.name.removesuffix(SCORES)
    beside = (path for path in scores.parent.iterdir() if bare_name(path)[0] == stem and path != scores)
    return next((path for path in sorted(beside) if path.is_file() and _are_of(scores, path)), None)


def _are_of(scores: Path, path: Path) -> bool:
    """`are_of`; False also without the file of scores, and for one that cannot be read."""
    import pyarrow as pa

    try:
        return scores.is_file() and are_of(scores, path)
    except (OSError, pa.ArrowException):
        return False


def check_format(path: Path) -> None:
    """Raises: ConfigError for an unsupported suffix."""
    kind = bare_name(path)[1]
    if kind in (*PARQUET, *ARROW) and path.suffix.lower() != kind:
        fix = f"Use {kind}, which is compressed already."
        raise ConfigError(f"a file of the kind '{kind}' is not compressed again", where="--out", fix=fix)
    if kind in FORMATS:
        return
    if kind and kind[1:].isalpha() and kind != ".selected":
        raise ConfigError(
            f"'{kind}' is not a format for rows", where="--out", fix=f"Use {', '.join(FORMATS)}."
        )


def scores_place(rows: Path) -> Path:
    """The file of scores beside a file of rows: `best.jsonl.gz` has `best.scores.parquet`."""
    return rows.with_name(bare_name(rows)[0] + SCORES)


def write_rows(path: Path, pool: Pool, selection: Selection) -> None:
    """Write the selected rows, best first, whole or not at all.

    The rows of JSON lines are the user's own lines; Parquet and Arrow keep the column types of such a pool.

    Raises: ConfigError for a column whose values have no common type in Parquet or Arrow.
    """
    kind = bare_name(path)[1]
    numbers = [pool.examples[row].row for row in selection.rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    if kind in (*PARQUET, *ARROW):
        _write_table(part, _table(pool, numbers, path), kind)
    else:
        with _opened(part, path.suffix.lower()) as stream:
            stream.writelines(f"{text}\n".encode() for text in _texts(pool, numbers, kind))
    part.replace(path)


def _opened(path: Path, compression: str) -> Any:
    import pyarrow as pa

    if compression == XZ:
        return lzma.open(path, "wb")
    plain: Any = pa.OSFile(str(path), "wb")
    return (
        pa.CompressedOutputStream(plain, COMPRESSIONS[compression]) if compression in COMPRESSIONS else plain
    )


def _lines(pool: Pool, numbers: Sequence[int]) -> Iterator[str]:
    assert pool.source is not None
    return pool.source.lines(numbers)


def _texts(pool: Pool, numbers: Sequence[int], kind: str) -> Iterator[str]:
    """The lines of a text file of these rows."""
    lines = _lines(pool, numbers)
    if kind in CELLS:
        yield from _cells([json.loads(line) for line in lines], _separator(pool, kind))
    elif kind in ARRAY:
        last = len(numbers) - 1
        yield "["
        yield from (line + ("," if place < last else "") for place, line in enumerate(lines))
        yield "]"
    else:
        yield from lines


def _separator(pool: Pool, kind: str) -> str:
    source = pool.source
    if isinstance(source, FileSource) and bare_name(source.paths[0])[1] == kind:
        return separator_of(source.paths[0], source.decoding)
    return "\t" if kind == ".tsv" else ","


def _cells(rows: Sequence[Mapping[str, Any]], separator: str) -> Iterator[str]:
    """Rows as CSV; a nested value is written as JSON."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    written: list[str] = []

    class Lines:
        def write(self, text: str) -> None:
            written.append(text.removesuffix(LINE_END))

    # csv quotes a cell with a line break only if the break is in the line terminator, which `write` removes
    writer = csv.writer(Lines(), delimiter=separator, lineterminator=LINE_END)
    writer.writerow(names)
    for row in rows:
        values = [row.get(name) for name in names]
        writer.writerow(
            [
                json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
                for value in values
            ]
        )
    yield from written


def _table(pool: Pool, numbers: Sequence[int], path: Path) -> Any:
    """The rows as an Arrow table: those of the pool's own files if these are tables, else made from JSON.

    Raises: ConfigError for a column whose values have no common type.
    """
    import pyarrow as pa

    source = pool.source
    if isinstance(source, FileSource) and all(
        bare_name(one)[1] in (*PARQUET, *ARROW) for one in source.paths
    ):
        return _taken(source.paths, numbers)
    rows = [json.loads(line) for line in _lines(pool, numbers)]
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):  # the first row may lack some
        try:
            columns[name] = pa.array([row.get(name) for row in rows])
        except (pa.ArrowException, OverflowError, TypeError) as error:
            what = f"the values of the column {name!r} have no common type ({first_line(error)})"
            fix = "Write .jsonl, which keeps every row as it is."
            raise ConfigError(what, where=f"--out {path}", fix=fix) from error
    return pa.table(columns)


def _taken(paths: Sequence[Path], numbers: Sequence[int]) -> Any:
    """These rows, counted from 0 over all files, in this order."""
    import pyarrow as pa

    wanted, parts, order, before = np.asarray(numbers, dtype=np.int64), [], [], 0
    for path in paths:
        with open_arrow(path) as stream:
            read, rows = _opened_table(path, stream)
            here = np.flatnonzero((wanted >= before) & (wanted < before + rows))
            if len(here):
                parts.append(read().take(wanted[here] - before))
                order.append(here)
        before += rows
    return pa.concat_tables(parts, promote_options="default").take(np.argsort(np.concatenate(order)))


def _opened_table(path: Path, stream: Any) -> tuple[Callable[[], Any], int]:
    """A function that reads the table in an open file, and its number of rows."""
    import pyarrow as pa
    from pyarrow import parquet

    if bare_name(path)[1] in PARQUET:
        file = parquet.ParquetFile(stream, page_checksum_verification=True)
        return file.read, file.metadata.num_rows
    is_file = stream.read(6) == b"ARROW1"
    stream.seek(0)
    table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(stream).read_all()
    return lambda: table, table.num_rows


def _write_table(path: Path, table: Any, kind: str) -> None:
    from pyarrow import feather, parquet

    if kind in PARQUET:
        parquet.write_table(table, path, compression="zstd", write_page_checksum=True)
    else:
        feather.write_feather(table, str(path), compression="uncompressed")
