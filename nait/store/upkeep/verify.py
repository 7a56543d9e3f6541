"""Verification of a store: each artifact's manifest and files, without a change to any of them."""

from __future__ import annotations

from pathlib import Path

from nait.core.errors import StoreError
from nait.store.files.checksums import damage
from nait.store.files.manifests import FILES, read_artifact
from nait.store.upkeep.inventory import places


def verify(root: Path, *, deep: bool = False) -> tuple[int, int, list[str]]:
    """The number of artifacts, the number without checksums, and one line for each damaged artifact.

    The manifests and the sizes of all files are compared; with `deep`, also the SHA-256 of every file.
    """
    count, unchecked, found = 0, 0, []
    for place in places(root):
        if place.state != "artifact":
            continue
        count += 1
        try:
            sums = read_artifact(place.path).manifest.get(FILES)
            unchecked += sums is None
            fault = damage(place.path, sums or {}, hashed=deep)
        except (StoreError, OSError) as error:
            found.append(str(error))
        else:
            found += [f"{fault[0]}: {fault[1]}"] if fault else []
    return count, unchecked, found
