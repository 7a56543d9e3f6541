"""Data set lookup in a local mirror: folders `<owner>/<name>` with the layout of Hub repositories.

The `configs:` block of each README.md maps subsets and splits to files. A README without this block, as of many
older repositories, leaves it to the names of files and folders, by the Hub's rules. Files are read in place, without
a cache.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
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
_SHARD = re.compile(r"(\w+(?:\.\w+)*)-\d{5}-of-\d{5}.*\..*")
_SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_BREAK = r"[-._ 0-9]"
"""Characters around a split's word in a name."""


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
    readme = folder / "README.md"
    configs = _configs(readme, group)
    if not configs:
        return _files_by_name(folder, subset, split, readme, group)
    splits = _splits(_config(configs, subset, readme, group), readme, group)
    if split not in splits:
        raise DataError(f"there is no split '{split}'", where=str(readme), fix=did_you_mean(split, splits))
    found: list[Path] = []
    for pattern in splits[split]:
        files = sorted(path for path in folder.glob(_checked_pattern(pattern, readme)) if path.is_file())
        if not files:
            raise DataError(
                f"no file matches '{pattern}'",
                where=str(readme),
                fix="Download the missing files into the mirror.",
            )
        found += files
    return tuple(found)


def _not_mirrored(mirror: Path, repo: str, group: str) -> DataError:
    if not mirror.is_dir():
        return DataError("there is no such folder", where=str(mirror), fix=f"Correct {group}.mirror.")
    held = {path.parent.relative_to(mirror).as_posix() for path in mirror.glob("*/*/README.md")}
    return DataError(f"the mirror has no '{repo}'", where=str(mirror), fix=did_you_mean(repo, held))


def _configs(readme: Path, group: str) -> list[Mapping[str, Any]]:
    """The entries of the `configs:` block; empty where the README has none."""
    fix = f"Read its files one by one with {group}=file {group}.path=FILE."
    try:
        head = re.match(r"---\r?\n(.*?)\r?\n---", regular_text(readme, encoding="utf-8-sig"), flags=re.DOTALL)
        block = yaml_of(head[1], yaml) if head else None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"cannot be read ({error})", where=str(readme), fix=fix) from error
    configs = (block.get("configs") if isinstance(block, Mapping) else None) or []
    if not isinstance(configs, list) or not all(isinstance(c, Mapping) for c in configs):
        raise DataError("its 'configs:' block is not a list of subsets", where=str(readme), fix=fix)
    return configs


def _files_by_name(
    folder: Path, subset: str | None, split: str, readme: Path, group: str
) -> tuple[Path, ...]:
    """The files of a split of a repository whose README lists none. Its only subset is `default`."""
    if subset not in (None, _DEFAULT):
        raise DataError(
            f"has no 'configs:' block, so there is no subset '{subset}'",
            where=str(readme),
            fix=f"Set {group}.subset=null, or read its files one by one with {group}=file {group}.path=FILE.",
        )
    splits = _splits_by_name(folder, _data_files(folder))
    if not splits:
        raise DataError("there is no file of rows beside it", where=str(readme), fix="Download its files.")
    if split not in splits:
        raise DataError(f"there is no split '{split}'", where=str(readme), fix=did_you_mean(split, splits))
    return splits[split]


def _data_files(folder: Path) -> list[Path]:
    """The data files in a folder, sorted by path. If their formats differ, only the most frequent format counts."""
    found: dict[Path, str] = {}
    for path in sorted(folder.rglob("*")):
        kind = bare_name(path)[1]
        hidden = any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
        if kind in KINDS and not hidden and path.name not in METADATA_FILES and path.is_file():
            found[path] = kind
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
    configs: list[Mapping[str, Any]], subset: str | None, readme: Path, group: str
) -> Mapping[str, Any]:
    by_name = {str(config.get("config_name", "default")): config for config in configs}
    if subset is not None:
        if subset not in by_name:
            raise DataError(
                f"there is no subset '{subset}'", where=str(readme), fix=did_you_mean(subset, by_name)
            )
        return by_name[subset]
    marked = [config for config in configs if config.get("default")]
    if marked or "default" in by_name or len(configs) == 1:
        return marked[0] if marked else by_name.get("default", configs[0])
    raise DataError(
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
            fix=f"Read its files one by one with {group}=file {group}.path=FILE.",
        )
    splits: dict[str, list[str]] = {}
    for entry in entries:
        paths = entry["path"] if isinstance(entry["path"], list) else [entry["path"]]
        splits.setdefault(str(entry.get("split", "train")), []).extend(str(path) for path in paths)
    return splits


def _checked_pattern(pattern: str, readme: Path) -> str:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise DataError(
            f"'{pattern}' points outside the data set's folder",
            where=str(readme),
            fix="Correct the path in its configs block.",
        )
    return pattern
