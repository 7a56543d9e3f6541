"""Models by Hub id: downloaded or read from the cache, then opened like a local folder."""

from __future__ import annotations

import logging

from nait.core.errors import ModelError, first_line
from nait.hub.reachability import closed_hub, offline_variable
from nait.models.checkpoint.folders import HUB_ID
from nait.models.checkpoint.model_files import CODE_READS, FETCHED
from nait.models.loading import Dtype, LocalModel

_log = logging.getLogger(__name__)


def hub_model(
    path: str,
    name: str | None = None,
    revision: str | None = None,
    download: bool = True,
    dtype: Dtype = "auto",
    device: str = "auto",
    attn_implementation: str | None = None,
    device_map: str | None = None,
    tensor_parallel: bool = False,
    trust_remote_code: bool = False,
    max_length: int = 512,
    fingerprints: str | None = None,
) -> LocalModel:
    """The model of a Hub id, from the local cache or (with `download`) from the Hub.

    If the Hub does not answer, or HF_HUB_OFFLINE is set, only the cache is read.
    Raises: ModelError if the model is not in the cache and cannot be downloaded.
    """
    patterns = [*FETCHED, *(("*.py", *CODE_READS) if trust_remote_code else ())]
    folder = _fetched(path, revision, patterns, download=download)
    return LocalModel(
        path=folder,
        name=name or path.rsplit("/", 1)[-1],
        dtype=dtype,
        device=device,
        attn_implementation=attn_implementation,
        device_map=device_map,
        tensor_parallel=tensor_parallel,
        trust_remote_code=trust_remote_code,
        max_length=max_length,
        fingerprints=fingerprints,
    )


def _fetched(path: str, revision: str | None, patterns: list[str], *, download: bool) -> str:
    """The folder of a model's files. Raises: ModelError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    closed = "model.download is false"
    if download:
        closed = closed_hub() if HUB_ID.fullmatch(path) else ""  # an invalid id is refused without a request
    try:
        folder = snapshot_download(
            path, revision=revision, local_files_only=bool(closed), allow_patterns=patterns
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, RuntimeError) as error:
        where = f"model.path={path}"
        if not closed:
            raise ModelError(
                f"the download from the Hub failed ({first_line(error)})",
                where=where,
                fix="Check the id, the network and HF_TOKEN, or use model=local model.path=FOLDER.",
            ) from error
        absent = isinstance(error, LocalEntryNotFoundError) and "Cannot find" in str(error)
        what = "it is not in the cache" if absent else f"the cache cannot be read ({first_line(error)})"
        raise ModelError(
            f"the model cannot be downloaded: {closed}, and {what}",
            where=where,
            fix="Use model=local model.path=FOLDER, or download it once with access to the Hub. Later runs read it "
            "from the cache, also with HF_HUB_OFFLINE=1.",
        ) from error
    if closed and download and not offline_variable():
        _log.warning("model.path=%s: %s. It is read from the cache.", path, closed)
    return str(folder)
