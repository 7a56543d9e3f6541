"""Class names in store keys: a class that moves to another module keeps its first name there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STORED_MODULES = {
    "nait.core.ranking.budgets": "nait.core.budgets",
    "nait.core.ranking.orders": "nait.core.orders",
    "nait.models.prompts.templates": "nait.models.templates",
    "nait.training.recipes.fine_tune": "nait.training.trainer",
    "nait.training.recipes.no_training": "nait.training.none",
    "nait.training.adapters.lora": "nait.training.adapter",
    "nait.baselines.shared.warmup": "nait.baselines.warmup",
}
STORED_CLASSES = {
    "nait.models.prompts.chat_template.ChatTemplate": "nait.models.templates.ChatTemplate",
    "nait.baselines.controls.length.Length": "nait.baselines.length.Length",
    "nait.baselines.controls.random.Random": "nait.baselines.random.Random",
    "nait.baselines.controls.random.LengthMatched": "nait.baselines.matched.LengthMatched",
    "nait.baselines.controls.references.Base": "nait.baselines.base.Base",
    "nait.baselines.controls.references.Full": "nait.baselines.full.Full",
}


def stored_names(config: Any) -> Any:
    """The config with every `_target_` under its stored name."""
    if isinstance(config, Mapping):
        return {
            key: _stored(value) if key == "_target_" and isinstance(value, str) else stored_names(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return [stored_names(value) for value in config]
    return config


def _stored(name: str) -> str:
    module, _, own = name.rpartition(".")
    return STORED_CLASSES.get(name, f"{STORED_MODULES.get(module, module)}.{own}")
