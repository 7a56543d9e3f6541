"""Hydra's config as plain values, and the objects that its nodes describe."""

from __future__ import annotations

import copy
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from nait.cli.command.config_errors import unresolved
from nait.cli.command.parameter_types import fit, fit_value
from nait.cli.command.quoting import literal
from nait.core.errors import ConfigError, NaitError, first_line

KEYS: dict[str, Any] = {
    "seed": int,
    "stages": list[str],
    "beside": list[str],
    "label": str | None,
    "group": str | None,
    "plan": bool,
}
"""Types of the root's keys."""
LARGEST_SEED = 2**32 - 1
"""The largest seed of numpy's generators."""
SEEDED = ("selector", "order", "template", "train", "eval", "data", "target")
"""Groups whose keys may depend on the run's seed."""


def resolve(config: DictConfig, where: str = "") -> dict[str, Any]:
    """The config, or the node `where` of it, as plain dicts and lists.

    Raises: ConfigError for a missing value or one of the wrong type.
    """
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
    if not 0 <= typed.get("seed", 0) <= LARGEST_SEED:
        fix = f"Give a whole number from 0 to {LARGEST_SEED:,}."
        raise ConfigError(f"{typed['seed']} is not a seed of the random generators", where="seed", fix=fix)
    fitted: dict[str, Any] = fit(typed, where)
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
        return hydra.utils.instantiate(_literal(node), _convert_="all")
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
        if error.__cause__ is None:  # Hydra itself refuses the target
            raise ConfigError(first_line(error), where=str(node.get("_target_", ""))[:200]) from error
        raise


def _literal(node: Any) -> Any:
    """A resolved node, in whose texts `${` is text. Hydra's `instantiate` would resolve it again, twice."""
    if isinstance(node, str):
        return literal(literal(node))
    if isinstance(node, dict):
        return {key: _literal(value) for key, value in node.items()}
    return [_literal(value) for value in node] if isinstance(node, list) else node
