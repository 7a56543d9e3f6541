"""Options: the groups of conf/ and of the user's own config folder, and which option has a key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from omegaconf import DictConfig

from nait.cli.command.config_keys import has, paths
from nait.core.errors import ConfigError

ROOT = "run"


def loader_of(folder: str | None = None) -> ConfigLoader:
    """Reads conf/ and, before it, a folder of the user's own (`--config-dir`)."""
    version.setbase("1.3")
    search = create_config_search_path("pkg://nait.conf")
    if folder is not None:
        if not Path(folder).is_dir():
            raise ConfigError("there is no such folder", where=f"--config-dir {folder}")
        search.prepend(
            provider="command-line",
            path=f"file://{Path(folder).absolute()}",
            anchor=SearchPathQuery(provider="schema"),
        )
    return ConfigLoaderImpl(search)


def compose(loader: ConfigLoader, words: Sequence[str]) -> DictConfig:
    """The config of these overrides, as the base of a sweep where some are swept over."""
    config: DictConfig = loader.load_configuration(ROOT, list(words), run_mode=RunMode.MULTIRUN)
    return config


class GroupOptions:
    """The options of each group, as their files are."""

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """Every group of ours or the user's, with its options."""
        names = [name for name in self._loader.list_groups("") if name != "hydra"]
        return {name: self._loader.get_group_options(name, ObjectType.CONFIG) for name in sorted(names)}

    @property
    def roots(self) -> list[str]:
        """The keys of the root that belong to no group."""
        return [str(key) for key in self._repository.load_config(ROOT).config if key != "hydra"]

    def is_group(self, name: str) -> bool:
        """Whether options can be chosen under this name: `selector`, `hydra/launcher`."""
        return bool(self._repository.group_exists(name))

    def with_key(self, key: str) -> list[str]:
        """The options of a key's group that have the key `GROUP.a.b`."""
        group, _, rest = key.partition(".")
        return [name for name in self.groups.get(group, []) if rest and has(self._file(group, name), rest)]

    def keys(self, group: str) -> list[str]:
        """The keys that any option of a group has, with the group's name before them."""
        files = [self._file(group, name) for name in self.groups.get(group, [])]
        return sorted({f"{group}.{path}" for file in files for path in paths(file)})

    def _file(self, group: str, option: str) -> DictConfig:
        """An option's own keys, with the keys of the option of the same group that it extends."""
        found = self._repository.load_config(f"{group}/{option}")
        merged: Any = DictConfig({})
        for default in found.defaults_list or []:
            base = getattr(default, "path", None)
            if base in self.groups[group] and base != option:
                merged.merge_with(self._file(group, base))
        merged.merge_with(found.config)
        return merged  # type: ignore[no-any-return]

    @property
    def _repository(self) -> Any:
        return self._loader.repository


def chosen(loader: ConfigLoader, words: Sequence[str]) -> set[str]:
    """The groups whose option these overrides name, or a config file that they bring."""
    made = loader.compute_defaults_list(config_name=ROOT, overrides=list(words), run_mode=RunMode.RUN)
    return set(made.overrides.override_choices)
