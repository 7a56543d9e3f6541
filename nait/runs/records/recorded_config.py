"""The resolved config as a run records it. It is for records only: no part of a run reads a setting from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nait.stages.artifacts.stored_names import stored_names

SETTINGS = ("selector", "order", "template", "reference_template", "train", "model", "eval")
"""Groups whose keys distinguish runs of one selector. Tables show those that differ."""
OPTIONS = ("template", "train", "eval", "model", "data", "target", "selector", "order")
"""Groups whose chosen option is recorded as a short name for a long config."""
NO_SETTING = {
    "selector.name", "model.name", "model.path", "model.fingerprints", "model.device", "model.device_map",
    "model.attn_implementation", "model.tensor_parallel", "model.trust_remote_code", "model.download",
    "template.path", "reference_template.path", "train.save_seconds", "train.deterministic",
    "train.device_tokens", "train.gradient_checkpointing", "train.sharding", "selector.warmup.save_seconds",
    "selector.warmup.deterministic", "selector.warmup.device_tokens", "selector.warmup.gradient_checkpointing",
    "selector.warmup.sharding", "selector.warmup.trainer.sharding",
    "eval.batch_size", "eval.mirror", "eval.online", "eval.allow_partial", "eval.allow_code_execution",
    "eval.trust_task_code",
}  # fmt: skip
"""Keys that do not change results, and keys whose content is recorded as a fingerprint."""

IMPLIED = {
    f"{group}.{key}": value
    for group in ("train", "selector.warmup", "selector.warmup.trainer")
    for key, value in (("quantization", "none"), ("budget", "epochs"), ("budget_share", "0.1"))
}
"""Keys that earlier runs lack -> the value that these had, which is not recorded."""


@dataclass(frozen=True)
class RecordedConfig:
    """A job's resolved config, kept for its manifest, its record in the store, its tracker and its plan's key."""

    resolved: Mapping[str, Any]

    @property
    def stages(self) -> list[str]:
        """The stages asked for."""
        return list(self.resolved["stages"])

    def described(self) -> dict[str, Any]:
        """Settings, label, chosen options, seeded keys and command: the config's part of a run's record."""
        config = self.resolved
        return {
            "settings": settings(config),
            "label": config["label"],
            "options": {group: config.get("options", {}).get(group) for group in OPTIONS},
            "seeded": list(config.get("seeded", ())),
            "command": config.get("command", ""),
        }

    def plan_key(self) -> dict[str, Any]:
        """The config's part of the key of a plan: order, budget, seed and evaluation."""
        config = self.resolved
        return {
            "order": stored_names(config["order"]),
            "budget": stored_names(config["budget"]),
            "seed": config["seed"],
            "eval": stored_names(config["eval"]),
        }


def settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Settings of a run, flat: `layers` for selector.layers, `train.epochs`, ..."""
    found: dict[str, str] = {}

    def walk(node: Any, path: list[str]) -> None:
        if isinstance(node, Mapping):
            for key, value in node.items():
                name = ".".join([*path, str(key)])
                if name not in NO_SETTING and IMPLIED.get(name) != str(value):
                    walk(value, [*path, str(key)])
        elif path[-1] != "_target_" or path[0] in ("order", "selector"):
            name = ".".join(path).removeprefix("selector.").removesuffix("._target_")
            found[name] = str(node).rsplit(".", 1)[-1] if path[-1] == "_target_" else str(node)

    for group in SETTINGS:
        walk(config[group], [group])
    return found
