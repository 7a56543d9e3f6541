"""Files that a path names: one file, a list, a pattern, a folder of shards, a folder of `save_to_disk`."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from nait.core.errors import ConfigError, DataError, did_you_mean
from nait.core.inputs.paths import at_home

Paths = str | Path | Sequence[str | Path]

KINDS = (".jsonl", ".ndjson", ".json", ".parquet", ".csv", ".tsv", ".arrow", ".feather", ".ipc")
_PACKED = (".gz", ".zst", ".bz2", ".xz")
_NAMES_SHOWN = 20
_ASIDE = {
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
_ADDRESS = re.compile(r"([a-z][a-z0-9+]*)://", re.IGNORECASE)


def named_files(path: Paths, *, key: str = "data.path") -> tuple[Path, ...]:
    """The files that the user's `path` names, in order. Raises: DataError, ConfigError with the way out."""
    if isinstance(path, (str, Path)):
        return _files(str(path), key)
    if not isinstance(path, Sequence) or not all(isinstance(one, (str, Path)) for one in path):
        raise ConfigError("is not a path, or a list of paths", where=key, mend="Give a file's path.")
    found = [file for one in path for file in _files(str(one), key)]
    twice = sorted({str(file) for file in found if found.count(file) > 1})
    if twice or not found:
        what = f"names '{twice[0]}' twice" if twice else "names no file"
        raise ConfigError(what, where=key, mend="Name each file once.")
    return tuple(found)


def _files(path: str, key: str) -> tuple[Path, ...]:
    if not path.strip():
        raise ConfigError("is an empty path", where=key, mend="Give a file's path.")
    address = _ADDRESS.match(path)
    if address:
        raise _remote(path, address[1].lower(), key)
    found = at_home(path)
    try:
        if not found.exists() and not found.is_symlink() and glob.has_magic(path):
            return _matches(found, path)
        return _of_folder(found, key) if found.is_dir() else (existing_file(found, shown=path),)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be opened ({error})", where=path[:200], mend="Check the path.") from error


def _remote(path: str, scheme: str, key: str) -> ConfigError:
    repo = re.match(r"(?:hf://datasets/|https?://huggingface\.co/datasets/)([\w.-]+/[\w.-]+)", path)
    mend = "Fetch the file and give its path."
    if repo:
        mend = f"Set data=hub data.path={repo[1]}, or fetch the file and give its path."
    elif scheme == "file":
        mend = f"Give the path itself: {path[len('file://') :]}"
    return ConfigError(f"'{path[:200]}' is an address, not the path of a file", where=key, mend=mend)


def _matches(pattern: Path, path: str) -> tuple[Path, ...]:
    named = glob.glob(str(pattern), recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    found = sorted(Path(one) for one in named if Path(one).is_file())
    if not found:
        raise DataError("no file fits the pattern", where=path, mend="Check the folder and the pattern.")
    return tuple(found)


def _of_folder(folder: Path, key: str) -> tuple[Path, ...]:
    """The shards in a folder. Raises: DataError when it holds several sets: which one is the user's to say."""
    splits = _read(folder / "dataset_dict.json").get("splits")
    if isinstance(splits, list) and splits:
        raise DataError(
            f"holds several splits: {', '.join(map(str, splits[:_NAMES_SHOWN]))}",
            where=str(folder),
            mend=f"Name one: {key}={folder / str(splits[0])}.",
        )
    saved = _read(folder / "state.json").get("_data_files")
    if isinstance(saved, list) and saved and all(isinstance(one, dict) for one in saved):
        return tuple(existing_file(folder / str(one.get("filename"))) for one in saved)
    found = _readable(folder.iterdir()) or _readable(folder.rglob("*"))
    if not found:
        inside = _names(folder)
        held = f" It holds {', '.join(inside[:_NAMES_SHOWN])}." if inside else ""
        mend = f"Give the path of a file: {', '.join(KINDS)}.{held}"
        raise DataError("is a folder without a file that can be read", where=str(folder), mend=mend)
    return _one_set(folder, found, key)


def _readable(paths: Iterable[Path]) -> list[Path]:
    """Data files among these, in the order of their paths; nothing hidden and nothing that describes a set."""
    return sorted(
        path
        for path in paths
        if bare_name(path)[1] in KINDS
        and path.name not in _ASIDE
        and not any(part.startswith(".") for part in path.parts[-2:])
        and path.is_file()
    )


def _one_set(folder: Path, files: list[Path], key: str) -> tuple[Path, ...]:
    sets: dict[str, list[Path]] = {}
    for file in files:
        name, kind = bare_name(file)
        split = _SPLITS.search(str(file.relative_to(folder).parent / name))
        sets.setdefault(f"{split[2].lower()} {kind}" if split else kind, []).append(file)
    if len(sets) == 1:
        return tuple(files)
    told = "; ".join(f"{name} ({len(held)}, such as {held[0].name})" for name, held in list(sets.items())[:8])
    first = next(iter(sets.values()))
    stem, suffix = _SHARD.sub("", bare_name(first[0])[0]), "".join(first[0].suffixes[-1:])
    pattern = first[0].parent / (f"{stem}*{suffix}" if len(first) > 1 else first[0].name)
    raise DataError(
        f"is a folder of several sets or kinds: {told}",
        where=str(folder),
        mend=f"Name one: {key}='{pattern}'.",
    )


def _read(path: Path) -> dict[str, object]:
    """The JSON object in a small file; {} where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def bare_name(path: Path) -> tuple[str, str]:
    """A file's name without its suffixes, and the suffix of its kind: ("pool", ".jsonl") of "pool.jsonl.gz"."""
    if path.suffix.lower() in _PACKED:
        path = path.with_suffix("")
    return path.stem, path.suffix.lower()


def stem(path: Paths) -> str:
    """A name for what a path names: of a file its own, of a folder the folder's, of shards what they share."""
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
    """The path of a regular file that is there, with `~` expanded. Raises: DataError that offers near names."""
    found = at_home(path)
    where = shown or str(path)
    if found.is_dir():
        raise DataError("is a folder, not a file", where=where, mend="Give the path of a file.")
    if not found.exists():
        raise _broken_link(found, where) if found.is_symlink() else missing(found)
    if not found.is_file():
        raise DataError(
            "is not a regular file",
            where=where,
            mend="It is read more than once: write its content to a file first.",
        )
    return found


def _broken_link(path: Path, where: str) -> DataError:
    try:
        path.resolve(strict=True)
    except RuntimeError:  # Python 3.11 and 3.12 say a loop so
        return DataError("is a symbolic link that leads to itself", where=where, mend="Link it to a file.")
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            return DataError(
                f"is a symbolic link to '{path.readlink()}', which is not there",
                where=where,
                mend="Link it to a file.",
            )
    return DataError("is a symbolic link that leads to itself", where=where, mend="Link it to a file.")


def missing(path: Path) -> DataError:
    """The error for a file that is not there: it offers the near names of its folder."""
    hub = ""
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(path)) and bare_name(path)[1] not in KINDS:
        hub = f" A data set of the Hub is read by data=hub data.path={path}."
    if not path.parent.is_dir():
        return DataError(
            "there is no such file", where=str(path), mend=f"There is no folder '{path.parent}' either.{hub}"
        )
    names = _names(path.parent)
    hint = did_you_mean(path.name, names)
    if len(names) > _NAMES_SHOWN and not hint.startswith("Did"):
        hint = f"None of the {len(names):,} files in its folder has a name like it."
    return DataError(
        "there is no such file", where=str(path), mend=(hint or "Its folder holds no file.") + hub
    )


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())
