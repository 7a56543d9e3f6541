"""The lineage of a run for a tracker: what it used, and the artifacts that it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nait.core.contracts import Files
from nait.core.dataset.examples import Pool, Target
from nait.runs.job import Job
from nait.store import Artifact
from nait.tracking.bundles import OMITTED

MADE = {"selection": "selections", "adapter": "adapters", "evaluation": "evaluations"}
"""Link of a run, and name of its tracked artifact -> the kind in the store."""
DIRECTIONS = "directions"
SHOWN = 12
"""Characters of a fingerprint in a name."""


@dataclass(frozen=True)
class Tracked:
    """An artifact as a tracker records it. `used`: an input of the run, not its output."""

    name: str
    kind: str
    metadata: Mapping[str, Any]
    files: Files = field(default_factory=dict)
    used: bool = False
    aliases: tuple[str, ...] = ()


def lineage(job: Job, links: Mapping[str, str | None]) -> list[Tracked]:
    """Pool and references as inputs; directions, selection, adapter and evaluation as outputs, in this order.

    An output's name is that of its method and target. Its address and seed are aliases.
    """
    inputs = [_rows("pool", job.pool, job.recorded.resolved.get("data"))]
    inputs += [_rows("references", target, job.recorded.resolved.get("target")) for target in job.targets]
    found = [job.store.find(kind, str(links[link])) for link, kind in MADE.items() if links.get(link)]
    return [*inputs, *(_made(job, one) for one in [*_directions(job, links), *found] if one)]


def _rows(kind: str, rows: Pool | Target, config: Any) -> Tracked:
    """An input, with the file that the config names."""
    path = config.get("path") if isinstance(config, Mapping) else None
    file = Path(str(path)).expanduser() if isinstance(path, str) else None
    return Tracked(
        name=f"{kind}-{rows.name}-{rows.fingerprint[:SHOWN]}",
        kind=kind,
        metadata={"name": rows.name, "rows": len(rows), "fingerprint": rows.fingerprint},
        files={file.name: file.absolute()} if file and file.is_file() else {},
        used=True,
        aliases=(rows.fingerprint[:SHOWN],),
    )


def _directions(job: Job, links: Mapping[str, str | None]) -> Sequence[Artifact | None]:
    """The directions that the run's scores were computed with."""
    scores = job.store.find("scores", str(links["scores"])) if links.get("scores") else None
    parts = scores.manifest.get("derived", ()) if scores else ()
    return [job.store.find(kind, name) for kind, name in parts if kind == DIRECTIONS]


def _made(job: Job, made: Artifact) -> Tracked:
    kind = next((name for name, stored in MADE.items() if stored == made.kind), made.kind)
    labels = job.labels if kind == DIRECTIONS else job.tracked_labels  # directions are of the scores
    files = sorted(path for path in made.path.iterdir() if path.is_file() and path.name not in OMITTED)
    return Tracked(
        name="-".join(filter(None, (kind, str(labels["selector"]), str(labels["target"])))),
        kind=kind,
        metadata={**labels, "address": made.address, "seconds": made.seconds},
        files={file.name: file for file in files},
        aliases=(made.address, f"seed-{job.labels['seed']}"),
    )
