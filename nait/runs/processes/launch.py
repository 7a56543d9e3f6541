"""Several processes of one command, as torchrun starts them.

The main process, rank 0, writes the job's folder, trains and evaluates. Helper processes compute a share of the
selection's passes, through the store or as ranks of a tensor-parallel model, and write nothing else.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeGuard

from nait.core.contracts import Model, Splittable
from nait.core.errors import NaitError
from nait.core.ranks import PROCESSES, Workers, processes_from, workers_from
from nait.models.devices.leases import Devices
from nait.store import Artifact, Store

log = logging.getLogger("nait")

LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
WAIT_SECONDS = 0.5
AGENT = "TORCHELASTIC_RUN_ID"
"""A variable that torchrun sets: the parent is its agent, which watches the processes."""
_SIGNAL_AT_PARENTS_END = 1  # PR_SET_PDEATHSIG of Linux's prctl


@contextmanager
def helper_overrides(workers: Workers) -> Iterator[list[str]]:
    """Overrides that a process adds to its command: none for the main process.

    Helpers write to a temporary folder and log errors only, with their rank.
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
            f"hydra.job_logging.formatters.terminal.format='process {workers.rank}: %(message)s'",
        ]


def prepare_process(workers: Workers) -> None:
    """Divide the cores among the processes of a machine; helpers show no progress bars.

    Call it before torch is imported. An OMP_NUM_THREADS that is already set is kept. A process of torchrun ends with
    it: without its agent the processes would wait for each other for days, with the locks of what they write.
    """
    if AGENT in os.environ and sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_SIGNAL_AT_PARENTS_END, signal.SIGKILL)
    if workers.count > 1:
        threads = max(1, len(os.sched_getaffinity(0)) // workers.local_count)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if workers.rank:
        os.environ["TQDM_DISABLE"] = "1"


def devices_to_lease(model: Model, devices: Devices) -> Devices:
    """The GPUs of which a job leases one: none where the config names its device, or a launcher divides the GPUs."""
    alone = workers_from(os.environ).count == 1
    free = getattr(model, "device", None) in ("auto", "cuda") and not getattr(model, "device_map", None)
    return devices if alone and free else None


def is_tensor_parallel(model: Model) -> TypeGuard[Splittable]:
    """Whether a model is tensor-parallel: each process holds a shard of its weights."""
    return isinstance(model, Splittable) and model.tensor_parallel


@contextmanager
def dismissing_helpers(model: Model) -> Iterator[None]:
    """Shut down the helpers of a tensor-parallel model on exit.

    Raises: SystemExit after an unexpected failure: the helpers still wait in a collective call, so the launcher has
    to end them.
    """
    if not is_tensor_parallel(model):
        yield
        return
    try:
        yield
    except NaitError:
        model.dismiss()
        raise
    except Exception as error:
        log.exception("This process failed while the other processes wait for it: all of them end now.")
        raise SystemExit(1) from error
    model.dismiss()


@contextmanager
def without_launcher() -> Iterator[None]:
    """Hide the launcher's variables from libraries that would wait for all processes: only the main one is here."""
    known = os.environ.get(PROCESSES)
    processes = processes_from(os.environ)
    before = {name: os.environ.pop(name) for name in LAUNCHER if name in os.environ}
    os.environ[PROCESSES] = str(processes)
    try:
        yield
    finally:
        os.environ.update(before)
        if known is None:
            del os.environ[PROCESSES]


def main_process_store(store: Store) -> Store:
    """The store for artifacts that only the main process produces. In a helper it waits for them."""
    return _WaitingStore(store.root) if workers_from(os.environ).rank else store


class _WaitingStore(Store):
    """A store whose artifacts another process writes."""

    def produce(
        self,
        kind: str,
        key: Mapping[str, Any],
        write: Callable[[Path], Mapping[str, Any]],  # noqa: ARG002
    ) -> Artifact:
        """The artifact, once it is complete."""
        while (found := self.find(kind, key)) is None:
            time.sleep(WAIT_SECONDS)
        return found
