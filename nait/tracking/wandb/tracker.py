"""The Weights & Biases tracker. The only importer of wandb.

W&B never stops a run: without an API key or a network it logs offline, without a writable folder not at all, and
every call is guarded. Each run uses its own object, not wandb's global one, so that two runs in one process stay
separate.
"""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from nait.core.contracts import Files
from nait.core.errors import NaitError
from nait.core.inputs.checks import check_choice
from nait.store.jsonable import plain
from nait.tracking.guard import Guard, without_secrets
from nait.tracking.histograms import histogram
from nait.tracking.sigterm import Termination
from nait.tracking.wandb.directories import check_writable, staged_in

log = logging.getLogger(__name__)

Mode = Literal["offline", "online", "disabled"]
MODES = ("offline", "online", "disabled")
# W&B rejects a run with longer tags or names.
TAG_CHARS = 64
NAME_CHARS = 128


class WandbTracker:
    """A W&B run in `folder`/wandb. `group`, if given, replaces the run's group; `tags` are added to the run's tags.

    `mode=online` falls back to offline without an API key, or after `init_timeout` seconds without a server.
    """

    def __init__(
        self,
        folder: str | Path,
        mode: Mode = "offline",
        project: str = "nait",
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        init_timeout: float = 20.0,
        finish_timeout: float = 120.0,
    ) -> None:
        check_choice("tracking.mode", mode, MODES)
        self.folder = Path(folder)
        self.mode = mode
        self.project = str(project)  # a name may look like a number
        self.entity = None if entity is None else str(entity)
        self.group = None if group is None else str(group)
        self.tags = tuple(map(str, [tags] if isinstance(tags, str) else tags))
        self.init_timeout = init_timeout
        self.finish_timeout = finish_timeout
        self._run: Any = None
        self._axes: set[str] = set()
        self._guard = Guard("W&B")
        self._termination = Termination()

    def start(self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str]) -> None:
        """Begin a run; offline if the server cannot be reached."""
        self.finish(failed=True)  # a run that a failed job did not finish
        self._guard = Guard("W&B")
        self._axes = set()
        if self.mode == "disabled":
            return
        with self._guard:
            check_writable(self.folder)
            about = {
                "name": name,
                "config": plain(config),
                "group": str(self.group or group)[:NAME_CHARS] or None,
                "tags": list(dict.fromkeys(str(tag)[:TAG_CHARS] for tag in [*tags, *self.tags] if tag)),
            }
            self._run = self._begin(about)
            self._termination.install()

    def _begin(self, about: Mapping[str, Any]) -> Any:
        if self.mode == "online":
            try:
                _log_in()
                run = self._init("online", about)
                log.info("W&B run: %s", run.url)
                return run
            except Exception as error:  # noqa: BLE001 - the offline run can be sent later, whatever the error
                log.warning(
                    "W&B cannot be reached; this run is logged offline. %s", without_secrets(str(error))
                )
        run = self._init("offline", about)
        log.info("W&B run, offline; send it with: wandb sync %s", shlex.quote(str(Path(run.dir).parent)))
        return run

    def _init(self, mode: Literal["online", "offline"], about: Mapping[str, Any]) -> Any:
        import wandb

        settings = wandb.Settings(
            init_timeout=self.init_timeout,
            finish_timeout=self.finish_timeout,
            x_transaction_log_flush_interval=0.2,  # a killed run loses at most this; 15 s by default
            console="off",
            silent=True,
            save_code=False,
            disable_code=True,
            disable_git=True,  # the config has versions and git state
            x_save_requirements=False,
        )
        return wandb.init(
            mode=mode,
            dir=str(self.folder),
            project=self.project,
            entity=self.entity,
            reinit="create_new",
            settings=settings,
            **about,
        )

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:
        """Log `phase/NAME` over `phase/step`. Each phase has its own step axis."""
        if self._run is None:
            return
        with self._guard:
            values = {f"{phase}/{key}": value for key, value in metrics.items()}
            if step is not None:
                self._axis(phase)
                values[f"{phase}/step"] = step
            self._run.log(values)

    def _axis(self, phase: str) -> None:
        if phase not in self._axes:
            self._run.define_metric(f"{phase}/step", hidden=True)
            self._run.define_metric(f"{phase}/*", step_metric=f"{phase}/step")
            self._axes.add(phase)

    def summary(self, values: Mapping[str, Any]) -> None:
        """Add final values to the run's summary."""
        if self._run is None:
            return
        with self._guard:
            self._run.summary.update(plain(values))

    def histogram(self, name: str, values: npt.NDArray[Any]) -> None:
        """Log a histogram of the finite values."""
        if self._run is None:
            return
        with self._guard:
            import wandb

            counts, edges, _ = histogram(values)
            self._run.log({name: wandb.Histogram(np_histogram=(counts, edges))})

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Log a table."""
        if self._run is None:
            return
        with self._guard:
            import wandb

            cells = [[plain(cell) for cell in row] for row in rows]
            table = wandb.Table(columns=list(columns), data=cells, allow_mixed_types=True)
            with staged_in(self.folder / "wandb"):
                self._run.log({name: table})

    def page(self, name: str, path: Path) -> None:
        """Log an HTML page, unchanged."""
        if self._run is None:
            return
        with self._guard:
            import wandb

            with staged_in(self.folder / "wandb"):
                self._run.log({name: wandb.Html(path.read_text(encoding="utf-8"), inject=False)})

    def artifact(self, name: str, kind: str, files: Files, metadata: Mapping[str, Any]) -> None:
        """Record files as a W&B artifact. They are not copied, since files of the store never change."""
        if self._run is None:
            return
        with self._guard:
            import wandb

            place = re.sub(r"[^\w.-]+", "_", name)[:NAME_CHARS]
            artifact = wandb.Artifact(place, type=kind, metadata=plain(metadata))
            placed = files if isinstance(files, Mapping) else {file.name: file for file in files}
            for spot, file in placed.items():
                artifact.add_file(str(file), name=spot, policy="immutable")
            self._run.log_artifact(artifact)

    def finish(self, *, failed: bool = False) -> None:
        """End the run and restore the previous SIGTERM handler."""
        run, self._run = self._run, None
        if run is None:
            return
        with self._guard:
            self._termination.restore()
            run.finish(exit_code=int(failed))


def _log_in() -> None:
    """Log in with the stored API key. Raises: PermissionError without one; `wandb.init` would prompt and block."""
    import wandb

    wandb.setup(wandb.Settings(silent=True))  # otherwise login asks the server for the user's name
    if not wandb.login(prompt=False, verify=False):
        raise PermissionError("There is no API key: run `wandb login`, or set WANDB_API_KEY")


@contextmanager
def public_api(project: str) -> Iterator[Any]:
    """W&B's public API for reading ENTITY/PROJECT. W&B's errors inside the context become NaitError."""
    if not re.fullmatch(r"[^/\s]+/[^/\s]+", project):
        raise NaitError("this is not a W&B project", where=project, fix="Write it as ENTITY/PROJECT.")
    try:
        import requests
        import wandb
        from wandb.sdk.lib.service.service_connection import WandbApiFailedError
    except ImportError as error:
        raise NaitError(f"W&B is not installed ({error})", where=project, fix="pip install wandb") from error
    # The API raises ValueError for a project that does not exist.
    refused = (wandb.Error, WandbApiFailedError, requests.RequestException, TimeoutError, ValueError)
    try:
        _log_in()
        yield wandb.Api()
    except PermissionError as error:
        raise NaitError(str(error), where=project) from error
    except refused as error:
        raise NaitError(
            f"W&B refuses the request ({without_secrets(str(error))})",
            where=project,
            fix="Check the project's name, the API key's permissions and the network.",
        ) from error
