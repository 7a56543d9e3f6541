"""Processes: what each of several that run one command does of it.

The first is the run: it writes the job's folder, trains and evaluates. The others take part in the passes of the
selection, through the store or as parts of a split model, and leave nothing else.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeGuard

from nait.core.contracts import Model, Splittable
from nait.core.errors import NaitError
from nait.core.ranks import Workers, workers_from
from nait.store import Artifact, Store

log = logging.getLogger("nait")

LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
WAIT_SECONDS = 0.5


@contextmanager
def overrides(workers: Workers) -> Iterator[list[str]]:
    """What a process adds to its command: nothing for the first; for others a folder that goes, and silence.

    Only errors are said, with the process's number.
    """
    if workers.rank == 0:
        yield []
        return
    with TemporaryDirectory(prefix="nait-helper-") as folder:
        yield [
            f"hydra.run.dir={folder}",
            f"hydra.sweep.dir={folder}",
            "hydra.output_subdir=null",
            "~hydra.callbacks.sweep",
            "hydra.hydra_logging.root.level=ERROR",
            "hydra.job_logging.root.handlers=[console]",
            "+hydra.job_logging.handlers.console.level=ERROR",
            f"hydra.job_logging.formatters.simple.format='process {workers.rank}: %(message)s'",
        ]


def settle(workers: Workers) -> None:
    """Nothing; before torch is imported, a machine's cores are divided among its processes, and one shows bars.

    A launcher's or the user's OMP_NUM_THREADS stands.
    """
    if workers.count > 1:
        threads = max(1, len(os.sched_getaffinity(0)) // workers.local_count)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if workers.rank:
        os.environ["TQDM_DISABLE"] = "1"


def splits(model: Model) -> TypeGuard[Splittable]:
    """Whether a model is one that all processes hold a part of."""
    return isinstance(model, Splittable) and model.tensor_parallel


@contextmanager
def companions(model: Model) -> Iterator[None]:
    """The other processes of a split model are let go when this one has done.

    Raises: SystemExit where it failed in the midst of a call, whose end the others wait for: the launcher ends them.
    """
    if not splits(model):
        yield
        return
    try:
        yield
    except NaitError:
        model.dismiss()
        raise
    except Exception as error:
        log.exception("The other processes wait for this one: all end here.")
        raise SystemExit(1) from error
    model.dismiss()


@contextmanager
def alone() -> Iterator[None]:
    """Hides the launcher from libraries that would wait for all its processes: only one trains and evaluates."""
    before = {name: os.environ.pop(name) for name in LAUNCHER if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


def of_the_first(store: Store) -> Store:
    """The store for what the first process alone makes: itself there, elsewhere one that waits."""
    return _Waiting(store.root) if workers_from(os.environ).rank else store


class _Waiting(Store):
    """A store in which another process writes."""

    def produce(
        self,
        kind: str,
        key: Mapping[str, Any],
        write: Callable[[Path], Mapping[str, Any]],  # noqa: ARG002
    ) -> Artifact:
        """The artifact, as soon as it is there."""
        while (found := self.find(kind, key)) is None:
            time.sleep(WAIT_SECONDS)
        return found
