"""Path resolution: one file, a list, a glob pattern, a folder of shards or of `save_to_disk`."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from nait.core.errors import ConfigError, DataError, did_you_mean
from nait.core.inputs.paths import at_home
from nait.hub.remote_files import PROTOCOLS, fetched_files

Paths = str | Path | Sequence[str | Path]

KINDS = (".jsonl", ".ndjson", ".json", ".parquet", ".csv", ".tsv", ".arrow", ".feather", ".ipc")
_COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")
_MAX_NAMES = 20
METADATA_FILES = {
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "state.json",
    "config.json",
    "metadata.json",
}
_SHARD = re.compile(r"[-_.]?(part|shard)?[-_.]?\d+([-_.]of[-_.]\d+)?$")
_SPLITS = re.compile(
    r"(^|[-_./])(train|test|validation|valid|val|dev|eval)(ing|uation)?($|[-_.])", re.IGNORECASE
)
_URL = re.compile(r"([a-z][a-z0-9+]*)://", re.IGNORECASE)


def named_files(path: Paths, *, key: str = "data.path") -> tuple[Path, ...]:
    """Files that `path` names, in order. Raises: DataError, ConfigError."""
    if isinstance(path, (str, Path)):
        return _files(str(path), key)
    if not isinstance(path, Sequence) or not all(isinstance(one, (str, Path)) for one in path):
        raise ConfigError("is neither a path nor a list of paths", where=key, fix="Give a file's path.")
    found = [file for one in path for file in _files(str(one), key)]
    twice = sorted({str(file) for file in found if found.count(file) > 1})
    if twice or not found:
        what = f"names '{twice[0]}' twice" if twice else "names no file"
        raise ConfigError(what, where=key, fix="Name each file once.")
    return tuple(found)


def _files(path: str, key: str) -> tuple[Path, ...]:
    if not path.strip():
        raise ConfigError("is an empty path", where=key, fix="Give a file's path.")
    url = _URL.match(path)
    if url and url[1].lower() in PROTOCOLS:
        return fetched_files(path, lambda name: _is_data(Path(name)))
    if url:
        raise _remote(path, url[1].lower(), key)
    found = at_home(path)
    try:
        if not found.exists() and not found.is_symlink() and glob.has_magic(path):
            return _matches(found, path)
        return _files_in_folder(found, key) if found.is_dir() else (existing_file(found, shown=path),)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be opened ({error})", where=path[:200], fix="Check the path.") from error


def _remote(path: str, scheme: str, key: str) -> ConfigError:
    repo = re.match(r"(?:hf://datasets/|https?://huggingface\.co/datasets/)([\w.-]+/[\w.-]+)", path)
    fix = "Download the file and give its path."
    if repo:
        fix = f"Set data=hub data.path={repo[1]}, or download the file and give its path."
    elif scheme == "file":
        fix = f"Give the path without 'file://': {path[len('file://') :]}"
    return ConfigError(f"'{path[:200]}' is a URL, not the path of a file", where=key, fix=fix)


def _matches(pattern: Path, path: str) -> tuple[Path, ...]:
    named = glob.glob(str(pattern), recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    found = sorted(Path(one) for one in named if Path(one).is_file())
    if not found:
        raise DataError("no file matches the pattern", where=path, fix="Check the folder and the pattern.")
    return tuple(found)


def _files_in_folder(folder: Path, key: str) -> tuple[Path, ...]:
    """Data files of a folder. Raises: DataError when it holds no data file, or several sets or splits."""
    splits = _read_object(folder / "dataset_dict.json").get("splits")
    if isinstance(splits, list) and splits:
        raise DataError(
            f"holds several splits: {', '.join(map(str, splits[:_MAX_NAMES]))}",
            where=str(folder),
            fix=f"Name one: {key}={folder / str(splits[0])}.",
        )
    saved = _read_object(folder / "state.json").get("_data_files")
    if isinstance(saved, list) and saved and all(isinstance(one, dict) for one in saved):
        return tuple(_saved_file(folder, str(one.get("filename"))) for one in saved)
    found = _readable(folder.iterdir()) or _readable(folder.rglob("*"))
    if not found:
        inside = _names(folder)
        held = f" It contains {', '.join(inside[:_MAX_NAMES])}." if inside else ""
        fix = f"Give the path of a file: {', '.join(KINDS)}.{held}"
        raise DataError("is a folder without a supported data file", where=str(folder), fix=fix)
    return _checked_single_set(folder, found, key)


def _saved_file(folder: Path, name: str) -> Path:
    """A file that a saved data set lists. Raises: DataError unless it is in the set's own folder."""
    if name != Path(name).name or name in {"", ".", ".."}:
        raise DataError(
            f"lists '{name}', which is not a file of its folder",
            where=str(folder / "state.json"),
            fix="Save the data set again (save_to_disk), or give the path of the file.",
        )
    return existing_file(folder / name)


