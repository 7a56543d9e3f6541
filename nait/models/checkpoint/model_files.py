"""Model files: the files of a folder that determine a model's outputs, and the files that a download needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nait.core.errors import ModelError, first_line

WEIGHTS = "*.safetensors"
INDEX = "*.safetensors.index.json"
TEXTS = ("config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json", "*.model",
         "vocab.json", "merges.txt", "added_tokens.json", "chat_template*", INDEX)  # fmt: skip
RARE_TEXTS = ("vocab*.txt", "vocab-*.json", "*_vocab.json", "*.tiktoken", "tekken.json", "bpe.codes", "dict.txt",
              "normalizer.json", "emoji.json", "byte_maps.json", "word_*.json", "*.spm", "*.tokenizer",
              "additional_chat_templates/*.jinja")  # fmt: skip
CODE = ("*.py", "**/*.py")
CODE_READS = ("*.json", "*.txt", "*.jinja")
"""Further files that a model's own code may read."""
ADAPTER = "adapter_config.json"
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
FETCHED = (WEIGHTS, *TEXTS, *RARE_TEXTS, ADAPTER)
"""Patterns of a download; `*` also matches folders."""


def files_read(folder: Path, *, trust_remote_code: bool = False) -> dict[str, Path]:
    """Every file that loading the network, tokenizer or generation config may read, by its path in `folder`."""
    patterns = (WEIGHTS, *TEXTS, *RARE_TEXTS, *((*CODE, *CODE_READS) if trust_remote_code else ()))
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    found |= {folder / name for name in listed_shards(folder)}
    return {path.relative_to(folder).as_posix(): path for path in sorted(found) if path.is_file()}


def listed_shards(folder: Path) -> Iterator[str]:
    """Names of the weight files in the folder's shard indexes, present or not. A damaged index is skipped."""
    for index in sorted(folder.glob(INDEX)):
        try:
            shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue  # check_folder reports it
        yield from sorted({shard for shard in shards if isinstance(shard, str)})


def check_fetched(file: Path) -> None:
    """Raises: ModelError if the file is a Git LFS pointer."""
    with file.open("rb") as stream:
        start = stream.read(len(LFS_POINTER))
    if start == LFS_POINTER:
        raise ModelError(
            "is a Git LFS pointer, not the file itself",
            where=str(file),
            fix=f"Run `git lfs pull` in {file.parent}, or download the model again.",
        )


def read_object(file: Path, *, lists: bool = False) -> dict[str, Any]:
    """The JSON object in a file. Raises: ModelError if there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"is not JSON ({first_line(error)})", where=str(file), fix="Fetch the file again."
        ) from error
    if not isinstance(found, dict) and not lists:
        raise ModelError(
            "is not a JSON object", where=str(file), fix="Copy it from the model's own repository."
        )
    return found if isinstance(found, dict) else {}
