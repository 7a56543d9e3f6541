"""The beginning and the end of a sweep: its minimum detectable difference, its display, and its leaderboard."""

from __future__ import annotations

import copy
import json
import logging
import math
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nait.cli.config.log_lines import SAID
from nait.cli.config.plain_config import build
from nait.cli.config.saved_config import mask_saved
from nait.cli.display import PLAN, Display, JobFiles
from nait.core.errors import NaitError, first_line
from nait.core.estimates.human_units import counted, human_seconds
from nait.core.inputs.paths import write_error
from nait.core.inputs.secrets import masked
from nait.core.inputs.visible_text import visible
from nait.runs.records.interrupted_runs import RUN, settle

log = logging.getLogger("nait")

SHOWN_JOBS = 12
"""The most jobs that are named for one error."""


class Sweep(Callback):  # type: ignore[misc]
    """Hydra callback of a multirun: the progress of its jobs, and one leaderboard at the end."""

    def __init__(self) -> None:
        self.display: Display | None = None
        self.files: JobFiles | None = None
        self.jobs = self.serial_jobs = 0
        self.started = 0.0
        self.said: tempfile.TemporaryDirectory[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """State pickled for a job's process, which shows no progress: without the display and its thread."""
        return {"display": None, "files": None, "jobs": 0, "serial_jobs": 0, "started": 0.0, "said": None}

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Note the files that are in the folder already, and log the sweep's minimum detectable difference."""
        sweep = OmegaConf.to_container(config.hydra.sweep, resolve=False)
        assert isinstance(sweep, dict)
        depth = str(sweep["subdir"]).strip("/").count("/") + 1
        self.files = JobFiles.at_start(Path(config.hydra.sweep.dir), depth=depth)
        try:
            OmegaConf.to_container(config.hydra.sweeper, resolve=True)
        except OmegaConfBaseException:
            return  # the sweeper raises the same error next, and that one is shown
        if not config.plan and (sentence := _detectable(config)):
            log.info("%s", sentence)

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        """Mask secrets in the config files that Hydra has just saved, and log which job of the sweep begins."""
        mask_saved(config)
        if self.serial_jobs > 1:
            seconds = time.monotonic() - self.started
            log.info("%s", progress(int(config.hydra.job.num), self.serial_jobs, seconds))

    def on_job_end(self, config: DictConfig, job_return: Any, **_: Any) -> None:  # noqa: ARG002
        """Release a job's configs, which Hydra would keep for each job until the sweep ends: 0.9 MB a job.

        An error that another process could not read becomes its text: it would end all jobs side by side.
        """
        job_return.cfg = job_return.hydra_cfg = None
        if job_return.status == JobStatus.FAILED:
            job_return.return_value = portable(job_return._return_value)

    def on_jobs_known(self, config: DictConfig, jobs: int) -> None:
        """Prepare to show the jobs' progress. Our sweeper calls it, not Hydra.

        Jobs that run one after the other log a line each; parallel jobs, whose bars would collide, get one display.
        """
        self.jobs = jobs
        if str(config.hydra.launcher._target_).endswith("BasicLauncher"):
            self.serial_jobs, self.started = jobs, time.monotonic()
            return
        os.environ["TQDM_DISABLE"] = "1"  # the jobs' processes inherit it
        if str(config.hydra.launcher._target_).endswith("JoblibLauncher"):
            self.said = tempfile.TemporaryDirectory(prefix="nait-", ignore_cleanup_errors=True)
            os.environ[SAID] = self.said.name
        self.display = Display(self._files(config), jobs=jobs)
        self.display.start()

    def _files(self, config: DictConfig) -> JobFiles:
        """The files of the sweep's jobs."""
        return self.files or JobFiles(Path(config.hydra.sweep.dir))

    def on_multirun_end(
        self, config: DictConfig, *, failures: Sequence[tuple[str, Exception]] = (), **_: Any
    ) -> None:
        """Print the leaderboard of all jobs, and which failed. Exits on an error, which Hydra would ignore.

        `failures`: the failed jobs and their errors, from our sweeper.
        """
        if self.display:
            self.display.stop()
        if self.said:
            os.environ.pop(SAID, None)
            self.said.cleanup()
        folder = Path(config.hydra.sweep.dir)
        try:
            self._summarise(config, folder, failures)
        except Exception as error:
            refused = error if isinstance(error, NaitError) else write_error(error, folder=folder)
            log.error("%s", refused or "The sweep cannot be summarised.", exc_info=refused is None)
            sys.exit(1 if refused is None else 2)

    def _summarise(self, config: DictConfig, folder: Path, failures: Sequence[tuple[str, Exception]]) -> None:
        lines = failed_jobs(failures)
        failed = "\n- ".join([f"\nFailed jobs, of {self.jobs}:", *lines]) if lines else ""
        if config.plan:
            from nait.core.estimates.plans import predicted_total

            plans = [json.loads(path.read_text()) for path in self._files(config).written(PLAN)]
            known = f"{predicted_total(plans):.1f} s, unknown times not counted."
            total = f"{counted(len(plans), 'job')}: {known}"
            print(" ".join([total, _detectable(config)]).strip() + failed)  # noqa: T201
            return
        if "report" not in config.stages:
            if failed:
                print(visible(failed.strip()), file=sys.stdout)  # noqa: T201
            return
        from nait.runs.sweep_summary import summarise_sweep

        config.paths.run = config.paths.sweep = str(folder)  # the summary's folders
        plain = OmegaConf.to_container(
            OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        )
        assert isinstance(plain, dict)
        records = self._files(config).written(RUN)
        for path in records if failures else ():
            settle(path.parent)  # of a killed process
        if len(records) < self.jobs and not failed:
            lines = [f"Failed before it began: {counted(self.jobs - len(records), 'job')}."]
            failed = f"\n{lines[0]}"
        text = summarise_sweep(
            folder, records, failed=lines, store=str(config.paths.store), reporter=build(config.report),
            tracker=build(config.tracking),
            config={str(key): value for key, value in plain.items()},
        )  # fmt: skip
        print(visible(text + failed), file=sys.stdout)  # noqa: T201  # the leaderboard belongs on stdout


def portable(error: Exception) -> Exception:
    """The error if another process can read it, else an error of its traceback's text."""
    try:
        copy.deepcopy(error)  # builds it again as another process does
    except Exception:  # noqa: BLE001  # of a foreign class
        return RuntimeError("".join(traceback.format_exception(error)).strip())
    return error


def failed_jobs(failures: Sequence[tuple[str, Exception]]) -> list[str]:
    """Which jobs of a sweep failed and why: a line for each error."""
    reasons: dict[str, list[str]] = {}
    for job, error in failures:
        known = isinstance(error, NaitError)
        reason = str(error) if known else f"{type(error).__name__}: {first_line(error)}"
        reasons.setdefault(masked(reason), []).append(masked(job))
    return [
        f"{', '.join(filter(None, names[:SHOWN_JOBS])) or 'the only job'}"
        f"{f' and {len(names) - SHOWN_JOBS} more' if len(names) > SHOWN_JOBS else ''}: {reason}"
        for reason, names in reasons.items()
    ]


def progress(done: int, jobs: int, seconds: float) -> str:
    """Which job begins, and the time left if the jobs to come take as long as those done in `seconds`.

    Jobs that find results in the store take less.
    """
    left = f", about {human_seconds(seconds / done * (jobs - done))} left" if done else ""
    return f"Job {done + 1} of {jobs}{left}."


IN_TABLE = ("selector", "order", "budget", "target", "reference_template")
"""The groups whose values are lines of one table. Each model, pool, recipe and evaluation has a table of its own."""

REFERENCES = ("full", "base")
"""The selectors whose result depends on neither target nor budget."""


def _swept(config: DictConfig) -> dict[str, list[str]]:
    """Swept key or group -> its values."""
    words = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    given = {str(word).split("=")[0]: str(word) for word in [*words, *config.hydra.overrides.task]}
    parsed = OverridesParser.create().parse_overrides(list(given.values()))
    return {one.key_or_group: list(one.sweep_string_iterator()) for one in parsed if one.is_sweep_override()}


def compared(swept: Mapping[str, Sequence[str]]) -> int:
    """How many lines of one table are compared with its control, for a sweep of these values; at least one.

    The control is `random`, or the shuffled order, or else one of several selectors. The whole pool and the untrained
    model have one difference, whatever the number of targets, and none where the control has several budgets.
    """
    counts = {key: len(values) for key, values in swept.items() if key.split(".")[0] in IN_TABLE}
    lines = math.prod(counts.values())
    if "random" not in swept.get("selector", ()) and "shuffled" in swept.get("order", ()):
        return max(1, lines - lines // counts["order"])
    selectors = counts.get("selector", 1)
    if selectors < 2:
        return max(1, lines)
    each = lines // selectors
    once = len({*REFERENCES} & {*swept["selector"]})
    budgets = math.prod(count for key, count in counts.items() if key.split(".")[0] == "budget")
    return max(1, each * (selectors - 1 - once) + (once if budgets == 1 else 0))


def _detectable(config: DictConfig) -> str:
    """One sentence on the smallest difference that the sweep's seeds can detect; "" without a common evaluation."""
    from nait.runs.sweep_summary import detectable_effects

    try:
        swept = _swept(config)
        if "evaluate" not in config.stages or any(name.split(".")[0] == "eval" for name in swept):
            return ""
        return detectable_effects(
            build(config.eval), store=str(config.paths.store), seeds=len(swept.get("seed", "0")),
            methods=compared(swept),
        )  # fmt: skip
    except NaitError:
        return ""  # the sweeper or each job raises the same error
