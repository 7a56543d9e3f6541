"""Splits of data sets on the Hub, downloaded or from the cache of `datasets`. Only this module imports `datasets`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from nait.core.errors import ConfigError, DataError, first_line
from nait.hub.reachability import closed_hub, offline_variable

_log = logging.getLogger(__name__)


def fetched_split(
    repo: str, *, subset: str | None, split: str, revision: str | None, group: str = "data"
) -> Any:
    """The split as a `datasets.Dataset`; from the cache only, when the Hub is unreachable or switched off.

    `group`: the config group that messages name.

    Raises: DataError when the split is not available; ConfigError when the cache holds another revision.
    """
    import datasets

    closed = closed_hub()
    try:
        with _cache_only() if closed else nullcontext():
            table = datasets.load_dataset(repo, subset, split=split, revision=revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise _unavailable(repo, split, closed, error, group) from error
    if closed:
        held = _cached_revision(repo, revision, table, group)
        level = logging.INFO if offline_variable() else logging.WARNING
        _log.log(level, "%s.path=%s: %s. Reading revision %s from the cache.", group, repo, closed, held)
    return table


def _unavailable(repo: str, split: str, closed: str, error: Exception, group: str) -> DataError:
    copy = f"{group}.mirror=FOLDER with a copy in FOLDER/{repo}"
    if not closed:
        return DataError(
            f"the split '{split}' cannot be fetched from the Hub ({' '.join(str(error).split())})",
            where=f"{group}.path={repo}",
            fix=f"Check the names and HF_TOKEN, or set {copy}.",
        )
    absent = isinstance(error, ConnectionError)
    what = "it is not in the cache" if absent else f"it cannot be read from the cache ({first_line(error)})"
    return DataError(
        f"the split '{split}' cannot be fetched: {closed}, and {what}",
        where=f"{group}.path={repo}",
        fix=f"Set {copy}, or {group}=file {group}.path=FILE, or run once where the Hub is reachable: later runs "
        "read the cache, also with HF_HUB_OFFLINE=1.",
    )


def _cached_revision(repo: str, asked: str | None, table: Any, group: str) -> str:
    """The revision in use, the newest in the cache. Raises: ConfigError when `asked` names another one."""
    held = ", ".join(sorted({Path(file["filename"]).parent.name for file in table.cache_files}))
    if asked not in (None, held):
        raise ConfigError(
            f"the cache holds revision {held} of {repo}",
            where=f"{group}.revision={asked}",
            fix="Set that revision or null, or run once where the Hub is reachable.",
        )
    return held


@contextmanager
def _cache_only() -> Iterator[None]:
    """Put `datasets` offline and silence its warnings, since this module logs the revision that it reads."""
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
