"""The base model: the reference below every other row. It is evaluated as it is, so no row is selected for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NoReturn

from nait.core.contracts import Extractor
from nait.core.errors import ConfigError
from nait.core.examples import Pool, Target


@dataclass(frozen=True)
class Base:
    """Selects nothing: a job skips the selection where `selects` is False."""

    selects: ClassVar[bool] = False

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> NoReturn:  # noqa: ARG002
        """Raises: ConfigError, always."""
        raise ConfigError(
            "the base model has no rows to train on", where="selector=base", mend="Choose another selector."
        )
