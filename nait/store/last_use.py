"""The time at which an artifact was last used, kept beside its manifest.

A record that is found in the store again is as current as a new one: settings that were changed and then changed back
give the record of the first run, made before the record of the second.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime

from nait.store.files.manifests import Artifact

USED = "used.json"


def mark_used(artifact: Artifact, at: datetime | None = None) -> None:
    """Record a use at this time (None: now), unless a later one is known. A read-only store stays as it is."""
    used = (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")
    with suppress(OSError):
        if (artifact.path / USED).is_file() and last_use(artifact) >= used:
            return
        part = artifact.path / f"{USED}.{os.getpid()}.part"  # jobs may use one record at the same time
        part.write_text(json.dumps({"used": used}), encoding="utf-8")
        part.replace(artifact.path / USED)


def last_use(artifact: Artifact) -> str:
    """The time of the last use in ISO 8601, UTC; of artifacts without a mark, the time at which they were made."""
    made = str(artifact.manifest.get("created", ""))
    try:
        used = str(json.loads((artifact.path / USED).read_text(encoding="utf-8"))["used"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return made
    return max(made, used)
