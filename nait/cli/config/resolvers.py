"""OmegaConf resolvers of the YAML files: the user's home, and a sweep's values that depend on model or target."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from nait.cli.config.plain_config import build, resolve
from nait.core.errors import ConfigError
from nait.core.inputs.paths import at_home as home_of

RESOLVER_INPUTS = {"layer_sets": ("model", "model.path"), "each_and_all": ("target", "target.paths")}
"""Keys that each resolver derives a sweep's values from. They must be the same for all jobs of the sweep."""


def layer_sets(model: DictConfig, *, _root_: DictConfig) -> str:
    """`${layer_sets:${model}}`: the values of `selector.layers` in `sweep=layers`, for the model's depth.

    Raises: ModelError for a model without a depth in its config; ConfigError if the sweep varies the model.
    """
    _refuse_sweeping(_root_, "layer_sets")
    from nait.neurons.layer_sets import layer_sets as of_depth

    sets = of_depth(build(resolve(model, "model")).depth())
    return ",".join(str(one).replace(" ", "") for one in sets)


def each_and_all(target: DictConfig, otherwise: Sequence[str], *, _root_: DictConfig) -> str:
    """`${each_and_all:${target},[a,b]}`: the values of `target.capabilities` in `sweep=transfer`.

    Each name in `target.paths` or `target.sets` alone, then all: [a],[b],[a,b]. `otherwise`: the names without these.

    Raises: ConfigError for a single target, or if the sweep varies `target`.
    """
    _refuse_sweeping(_root_, "each_and_all")
    if "capabilities" not in target:
        fix = "Use target=files 'target.paths={NAME: FILE, NAME: FILE}', or target=paper."
        raise ConfigError("this sweep needs several targets", where="target", fix=fix)
    given = resolve(target, "target")
    names = given.get("paths") or given.get("sets") or otherwise
    quoted = [QuotedString(str(name), Quote.single).with_quotes() for name in names]
    several = [quoted] if len(quoted) > 1 else []
    return ",".join(f"[{','.join(one)}]" for one in [*([name] for name in quoted), *several])


def _refuse_sweeping(root: DictConfig, resolver: str) -> None:
    for one in OverridesParser.create().parse_overrides(list(root.hydra.overrides.task)):
        if one.is_sweep_override() and one.key_or_group in RESOLVER_INPUTS[resolver]:
            fix = "Run the sweep once for each value, with the same store."
            what = "cannot be varied here: this sweep derives other values from it"
            raise ConfigError(what, where=one.key_or_group, fix=fix)


def or_else(value: object, otherwise: object) -> object:
    """`${or_else:${KEY},VALUE}`: the value of a key, or another value if it is null."""
    return otherwise if value is None else value


def is_null(value: object) -> bool:
    """`${is_null:${KEY}}`: whether a key has no value."""
    return value is None


def sweep_folder(job: str) -> str:
    """`${sweep_folder:JOB}`: the folder of the sweep that a job belongs to; JOB, its own folder, without a sweep."""
    if not HydraConfig.initialized():
        return job
    found = HydraConfig.get()
    return os.path.abspath(at_home(found.sweep.dir)) if found.mode == RunMode.MULTIRUN else job  # noqa: PTH100


def at_home(path: str) -> str:
    """`${at_home:PATH}`: the path with `~` expanded, for folders that Hydra creates."""
    return str(home_of(path))


OmegaConf.register_new_resolver("at_home", at_home, replace=True)
OmegaConf.register_new_resolver("or_else", or_else, replace=True)
OmegaConf.register_new_resolver("is_null", is_null, replace=True)
OmegaConf.register_new_resolver("sweep_folder", sweep_folder, replace=True)
OmegaConf.register_new_resolver("layer_sets", layer_sets, replace=True)
OmegaConf.register_new_resolver("each_and_all", each_and_all, replace=True)
