"""Config groups and their options, from conf/ and the user's config folder; which options have a key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from nait.cli.command.config_keys import has, paths
from nait.core.errors import ConfigError

ROOT = "run"


def loader_of(folder: str | None = None) -> ConfigLoader:
    """A loader of conf/. Files of the user's `folder` (`--config-dir`) come first.

    Raises: ConfigError for a missing folder.
    """
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
    """The config of these overrides; if some of them are swept, the base of the sweep."""
    config: DictConfig = loader.load_configuration(ROOT, list(words), run_mode=RunMode.MULTIRUN)
    return config


class GroupOptions:
    """The options of each group and their keys, read from the YAML files."""

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader
        self._files: dict[tuple[str, str], DictConfig] = {}

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """Group -> its options, including the user's."""
        names = [name for name in self._repository.get_group_options("", ObjectType.GROUP) if name != "hydra"]
        return {name: self._repository.get_group_options(name, ObjectType.CONFIG) for name in sorted(names)}

    @property
    def roots(self) -> list[str]:
        """The root's keys that belong to no group."""
        return [str(key) for key in self._repository.load_config(ROOT).config if key != "hydra"]

    def is_group(self, name: str) -> bool:
        """Whether `name` is a config group, such as `selector` or `hydra/launcher`."""
        return bool(self._repository.group_exists(name))

    def has(self, group: str, option: str) -> bool:
        """Whether the group has this option; "a/b" is the option b in a folder a of the group."""
        return option in self.groups.get(group, ()) or (
            not option.startswith(("/", ".")) and bool(self._repository.config_exists(f"{group}/{option}"))
        )

    def is_key(self, word: str) -> bool:
        """Whether `word` is a key of the root, or `GROUP.a.b` of any option of a group."""
        return (word in self.roots and word not in self.groups) or bool(self.with_key(word))

    def with_key(self, key: str) -> list[str]:
        """The options that have the key `GROUP.a.b`, without presets that fill in the values of another option."""
        group, _, rest = key.partition(".")
        names = [name for name in self.groups.get(group, []) if rest and has(self._file(group, name), rest)]
        return [name for name in names if not self._is_preset(group, name)] or names

    def keys(self, group: str) -> list[str]:
        """The keys of all options of a group, prefixed with the group's name."""
        files = [self._file(group, name) for name in self.groups.get(group, [])]
        return sorted({f"{group}.{path}" for file in files for path in paths(file)})

    def _file(self, group: str, option: str) -> DictConfig:
        """The keys of an option, including keys that it inherits from options of the same group."""
        if (group, option) not in self._files:
            self._files[group, option] = self._read(group, option)
        return self._files[group, option]

    def _read(self, group: str, option: str) -> DictConfig:
        found = self._repository.load_config(f"{group}/{option}")
        merged: Any = DictConfig({})
        for default in found.defaults_list or []:
            base, package = getattr(default, "path", None), getattr(default, "package", None)
            if base in self.groups[group] and base != option:
                part = self._file(group, base)
                for name in reversed((package or "").split(".")):
                    part = DictConfig({name: part}) if name else part
                merged.merge_with(part)
        merged.merge_with(found.config)
        return merged  # type: ignore[no-any-return]

    def _is_preset(self, group: str, option: str) -> bool:
        """Whether an option inherits from one that needs values, and needs none itself."""
        bases = [
            base
            for default in self._repository.load_config(f"{group}/{option}").defaults_list or []
            if (base := getattr(default, "path", None)) in self.groups[group]
        ]
        return any(self._needs(group, base) for base in bases) and not self._needs(group, option)

    def _needs(self, group: str, option: str) -> bool:
        """Whether a key of the option has no value."""
        plain = OmegaConf.to_container(self._file(group, option), resolve=False)
        return isinstance(plain, dict) and "???" in plain.values()

    @cached_property
    def _repository(self) -> Any:
        return CachingConfigRepository(self._loader.repository)


def chosen(loader: ConfigLoader, words: Sequence[str]) -> set[str]:
    """The groups whose option is named by these overrides, or by a config file that they include."""
    defaults = loader.compute_defaults_list(config_name=ROOT, overrides=list(words), run_mode=RunMode.RUN)
    return set(defaults.overrides.override_choices)
