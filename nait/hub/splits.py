"""Splits of Hub data sets, fetched or from the cache of `datasets`. The hub's only importer of that library."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from nait.core.errors import ConfigError, DataError, first_line
from nait.hub.reachability import closed_hub, offline_variable

_log = logging.getLogger(__name__)


def fetched_split(repo: str, *, subset: str | None, split: str, revision: str | None) -> Any:
    """The split as a `datasets.Dataset`; from the cache alone where the Hub does not answer or may not be asked.

    Raises: DataError when it cannot be had, or the cache holds another revision than the one that is asked for.
    """
    import datasets

    closed = closed_hub()
    try:
        with _cache_alone() if closed else nullcontext():
            table = datasets.load_dataset(repo, subset, split=split, revision=revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise _unavailable(repo, split, closed, error) from error
    if closed:
        held = _cached_revision(repo, revision, table)
        level = logging.INFO if offline_variable() else logging.WARNING
        _log.log(level, "data.path=%s: %s. It is read from the cache: revision %s.", repo, closed, held)
    return table


def _unavailable(repo: str, split: str, closed: str, error: Exception) -> DataError:
    copy = f"data.mirror=FOLDER with a copy in FOLDER/{repo}"
    if not closed:
        return DataError(
            f"the split '{split}' cannot be fetched from the Hub ({' '.join(str(error).split())})",
            where=f"data.path={repo}",
            mend=f"Check the names and HF_TOKEN, or set {copy}.",
        )
    absent = isinstance(error, ConnectionError)
    what = "it is not in the cache" if absent else f"the cache does not give it ({first_line(error)})"
    return DataError(
        f"the split '{split}' is asked of the Hub, but {closed}, and {what}",
        where=f"data.path={repo}",
        mend=f"Set {copy}, or data=file data.path=FILE, or fetch it once where the Hub answers: from then on it is "
        "read from the cache, with HF_HUB_OFFLINE=1 too.",
    )


def _cached_revision(repo: str, asked: str | None, table: Any) -> str:
    """The revision that was read: `datasets` takes the newest in its cache. Raises: ConfigError for another one."""
    held = ", ".join(sorted({Path(file["filename"]).parent.name for file in table.cache_files}))
    if asked not in (None, held):
        raise ConfigError(
            f"the cache holds revision {held} of {repo}",
            where=f"data.revision={asked}",
            mend="Name it, or set null, or fetch the other where the Hub answers.",
        )
    return held


@contextmanager
def _cache_alone() -> Iterator[None]:
    """Within it `datasets` asks no network and warns of nothing: what it read is logged here."""
    import datasets
    from huggingface_hub import constants

    before, level = (
        (constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE),
        datasets.logging.get_verbosity(),
    )
    datasets.logging.set_verbosity_error()
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
        datasets.logging.set_verbosity(level)
