"""A guard around tracker calls: it logs the first failure and suppresses all of them."""

from __future__ import annotations

import logging
import os
from types import TracebackType

from nait.core.inputs.secrets import masked

log = logging.getLogger(__name__)

SECRETS = ("WANDB_API_KEY", "HF_TOKEN")


class Guard:
    """A context manager that suppresses exceptions and logs a warning for the first one.

    KeyboardInterrupt and SystemExit are not suppressed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.warned = False

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.warn(f"{type(error).__name__}: {error}")
        return True

    def warn(self, what: str) -> None:
        """Log a warning, the first time only."""
        if not self.warned:
            self.warned = True
            text = without_secrets(what)
            log.warning(
                "%s: a call failed; the run continues and later failures are not logged. %s", self.name, text
            )


def without_secrets(text: str) -> str:
    """The first line of `text`, with the values of the variables in `SECRETS` replaced by their names.

    Other secrets are masked.
    """
    for name in SECRETS:
        value = os.environ.get(name)
        if value:
            text = text.replace(value, f"<{name}>")
    return masked(text).strip().split("\n", 1)[0]
