"""The chain of a run: every artifact that led to its result, checked, and recomputed in a scratch store."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nait.core.errors import StoreError
from nait.store.files.durable import PART
from nait.store.files.manifests import FILES, Artifact, check_files, read_artifact
from nait.store.upkeep.inventory import places, reachable

COMPUTED = ("directions", "scores", "selections")
"""Kinds that are computed from stored measurements, without a model."""


@dataclass(frozen=True)
class Chain:
    """The artifacts of a run, and what is wrong with them: one line for each that is damaged or absent."""

    artifacts: tuple[Artifact, ...]
    faults: tuple[str, ...]


def chain_of(root: Path, links: Mapping[str, str | None]) -> Chain:
    """The artifacts in a store that a run's links lead to. All their files are hashed."""
    made, faults = [], []
    for place in places(root):
        if place.state == "artifact":
            try:
                made.append(read_artifact(place.path))
            except StoreError as error:
                faults.append(str(error))
    names = {link: name for link, name in links.items() if name}
    present = {one.address for one in made}
    faults += [f"{link} {name}: is not in the store" for link, name in names.items() if name not in present]
    needed = reachable(made, names.values())
    artifacts = [one for one in made if one.address in needed]
    for one in artifacts:
        try:
            check_files(one)
        except StoreError as error:
            faults.append(str(error))
    return Chain(tuple(artifacts), tuple(faults))


@contextmanager
def scratch_store(root: Path, artifacts: Sequence[Artifact]) -> Iterator[Path]:
    """A store with these artifacts within the block, as links to their files where the file system has links."""
    with tempfile.TemporaryDirectory(dir=root, prefix="verify-", suffix=PART) as folder:
        scratch = Path(folder)
        for one in artifacts:
            shutil.copytree(one.path, scratch / one.kind / one.address, copy_function=_link)
        yield scratch


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def differences(artifacts: Sequence[Artifact], scratch: Path) -> list[str]:
    """One line for each artifact whose recomputed files differ, or that was not recomputed.

    Artifacts without files are records of checks, of which some hold times: they are not compared.
    """
    found = []
    for one in artifacts:
        if not one.manifest.get(FILES):
            continue
        place = scratch / one.kind / one.address
        try:
            again = read_artifact(place).manifest.get(FILES, {})
        except StoreError:
            found.append(f"{one.path}: is not what its run computes now")
            continue
        known = one.manifest.get(FILES, {})
        changed = sorted(name for name in {*known, *again} if known.get(name) != again.get(name))
        found += [f"{one.path / name}: differs when it is recomputed" for name in changed]
    return found


def recompute(
    root: Path, chain: Chain, run: Callable[[Path], None], *, kinds: Collection[str] | None
) -> list[str]:
    """Recompute a chain's artifacts of these kinds, or all of them, by `run(store)`. Returns the differences."""
    again = [one for one in chain.artifacts if kinds is None or one.kind in kinds]
    kept = [one for one in chain.artifacts if one not in again]
    with scratch_store(root, kept) as scratch:
        run(scratch)
        return differences(again, scratch)
