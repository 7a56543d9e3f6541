"""Data set lookup in a local mirror: folders `<owner>/<name>` with the layout of Hub repositories.

The `configs:` block of each README.md maps subsets and splits to files. Without this block, or without a README, the
names of files and folders decide, by the Hub's rules; a subset is then a folder of its name. Pools, targets and
benchmarks find their files by these rules. Files are read in place, without a cache.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import yaml

from nait.core.errors import ConfigError, DataError, did_you_mean
from nait.core.inputs.paths import at_home
from nait.core.inputs.regular_files import regular_text
from nait.core.inputs.repeated_keys import yaml_of
from nait.data.files.named_files import KINDS, METADATA_FILES, bare_name

_PAGE = re.compile(r"(?:https?|hf)://(?:huggingface\.co/)?datasets/([\w.-]+/[\w.-]+)")
_REPO = re.compile(r"[\w.-]+(/[\w.-]+)?")
_DEFAULT = "default"
_README = "README.md"
_JSON = ".json"
Splits = Mapping[str, Callable[[], tuple[Path, ...]]]
"""Split -> a function for its files, which raises `AbsentFilesError` if one of them is not there."""
_SHARD = re.compile(r"(\w+(?:\.\w+)*)-\d{5}-of-\d{5}.*\..*")
_SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_BREAK = r"[-._ 0-9]"
"""Characters around a split's word in a name."""


class AbsentFilesError(DataError):
    """A mirror lacks a subset, a split, or files of it."""


def checked_repo(repo: str, group: str = "data") -> str:
    """`repo`, validated as "name" or "owner/name". Raises: ConfigError that names a key of `group`."""
    file = bare_name(Path(repo))[1] in KINDS
    if file or not _REPO.fullmatch(repo) or {".", ".."} & set(repo.split("/")):
        fix = f"Write it as owner/name; to read a local file, set {group}=file {group}.path=FILE."
        if page := _PAGE.match(repo):
            fix = f"Set {group}.path={page[1]}."
        elif file:
            fix = f"To read a local file, set {group}=file {shlex.quote(f'{group}.path={repo}')}."
        raise ConfigError(f"'{repo}' is not the name of a Hub data set", where=f"{group}.path", fix=fix)
    return repo


def mirrored_files(
    mirror: str | Path, repo: str, *, subset: str | None, split: str, group: str = "data"
) -> tuple[Path, ...]:
    """Files of a split of a subset, sorted by name within each pattern. Messages name keys of `group`.

    Raises: DataError, ConfigError.
    """
    folder = at_home(mirror) / checked_repo(repo, group)
    if not folder.is_dir():
        raise _not_mirrored(at_home(mirror), repo, group)
    splits = repository_splits(folder, subset, group=group)
    if split not in splits:
        raise AbsentFilesError(
            f"there is no split '{split}'", where=_place(folder), fix=did_you_mean(split, splits)
        )
    return splits[split]()


def repository_splits(folder: Path, subset: str | None, *, group: str = "data") -> Splits:
    """The splits of a subset of the data set in `folder`. Messages name keys of `group`, if it is not "".

    Raises: AbsentFilesError if there is no such subset; DataError if its README cannot be used.
    """
    readme = folder / _README
    configs = _configs(readme, _changed(readme), group) if _has(readme) else ()
    if not configs:
        return _splits_without_configs(folder, subset, group)
    splits = _splits(_config(configs, subset, readme, group), readme, group)
    for pattern in (pattern for patterns in splits.values() for pattern in patterns):
        _check_pattern(pattern, readme)
    return {split: partial(_matching, folder, tuple(patterns)) for split, patterns in splits.items()}


def _place(folder: Path) -> str:
    """The README of a data set's folder, or the folder if it has none."""
    readme = folder / _README
    return str(readme if _has(readme) else folder)


def _has(readme: Path) -> bool:
    """Whether there is a README, also one that cannot be read: a link to nowhere."""
    return readme.exists() or readme.is_symlink()


def _changed(readme: Path) -> int:
    return readme.stat().st_mtime_ns if readme.exists() else 0


def _advice(group: str) -> str:
    """What to do about a README that cannot be used."""
    if not group:
        return "Correct it, or delete it: without it, the names of the files decide."
    return f"Read its files one by one with {group}=file {group}.path=FILE."


def _matching(folder: Path, patterns: Sequence[str]) -> tuple[Path, ...]:
    """The files of these patterns, each once. Raises: AbsentFilesError for a pattern without a file."""
    found: list[Path] = []
    for pattern in patterns:
        files = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not files:
            raise AbsentFilesError(
                f"no file matches '{pattern}'",
                where=str(folder / _README),
                fix="Download the missing files into the mirror.",
            )
        found += files
    return tuple(dict.fromkeys(found))


def _not_mirrored(mirror: Path, repo: str, group: str) -> DataError:
    if not mirror.is_dir():
        return DataError("there is no such folder", where=str(mirror), fix=f"Correct {group}.mirror.")
    held = {path.relative_to(mirror).as_posix() for path in mirror.glob("*/*") if path.is_dir()}
    return AbsentFilesError(f"the mirror has no '{repo}'", where=str(mirror), fix=did_you_mean(repo, held))


