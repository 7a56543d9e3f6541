"""What to say of a key that a run does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omegaconf import DictConfig, OmegaConf

from nait.command.keys import paths
from nait.command.options import Options
from nait.core.errors import ConfigError, did_you_mean, either


def no_such_key(key: str, config: DictConfig, choices: Mapping[str, str], options: Options) -> ConfigError:
    """The error for a key that the config lacks: the options of its group that have it, or the nearest keys.

    `choices` are the chosen options of the groups: {"budget": "ratio"}.
    """
    group = key.split(".")[0]
    having = options.with_key(key)
    if having:
        chosen = f"{group}={choices[group]} has" if choices.get(group) else "there is"
        return ConfigError(f"{chosen} no such key", where=key, mend=f"It needs {group}={either(having)}.")
    known = {*paths(config), *options.groups, *options.keys(group)} - {key}
    held = OmegaConf.select(config, group) if group in config else None
    missing = (
        [str(name) for name in held if OmegaConf.is_missing(held, name)]
        if isinstance(held, DictConfig)
        else []
    )
    needed = f" {group}.{missing[0]} has no value yet." if missing else ""
    return ConfigError("there is no such key", where=key, mend=_nearest(key, sorted(known)) + needed)


def _nearest(key: str, known: Sequence[str]) -> str:
    """Keys that end as this one does, or look like it."""
    ending = [one for one in known if one.split(".")[-1] == key and not one.startswith("hydra.")]
    if ending:
        return f"Did you mean {either([repr(one) for one in ending])}?"
    own = [one for one in known if one.startswith(key.split(".")[0] + ".")]
    near = did_you_mean(key, own or known)
    return near if near.startswith("Did you") else did_you_mean(key, known) or "See nait --help."
