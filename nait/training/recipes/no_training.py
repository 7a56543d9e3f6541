"""No training: the base model is evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nait.core.contracts import Model, Tracker
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ConfigError


@dataclass(frozen=True)
class NoTraining:
    """The recipe of a run without training."""

    @property
    def recipe(self) -> None:
        """None: there is nothing to train."""
        return None

    def train(
        self,
        model: Model,  # noqa: ARG002
        rows: TokenTable,  # noqa: ARG002
        folder: Path,  # noqa: ARG002
        *,
        seed: int,  # noqa: ARG002
        tracker: Tracker,  # noqa: ARG002
    ) -> NoReturn:
        """Raises: ConfigError, always."""
        raise ConfigError("train=none does not train", where="train", fix="Use train=lora or train=full.")
