"""The Hydra application: compose the config, build the job, run its stages. Only this file handles Hydra's config."""

from __future__ import annotations

import copy
import json
import logging
import math
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.plugins import Plugins
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from nait.cli.command.config_errors import unresolved
from nait.cli.command.config_groups import chosen
from nait.cli.command.own_pool import check_own_pool
from nait.cli.command.parameter_types import fit, fit_value
from nait.core.errors import ConfigError, NaitError, did_you_mean
from nait.core.inputs.paths import at_home as home_of
from nait.core.inputs.paths import write_error
from nait.core.ranks import workers_from

log = logging.getLogger("nait")

KEYS: dict[str, Any] = {
    "seed": int,
    "stages": list[str],
    "beside": list[str],
    "label": str | None,
    "group": str | None,
    "plan": bool,
}
"""Types of the root's keys."""
SEEDED = ("selector", "order", "template", "train", "eval", "data", "target")
"""Groups whose keys may depend on the run's seed."""
STAGES = ("select", "train", "evaluate", "report")
RESOLVER_INPUTS = {"layer_sets": ("model", "model.path"), "each_and_all": ("target", "target.paths")}
"""Keys that each resolver derives a sweep's values from. They must be the same for all jobs of the sweep."""


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
            **_resolve(config), "command": _command(choices.overrides.task, sweeping=sweeping), "options": names,
            "seeded": seeded(config),
        }  # fmt: skip
        stages = check_stages(plain["stages"])
        helps = workers_from(os.environ).rank > 0
        if helps and plain["plan"]:
            return
        from nait.runs.assembly import assemble
        from nait.runs.execution import assist_run, run_job

        job = assemble(plain, build, folder=folder, names=names, other_selector=_other_selector)
        if helps:
            assist_run(job, stages)
            return
        if plain["plan"]:
            from nait.runs.dry_run import preview

            print(preview(job, stages), file=sys.stdout)  # noqa: T201  # the plan belongs on stdout
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
        print(text, file=sys.stdout)  # noqa: T201  # the run's result belongs on stdout, the log on stderr


def _check_own_pool(config: DictConfig) -> None:
    """Check the job's data, model and target. Raises: ConfigError, see `check_own_pool`."""
    given = HydraConfig.get().overrides
    builds = {
        group: str(OmegaConf.select(config, f"{group}._target_")) for group in ("data", "model", "target")
    }
    loader = GlobalHydra.instance().config_loader()
    check_own_pool(builds, lambda: chosen(loader, [*given.hydra, *given.task]))


def _command(overrides: Any, *, sweeping: bool) -> str:
    """The command that repeats this job alone."""
    return shlex.join(["nait", *overrides, *(["hydra.mode=RUN"] if sweeping else [])])


def _other_selector(name: str) -> dict[str, Any]:
    """The config of another selector, with this job's overrides of all other groups."""
    given = HydraConfig.get().overrides.task
    kept = [word for word in given if not word.lstrip("+~").startswith(("selector=", "selector.", "order"))]
    config = hydra.compose(config_name="run", overrides=[*kept, f"selector={name}"])
    found: dict[str, Any] = _resolve(config)["selector"]
    return found


def _resolve(config: DictConfig) -> dict[str, Any]:
    """The config as plain dicts and lists. Raises: ConfigError for a missing value or one of the wrong type."""
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = str(getattr(error, "full_key", "") or error).strip()
        raise ConfigError("a value is needed", where=key, fix=f"Set {key}=...") from None
    except OmegaConfBaseException as error:
        refused = unresolved(error)
        if refused is None:
            raise
        raise refused from None
    assert isinstance(plain, dict)
    typed = {str(key): fit_value(value, KEYS.get(str(key), Any), str(key)) for key, value in plain.items()}
    fitted: dict[str, Any] = fit(typed, "")
    return fitted


def seeded(config: DictConfig) -> list[str]:
    """The keys whose values depend on `seed`."""
    other = copy.deepcopy(config)
    other.seed = (config.seed if isinstance(config.seed, int) else 0) + 1
    here, there = (
        {key: value for group in SEEDED for key, value in _leaves(_resolved(one[group]), group).items()}
        for one in (config, other)
    )
    return sorted(key for key, value in here.items() if there.get(key) != value)


def _resolved(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _leaves(node: Any, at: str = "") -> dict[str, Any]:
    """Dotted key -> value."""
    if not isinstance(node, dict):
        return {at: node}
    return {
        key: value
        for name, part in node.items()
        for key, value in _leaves(part, f"{at}.{name}" if at else str(name)).items()
    }


def build(node: Any) -> Any:
    """The object that a config node describes; its lists and dicts are plain Python.

    Raises: the constructor's NaitError, unwrapped; ConfigError for a value that the constructor rejects.
    """
    from hydra.errors import InstantiationException

    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, NaitError):
                raise cause from None
            if isinstance(cause, (TypeError, ValueError)) and cause.__cause__ is None:
                name = str(node.get("_target_", "")).rsplit(".", 1)[-1]
                raise ConfigError(
                    f"a value does not fit ({cause})", where=name, fix="See nait --cfg job."
                ) from error
            cause = cause.__cause__
        raise


def layer_sets(model: DictConfig, *, _root_: DictConfig) -> str:
    """`${layer_sets:${model}}`: the values of `selector.layers` in `sweep=layers`, for the model's depth.

    Raises: ModelError for a model without a depth in its config; ConfigError if the sweep varies the model.
    """
    _refuse_sweeping(_root_, "layer_sets")
    from nait.neurons.layer_sets import layer_sets as of_depth

    sets = of_depth(build(_resolve(model)).depth())
    return ",".join(str(one).replace(" ", "") for one in sets)


