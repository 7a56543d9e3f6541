"""The jobs of a sweep: every combination of its values, with the keys that the job's options have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from nait.cli.command.config_errors import no_such_key
from nait.cli.command.config_groups import GroupOptions
from nait.cli.command.config_keys import Keys, has, is_null_dict, is_open

Choices = tuple[tuple[str, str], ...]
"""A job's chosen options: (("selector", "nait"), ("budget", "ratio"))."""


@dataclass(frozen=True)
class Jobs:
    """The overrides of each job. `partial`: key that some jobs lack -> the choices with it, and without it."""

    overrides: list[list[str]]
    partial: dict[str, tuple[set[Choices], set[Choices]]]

    @property
    def notes(self) -> list[str]:
        """One sentence for each key that only some options have."""
        return [_note(key, *sides) for key, sides in self.partial.items() if sides[0]]

    @property
    def nowhere(self) -> list[str]:
        """The keys that no job has."""
        return [key for key, (having, _) in self.partial.items() if not having]


def expand(loader: Any, config: DictConfig, words: Sequence[str]) -> Jobs:
    """The jobs of a sweep's words. `config` is the sweep's base.

    Raises: ConfigError for a key that no job has.
    """
    options = GroupOptions(loader)
    keys = Keys(partial(loader.load_sweep_config, config), options.is_group)
    jobs = jobs_of(OverridesParser.create(config_loader=loader).parse_overrides(list(words)), keys)
    for key in jobs.nowhere:
        lacking = [dict(choices) for choices in jobs.partial[key][1]]
        choices = {group: ",".join(sorted({one[group] for one in lacking})) for group in lacking[0]}
        composed = keys.of([f"{group}={option}" for group, option in lacking[0].items()])
        raise no_such_key(key, composed, {**config.hydra.runtime.choices, **choices}, options)
    return jobs


def jobs_of(overrides: Sequence[Override], keys: Keys) -> Jobs:
    """Each combination of the values, once. A job omits keys that its options lack."""
    jobs: dict[tuple[str, ...], None] = {}
    sides: dict[str, tuple[set[Choices], set[Choices]]] = {}
    for combination in _combinations(overrides):
        choices = tuple((key, value) for key, value in combination.items() if keys.is_choice(key))
        config = keys.of([f"{key}={value}" for key, value in choices])
        words = []
        for key, value in combination.items():
            fixed = keys.is_choice(key) or key[0] in "+~"
            present = fixed or has(config, key)
            sides.setdefault(key, (set(), set()))[not present].add(choices)
            if present:
                words.append(f"{key}={value}" if fixed else with_addition(f"{key}={value}", key, config))
        jobs[tuple(words)] = None
    partial = {key: (having, lacking) for key, (having, lacking) in sides.items() if lacking}
    return Jobs([list(words) for words in jobs], partial)


def with_addition(word: str, key: str, config: DictConfig) -> str:
    """The override, with `++` if it adds to an open dict: Hydra requires it for new keys."""
    return f"++{word}" if adds_to_open_dict(config, key) else word


def adds_to_open_dict(config: DictConfig, key: str) -> bool:
    """Whether an override of this key adds to an open dict."""
    parent = key.rpartition(".")[0]
    return is_open(config, key) or is_open(config, parent) or is_null_dict(config, parent)


def _combinations(overrides: Sequence[Override]) -> Iterator[Mapping[str, str]]:
    """Key -> value, for each job. The last override of a key wins."""
    values: dict[str, list[str]] = {}
    for one in overrides:
        swept = one.is_sweep_override()
        values[one.get_key_element()] = (
            list(one.sweep_string_iterator()) if swept else [one.get_value_element_as_str()]
        )
    return (dict(zip(values, combination, strict=True)) for combination in product(*values.values()))


def _note(key: str, having: set[Choices], lacking: set[Choices]) -> str:
    """A sentence on which options have a key and which lack it, by the group that decides, if one does."""
    for group in dict.fromkeys(name for choices in having for name, _ in choices):
        with_it = {dict(choices)[group] for choices in having}
        without = {dict(choices)[group] for choices in lacking}
        if not with_it & without:
            return f"{key} applies to {_options(group, with_it)}; {_options(group, without)} runs without it."
    return f"{key} applies to {len(having)} of the {len(having) + len(lacking)} combinations of options."


def _options(group: str, names: set[str]) -> str:
    return f"{group}={','.join(sorted(names))}"
