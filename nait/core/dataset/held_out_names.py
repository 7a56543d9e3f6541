"""The names of the benchmarks that are made from a target's held-out rows."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nait.core.errors import ConfigError

HELD_OUT, CHOICES, ENDED = "heldout_", "_choices", "_ended"
"""The beginning of the name of such a task; the end of that of a multiple-choice task, and of one that asks whether
greedy decoding gives an answer and then ends."""
_UNUSUAL = re.compile(r"[^\w.-]")


def held_out_task(target: str) -> str:
    """The task of a target's held-out rows. Characters that a task's name does not have become `_`."""
    return f"{HELD_OUT}{_UNUSUAL.sub('_', target)}"


def check_held_out_names(targets: Iterable[str]) -> None:
    """Raises: ConfigError for two targets whose held-out rows may be tasks of one name."""
    owners: dict[str, str] = {}
    for target in targets:
        for end in ("", CHOICES, ENDED):
            task = f"{held_out_task(target)}{end}"
            if other := owners.get(task):
                raise ConfigError(
                    f"the held-out rows of '{other}' and of '{target}' may both be the benchmark {task}",
                    where="target",
                    fix="Rename one of the two.",
                )
            owners[task] = target
