"""Text about the size of a store: by kind, by run, and what no run needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nait.core.errors import StoreError
from nait.store.files.manifests import Artifact, read_artifact
from nait.store.upkeep.inventory import RUNS, StoredPlace, linked, orphans, places, reachable, sizes

EMPTY = "The store is empty."
RESULTS = ("scores", "selections", "adapters")
"""Kinds that commands on a run's folder read."""


def by_kind(root: Path) -> str:
    """One line per kind and state: number and bytes. Raises: StoreError without a store."""
    return _table(_places(root)) or EMPTY


def orphans_by_kind(root: Path) -> str:
    """The same of artifacts that no recorded run needs.

    Raises: StoreError without a store or for a damaged manifest.
    """
    _places(root)
    found = orphans(root)
    return (
        "\n".join([_table(found), *loss(found)]) if found else "Every artifact is needed by a recorded run."
    )


def loss(found: Sequence[StoredPlace]) -> list[str]:
    """A line on what the removal of results breaks: jobs that did not end have no record in the store."""
    kinds = {one.kind for one in found if one.state == "artifact"}
    results = ", ".join(kind for kind in RESULTS if kind in kinds)
    if not results:
        return []
    return [
        f"The {results} are of jobs that did not end, or of an earlier version and without an evaluation. "
        "Without them, nait explain, nait verify and nait publish refuse the folders of these jobs."
    ]


def by_run(root: Path) -> str:
    """One line per run: its address, all that it needs, what no other run needs, and its name.

    Raises: StoreError without a store or for a damaged manifest.
    """
    found = [one for one in _places(root) if one.state == "artifact"]
    made = [*(read_artifact(one.path) for one in found), *linked(root)]
    size = Counter({one.path.name: 0 for one in found})
    for one in found:
        size[one.path.name] += one.size
    needs = {one.address: reachable(made, [one.address]) for one in made if one.kind in RUNS}
    users = Counter(name for names in needs.values() for name in names)
    lines = [
        f"{one.address[:8]}  {_megabytes(sum(size[name] for name in needs[one.address]))}  "
        f"{_megabytes(sum(size[name] for name in needs[one.address] if users[name] == 1))}  {_name(one)}"
        for one in sorted(made, key=lambda one: str(one.manifest.get("created")))
        if one.kind in RUNS
    ]
    heading = f"{'run':<8}  {'needs':>15}  {'alone':>15}  selector target budget seed"
    return "\n".join([heading, *lines]) if lines else "There is no run in the store."


def _name(run: Artifact) -> str:
    """What a run is of, from its labels."""
    labels = run.manifest.get("labels") or {}
    return " ".join(str(labels.get(key, "-")) for key in ("selector", "target", "budget", "seed"))


def _places(root: Path) -> list[StoredPlace]:
    if not root.is_dir():
        raise StoreError("there is no such store", where=str(root), fix="Give the folder of paths.store.")
    return places(root)


def _table(found: Sequence[StoredPlace]) -> str:
    rows = sorted(sizes(found).items())
    return "\n".join(
        f"{kind:<16}{count:>8,}  {_megabytes(size)}{'' if state == 'artifact' else f'  {state}'}"
        for (kind, state), (count, size) in rows
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:>12,.1f} MB"