@lru_cache(maxsize=64)
def _configs(readme: Path, _changed: int, group: str) -> tuple[Mapping[str, Any], ...]:
    """The entries of the `configs:` block; empty where the README has none."""
    fix = _advice(group)
    try:
        head = re.match(r"---\r?\n(.*?)\r?\n---", regular_text(readme, encoding="utf-8-sig"), flags=re.DOTALL)
        block = yaml_of(head[1], yaml) if head else None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"cannot be read ({error})", where=str(readme), fix=fix) from error
    configs = (block.get("configs") if isinstance(block, Mapping) else None) or []
    if not isinstance(configs, list) or not all(isinstance(c, Mapping) for c in configs):
        raise DataError("its 'configs:' block is not a list of subsets", where=str(readme), fix=fix)
    return tuple(configs)


def _splits_without_configs(folder: Path, subset: str | None, group: str) -> Splits:
    """The splits of a data set that lists no files: of its folder, or of its folder `subset`."""
    whole = subset in (None, _DEFAULT)
    place = folder if whole else folder / str(subset)
    if not whole and (subset == ".." or place.parent != folder or not place.is_dir()):
        lists = "'configs:' block" if _has(folder / _README) else "README.md with a 'configs:' block"
        raise AbsentFilesError(
            f"has no {lists} and no folder '{subset}', so there is no subset '{subset}'",
            where=_place(folder),
            fix=f"Put its files into the folder '{subset}', named after their splits, such as test.jsonl"
            + (f"; or set {group}.subset=null, for all files." if group else "."),
        )
    splits = _splits_by_name(place, _data_files(place))
    if not splits:
        raise AbsentFilesError("there is no file of rows", where=str(place), fix="Download its files.")
    return {split: partial(tuple, files) for split, files in splits.items()}


def _data_files(folder: Path) -> list[Path]:
    """The data files in a folder, sorted by path. If their formats differ, only the most frequent format counts."""
    found: dict[Path, str] = {}
    for path in sorted(folder.rglob("*")):
        kind = bare_name(path)[1]
        hidden = any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
        if kind in KINDS and not hidden and path.name not in METADATA_FILES and path.is_file():
            found[path] = _JSON if kind in (".jsonl", ".ndjson") else kind
    counts = Counter(found.values())
    chosen = max(counts, key=lambda kind: (counts[kind], kind == ".parquet", kind), default="")
    return [path for path, kind in found.items() if kind == chosen]


def _splits_by_name(folder: Path, files: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    """Split -> files, by the first of these rules that finds any, as on the Hub: shards in `data/`, the word of a
    split in a folder's name, in a file's name; else all files are of "train"."""
    places = {path: path.relative_to(folder) for path in files}
    shards = {
        path: shard[1]
        for path, place in places.items()
        if place.parts[:-1] == ("data",) and (shard := _SHARD.fullmatch(place.name))
    }
    if shards:
        return {split: tuple(p for p in shards if shards[p] == split) for split in sorted({*shards.values()})}
    for names, end in (
        ({path: place.parts[:-1] for path, place in places.items()}, rf"({_BREAK}|$)"),
        ({path: (place.name,) for path, place in places.items()}, _BREAK),
    ):
        found: dict[str, tuple[Path, ...]] = {}
        for split, words in _SPLIT_WORDS.items():
            word = re.compile(rf"(^|{_BREAK})({'|'.join(words)}){end}")
            if chosen := tuple(path for path in files if any(map(word.search, names[path]))):
                found[split] = chosen
        if found:
            return found
    return {"train": tuple(files)} if files else {}


def _config(
    configs: Sequence[Mapping[str, Any]], subset: str | None, readme: Path, group: str
) -> Mapping[str, Any]:
    by_name = {str(config.get("config_name", "default")): config for config in configs}
    if subset is not None:
        if subset not in by_name:
            raise AbsentFilesError(
                f"there is no subset '{subset}'", where=str(readme), fix=did_you_mean(subset, by_name)
            )
        return by_name[subset]
    marked = [config for config in configs if config.get("default")]
    if marked or "default" in by_name or len(configs) == 1:
        return marked[0] if marked else by_name.get("default", configs[0])
    raise AbsentFilesError(
        "has several subsets", where=str(readme), fix=f"Set {group}.subset. {did_you_mean('', by_name)}"
    )


def _splits(config: Mapping[str, Any], readme: Path, group: str) -> dict[str, list[str]]:
    """File patterns of each split. Files without a split name belong to "train", as on the Hub."""
    entries = config.get("data_files")
    if isinstance(entries, str) or (isinstance(entries, list) and all(isinstance(e, str) for e in entries)):
        entries = [{"split": "train", "path": entries}]
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) and "path" in e for e in entries):
        raise DataError(
            "its 'data_files' is not a list of {split, path}",
            where=str(readme),
            fix=_advice(group),
        )
    splits: dict[str, list[str]] = {}
    for entry in entries:
        paths = entry["path"] if isinstance(entry["path"], list) else [entry["path"]]
        splits.setdefault(str(entry.get("split", "train")), []).extend(str(path) for path in paths)
    return splits


def _check_pattern(pattern: str, readme: Path) -> None:
    """Raises: DataError for a pattern of files outside the data set's folder."""
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise DataError(
            f"'{pattern}' points outside the data set's folder",
            where=str(readme),
            fix="Correct the path in its configs block.",
        )
