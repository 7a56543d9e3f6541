"""File signatures: detection of files whose content does not match their suffix."""

from __future__ import annotations

import re
from pathlib import Path

from nait.core.errors import DataError
from nait.data.files.file_io import compression, open_bytes

_HEAD_BYTES = 512
_UNPACK = "Unpack it first."
_WRITE = "Write it as JSONL or Parquet."
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (
        b"PK\x03\x04",
        "is a ZIP archive, or an Excel or OpenDocument file",
        "Unpack it, or save the sheet as CSV.",
    ),
    (b"PAR1", "is Parquet", "Give it a name that ends in .parquet."),
    (b"ARROW1", "is Arrow", "Give it a name that ends in .arrow."),
    (b"FEA1", "is Feather of version 1", "Write it again with pyarrow.feather.write_feather(TABLE, FILE)."),
    (
        b"SQLite format 3\x00",
        "is an SQLite database",
        "Export the table: sqlite3 -csv -header FILE 'select * from TABLE'.",
    ),
    (b"%PDF", "is a PDF", _WRITE),
    (b"7z\xbc\xaf", "is a 7z archive", _UNPACK),
    (b"Rar!", "is a RAR archive", _UNPACK),
    (b"\x04\x22\x4d\x18", "is compressed with LZ4", _UNPACK),
    (b"\x93NUMPY", "is a NumPy array", _WRITE),
    (b"\x89HDF", "is HDF5", _WRITE),
    (b"Obj\x01", "is Avro", _WRITE),
    (b"ORC", "is ORC", _WRITE),
)
"""First bytes, description, advice."""
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_WEB_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml|error)\b", re.IGNORECASE)
_SERVER_ERROR = re.compile(
    rb"""\s*(404: not found|not found|entry not found|access denied|\{"(error|detail)": *"[^"]*"\})\W*$""",
    re.IGNORECASE,
)
_LFS = b"version https://git-lfs.github.com/spec/"
_EXPECTED_SUFFIXES = {b"PAR1": (".parquet",), b"ARROW1": (".arrow", ".feather", ".ipc")}
_TABLES = (".parquet", ".arrow", ".feather", ".ipc", ".csv", ".tsv")


def check_content(path: Path, suffix: str) -> None:
    """Raises: DataError for a file whose content is not of the type of its suffix."""
    try:
        with path.open("rb") as plain:
            raw = plain.read(_HEAD_BYTES)
    except OSError:
        return  # the reader reports it
    found = _mismatch(raw, suffix)
    if found is None and compression(path) is not None:
        with open_bytes(path) as stream:
            found = _mismatch(stream.read(_HEAD_BYTES), suffix)
    if found:
        raise DataError(found[0], where=str(path), fix=found[1])


def _mismatch(head: bytes, suffix: str) -> tuple[str, str] | None:
    """Description of and advice for content of another type; None for content that may match the suffix."""
    if head.startswith(_LFS):
        fix = "Run `git lfs pull` in its folder, or download the file again."
        return "is a Git LFS pointer, not the file itself", fix
    if _WEB_PAGE.match(head):
        fix = "Download the file itself: its Hub URL contains /resolve/ instead of /blob/."
        return "is a web page or XML, not data", fix
    if _SERVER_ERROR.match(head):
        return "is a server's error message, not data", "Download it again."
    for signature, what, fix in _SIGNATURES:
        if head.startswith(signature):
            return None if suffix in _EXPECTED_SUFFIXES.get(signature, ()) else (what, fix)
    if _PICKLE.match(head):
        return "is a pickle", "Pickle files are not read: write it as JSONL or Parquet."
    if head[257:262] == b"ustar":
        return "is a TAR archive", _UNPACK
    if suffix in _TABLES and head.lstrip().startswith((b'{"', b'[{"')):
        return "is JSON", "Give it a name that ends in .jsonl, or in .json if it is one array."
    return None
