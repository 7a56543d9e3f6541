"""A guard around every tracker call: the first failure is warned about, none is raised."""

from __future__ import annotations

import logging
import os
from types import TracebackType

log = logging.getLogger(__name__)

SECRETS = ("WANDB_API_KEY", "HF_TOKEN")


class Guard:
    """A context that swallows exceptions, warns of the first and stays silent after it.

    What ends a process (KeyboardInterrupt, SystemExit) passes.
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
        """Nothing; logs the first warning only."""
        if not self.warned:
            self.warned = True
            text = without_secrets(what)
            log.warning(
                "%s: a call failed and the run continues; later ones are not shown. %s", self.name, text
            )


def without_secrets(text: str) -> str:
    """The first line of `text`, with the values of known secret variables struck out."""
    for name in SECRETS:
        value = os.environ.get(name)
        if value:
            text = text.replace(value, f"<{name}>")
    return text.strip().split("\n", 1)[0]
