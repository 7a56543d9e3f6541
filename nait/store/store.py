"""The artifact store: one folder per artifact, each complete or absent.

An artifact's folder is `<root>/<kind>/<address>/`. It is written as `<address>.part`, with `manifest.json` last, and
renamed when complete. The next writer receives the `.part` folder of a killed run and may resume from its content.
Jobs may share a store: a file lock lets one of them write while the others wait, then read the result.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from nait.core.addresses import address, canonical
from nait.core.errors import StoreError
from nait.core.inputs.paths import at_home, named_file, write_error
from nait.store.energy import gauge
from nait.store.spared import spared_work, with_spared

MANIFEST = "manifest.json"
OTHER_FOLDER = "Set another folder: paths.store=FOLDER."
_KIND = re.compile(r"[a-z_]+")
_ADDRESS = re.compile(r"[0-9a-f]{32}")


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


class Store:
    """Artifacts by kind and address under one root folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(os.path.realpath(at_home(root)))  # `resolve` raises for circular links

    def folder(self, kind: str, key: Mapping[str, Any] | str) -> Path:
        """The folder of the artifact of this kind and key, whether it exists or not."""
        name = key if isinstance(key, str) else address(key)
        if not _KIND.fullmatch(kind) or not re.fullmatch(r"[0-9a-f]+", name):
            raise StoreError(f"'{kind}/{name}' is not the place of an artifact", where=str(self.root))
        return self.root / kind / name

    def find(self, kind: str, key: Mapping[str, Any] | str) -> Artifact | None:
        """The complete artifact, or None."""
        folder = self.folder(kind, key)
        return read_artifact(folder) if (folder / MANIFEST).is_file() else None

    def produce(
        self, kind: str, key: Mapping[str, Any], write: Callable[[Path], Mapping[str, Any]]
    ) -> Artifact:
        """The artifact of `key`: found in the store, or made by `write(part)`, whose return value joins its manifest.

        `part` may hold files of a killed writer. After an error in `write`, `part` stays for the next attempt. A
        writer that resumes earlier attempts returns their cost (`nait.store.attempts`); the manifest has the sum.
        """
        found = self.find(kind, key)
        if found:
            return found
        folder = self.folder(kind, key)
        with self._writing(folder) as part:
            found = self.find(kind, key)
            if found:
                return found
            started, since = time.monotonic(), gauge().joules()
            with spared_work() as spared:
                facts = with_spared(write(part), spared)
            seconds = time.monotonic() - started + float(facts.get("earlier_seconds", 0.0))
            manifest = {
                "kind": kind,
                "address": folder.name,
                "key": canonical(key),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "seconds": round(seconds, 3),
                "energy_wh": _sum(gauge().watt_hours(since), facts.get("earlier_energy_wh", 0.0)),
                "energy_of": list(gauge().names),
                **facts,
            }
            write_json(part / MANIFEST, manifest)
            part.replace(folder)
        return Artifact(kind, folder.name, folder, manifest, fresh=True)

    def adopt(self, folder: Path) -> Artifact:
        """Move the artifact in `folder` (`.../<kind>/<address>`), which belongs to another store, into this store.

        If this store already has the artifact, its own is kept. Raises: StoreError when the manifest belongs to
        another artifact.
        """
        made = read_artifact(folder)
        about = made.manifest if isinstance(made.manifest, Mapping) else {}
        place = (about.get("kind"), about.get("address"), address(about.get("key")))
        if place != (made.kind, made.address, made.address):
            raise StoreError(
                f"its manifest belongs to {place[0]}/{place[1]}, its key to {place[2]}", where=str(folder)
            )
        target = self.folder(made.kind, made.address)
        if self.find(made.kind, made.address) is None:
            with self._writing(target) as part:
                if self.find(made.kind, made.address) is None:
                    shutil.rmtree(part)
                    shutil.move(folder, part)
                    part.replace(target)
        return read_artifact(target)

    @contextmanager
    def _writing(self, folder: Path) -> Iterator[Path]:
        """The locked `.part` folder of an artifact. Raises: StoreError when it cannot be created."""
        part = folder.with_name(folder.name + ".part")
        lock = FileLock(folder.with_name(folder.name + ".lock"))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            refused = write_error(error, fix=OTHER_FOLDER)
            if refused is None:
                refused = StoreError(f"cannot be written ({error})", where=str(folder.parent))
            raise refused from error
        try:
            if folder.exists() and not (folder / MANIFEST).is_file():
                shutil.rmtree(folder)  # a folder without a manifest is not an artifact
            if not folder.exists():
                part.mkdir(exist_ok=True)
            yield part
        except Exception as error:
            place = named_file(error) or part
            refused = (
                write_error(error, fix=OTHER_FOLDER, folder=part) if place.is_relative_to(self.root) else None
            )
            if refused is None:
                raise
            raise refused from error
        finally:
            lock.release()

    def artifacts(self, kind: str) -> list[Artifact]:
        """All complete artifacts of a kind, oldest first."""
        folders = sorted((self.root / kind).glob(f"*/{MANIFEST}"))
        found = [read_artifact(path.parent) for path in folders if path.parent.suffix != ".part"]
        return sorted(found, key=lambda artifact: (artifact.manifest.get("created", ""), artifact.address))


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def read_artifact(folder: Path) -> Artifact:
    """The artifact in `folder`. Raises: StoreError when its manifest cannot be read."""
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or "key" not in manifest:
        path = folder / MANIFEST
        raise StoreError("is not an artifact's manifest", where=str(path), fix=repair_advice(path))
    return Artifact(kind=folder.parent.name, address=folder.name, path=folder, manifest=manifest)


def read_json(path: Path) -> Any:
    """The JSON of a file in the store. Raises: StoreError that names the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot be read ({error})", where=str(path), fix=repair_advice(path)) from error


def is_place(folder: Path) -> bool:
    """Whether a path has the form of an artifact's folder, `.../<kind>/<address>`."""
    return bool(_ADDRESS.fullmatch(folder.name) and _KIND.fullmatch(folder.parent.name))


def repair_advice(path: Path, otherwise: str = "Check the file, or restore it from its source.") -> str:
    """Advice for a damaged file or folder: the command that removes its artifact.

    `otherwise`: the advice for a file outside any artifact, such as a file of the user.
    """
    path = path.absolute()
    for folder in (path, *path.parents):
        if is_place(folder) and (folder / MANIFEST).is_file():
            command = f"{shlex.quote(sys.executable)} -m nait.store.discard {shlex.quote(str(folder))} --yes"
            return f"Run `{command}`, then the same command again: the artifact is made again."
    return otherwise


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: to a `.part` file, which is then renamed."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically: to a `.part` file, which is then renamed."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
