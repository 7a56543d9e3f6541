"""What a W&B run is given and what a resumed one has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_targets(config: Any) -> Any:
    """A config without the class names that Hydra builds from."""
    if isinstance(config, Mapping):
        return {key: without_targets(value) for key, value in config.items() if key != "_target_"}
    return [without_targets(value) for value in config] if isinstance(config, (list, tuple)) else config


def last_steps(run: Any) -> dict[str, float]:
    """Phase -> the last step that a resumed run's summary has."""
    found = {
        name.removesuffix("/step"): value
        for name, value in dict(run.summary).items()
        if name.endswith("/step")
    }
    return {phase: float(value) for phase, value in found.items() if isinstance(value, (int, float))}
