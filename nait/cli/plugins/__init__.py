"""The sweeper of `nait -m`, installed as `hydra_plugins.nait`: Hydra looks for plugins in that package only."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from shutil import which
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobStatus
from omegaconf import DictConfig, OmegaConf

from nait.cli.command.config_groups import chosen
from nait.cli.command.own_pool import check_own_pool
from nait.cli.command.sweep_jobs import expand
from nait.cli.config.plain_config import build, resolve
from nait.cli.config.saved_config import mask_saved
from nait.core.errors import ConfigError, NaitError

GROUPS = ("data", "model", "target")
LOCAL = ("BasicLauncher", "JoblibLauncher")
"""Launchers whose jobs run on this machine."""
SERVERS = ("vllm", "endpoint")
"""Backends of an evaluation that need another program."""
TARGETS = ("target", "target.path", "target.paths", "target.capabilities")
HELD_OUT = "nait.eval.held_out.HeldOut"
OWN_BENCHMARKS = (
    "With eval=heldout, the benchmark of a job is its own targets' rows: jobs with different targets share none, so "
    "they have separate tables and no transfer matrix. For one, evaluate tasks of lm-evaluation-harness."
)
log = logging.getLogger("nait")


class Sweeper(BasicSweeper):  # type: ignore[misc]
    """Hydra's basic sweeper, with two differences.

    A key that only some of the chosen options have is set in the jobs of those options, and logged; Hydra's sweeper
    raises an error.

    Before the first job, each option of the sweep's groups and each of its keys is composed once as a check, instead
    of each combination: composing takes 0.1 s per job, which dominates a sweep whose results are all stored. Each
    evaluation is checked too: one that cannot run, as for missing data, ends the sweep with one message. An error
    that only a combination has is raised by its own job, and the other jobs run and have their leaderboard.
    """

    def sweep(self, arguments: list[str]) -> Any:
        """Run the jobs. Raises: ConfigError for a key that no job has, or a launcher that cannot work here."""
        check_launcher(self.config.hydra.launcher)
        jobs = expand(self.hydra_context.config_loader, self.config, [*self._parse_config(), *arguments])
        for sentence in jobs.notes:
            log.info("%s", sentence)
        for callback in self.hydra_context.callbacks.callbacks:
            if hasattr(callback, "on_jobs_known"):
                callback.on_jobs_known(self.config, len(jobs.overrides))
        self.validate_batch_is_legal(jobs.overrides)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        mask_saved(self.config)
        size = self.max_batch_size or len(jobs.overrides)
        returns: list[Any] = []
        try:
            for start in range(0, len(jobs.overrides), size):
                returns.append(
                    self.launcher.launch(jobs.overrides[start : start + size], initial_job_idx=start)
                )
        except Exception as error:
            ended = launcher_error(error)
            self._end([*failures(returns), ("other jobs", ended)])
            raise ended from error
        if failed := failures(returns):
            self._end(failed)  # Hydra ends such a sweep without its callbacks
        _ = [one.return_value for results in returns for one in results]  # re-raises a job's error
        return returns

    def _end(self, failed: Sequence[tuple[str, Exception]]) -> None:
        self.hydra_context.callbacks.on_multirun_end(config=self.config, failures=failed)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose as many jobs as needed for each option and each key of the sweep to occur once.

        Each evaluation among them is checked: what it lacks, such as the data of a task, would fail in each job.
        Logs a warning for jobs that have no benchmark in common.

        Raises: the errors of composing; ConfigError for a job that `check_own_pool` refuses, or an evaluation that
        cannot run.
        """
        loader = self.hydra_context.config_loader
        held_out = False
        checked: list[Any] = []
        for overrides in covering(batch):
            config = loader.load_sweep_config(self.config, list(overrides))
            builds = {group: str(OmegaConf.select(config, f"{group}._target_")) for group in GROUPS}
            check_own_pool(builds, partial(chosen, loader, [*config.hydra.overrides.hydra, *overrides]))
            evaluator = config.eval or {}
            held_out = held_out or (evaluator.get("_target_") == HELD_OUT and not evaluator.get("test"))
            check_evaluation(config, checked)
        if held_out and len(set(map(targets_of, batch))) > 1:
            log.warning("%s", OWN_BENCHMARKS)


def check_evaluation(config: DictConfig, checked: list[Any]) -> None:
    """Check a job's evaluation, if it has one that is known before its rows are read and not yet in `checked`.

    Servers of jobs on other machines are left to the jobs: this machine may not reach them.

    Raises: ConfigError for unknown tasks, missing data and the like.
    """
    if "evaluate" not in config.stages or not config.eval or config.eval.get("_target_") == HELD_OUT:
        return
    settings = resolve(config.eval, "eval")
    here = str(config.hydra.launcher._target_).endswith(LOCAL)
    if settings not in checked and (here or settings.get("backend") not in SERVERS):
        checked.append(settings)
        build(settings).check()


def failures(returns: Sequence[Sequence[Any]]) -> list[tuple[str, Exception]]:
    """The failed jobs of these batches, each by the words in which it differs from the others, and its error."""
    done = [one for results in returns for one in results]
    shared = set.intersection(*(set(one.overrides or ()) for one in done)) if len(done) > 1 else set()
    return [
        (" ".join(word for word in one.overrides or () if word not in shared), one._return_value)
        for one in done
        if one.status == JobStatus.FAILED
    ]


def launcher_error(error: Exception) -> Exception:
    """The error of a launcher; a killed process of a job, which joblib reports for all jobs, is one of ours."""
    if type(error).__name__ not in ("BrokenProcessPool", "TerminatedWorkerError"):
        return error
    return NaitError(
        "the process of a job ended without a word, perhaps for lack of memory",
        where="hydra/launcher",
        fix="Run fewer jobs side by side, hydra.launcher.n_jobs=1 for one. The same command continues.",
    )


def check_launcher(launcher: Mapping[str, Any]) -> None:
    """Raises: ConfigError for SLURM's launcher on a machine without SLURM, and for joblib's without a process.

    `launcher`: its config.
    """
    if str(launcher["_target_"]).endswith(".SlurmLauncher") and which("srun") is None:
        raise ConfigError(
            "there is no SLURM here: srun is not found",
            where="hydra/launcher",
            fix="Start it on a node of the cluster that may submit jobs. hydra/launcher=joblib runs them here.",
        )
    if launcher.get("n_jobs") == 0:
        raise ConfigError(
            "0 processes run no job",
            where="hydra.launcher.n_jobs",
            fix="Give their number, or -1 for one for each core.",
        )


def covering(batch: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """The jobs with an option of a group, a dotted key or a value of the evaluation that no earlier job has.

    The value of another dotted key, such as `selector.subset=7`, does not change how a config is composed.
    """
    seen: set[str] = set()
    kept = []
    for overrides in batch:
        new = {one if _composes(one.partition("=")[0]) else one.partition("=")[0] for one in overrides}
        if not seen.issuperset(new):
            seen.update(new)
            kept.append(overrides)
    return kept


def _composes(key: str) -> bool:
    """Whether another value of a key changes how a config is composed, or what its evaluation needs."""
    return "." not in key or key.lstrip("+~").startswith("eval.")


def targets_of(overrides: Sequence[str]) -> tuple[str, ...]:
    """The overrides that choose a job's targets. Others choose some of a target's rows."""
    return tuple(one for one in overrides if one.lstrip("+").partition("=")[0] in TARGETS)
