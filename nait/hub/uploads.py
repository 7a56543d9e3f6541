"""Uploads of a folder to the Hub. Nothing else in the package sends data there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nait.core.errors import ConfigError, NaitError, first_line
from nait.hub.reachability import closed_hub


def upload_folder(folder: Path, repo: str, *, kind: str, client: Any = None) -> str:
    """Upload the folder to a repository of this kind ("model" or "dataset"), which is made private if it is new.

    `client`: an `HfApi`; None: one with the user's own token. Returns the repository's URL.
    Raises: ConfigError for a name without owner; NaitError when the Hub is unreachable or refuses.
    """
    if repo.count("/") != 1 or not all(repo.split("/")):
        raise ConfigError(f"'{repo}' is not OWNER/NAME", where="upload", fix="Name owner and repository.")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    if client is None and (closed := closed_hub()):
        raise NaitError(closed, where="upload", fix=f"Upload {folder} later.")
    api = client or HfApi()
    try:
        url = api.create_repo(repo, repo_type=kind, private=True, exist_ok=True)
        api.upload_folder(folder_path=str(folder), repo_id=repo, repo_type=kind)
    except (HfHubHTTPError, OSError, ValueError) as error:
        fix = "Log in with `hf auth login`, with a token that may write there."
        raise NaitError(f"the Hub refused ({first_line(error)})", where=repo, fix=fix) from error
    return str(url)
