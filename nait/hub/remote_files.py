"""Files at a URL of fsspec (s3://, gs://, abfs://, memory://): fetched into the user's cache, read as local files.

A file is fetched again when its size, time or checksum at the URL has changed, as the server says at that moment.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from nait.core.errors import DataError, first_line
from nait.core.inputs.secrets import without_login

log = logging.getLogger(__name__)

PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
"""Protocol -> the package that reads it."""
PROTOCOLS = (*PACKAGES, "memory")


def fetched_files(url: str, readable: Callable[[str], bool]) -> tuple[Path, ...]:
    """Local copies of the file at `url`, of those that match its pattern, or of the readable ones in its folder.

    Raises: DataError if there is none, or it cannot be fetched.
    """
    system, place = _opened(url)
    try:
        system.invalidate_cache()  # a listing of an earlier job of this process
        if any(sign in place for sign in "*?["):
            found = sorted(system.glob(place))
        elif system.isdir(place):
            found = sorted(one for one in system.find(place) if readable(PurePosixPath(one).name))
        else:
            found = [place]
        copies = tuple(_fetched(system, one, url) for one in found)
    except Exception as error:  # each service's client has exceptions of its own
        raise DataError(
            f"cannot be fetched ({first_line(error) or type(error).__name__})", where=without_login(url),
            fix="Check the URL, the login and the permissions.",
        ) from error  # fmt: skip
    if not copies:
        raise DataError(
            "there is no data file", where=without_login(url), fix="Give the URL of a file, or a pattern."
        )
    return copies


def _opened(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        system, place = url_to_fs(url)
    except Exception as error:  # as above
        package = PACKAGES.get(url.partition("://")[0].lower(), "") if isinstance(error, ImportError) else ""
        raise DataError(
            f"cannot be opened ({first_line(error) or type(error).__name__})", where=without_login(url),
            fix=f"pip install {package}." if package else "Check the URL and the login, or download the file.",
        ) from error  # fmt: skip
    return system, str(place)


def _fetched(system: Any, place: str, url: str) -> Path:
    """The local copy of a file, fetched if its content at the URL is not in the cache."""
    version = str(system.ukey(place))
    about = f"{type(system).__name__} {place} {version}"
    folder = _cache() / hashlib.sha256(about.encode()).hexdigest()[:32]
    file = folder / (PurePosixPath(place).name or "file")
    if not file.is_file():
        log.info("Fetching %s.", without_login(url))
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, suffix=".part") as scratch:
            part = Path(scratch) / file.name
            system.get_file(place, str(part))
            system.invalidate_cache()
            if str(system.ukey(place)) != version:
                raise OSError("it changed while it was copied")
            part.replace(file)
    return file


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "nait" / "files"
