"""Manifests: what an artifact is, with the size and SHA-256 of each of its files and a checksum of its own.

Artifacts of earlier versions have no checksums. They are read without a check, which is logged once per process.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from nait.core.addresses import address
from nait.core.inputs.regular_files import regular_text
from nait.core.inputs.shapes import unreadable_part
from nait.store.files.checksums import CHECKSUM, State, damage, is_signed, signed, state_of, sums_of
from nait.store.files.damaged import MANIFEST, DamagedError, artifact_of, damaged, unreadable
from nait.store.files.durable import PART, sync_tree, write_json

log = logging.getLogger("nait")

FILES = "files"
UNLISTED = (MANIFEST, "used.json")
"""Files that a manifest does not list. The time of the last use changes."""
MANIFESTS = 64
"""The number of manifests that a process keeps in memory: about 10 kB each."""
OMITTED = "omitted"
"""Files that a copy of an artifact leaves out, such as the responses of an evaluation that was fetched from W&B."""


@dataclass(frozen=True)
class Artifact:
    """A complete artifact: its folder and manifest. `fresh`: this process made it."""

    kind: str
    address: str
    path: Path
    manifest: Mapping[str, Any]
    fresh: bool = False

    @property
    def seconds(self) -> float:
        """Wall-clock seconds that making it took, over all attempts."""
        return float(self.manifest.get("seconds", 0.0))

    @property
    def seconds_now(self) -> float:
        """Seconds that this run spent: earlier attempts excluded, 0 when the artifact was in the store."""
        return self.seconds - float(self.manifest.get("earlier_seconds", 0.0)) if self.fresh else 0.0

    @property
    def processes(self) -> int:
        """The number of processes of the command that made it (torchrun's, all of them busy during `seconds`)."""
        return int(self.manifest.get("processes", 1))

    @property
    def energy_wh(self) -> float | None:
        """Watt-hours of the whole devices during that time; None when unknown."""
        found = self.manifest.get("energy_wh")
        return None if found is None else float(found)

    @property
    def energy_wh_now(self) -> float:
        """Watt-hours that this run spent, as far as known."""
        return (
            (self.energy_wh or 0.0) - (self.manifest.get("earlier_energy_wh") or 0.0) if self.fresh else 0.0
        )


def seal(part: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Sync every file under `part`, then write its manifest: `about` with the checksums. Returns the manifest.

    Files that a killed writer did not complete (`*.part`) are removed.
    """
    for left in sorted(part.rglob(f"*{PART}")):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    sync_tree(part)
    plain = {name: value for name, value in about.items() if name not in (FILES, CHECKSUM)}
    manifest = signed({**plain, FILES: sums_of(part, without=UNLISTED)})
    write_json(part / MANIFEST, manifest)
    return manifest


def read_artifact(folder: Path) -> Artifact:
    """The artifact in `folder`. Raises: DamagedError when its manifest is not that of this artifact."""
    try:
        state = state_of(folder / MANIFEST)
    except OSError as error:
        raise unreadable(error, folder) or damaged(folder / MANIFEST, f"cannot be read ({error})") from error
    return _read_artifact(folder, state)


@lru_cache(maxsize=MANIFESTS)
def _read_artifact(folder: Path, _state: State) -> Artifact:
    path = folder / MANIFEST
    manifest = read_json(path)
    if not isinstance(manifest, dict) or "key" not in manifest:
        raise damaged(path, "is not an artifact's manifest")
    place = (manifest.get("kind"), manifest.get("address"), address(manifest["key"]))
    if place != (folder.parent.name, folder.name, folder.name):
        raise damaged(path, "is the manifest of another artifact")
    if (CHECKSUM in manifest or FILES in manifest) and not (is_signed(manifest) and _lists_files(manifest)):
        raise damaged(path, "differs from its checksum")
    return Artifact(kind=folder.parent.name, address=folder.name, path=folder, manifest=manifest)


def _lists_files(manifest: Mapping[str, Any]) -> bool:
    files = manifest.get(FILES)
    return isinstance(files, dict) and all(_is_listed(name, one) for name, one in files.items())


def _is_listed(name: str, one: Any) -> bool:
    """Whether an entry names a file of the artifact's own folder, with its size and SHA-256."""
    path = PurePosixPath(name)
    inside = bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name
    return (
        inside
        and isinstance(one, dict)
        and isinstance(one.get("bytes"), int)
        and isinstance(one.get("sha256"), str)
    )


def check_files(artifact: Artifact, names: Iterable[str] | None = None) -> None:
    """Compare an artifact's files with its manifest. `names`: the files to check; None: all.

    Raises: DamagedError for the first file that differs.
    """
    sums = artifact.manifest.get(FILES)
    if sums is None:
        _say_unchecked()
        return
    try:
        found = damage(artifact.path, sums, names)
    except OSError as error:
        refused = unreadable(error, artifact.path)
        if refused is None:
            found = Path(error.filename or artifact.path), f"cannot be read ({error.strerror})"
        else:
            raise refused from error
    if found:
        raise DamagedError(found[1], path=found[0], artifact=artifact.path)


@cache
def _say_unchecked() -> None:
    """Log that artifacts without checksums are in use, at the first call in this process."""
    log.info("Artifacts of an earlier version have no checksums: they are read without a check.")


def read_copy(folder: Path) -> Mapping[str, Any]:
    """The manifest of an artifact, or of a copy of one in a folder of any name. Its files are checked.

    Raises: StoreError when a file is missing or damaged.
    """
    path = folder / MANIFEST
    manifest = read_json(path)
    if not isinstance(manifest, dict) or "key" not in manifest:
        raise damaged(path, "is not an artifact's manifest")
    if FILES not in manifest and CHECKSUM not in manifest:
        return manifest
    if not (is_signed(manifest) and _lists_files(manifest)):
        raise damaged(path, "differs from its checksum")
    if found := damage(folder, manifest[FILES]):
        raise damaged(*found)
    return manifest


def check_path(path: Path) -> None:
    """Compare a file of an artifact, or all files of an artifact's folder, with the manifest.

    A path outside artifacts is not checked. Raises: DamagedError for a file that differs.
    """
    folder = artifact_of(path)
    if folder is None:
        return
    made = read_artifact(folder)
    name = path.absolute().relative_to(folder).as_posix()
    if path.is_dir() or name == MANIFEST:
        check_files(made)
    elif name in made.manifest.get(FILES, ()):
        check_files(made, [name])


def read_json(path: Path) -> Any:
    """The JSON of a file; an artifact's file is compared with its checksum. Raises: StoreError that names it."""
    if path.name != MANIFEST:
        check_path(path)
    try:
        found = json.loads(regular_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(error, path) or damaged(path, f"cannot be read ({error})") from error
    if wrong := unreadable_part(found):
        raise damaged(path, wrong)
    return found
