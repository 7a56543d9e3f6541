"""Local benchmark data: a mirror of Hub repositories, and a context that makes the harness read it.

A mirror holds `<owner>/<name>/` for each data set, in the layout of a Hub repository: a README.md whose `configs:`
list the files of each split, or files named after their splits. There are no downloads. Parquet tables are read into
memory without a cache.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from nait.core.addresses import digest_file
from nait.core.errors import ConfigError, DataError
from nait.core.inputs.regular_files import regular_text
from nait.core.inputs.repeated_keys import yaml_of

SplitFiles = dict[str, tuple[Path, ...]]

_BUILDERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv", ".tsv": "csv"}
_COMPRESSED = {".gz", ".zst", ".bz2", ".xz"}
_SPLIT_NAMES = {"train": "train", "test": "test", "validation": "validation"} | dict.fromkeys(
    ("valid", "val", "dev"), "validation"
)
# `datasets` is patched for the whole process, so only one evaluation at a time may hold the lock.
_GAP = threading.RLock()


def repository(name: str, mirror: Path | None) -> Path:
    """The folder of a data set: in the mirror, else `name` itself as a path. It may not exist."""
    place = mirror / name if mirror else Path(name)
    return place if place.is_dir() else Path(name)


def split_files(place: Path, config: str | None) -> SplitFiles:
    """Split -> files of a repository's configuration; empty if there is no such configuration."""
    readme = place / "README.md"
    declared = _declared(readme, readme.stat().st_mtime_ns) if readme.is_file() else ()
    if not declared:
        return _by_name(place, config)
    chosen = [entry for entry in declared if entry.get("config_name", "default") == config]
    if config is None:
        chosen = [e for e in declared if e.get("default") or e.get("config_name") == "default"] or [*declared]
        if len(chosen) != 1:
            return {}
    return _matched(place, chosen[0].get("data_files", [])) if chosen else {}


@functools.lru_cache(maxsize=64)
def _declared(readme: Path, _changed: int) -> tuple[Mapping[str, Any], ...]:
    """The `configs:` entries in the front matter of a README.md."""
    try:
        front = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", regular_text(readme), re.DOTALL)
        card = yaml_of(front.group(1), yaml) if front else None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"the front matter cannot be read ({error})", where=str(readme)) from error
    return tuple(card.get("configs") or ()) if isinstance(card, dict) else ()


def _matched(repository: Path, data_files: Any) -> SplitFiles:
    if isinstance(data_files, str) or (data_files and isinstance(data_files[0], str)):
        data_files = [{"split": "train", "path": data_files}]
    found: SplitFiles = {}
    for entry in data_files:
        patterns = [entry["path"]] if isinstance(entry["path"], str) else entry["path"]
        for pattern in patterns:
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                raise DataError(
                    f"data_files names '{pattern}', which is not in the data set's folder",
                    where=str(repository / "README.md"),
                    fix="Copy the files into the folder, and name them there.",
                )
        paths = sorted({path for pattern in patterns for path in repository.glob(pattern)})
        if paths:
            found[entry["split"]] = tuple(paths)
    return found


def _by_name(repository: Path, config: str | None) -> SplitFiles:
    """Split -> files whose names begin with it, in `<config>/`; without a config, at the top or in `data/`."""
    folders = [repository / config] if config not in (None, "default") else [repository, repository / "data"]
    found: SplitFiles = {}
    for folder in folders:
        for path in sorted(folder.glob("*")):
            word = re.split(r"[-_.]", path.name)[0]
            if word in _SPLIT_NAMES and builder(path):
                split = _SPLIT_NAMES[word]
                found[split] = (*found.get(split, ()), path)
    return found


def builder(path: Path) -> str | None:
    """The reader of `datasets` for this file name, or None."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in _COMPRESSED]
    return _BUILDERS.get(suffixes[-1]) if suffixes else None


def files_digest(files: Sequence[Path]) -> list[str]:
    """The sha256 of each file, cached by size and time of change."""
    return [_digest(path, path.stat().st_size, path.stat().st_mtime_ns) for path in files]


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, _size: int, _changed: int) -> str:
    return digest_file(path)


def read_splits(files: Mapping[str, Sequence[Path]], *, scratch: Path, load: Any) -> Any:
    """A `datasets.DatasetDict` of these files. Formats other than Parquet are converted by `load` in `scratch`.

    Raises: DataError for splits of different or unknown formats.
    """
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {builder(path) for paths in files.values() for path in paths}
    if kinds == {"parquet"}:
        # `datasets.load_dataset` would write an Arrow copy of each of MMLU's 171 files, which takes 5 s.
        tables = {
            split: pa.concat_tables(
                [pq.read_table(path, page_checksum_verification=True, partitioning=None) for path in paths]
            )
            for split, paths in files.items()
        }
        return datasets.DatasetDict({split: datasets.Dataset(table) for split, table in tables.items()})
    if len(kinds) != 1 or None in kinds:
        listed = ", ".join(str(path) for paths in files.values() for path in paths)
        raise DataError(f"the splits are not all of one readable format: {listed}", where="eval.mirror")
    named = {split: [str(path) for path in paths] for split, paths in files.items()}
    return load(kinds.pop(), data_files=named, cache_dir=str(scratch))


@contextmanager
def air_gap(mirror: Path | None, *, online: bool, scratch: Path) -> Iterator[None]:
    """Context in which `datasets.load_dataset` reads the mirror first, and uses the Hub only if `online`.

    Files that `datasets` has to write go to `scratch`. On exit the patch is undone.
    """
    import datasets
    from huggingface_hub import constants

    with _GAP:
        load = datasets.load_dataset
        before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE

        def load_dataset(path: str, name: str | None = None, *args: Any, **options: Any) -> Any:
            place = repository(path, mirror)
            if place.is_dir() and not args and not options.get("data_files"):
                files = split_files(place, name)
                if not files:
                    raise ConfigError(f"'{path}' has no configuration '{name}'", where=str(place.parent))
                splits = read_splits(files, scratch=scratch, load=load)
                return splits[options["split"]] if options.get("split") else splits
            if not online:
                options.setdefault("cache_dir", str(scratch))
            try:
                return load(str(place) if place.is_dir() else path, name, *args, **options)
            except datasets.exceptions.DatasetGenerationError as error:
                raise OSError(f"the data of {path} cannot be read: {error.__cause__ or error}") from error

        try:
            datasets.load_dataset = load_dataset
            if not online:
                constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
            yield
        finally:
            datasets.load_dataset = load
            constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
