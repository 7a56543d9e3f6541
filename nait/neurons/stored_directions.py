"""Stored directions: open, list, resolve and publish them, without their reference rows."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.core.addresses import address
from nait.core.dataset.examples import Target, chosen_names
from nait.core.errors import ConfigError, DataError, StoreError, did_you_mean
from nait.core.inputs.paths import at_home
from nait.core.inputs.shapes import fault, listed, real, record, text, whole
from nait.neurons.directions import Directions
from nait.store import MANIFEST, Artifact, Store, read_copy
from nait.store.files.links import check_plain

ARRAYS = "arrays.safetensors"
READING = record({"site": text, "feature": text})
SHAPE = record(
    {
        "address": text, "key": record({"kind": text, "reading": READING}), "target": text, "rows": whole,
        "model": text, "first_layer": whole, "sign_margin": listed(real),
    },
    created=text,
)  # fmt: skip
"""The shape of the manifest of directions, which may come from elsewhere."""


def open_directions(folder: str | Path) -> tuple[Mapping[str, Any], Directions]:
    """The manifest and the directions in an artifact's folder or a published copy of it.

    Raises: DataError if a file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = at_home(folder)
    for name in (MANIFEST, ARRAYS):
        if not (path / name).is_file():
            near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise DataError(f"there is no {name}", where=str(folder), fix=did_you_mean(path.name, near))
        check_plain(path / name)
    try:
        return _described(read_copy(path), path), Directions.of(load_file(path / ARRAYS))
    except (StoreError, SafetensorError, KeyError) as error:
        what = (
            f"{Path(error.where).name} {error.what}"
            if isinstance(error, StoreError)
            else f"{ARRAYS}: {error}"
        )
        raise DataError(
            f"the directions are damaged ({what})",
            where=str(folder),
            fix="Compute it again from the reference rows.",
        ) from error


def read_directions(
    paths: Mapping[str, str], capabilities: str | Sequence[str] | None = None
) -> list[Target]:
    """One target per folder of directions, for `target=directions`; `capabilities` chooses among the names."""
    if not isinstance(paths, Mapping) or not paths:
        raise ConfigError(
            "no folder is given", where="target.paths", fix="Set 'target.paths={math: FOLDER}'."
        )
    named = {str(name): folder for name, folder in paths.items()}
    targets = []
    for name in chosen_names(capabilities, named):
        manifest, directions = open_directions(named[name])
        content = address({"manifest": manifest["key"], "given": manifest["address"]})
        targets.append(Target(name, (), content, derived=(manifest, directions)))
    return targets


def list_directions(store: Store) -> list[dict[str, Any]]:
    """One table row per directions artifact in the store."""
    return [
        {
            "address": artifact.address,
            "target": artifact.manifest["target"],
            "rows": artifact.manifest["rows"],
            "kind": artifact.manifest["key"]["kind"],
            "site": artifact.manifest["key"]["reading"]["site"],
            "feature": artifact.manifest["key"]["reading"]["feature"],
            "layers": len(artifact.manifest["sign_margin"]),
            "model": str(artifact.manifest["model"])[:8],
            "created": artifact.manifest["created"],
        }
        for artifact in store.artifacts("directions")
        if _described(artifact.manifest, artifact.path)
    ]


def publish(folder: str | Path, out: str | Path) -> Path:
    """The folder of a new copy of a directions artifact, which is validated first.

    Raises: DataError if `folder` holds no valid directions or `out` exists.
    """
    open_directions(folder)
    target = at_home(out)
    if target.exists():
        raise DataError("it exists already", where=str(out), fix="Name a new folder.")
    _copy(at_home(folder), target)
    return target


def adopt_directions(store: Store, folder: str | Path) -> Artifact:
    """The artifact of published directions, copied into the store under the address that they had.

    Raises: DataError if `folder` holds no valid directions; StoreError if their manifest belongs to other ones.
    """
    manifest, _ = open_directions(folder)
    with tempfile.TemporaryDirectory(prefix="nait-import-") as scratch:
        copy = Path(scratch) / "directions" / str(manifest["address"])
        _copy(at_home(folder), copy)
        return store.adopt(copy)


def _copy(folder: Path, target: Path) -> None:
    """Copy the files of directions, and nothing else that their folder may hold."""
    target.mkdir(parents=True)
    for name in (MANIFEST, ARRAYS):
        shutil.copyfile(folder / name, target / name)


def _described(manifest: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """The manifest. Raises: StoreError when it does not describe directions, such as one with a path as address."""
    wrong = fault(manifest, SHAPE)
    if not wrong and not re.fullmatch(r"[0-9a-f]{32}", str(manifest["address"])):
        wrong = "has no address of an artifact"
    if wrong:
        raise StoreError(wrong, where=str(folder / MANIFEST))
    return manifest


def resolve(store: Store, name: str) -> Path:
    """The folder of a directions artifact, from a path or the first characters of an address.

    Raises: DataError unless exactly one artifact matches.
    """
    path = at_home(name)
    if (path / MANIFEST).is_file():
        return path
    found = [
        a.path
        for a in store.artifacts("directions")
        if re.fullmatch(r"[0-9a-f]+", name) and a.address.startswith(name)
    ]
    if len(found) == 1:
        return found[0]
    known = [a.address[:8] for a in store.artifacts("directions")]
    raise DataError(
        f"{len(found)} directions begin with '{name}'",
        where=str(store.root),
        fix=f"Known: {', '.join(known) or 'none'}.",
    )
