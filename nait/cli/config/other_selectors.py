"""Configs of other selectors under a job's settings, for methods that share its passes or its lengths."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from nait.cli.command.config_groups import GroupOptions
from nait.cli.config.plain_config import resolve


def other_selectors(config: DictConfig, overrides: Sequence[str]) -> Callable[[str], dict[str, Any]]:
    """A function from a selector's name to its config, for the job of this config and these overrides.

    The job's own selector and order do not apply to it, all other settings do.
    """
    loader = GlobalHydra.instance().config_loader()
    is_group = GroupOptions(loader).is_group
    options = tuple(
        word for word in overrides
        if is_group(_key(word)) and _key(word) not in ("selector", "order")
    )  # fmt: skip
    folders = str(loader.get_search_path())

    def config_of(name: str) -> dict[str, Any]:
        job = copy.deepcopy(config)
        OmegaConf.set_struct(job, False)
        job.selector = copy.deepcopy(_composed(name, options, folders))
        found: dict[str, Any] = resolve(job)["selector"]
        return found

    return config_of


def _key(override: str) -> str:
    """The group of an override: `sweep` of `+sweep=layers`, `hydra/launcher` of `hydra/launcher=joblib`."""
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


@lru_cache(maxsize=64)
def _composed(name: str, options: tuple[str, ...], folders: str) -> Any:  # noqa: ARG001  # part of the cache's key
    """The selector's config with unresolved interpolations. Only options of groups decide it: values enter later.

    Composing takes 0.1 s, which dominates a sweep whose results are all in the store.
    """
    return hydra.compose(config_name="run", overrides=[*options, f"selector={name}"]).selector
