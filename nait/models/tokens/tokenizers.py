"""Tokenizers: load a model's own tokenizer, and check its ids against the embedding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nait.core.errors import ModelError, first_line

PROBES = (
    "Sort the words: pear, fig.\n\n### Response:\n12 + 7 = 19",
    "  naïve café\t#x<1>",
    "1234567890 3.14 DON'T they're\n\n\n x  y\r\n",
    "日本語 текст ﬁ 🙂",
)
NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")
SHARED = 4
"""The most backends that a process keeps."""
_backends: list[Any] = []
"""The backends of the tokenizers that were opened last."""


def open_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer of the folder's tokenizer.json, whatever class the config names.

    AutoTokenizer may replace a custom tokenizer by the default of the model type; then the file itself is loaded.

    Raises: ModelError if transformers cannot open it.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=trust_remote_code, local_files_only=True
        )
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise ModelError(
            f"the tokenizer cannot be opened ({first_line(error)})",
            where=str(folder),
            fix="Check the files, or save it there again with its save_pretrained().",
        ) from error
    _share_backend(tokenizer)
    file = folder / "tokenizer.json"
    if file.is_file() and not _agrees(tokenizer, file):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)
        _share_backend(tokenizer)
    _keep_no_texts(tokenizer)
    return tokenizer


def check_ids(tokenizer: Any, rows: int | None, *, where: str) -> None:
    """Raises: ModelError if an id that texts, turns or padding can use exceeds the embedding's `rows`.

    Special tokens that no text contains, such as image tokens of a text model, may exceed it.
    """
    if rows is None:
        return
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    named = {getattr(tokenizer, f"{name}_id") for name in NAMED}
    beyond = sorted(
        (i, token)
        for token, i in tokenizer.get_vocab().items()
        if i >= rows and (i not in special or i in named)
    )
    if beyond:
        i, token = beyond[0]
        more = f" ({len(beyond) - 1} more ids are beyond it too)" if len(beyond) > 1 else ""
        raise ModelError(
            f"the tokenizer's {token!r} has id {i}, the embedding has {rows} rows{more}",
            where=where,
            fix="Use the tokenizer of these weights, or save the model again after "
            "resize_token_embeddings(len(tokenizer)) and training the new rows.",
        )


def check_highest(tokenizer: Any, highest: int, rows: int) -> None:
    """Raises: ModelError if the highest id of a text exceeds the embedding's `rows`."""
    if highest >= rows:
        raise ModelError(
            f"the template or a text writes {tokenizer.convert_ids_to_tokens(highest)!r}: its id is {highest}, "
            f"the embedding has {rows} rows",
            where=str(tokenizer.name_or_path),
            fix="Use the tokenizer of these weights, or a template without this token.",
        )


def _agrees(tokenizer: Any, file: Path) -> bool:
    """Whether the loaded tokenizer yields the same ids as the file."""
    from tokenizers import Tokenizer

    bare = Tokenizer.from_file(str(file))
    _cache_no_words(bare)
    return all(
        tokenizer(text, add_special_tokens=False)["input_ids"]
        == bare.encode(text, add_special_tokens=False).ids
        for text in PROBES
    )


def _keep_no_texts(tokenizer: Any) -> None:
    """Disable the word cache if a whole text counts as one word: it would keep 10,000 texts."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and backend.pre_tokenizer is None:
        _cache_no_words(backend)


def _cache_no_words(backend: Any) -> None:
    if hasattr(backend.model, "_resize_cache"):
        backend.model._resize_cache(0)


def _share_backend(tokenizer: Any) -> None:
    """Give the tokenizer the backend of an earlier one that has the same content.

    The tokenizers library keeps the words that a backend has cached until the thread ends, also of a backend that is
    gone. With a backend for each opening they would add up over the jobs of a process.
    """
    own = getattr(tokenizer, "_tokenizer", None)
    if own is None:  # not of this library
        return
    content = own.to_str()
    for one in _backends:
        _cut_and_pad_like(one, own)
        if one.to_str() == content:  # no user has changed it
            tokenizer._tokenizer = one
            return
    _backends.append(own)
    del _backends[:-SHARED]


def _cut_and_pad_like(backend: Any, other: Any) -> None:
    """Give a backend the truncation and padding of another one: each call of a tokenizer sets its own."""
    backend.no_truncation()
    backend.no_padding()
    if other.truncation:
        backend.enable_truncation(**other.truncation)
    if other.padding:
        backend.enable_padding(**other.padding)
