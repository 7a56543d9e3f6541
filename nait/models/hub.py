"""Models by Hub id: fetched, then as those in a folder."""

from __future__ import annotations

from nait.core.errors import ModelError, first_line
from nait.models.files import CODE_READS, FETCHED
from nait.models.loading import Dtype, LocalModel


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

    Raises: ModelError when it is not in the cache and cannot be downloaded.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [*FETCHED, *(("*.py", *CODE_READS) if trust_remote_code else ())]
    try:
        folder = snapshot_download(
            path, revision=revision, local_files_only=not download, allow_patterns=patterns
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, RuntimeError) as error:
        raise ModelError(
            f"the Hub did not give it ({first_line(error)})",
            where=f"model.path={path}",
            mend="Check the id, the network and HF_TOKEN, or use model=local model.path=FOLDER.",
        ) from error
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
