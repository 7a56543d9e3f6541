"""Data set lookup in a local mirror: folders `<owner>/<name>` with the layout of Hub repositories.

The `configs:` block of each README.md maps subsets and splits to files. Files are read in place, without a cache.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nait.core.errors import ConfigError, DataError, did_you_mean
from nait.core.inputs.paths import at_home
from nait.core.inputs.regular_files import regular_text
from nait.core.inputs.repeated_keys import yaml_of
from nait.data.files.named_files import KINDS, bare_name

_PAGE = re.compile(r"(?:https?|hf)://(?:huggingface\.co/)?datasets/([\w.-]+/[\w.-]+)")
_REPO = re.compile(r"[\w.-]+(/[\w.-]+)?")


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
    splits = _splits(_config(_configs(readme, group), subset, readme, group), readme, group)
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
    fix = f"Read its files one by one with {group}=file {group}.path=FILE."
    try:
        head = re.match(r"---\r?\n(.*?)\r?\n---", regular_text(readme, encoding="utf-8-sig"), flags=re.DOTALL)
        block = yaml_of(head[1], yaml) if head else None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"cannot be read ({error})", where=str(readme), fix=fix) from error
    configs = block.get("configs") if isinstance(block, Mapping) else None
    if not isinstance(configs, list) or not all(isinstance(c, Mapping) for c in configs) or not configs:
        raise DataError("has no 'configs:' block that lists its files", where=str(readme), fix=fix)
    return configs


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
