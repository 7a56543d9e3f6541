"""The Weights & Biases tracker.

W&B never stops a run: without an API key or a network it logs offline, without a writable folder not at all, and
every call is guarded. Each run uses its own object, not wandb's global one, so that two runs in one process stay
separate.
"""

from __future__ import annotations

import logging
import math
import secrets
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from nait.core.contracts import Files
from nait.core.inputs.checks import check_choice
from nait.core.inputs.secrets import masked_arguments
from nait.store.jsonable import plain
from nait.tracking.guard import Guard, without_secrets
from nait.tracking.histograms import histogram
from nait.tracking.sigterm import Termination
from nait.tracking.wandb.api import log_in
from nait.tracking.wandb.artifacts import NAME_CHARS, artifact_of, label, use
from nait.tracking.wandb.directories import check_writable, staged_in
from nait.tracking.wandb.run_data import last_steps, without_targets

log = logging.getLogger(__name__)

Mode = Literal["offline", "online", "disabled"]
MODES = ("offline", "online", "disabled")
TAG_CHARS = 64
"""W&B rejects a run with longer tags."""


class WandbTracker:
    """A W&B run in `folder`/wandb. `group`, if given, replaces the run's group; `tags` are added to the run's tags.

    Files of artifacts above `reference_mb` are recorded by their path. `targets`: the config keeps the names of our
    classes (`_target_`).

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
        reference_mb: float = 10.0,
        targets: bool = False,
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
        self.reference_mb = reference_mb
        self.targets = targets
        self._run: Any = None
        self._axes: set[str] = set()
        self._known: Mapping[str, float] = {}
        self._guard = Guard("W&B")
        self._termination = Termination()

    def start(
        self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str], kind: str = "", key: str = ""
    ) -> None:  # fmt: skip
        """Begin a run, or resume the run of an earlier job with this key; offline if the server cannot be reached."""
        self.finish(failed=True)  # a run that a failed job did not finish
        self._guard = Guard("W&B")
        self._axes, self._known = set(), {}
        if self.mode == "disabled":
            return
        with self._guard:
            check_writable(self.folder)
            about = {
                "name": name,
                "config": plain(config if self.targets else without_targets(config)),
                "group": str(self.group or group)[:NAME_CHARS] or None,
                "tags": list(dict.fromkeys(str(tag)[:TAG_CHARS] for tag in [*tags, *self.tags] if tag)),
                "job_type": kind or None,
                **({"id": key, "resume": "allow"} if key else {}),
            }
            self._run = self._begin(about)
            self._known = last_steps(self._run) if self._run.resumed else {}
            self._termination.install()

    def _begin(self, about: Mapping[str, Any]) -> Any:
        if self.mode == "online":
            try:
                log_in()
                run = self._init_online(about)
                log.info("W&B run: %s", run.url)
                return run
            except Exception as error:  # noqa: BLE001 - the offline run can be sent later, whatever the error
                log.warning(
                    "W&B cannot be reached; this run is logged offline. %s", without_secrets(str(error))
                )
        return self._init_offline(about)

    def _init_offline(self, about: Mapping[str, Any]) -> Any:
        """An offline run. After an attempt that timed out the client still holds its id: the run then has another."""
        try:
            return self._init("offline", about)
        except Exception as error:
            if "in use" not in str(error) or "id" not in about:
                raise
            return self._init("offline", with_another_id(about))

    def _init_online(self, about: Mapping[str, Any]) -> Any:
        """An online run. W&B refuses the id of a run that was deleted: the run then has another id."""
        try:
            return self._init("online", about)
        except Exception as error:
            if "deleted" not in str(error) or "id" not in about:
                raise
            log.info("The W&B run of this job was deleted: a new one is made.")
            return self._init("online", with_another_id(about))

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
        with masked_arguments():  # W&B records the command line
            run = wandb.init(
                mode=mode,
                dir=str(self.folder),
                project=self.project,
                entity=self.entity,
                reinit="create_new",
                settings=settings,
                **about,
            )
        # W&B's hooks report each import of a large library, and raise there if W&B's process has ended.
        if without_hooks := getattr(run, "_unregister_telemetry_import_hooks", None):
            without_hooks(run.id)
        return run

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:
        """Log `phase/NAME` over `phase/step`. Each phase has its own step axis.

        Steps that a resumed run has already are left out.
        """
        if self._run is None or (step is not None and step <= self._known.get(phase, -math.inf)):
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

    def artifact(
        self, name: str, kind: str, files: Files, metadata: Mapping[str, Any], *, used: bool = False,
        aliases: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Record files as a W&B artifact that the run used or made.

        Files are not copied, since files of the store never change. Those above `reference_mb` are not uploaded:
        the artifact has their paths.
        """
        if self._run is None:
            return
        with self._guard:
            placed = files if isinstance(files, Mapping) else {file.name: file for file in files}
            made = artifact_of(name, kind, placed, plain(metadata), largest=self.reference_mb * 1e6)
            names = [label(alias) for alias in aliases]
            if used:
                use(self._run, made, names)
            else:
                self._run.log_artifact(made, aliases=["latest", *names])

    def finish(self, *, failed: bool = False) -> None:
        """End the run and restore the previous SIGTERM handler."""
        run, self._run = self._run, None
        if run is None:
            return
        with self._guard:
            self._termination.restore()
            run.finish(exit_code=int(failed))
            if run.offline:
                place = Path(run.dir).parent
                looked, sent = (shlex.quote(str(path)) for path in (place.parent, place))
                log.info(
                    "W&B, offline. To look at it: wandb leet %s  To send it: wandb sync %s", looked, sent
                )


def with_another_id(about: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a run with an id of its own."""
    return {**about, "id": f"{about['id']}-{secrets.token_hex(4)}"}
