"""Workers: the processes of one command, as their launcher numbers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Workers:
    """The processes that share the passes of a run: this one's number, and how many they are.

    `local` is its number on its machine, None where the launcher gives none; `local_count` of them run there.
    """

    rank: int = 0
    count: int = 1
    local: int | None = None
    local_count: int = 1


ALONE = Workers()
WAIT_SECONDS = 0.05
"""Between two looks at what another process is making."""


def workers_of(environment: Mapping[str, str]) -> Workers:
    """The processes that torchrun, or who names them likewise, has started."""
    count = int(environment.get("WORLD_SIZE", 1))
    local = int(environment["LOCAL_RANK"]) if count > 1 and "LOCAL_RANK" in environment else None
    local_count = int(environment.get("LOCAL_WORLD_SIZE", count))
    return Workers(int(environment.get("RANK", 0)), count, local, local_count)
