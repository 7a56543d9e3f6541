"""Tokenizers: a model's own, as its folder's tokenizer.json says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nait.core.errors import ModelError, first_line

PROBES = ("Sort the words: pear, fig.\n\n### Response:\n12 + 7 = 19", "  naïve café\t#x<1>")


def open_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """The folder's own tokenizer: what tokenizer.json says, whatever class the config suggests.

    AutoTokenizer may replace a custom tokenizer beside a known model type by that type's own; then
    the file itself is loaded. Raises: ModelError when transformers cannot open it.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=trust_remote_code, local_files_only=True
        )
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise ModelError(
            f"the tokenizer cannot be opened ({first_line(error)})",
            where=str(folder),
            mend="Check the files.",
        ) from error
    file = folder / "tokenizer.json"
    if file.is_file() and not _agrees(tokenizer, file):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    _keep_no_texts(tokenizer)
    return tokenizer


def _agrees(tokenizer: Any, file: Path) -> bool:
    """Whether the loaded tokenizer gives the ids that the file itself gives."""
    from tokenizers import Tokenizer

    bare = Tokenizer.from_file(str(file))
    return all(
        tokenizer(text, add_special_tokens=False)["input_ids"]
        == bare.encode(text, add_special_tokens=False).ids
        for text in PROBES
    )


def _keep_no_texts(tokenizer: Any) -> None:
    """Switch off the cache of words where a whole text counts as one word: it would keep 10,000 texts."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and backend.pre_tokenizer is None and hasattr(backend.model, "_resize_cache"):
        backend.model._resize_cache(0)
