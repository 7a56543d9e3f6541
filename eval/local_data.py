"""Local benchmark data: a mirror of Hub repositories, and a context that makes the harness read it.

A mirror holds `<owner>/<name>/` for each data set, in the layout of a Hub repository: a README.md whose `configs:`
list the files of each split, or files named after their splits, as for pools (`nait.data.files.mirrors`). There are
no downloads. Parquet tables are read into memory without a cache.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nait.core.addresses import digest_file
from nait.core.errors import ConfigError, DataError
from nait.data.files.mirrors import AbsentFilesError, repository_splits
from nait.data.files.named_files import bare_name

SplitFiles = dict[str, tuple[Path, ...]]

_BUILDERS = {
    ".parquet": "parquet", ".csv": "csv", ".tsv": "tsv", **dict.fromkeys((".json", ".jsonl", ".ndjson"), "json"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "arrow"),
}  # fmt: skip
# `datasets` is patched for the whole process, so only one evaluation at a time may hold the lock.
_GAP = threading.RLock()


def repository(name: str, mirror: Path | None) -> Path:
    """The folder of a data set: in the mirror, else `name` itself as a path. It may not exist."""
    place = mirror / name if mirror else Path(name)
    return place if place.is_dir() else Path(name)


def split_files(place: Path, config: str | None) -> SplitFiles:
    """Split -> files of a repository's configuration, without the splits that lack a file.

    Empty if there is no such configuration. Raises: DataError for a README that cannot be used.
    """
    found: SplitFiles = {}
    with suppress(AbsentFilesError):
        for split, files in repository_splits(place, config, group="").items():
            with suppress(AbsentFilesError):
                found[split] = files()
    return found


def builder(path: Path) -> str | None:
    """The reader of `datasets` for this file name ("tsv": `csv` with tabs), or None."""
    return _BUILDERS.get(bare_name(path)[1])


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
    kind, options = kinds.pop(), {}
    if kind == "tsv":
        kind, options = "csv", {"sep": "\t"}
    return load(kind, data_files=named, cache_dir=str(scratch), **options)


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
                inside = options.get("data_dir")
                files = split_files(place / inside, None) if inside else split_files(place, name)
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
