"""The artifact store: one folder per artifact, each complete or absent.

An artifact's folder is `<root>/<kind>/<address>/`. It is written as `<address>.part`, with `manifest.json` last, and
renamed when every file is on the disk. The next writer receives the `.part` folder of a killed run and may resume
from its content. Jobs may share a store: a file lock lets one of them write while the others wait, then read the
result. The manifest has the checksum of each file: a damaged artifact is set aside and made again.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nait.core.addresses import address, canonical
from nait.core.errors import StoreError
from nait.core.inputs.paths import at_home, named_file, write_error
from nait.core.ranks import processes_from
from nait.store.energy import gauge
from nait.store.files.checksums import CHECKSUM
from nait.store.files.damaged import KIND, MANIFEST, DamagedError, is_place, set_aside
from nait.store.files.durable import PART, make_folder, rename
from nait.store.files.links import check_plain, check_plain_tree
from nait.store.files.locks import locked
from nait.store.files.manifests import FILES, OMITTED, Artifact, check_files, read_artifact, seal
from nait.store.spared import spared_work, with_spared

Complete = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Writes the manifest of an artifact, with these facts, and gives the artifact its name. Returns the manifest."""
OTHER_FOLDER = "Set another folder: paths.store=FOLDER."


class Store:
    """Artifacts by kind and address under one root folder.

    - `read_only`: damage is an error, and so is a link, since the store may come from elsewhere. Otherwise a damaged
      artifact is set aside, and is absent.
    - `wait_seconds`: the longest wait for another process that writes an artifact; None: no limit.
    """

    def __init__(
        self, root: str | Path, *, read_only: bool = False, wait_seconds: float | None = None
    ) -> None:
        self.root = Path(os.path.realpath(at_home(root)))  # `resolve` raises for circular links
        self.read_only, self.wait_seconds = read_only, wait_seconds

    def folder(self, kind: str, key: Mapping[str, Any] | str) -> Path:
        """The folder of the artifact of this kind and key, whether it exists or not."""
        name = key if isinstance(key, str) else address(key)
        if not KIND.fullmatch(kind) or not re.fullmatch(r"[0-9a-f]+", name):
            raise StoreError(f"'{kind}/{name}' is not the place of an artifact", where=str(self.root))
        return self.root / kind / name

    def find(self, kind: str, key: Mapping[str, Any] | str) -> Artifact | None:
        """The complete artifact, or None. Its files are compared with its manifest once per process.

        Raises: DamagedError in a read-only store, which compares files when they are read.
        """
        folder = self.folder(kind, key)
        if self.read_only:
            check_plain(folder.parent)
            check_plain_tree(folder)
            return read_artifact(folder) if (folder / MANIFEST).is_file() else None
        try:
            return _undamaged(folder)
        except DamagedError:
            with self._locked(folder):
                return self._or_set_aside(folder)

    def _or_set_aside(self, folder: Path) -> Artifact | None:
        """The artifact, or None after it was set aside. Call it with the artifact's lock held."""
        try:
            return _undamaged(folder)
        except DamagedError as error:
            set_aside(folder, f"is damaged: {Path(error.where).relative_to(folder)} {error.what}")
            return None

    def set_aside(self, artifact: Path, why: str) -> None:
        """Set an artifact of this store aside, unless another process did. Raises: StoreError for another folder."""
        if not is_place(artifact) or not artifact.is_relative_to(self.root) or self.read_only:
            raise StoreError("is not an artifact of this store", where=str(artifact))
        with self._locked(artifact):
            if artifact.exists():
                set_aside(artifact, why)

    def produce(
        self, kind: str, key: Mapping[str, Any], write: Callable[[Path], Mapping[str, Any]]
    ) -> Artifact:
        """The artifact of `key`: found in the store, or made by `write(part)`, whose return value joins its manifest.

        `part` may hold files of a killed writer. After an error in `write`, `part` stays for the next attempt. A
        writer that resumes earlier attempts returns their cost (`nait.store.attempts`); the manifest has the sum.
        Every file is on the disk before the artifact has its name.
        """
        found = self.find(kind, key)
        if found:
            return found
        folder = self.folder(kind, key)
        with self._writing(folder) as (part, complete):
            found = self._or_set_aside(folder)
            if found:
                return found
            part.mkdir(exist_ok=True)
            started, since = time.monotonic(), gauge().joules()
            processes = processes_from(os.environ)
            with spared_work() as spared:
                facts = with_spared(write(part), spared)
            seconds = time.monotonic() - started + float(facts.get("earlier_seconds", 0.0))
            about = {
                "kind": kind,
                "address": folder.name,
                "key": canonical(key),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "seconds": round(seconds, 3),
                "energy_wh": _sum(gauge().watt_hours(since), facts.get("earlier_energy_wh", 0.0)),
                "energy_of": list(gauge().names),
                **({"processes": processes} if processes > 1 else {}),
                **facts,
            }
            manifest = complete(about)
        return Artifact(kind, folder.name, folder, manifest, fresh=True)

    def adopt(self, folder: Path) -> Artifact:
        """Move the artifact in `folder` (`.../<kind>/<address>`), which belongs to another store, into this store.

        If this store already has the artifact, its own is kept. Files that the folder lacks are listed as omitted.
        Raises: StoreError when the manifest belongs to another artifact, or a file differs from it.
        """
        made = read_artifact(folder)
        present = [name for name in made.manifest.get(FILES, ()) if (folder / name).is_file()]
        check_files(made, present)
        target = self.folder(made.kind, made.address)
        if self.find(made.kind, made.address) is None:
            with self._writing(target) as (part, complete):
                if self._or_set_aside(target) is None:
                    shutil.rmtree(part, ignore_errors=True)
                    shutil.move(folder, part)
                    complete(_with_omissions(made.manifest, present))
        return read_artifact(target)

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[Callable[[], None]]:
        """The lock of an artifact, and a check that it is still held (`locked`).

        Raises: StoreError when its file cannot be made, or the wait takes too long.
        """
        lock = locked(folder.with_name(folder.name + ".lock"), limit=self.wait_seconds)
        try:
            make_folder(folder.parent)
            check_held = lock.__enter__()
        except OSError as error:
            refused = write_error(error, fix=OTHER_FOLDER)
            if refused is None:
                refused = StoreError(f"cannot be written ({error})", where=str(folder.parent))
            raise refused from error
        try:
            yield check_held
        finally:
            lock.__exit__(None, None, None)

    @contextmanager
    def _writing(self, folder: Path) -> Iterator[tuple[Path, Complete]]:
        """The `.part` path of an artifact, with its lock held, and what completes the artifact.

        Raises: StoreError when it cannot be written, or another process has taken over the lock.
        """
        part = folder.with_name(folder.name + PART)
        with self._locked(folder) as check_held:

            def complete(about: Mapping[str, Any]) -> dict[str, Any]:
                check_held()
                manifest = seal(part, about)
                check_held()
                rename(part, folder)
                return manifest

            try:
                if folder.exists() and not (folder / MANIFEST).is_file():
                    shutil.rmtree(folder)  # a folder without a manifest is not an artifact
                yield part, complete
            except Exception as error:
                place = named_file(error) or part
                refused = (
                    write_error(error, fix=OTHER_FOLDER, folder=part)
                    if place.is_relative_to(self.root)
                    else None
                )
                if refused is None:
                    raise
                raise refused from error

    def artifacts(self, kind: str) -> list[Artifact]:
        """All complete artifacts of a kind, oldest first. Their files are compared with their manifests when read."""
        if self.read_only:
            check_plain_tree(self.root / kind)
        folders = sorted(path.parent for path in (self.root / kind).glob(f"*/{MANIFEST}"))
        found = [one for folder in folders if is_place(folder) and (one := self._listed(folder))]
        return sorted(found, key=lambda artifact: (artifact.manifest.get("created", ""), artifact.address))

    def _listed(self, folder: Path) -> Artifact | None:
        if self.read_only:
            check_plain_tree(folder)
        try:
            return read_artifact(folder)
        except DamagedError:
            if self.read_only:
                raise
            return self.find(folder.parent.name, folder.name)


def _undamaged(folder: Path) -> Artifact | None:
    """The artifact in `folder` with its files checked; None without a manifest. Raises: DamagedError."""
    if not (folder / MANIFEST).is_file():
        return None
    made = read_artifact(folder)
    check_files(made)
    return made


def _with_omissions(manifest: Mapping[str, Any], present: Sequence[str]) -> dict[str, Any]:
    """A manifest's entries for a copy that holds only these files."""
    omitted = sorted({*manifest.get(FILES, ())} - {*present} | {*manifest.get(OMITTED, ())})
    about = {name: value for name, value in manifest.items() if name not in (FILES, CHECKSUM, OMITTED)}
    return {**about, OMITTED: omitted} if omitted else about


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
