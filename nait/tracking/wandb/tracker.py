"""Weights & Biases. The only importer of wandb.

Whatever W&B does or does not do, the run goes on: no key or no network means offline, an unwritable folder
means none, and every call is guarded. A run's own object is used, never wandb's global one, so that two runs
in one process cannot mix.
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
from nait.core.errors import ConfigError, NaitError, did_you_mean
from nait.tracking.guard import Guard, without_secrets
from nait.tracking.jsonable import histogram, plain
from nait.tracking.sigterm import Termination
from nait.tracking.wandb.directories import check_writable, staged_in

log = logging.getLogger(__name__)

Mode = Literal["offline", "online", "disabled"]
MODES = ("offline", "online", "disabled")
# W&B refuses longer ones, and with them the run.
TAG_CHARS = 64
NAME_CHARS = 128


class WandbTracker:
    """A W&B run in `folder`/wandb. `group`, where given, wins over the run's own; `tags` are added to its.

    `mode=online` without a key or a network goes on offline after at most `init_timeout` seconds.
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
        if mode not in MODES:
            raise ConfigError(f"'{mode}' is unknown", where="tracking.mode", mend=did_you_mean(mode, MODES))
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
        """Nothing; begins a run, offline where the server cannot be had."""
        self.finish(failed=True)  # a run that a failed job left open is not to take this one's records
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
            self._termination.take()

    def _begin(self, about: Mapping[str, Any]) -> Any:
        if self.mode == "online":
            try:
                _log_in()
                run = self._init("online", about)
                log.info("W&B run: %s", run.url)
                return run
            except Exception as error:  # noqa: BLE001 - whatever it is, the run can be sent later
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
            x_transaction_log_flush_interval=0.2,  # 15 s by default: what a killed run would lose
            console="off",
            silent=True,
            save_code=False,
            disable_code=True,
            disable_git=True,  # versions and git state stand in the config
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
        """Nothing; logs `phase/NAME` over `phase/step`, each phase on an axis of its own."""
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
        """Nothing; adds to what the run ends with."""
        if self._run is None:
            return
        with self._guard:
            self._run.summary.update(plain(values))

    def histogram(self, name: str, values: npt.NDArray[Any]) -> None:
        """Nothing; logs how the finite values are distributed."""
        if self._run is None:
            return
        with self._guard:
            import wandb

            counts, edges, _ = histogram(values)
            self._run.log({name: wandb.Histogram(np_histogram=(counts, edges))})

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Nothing; logs a table."""
        if self._run is None:
            return
        with self._guard:
            import wandb

            cells = [[plain(cell) for cell in row] for row in rows]
            table = wandb.Table(columns=list(columns), data=cells, allow_mixed_types=True)
            with staged_in(self.folder / "wandb"):
                self._run.log({name: table})

    def page(self, name: str, path: Path) -> None:
        """Nothing; shows an HTML page beside the charts, as it is."""
        if self._run is None:
            return
        with self._guard:
            import wandb

            with staged_in(self.folder / "wandb"):
                self._run.log({name: wandb.Html(path.read_text(encoding="utf-8"), inject=False)})

    def artifact(self, name: str, kind: str, files: Files, metadata: Mapping[str, Any]) -> None:
        """Nothing; records files as they are, without a copy of them: an artifact of ours never changes."""
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
        """Nothing; ends the run and gives SIGTERM back."""
        run, self._run = self._run, None
        if run is None:
            return
        with self._guard:
            self._termination.give_back()
            run.finish(exit_code=int(failed))


def _log_in() -> None:
    """Nothing. Raises: PermissionError without a key; `wandb.init` would ask for one and wait for ever."""
    import wandb

    wandb.setup(wandb.Settings(silent=True))  # or login asks the server whose key it is, for a greeting
    if not wandb.login(prompt=False, verify=False):
        raise PermissionError("There is no API key: run `wandb login`, or set WANDB_API_KEY")


@contextmanager
def asking(project: str) -> Iterator[Any]:
    """W&B's public API, to read ENTITY/PROJECT with. Raises: NaitError for all that W&B refuses meanwhile."""
    if not re.fullmatch(r"[^/\s]+/[^/\s]+", project):
        raise NaitError("this is not a W&B project", where=project, mend="Write it as ENTITY/PROJECT.")
    try:
        import requests
        import wandb
        from wandb.sdk.lib.service.service_connection import WandbApiFailedError
    except ImportError as error:
        raise NaitError(f"W&B is not installed ({error})", where=project, mend="pip install wandb") from error
    # ValueError: what the API says of a project that is not there.
    refused = (wandb.Error, WandbApiFailedError, requests.RequestException, TimeoutError, ValueError)
    try:
        _log_in()
        yield wandb.Api()
    except PermissionError as error:
        raise NaitError(str(error), where=project) from error
    except refused as error:
        raise NaitError(
            f"W&B gives nothing ({without_secrets(str(error))})",
            where=project,
            mend="Check the name, the key's rights and the network.",
        ) from error
