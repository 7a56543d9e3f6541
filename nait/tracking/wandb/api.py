"""W&B's API key and its public API for reading a project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nait.core.errors import NaitError
from nait.tracking.guard import without_secrets


def log_in() -> None:
    """Log in with the stored API key. Raises: PermissionError without one; `wandb.init` would prompt and block."""
    import wandb

    wandb.setup(wandb.Settings(silent=True))  # otherwise login asks the server for the user's name
    if not wandb.login(prompt=False, verify=False):
        raise PermissionError("There is no API key: run `wandb login`, or set WANDB_API_KEY")


@contextmanager
def public_api(project: str) -> Iterator[Any]:
    """W&B's public API for reading ENTITY/PROJECT. W&B's errors inside the context become NaitError."""
    if not re.fullmatch(r"[^/\s]+/[^/\s]+", project):
        raise NaitError("this is not a W&B project", where=project, fix="Write it as ENTITY/PROJECT.")
    try:
        import requests
        import wandb
        from wandb.sdk.lib.service.service_connection import WandbApiFailedError
    except ImportError as error:
        raise NaitError(f"W&B is not installed ({error})", where=project, fix="pip install wandb") from error
    # The API raises ValueError for a project that does not exist.
    refused = (wandb.Error, WandbApiFailedError, requests.RequestException, TimeoutError, ValueError)
    try:
        log_in()
        yield wandb.Api()
    except PermissionError as error:
        raise NaitError(str(error), where=project) from error
    except refused as error:
        raise NaitError(
            f"W&B refuses the request ({without_secrets(str(error))})",
            where=project,
            fix="Check the project's name, the API key's permissions and the network.",
        ) from error
