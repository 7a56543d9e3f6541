"""Ranks: the processes of one command, as numbered by their launcher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Workers:
    """Rank and world size of the processes that share a run's passes.

    `local` is the rank on this machine, None without a launcher; `local_count` processes run on this machine.
    """

    rank: int = 0
    count: int = 1
    local: int | None = None
    local_count: int = 1


SINGLE_PROCESS = Workers()
"""A run without a launcher."""
WAIT_SECONDS = 0.05
"""The polling interval while another process computes a chunk."""

PROCESSES = "NAIT_PROCESSES"
"""The variable with the number of the command's processes while the launcher's variables are hidden."""


def processes_from(environment: Mapping[str, str]) -> int:
    """The number of processes of this command, also while the launcher's variables are hidden."""
    return int(environment.get(PROCESSES) or workers_from(environment).count)


def workers_from(environment: Mapping[str, str]) -> Workers:
    """Rank and world size from torchrun-style environment variables; rank 0 of 1 without them."""
    count = int(environment.get("WORLD_SIZE", 1))
    local = int(environment["LOCAL_RANK"]) if count > 1 and "LOCAL_RANK" in environment else None
    local_count = int(environment.get("LOCAL_WORLD_SIZE", count))
    return Workers(int(environment.get("RANK", 0)), count, local, local_count)