def each_and_all(target: DictConfig, otherwise: Sequence[str], *, _root_: DictConfig) -> str:
    """`${each_and_all:${target},[a,b]}`: the values of `target.capabilities` in `sweep=transfer`.

    Each name in `target.paths` alone, then all: [a],[b],[a,b]. `otherwise`: the names used without paths.

    Raises: ConfigError for a single target, or if the sweep varies `target`.
    """
    _refuse_sweeping(_root_, "each_and_all")
    if "capabilities" not in target:
        fix = "Use target=files 'target.paths={NAME: FILE, NAME: FILE}'."
        raise ConfigError("this sweep needs several targets", where="target", fix=fix)
    names = _resolve(target).get("paths") or otherwise
    quoted = [QuotedString(str(name), Quote.single).with_quotes() for name in names]
    several = [quoted] if len(quoted) > 1 else []
    return ",".join(f"[{','.join(one)}]" for one in [*([name] for name in quoted), *several])


def _refuse_sweeping(root: DictConfig, resolver: str) -> None:
    for one in OverridesParser.create().parse_overrides(list(root.hydra.overrides.task)):
        if one.is_sweep_override() and one.key_or_group in RESOLVER_INPUTS[resolver]:
            fix = "Run the sweep once for each value, with the same store."
            what = "cannot be varied here: this sweep derives other values from it"
            raise ConfigError(what, where=one.key_or_group, fix=fix)


def at_home(path: str) -> str:
    """`${at_home:PATH}`: the path with `~` expanded, for folders that Hydra creates."""
    return str(home_of(path))


OmegaConf.register_new_resolver("at_home", at_home, replace=True)
OmegaConf.register_new_resolver("layer_sets", layer_sets, replace=True)
OmegaConf.register_new_resolver("each_and_all", each_and_all, replace=True)


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


class Sweep(Callback):  # type: ignore[misc]
    """Hydra callback of a multirun: progress of parallel jobs, and one leaderboard at the end."""

    def __init__(self) -> None:
        self.display: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """State pickled for a job's process, without the display and its thread."""
        return {"display": None}

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Log the sweep's minimum detectable difference."""
        try:
            OmegaConf.to_container(config.hydra.sweeper, resolve=True)
        except OmegaConfBaseException:
            return  # the sweeper raises the same error next, and that one is shown
        if not config.plan and (sentence := _detectable(config)):
            log.info("%s", sentence)

    def on_jobs_known(self, config: DictConfig, jobs: int) -> None:
        """Start one display for parallel jobs, whose progress bars would collide. Our sweeper calls it, not Hydra."""
        if str(config.hydra.launcher._target_).endswith("BasicLauncher"):
            return
        from nait.cli.display import Display

        os.environ["TQDM_DISABLE"] = "1"  # the jobs' processes inherit it
        self.display = Display(Path(config.hydra.sweep.dir), jobs=jobs)
        self.display.start()

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print the leaderboard of all jobs. Exits on an error, because Hydra ignores errors of callbacks."""
        if self.display:
            self.display.stop()
        folder = Path(config.hydra.sweep.dir)
        try:
            self._summarise(config, folder)
        except Exception as error:
            refused = error if isinstance(error, NaitError) else write_error(error, folder=folder)
            log.error("%s", refused or "The sweep cannot be summarised.", exc_info=refused is None)
            sys.exit(1 if refused is None else 2)

    def _summarise(self, config: DictConfig, folder: Path) -> None:
        if config.plan:
            from nait.core.estimates.plans import predicted_total

            plans = [json.loads(path.read_text()) for path in folder.glob("*/plan.json")]
            total = f"{len(plans)} jobs: {predicted_total(plans):.1f} s, unknown times not counted."
            print(" ".join([total, _detectable(config)]).strip())  # noqa: T201
            return
        if "report" not in config.stages:
            return
        from nait.runs.sweep_summary import summarise_sweep

        config.paths.run = str(folder)  # the summary's folder
        plain = OmegaConf.to_container(
            OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        )
        assert isinstance(plain, dict)
        text = summarise_sweep(
            folder, store=str(config.paths.store), reporter=build(config.report), tracker=build(config.tracking),
            config={str(key): value for key, value in plain.items()},
        )  # fmt: skip
        print(text, file=sys.stdout)  # noqa: T201  # the leaderboard belongs on stdout


def _swept(config: DictConfig) -> dict[str, int]:
    """Swept key or group -> its number of values."""
    words = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    given = {str(word).split("=")[0]: str(word) for word in [*words, *config.hydra.overrides.task]}
    parsed = OverridesParser.create().parse_overrides(list(given.values()))
    return {
        one.key_or_group: len(list(one.sweep_string_iterator())) for one in parsed if one.is_sweep_override()
    }


def _detectable(config: DictConfig) -> str:
    """One sentence on the smallest difference that the sweep's seeds can detect; "" without a common evaluation."""
    from nait.runs.sweep_summary import detectable_effects

    try:
        swept = _swept(config)
        if "evaluate" not in config.stages or any(name.split(".")[0] == "eval" for name in swept):
            return ""
        seeds, selectors = swept.get("seed", 1), swept.get("selector", 1)
        lines = math.prod(swept.values()) // seeds
        # One of several selectors is the control.
        methods = max(1, lines - lines // selectors if selectors > 1 else lines)
        return detectable_effects(
            build(config.eval), store=str(config.paths.store), seeds=seeds, methods=methods
        )
    except NaitError:
        return ""  # each job raises the same error itself
