"""Headers of safetensors files: names and shapes of tensors, and a check that the file is complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nait.core.errors import ModelError
from nait.models.checkpoint.model_files import WEIGHTS, check_fetched, read_object

LENGTH_BYTES = 8
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
MOST_BYTES = 100_000_000
"""Maximum header length of the format."""

GGUF_FIX = (
    "model=gguf model.path=FILE dequantises them. The original checkpoint is better: its folder, or its Hub id "
    "(model=hf)."
)
PICKLE_FIX = (
    "Loading them can run code. If you trust their source, convert them: "
    "AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER), and save the tokenizer there too."
)


@dataclass(frozen=True)
class Header:
    """Shapes of a file's tensors by name."""

    shapes: Mapping[str, tuple[int, ...]]


def read_header(file: Path) -> Header:
    """The header of a safetensors file.

    Raises: ModelError for a file that is empty, truncated or of another format.
    """
    check_fetched(file)
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(LENGTH_BYTES)
        length = int.from_bytes(start, "little")
        if size == 0:
            raise _damaged(file, "is empty")
        if len(start) < LENGTH_BYTES or length > MOST_BYTES:
            raise _damaged(file, "is not a safetensors file")
        text = stream.read(length)
    if len(text) < length:
        raise _damaged(file, f"is cut off inside its header ({size:,} bytes)")
    try:
        tensors = {name: facts for name, facts in json.loads(text).items() if name != "__metadata__"}
        ends = [int(facts["data_offsets"][1]) for facts in tensors.values()]
        shapes = {name: tuple(map(int, facts["shape"])) for name, facts in tensors.items()}
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        raise _damaged(file, "is not a safetensors file") from error
    whole = LENGTH_BYTES + length + max(ends, default=0)
    if size < whole:
        raise _damaged(file, f"is cut off: {size:,} of {whole:,} bytes")
    if size > whole:
        raise _damaged(file, f"has {size - whole:,} bytes more than its header declares")
    return Header(shapes)


def _damaged(file: Path, what: str) -> ModelError:
    return ModelError(what, where=str(file), fix="Download or copy the file again.")


def tensors_of(folder: Path, config: Mapping[str, Any]) -> set[str]:
    """Names of the tensors that transformers will load.

    Raises: ModelError for a file that is missing or damaged.
    """
    first = config.get("transformers_weights") or "model.safetensors"
    if not _is_name(first, (".safetensors", ".safetensors.index.json")):
        raise ModelError(
            f"transformers_weights names '{first}', which is not a safetensors file of this folder",
            where=str(folder / "config.json"),
            fix="Remove the entry, or name a safetensors file.",
        )
    shards = sorted(folder.glob("shard-*-model-*-of-*.safetensors"))  # saved by a multi-node run
    if (folder / first).is_file() and first.endswith(".safetensors"):
        return set(read_header(folder / first).shapes)
    if shards:
        return set().union(*(read_header(shard).shapes for shard in shards))
    index = folder / (first if first.endswith(".json") else "model.safetensors.index.json")
    if not index.is_file():
        _refuse_missing(folder)
    return _listed(index)


def _is_name(name: object, suffixes: tuple[str, ...]) -> bool:
    """Whether a text names a file in a folder itself, of one of these kinds."""
    return isinstance(name, str) and name.endswith(suffixes) and not {"/", "\\"} & {*name}


def _refuse_missing(folder: Path) -> None:
    found = sorted(path.name for path in folder.glob(WEIGHTS))
    if found:
        raise ModelError(
            f"there is neither model.safetensors nor model.safetensors.index.json (but {found[0]})",
            where=str(folder),
            fix="Fetch the list of shards too, or rename a single file to model.safetensors.",
        )
    refuse_other_weights(folder)
    raise ModelError(
        "there are no safetensors weights",
        where=str(folder),
        fix="Save the model with save_pretrained() there, or complete the download.",
    )


def _listed(index: Path) -> set[str]:
    """Tensors of a shard index.

    Raises: ModelError for a shard that is missing, damaged, or lacks a listed tensor.
    """
    places = read_object(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise ModelError("has no weight_map", where=str(index), fix="Fetch the file again.")
    headers: dict[str, Header] = {}
    for shard in sorted({str(place) for place in places.values()}):
        if not _is_name(shard, (".safetensors",)):
            raise ModelError(
                f"lists '{shard}', which is not a safetensors file of this folder",
                where=str(index),
                fix=PICKLE_FIX,
            )
        if not (index.parent / shard).is_file():
            raise ModelError(
                f"is listed in {index.name} and missing",
                where=str(index.parent / shard),
                fix="Complete the download.",
            )
        headers[shard] = read_header(index.parent / shard)
    for name, shard in places.items():
        if name not in headers[str(shard)].shapes:
            raise ModelError(
                f"lacks the tensor {name}, which {index.name} lists there",
                where=str(index.parent / str(shard)),
                fix="Download the shards and their list again, from one revision.",
            )
    return set().union(*(header.shapes for header in headers.values()))


def refuse_other_weights(folder: Path) -> None:
    """Raises: ModelError if the folder has weights of an unsupported format (GGUF or pickled)."""
    for patterns, what, fix in ((("*.gguf",), "GGUF", GGUF_FIX), (PICKLES, "pickled", PICKLE_FIX)):
        found = sorted(path.name for pattern in patterns for path in folder.glob(pattern))
        if found:
            raise ModelError(f"there are only {what} weights ({found[0]})", where=str(folder), fix=fix)
