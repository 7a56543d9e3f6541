"""Keys of composed configs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from omegaconf import DictConfig, Node

from nait.cli.command.parameter_types import takes_a_dict


class Keys:
    """Configs by chosen options, each composed once."""

    def __init__(self, compose: Callable[[list[str]], DictConfig], is_group: Callable[[str], bool]) -> None:
        self._compose = compose
        self._is_group = is_group
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def is_choice(self, key: str) -> bool:
        """Whether a key of the command line is a config group: `selector`, `+template@selector.template`."""
        return self._is_group(key.lstrip("+~").split("@")[0])

    def of(self, choices: Sequence[str]) -> DictConfig:
        """The config of these choices, without other overrides."""
        found = self._composed.get(tuple(choices))
        if found is None:
            found = self._composed[tuple(choices)] = self._compose(list(choices))
        return found


def has(config: DictConfig, key: str) -> bool:
    """Whether a config has the key `a.b.c`. An open dict, such as `eval.num_fewshot`, has every key."""
    parent, _, last = key.rpartition(".")
    node = node_at(config, parent)
    if isinstance(node, DictConfig):
        return last in _keys(node) or is_open(config, parent)
    return is_null_dict(config, parent)


def is_null_dict(config: DictConfig, key: str) -> bool:
    """Whether the value at `key` is null and its parameter takes a dict, such as `data.columns`."""
    parent, _, last = key.rpartition(".")
    node = node_at(config, parent)
    if not last or not isinstance(node, DictConfig) or not {"_target_", last} <= _keys(node):
        return False
    return node_at(config, key) is None and takes_a_dict(str(node["_target_"]), last)


def is_open(config: DictConfig, key: str) -> bool:
    """Whether the value at `key` is an open dict: a parameter whose keys the user chooses."""
    node = node_at(config, key)
    parents = [node_at(config, ".".join(key.split(".")[:depth])) for depth in range(1, key.count(".") + 1)]
    return (
        isinstance(node, DictConfig)
        and "_target_" not in _keys(node)
        and any(isinstance(one, DictConfig) and "_target_" in _keys(one) for one in parents)
    )


def node_at(config: DictConfig, key: str) -> Any:
    """The unresolved node at a dotted key; None if it is absent, null or a missing mandatory value."""
    node: Any = config
    for part in key.split(".") if key else []:
        if not isinstance(node, DictConfig) or part not in _keys(node):
            return None
        node = node._get_node(part)
    empty = isinstance(node, Node) and (node._is_none() or node._is_missing())
    return None if empty else node


def _keys(node: DictConfig) -> set[str]:
    return set() if node._is_none() or node._is_missing() else {str(key) for key in node.keys()}  # noqa: SIM118


def paths(config: DictConfig) -> list[str]:
    """All keys of a config, dotted."""
    found = []
    for key in sorted(_keys(config) - {"_target_"}):
        node = config._get_node(key)
        inner = paths(node) if isinstance(node, DictConfig) else []
        found += [key, *(f"{key}.{one}" for one in inner)]
    return found