def _readable(paths: Iterable[Path]) -> list[Path]:
    """Data files among these paths, sorted, without hidden files and metadata."""
    return sorted(
        path
        for path in paths
        if _is_data(path) and not any(part.startswith(".") for part in path.parts[-2:]) and path.is_file()
    )


def _is_data(path: Path) -> bool:
    """Whether a file's name is that of data, and not of metadata."""
    return bare_name(path)[1] in KINDS and path.name not in METADATA_FILES


def _checked_single_set(folder: Path, files: list[Path], key: str) -> tuple[Path, ...]:
    sets: dict[str, list[Path]] = {}
    for file in files:
        name, kind = bare_name(file)
        split = _SPLITS.search(str(file.relative_to(folder).parent / name))
        sets.setdefault(f"{split[2].lower()} {kind}" if split else kind, []).append(file)
    if len(sets) == 1:
        return tuple(files)
    listing = "; ".join(
        f"{name} ({len(held)}, such as {held[0].name})" for name, held in list(sets.items())[:8]
    )
    first = next(iter(sets.values()))
    stem, suffix = _SHARD.sub("", bare_name(first[0])[0]), "".join(first[0].suffixes[-1:])
    pattern = first[0].parent / (f"{stem}*{suffix}" if len(first) > 1 else first[0].name)
    raise DataError(
        f"is a folder with several sets or file types: {listing}",
        where=str(folder),
        fix=f"Name one: {key}='{pattern}'.",
    )


def _read_object(path: Path) -> dict[str, object]:
    """JSON object in a small file; {} without one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def bare_name(path: Path) -> tuple[str, str]:
    """File name without suffixes, and the suffix of its type: ("pool", ".jsonl") for "pool.jsonl.gz"."""
    if path.suffix.lower() in _COMPRESSIONS:
        path = path.with_suffix("")
    return path.stem, path.suffix.lower()


def stem(path: Paths) -> str:
    """Short name for a path: the file's, the folder's, or the common part of the names of shards."""
    if not isinstance(path, (str, Path)):
        first = stem(path[0]) if path else ""
        return first if len(path) < 2 else _SHARD.sub("", first) or first
    found = at_home(path)
    if found.is_dir():
        return found.resolve().name
    name = bare_name(found)[0]
    if glob.has_magic(str(path)) and not found.exists():
        return _SHARD.sub("", glob.escape(name).replace("[", "").split("*")[0].split("?")[0]).strip(
            "-_."
        ) or (found.parent.name or "pool")
    return name


def existing_file(path: str | Path, *, shown: str = "") -> Path:
    """Path of an existing regular file, with `~` expanded. Raises: DataError with similar names."""
    found = at_home(path)
    where = shown or str(path)
    if found.is_dir():
        raise DataError("is a folder, not a file", where=where, fix="Give the path of a file.")
    if not found.exists():
        raise _broken_link(found, where) if found.is_symlink() else missing(found)
    if not found.is_file():
        raise DataError(
            "is not a regular file",
            where=where,
            fix="Data files are read more than once: write its content to a file first.",
        )
    return found


def _broken_link(path: Path, where: str) -> DataError:
    try:
        path.resolve(strict=True)
    except RuntimeError:  # raised for a loop by Python 3.11 and 3.12
        return DataError("is a symbolic link that points to itself", where=where, fix="Link it to a file.")
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            return DataError(
                f"is a symbolic link to '{path.readlink()}', which does not exist",
                where=where,
                fix="Link it to a file.",
            )
    return DataError("is a symbolic link that points to itself", where=where, fix="Link it to a file.")


def missing(path: Path) -> DataError:
    """Error for a missing file, with similar names in its folder."""
    hub = ""
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(path)) and bare_name(path)[1] not in KINDS:
        hub = f" To read a Hub data set, set data=hub data.path={path}."
    if not path.parent.is_dir():
        return DataError(
            "there is no such file",
            where=str(path),
            fix=f"Its folder '{path.parent}' does not exist either.{hub}",
        )
    names = _names(path.parent)
    hint = did_you_mean(path.name, names)
    if len(names) > _MAX_NAMES and not hint.startswith("Did"):
        hint = f"None of the {len(names):,} files in its folder has a similar name."
    return DataError(
        "there is no such file", where=str(path), fix=(hint or "Its folder contains no file.") + hub
    )


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())
