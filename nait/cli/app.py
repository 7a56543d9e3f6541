"""The Hydra application: compose the config, build the job, run its stages."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

import nait.cli.config.resolvers  # noqa: F401  # registers them
from nait.cli.command.config_groups import chosen
from nait.cli.command.own_pool import WORLD, check_own_pool, renamed
from nait.cli.config.other_selectors import other_selectors
from nait.cli.config.plain_config import build, resolve, seeded
from nait.core.errors import ConfigError, NaitError, did_you_mean
from nait.core.inputs.paths import write_error
from nait.core.inputs.secrets import masked
from nait.core.inputs.visible_text import visible
from nait.core.ranks import workers_from

log = logging.getLogger("nait")

STAGES = ("select", "train", "evaluate", "report")


def _register_sweeper() -> None:
    """Register our sweeper, which Hydra's plugin search does not find in an editable install."""
    plugins = Plugins.instance()
    from hydra_plugins.nait import Sweeper

    plugins.register(Sweeper)


_register_sweeper()


@hydra.main(config_path="pkg://nait.conf", config_name="run", version_base="1.3")  # type: ignore[untyped-decorator]
def run(config: DictConfig) -> None:
    """Run one job."""
    choices = HydraConfig.get()
    names = {str(group): str(option) for group, option in choices.runtime.choices.items()}
    folder = Path(choices.runtime.output_dir)
    sweeping = str(choices.mode).endswith("MULTIRUN")
    try:
        _check_own_pool(config)
        plain = {
            **resolve(config), "command": _command(choices.overrides.task, sweeping=sweeping), "options": names,
            "seeded": seeded(config),
        }  # fmt: skip
        _check_labels(plain, choices.overrides.task, names["selector"])
        stages = check_stages(plain["stages"])
        helps = workers_from(os.environ).rank > 0
        if helps and plain["plan"]:
            return
        from nait.runs.assembly import assemble
        from nait.runs.execution import assist_run, run_job

        other = other_selectors(config, choices.overrides.task)
        job = assemble(plain, build, folder=folder, names=names, other_selector=other)
        if helps:
            assist_run(job, stages)
            return
        if plain["plan"]:
            from nait.runs.dry_run import preview

            print(visible(preview(job, stages)), file=sys.stdout)  # noqa: T201  # the plan belongs on stdout
            return
        text = run_job(job, stages, last="report" in stages and not sweeping)
    except Exception as error:
        refused = error if isinstance(error, NaitError) else write_error(error, folder=folder)
        if refused is None:
            raise
        log.error("%s", refused)
        if sweeping:
            raise refused from None  # Hydra marks this job as failed and runs the others
        sys.exit(2)
    if text and not sweeping:
        print(visible(text), file=sys.stdout)  # noqa: T201  # the run's result belongs on stdout, the log on stderr


def _check_own_pool(config: DictConfig) -> None:
    """Check the job's data, model and target. Raises: ConfigError, see `check_own_pool`."""
    given = HydraConfig.get().overrides
    builds = {
        group: str(OmegaConf.select(config, f"{group}._target_")) for group in ("data", "model", "target")
    }
    loader = GlobalHydra.instance().config_loader()
    check_own_pool(builds, lambda: chosen(loader, [*given.hydra, *given.task]))
    names = {
        group: str(OmegaConf.select(config, f"{group}.name", default=WORLD)) for group in ("data", "model")
    }
    options = HydraConfig.get().runtime.choices  # data=nano_small sets data.name=nano_small
    for warning in renamed(builds, {group: name for group, name in names.items() if name != options[group]}):
        log.warning("%s", warning)


def _check_labels(plain: Mapping[str, Any], overrides: Sequence[str], selector: str) -> None:
    """Raises: ConfigError for a label, or a name given in an override, that is the name of another selector."""
    from nait.runs.job_checks import check_label

    known = GlobalHydra.instance().config_loader().get_group_options("selector")
    check_label(plain["label"], selector, others=known)
    named = [word.partition("=")[0].lstrip("+") for word in overrides]
    if "selector.name" in named:
        check_label(plain["selector"].get("name"), selector, where="selector.name", others=known)


def _command(overrides: Any, *, sweeping: bool) -> str:
    """The command that repeats this job alone."""
    return masked(shlex.join(["nait", *overrides, *(["hydra.mode=RUN"] if sweeping else [])]))


def check_stages(stages: Any) -> list[str]:
    """The requested stages in order. Raises: ConfigError for an unknown stage, or for none."""
    asked = [stages] if isinstance(stages, str) else list(stages or [])
    for stage in asked:
        if stage not in STAGES:
            raise ConfigError(
                f"'{stage}' is not a stage", where="stages", fix=did_you_mean(str(stage), STAGES)
            )
    if not asked:
        raise ConfigError("no stage is given", where="stages", fix=f"Use any of {', '.join(STAGES)}.")
    if set(asked) == {"report"}:
        raise ConfigError(
            "the report stage alone has nothing to report on",
            where="stages",
            fix="Add select or evaluate. For the runs of a store, use nait-leaderboard STORE --report.",
        )
    return [stage for stage in STAGES if stage in asked]
