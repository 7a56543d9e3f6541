"""Model folders: check that one holds a causal language model, from file names and headers.

No weights are read: an incomplete download, a Git LFS pointer or a classifier is refused before 15 GB are hashed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nait.core.errors import ModelError, did_you_mean
from nait.models.checkpoint.model_files import ADAPTER, TEXTS, WEIGHTS, check_fetched, files_read, read_object
from nait.models.checkpoint.safetensors_headers import GGUF_FIX, refuse_other_weights, tensors_of

TOKENIZERS = ("tokenizer*", "*.model", "vocab.json", "vocab*.txt", "*.tiktoken", "tekken.json")
HUB_ID = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
_NO_GENERATOR = re.compile(r"For(SequenceClassification|TokenClassification|QuestionAnswering|MaskedLM|"
                           r"MultipleChoice|ImageClassification|Regression)$|RewardModel$")  # fmt: skip
HEADS = ("score.", "classifier.", "qa_outputs.")
"""Name prefixes of the weights of a classification or reward head."""
_OUTPUT = re.compile(r"head|embed_out|(^|\.)output\.")
_BLOCK = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
NAMED = 5
"""Model folders that are named where a folder above them is given."""
KERNELS = (
    "attn_implementation",
    "_attn_implementation",
    "_attn_implementation_internal",
    "experts_implementation",
)
LOOKS_AHEAD: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("use_bidirectional_attention", (True, "all")),
    ("is_causal", (False,)),
)
"""Keys of a config, with the values that let tokens attend to later ones."""
OTHER_CODE = "--"
"""Separates a repository id from a class name in `auto_map`."""


def check_folder(folder: Path, given: str, *, trust_remote_code: bool) -> None:
    """Check a model folder. Raises: ModelError if it holds no complete causal language model."""
    _check_place(folder, given)
    if (folder / ADAPTER).is_file():
        _refuse_adapter(folder)
    if not (folder / "config.json").is_file() and not any(folder.glob(WEIGHTS)):
        refuse_other_weights(folder)
    for name, path in files_read(folder).items():
        if not name.endswith(".safetensors"):
            _check_text(path)
    if not (folder / "config.json").is_file():
        below = sorted(path.parent for path in folder.glob("*/config.json"))
        named = f" Folders in it that have one: {', '.join(map(str, below[:NAMED]))}." if below else ""
        raise ModelError(
            "there is no config.json",
            where=str(folder),
            fix=f"Save the model with save_pretrained() there.{named}",
        )
    config = read_config(folder)
    _check_code(folder, config, trust_remote_code=trust_remote_code)
    _check_architecture(folder, config)
    _check_texts(folder, config)
    tensors = tensors_of(folder, config)
    _check_head(folder, config, tensors)
    _check_blocks(folder, config, tensors)
    if not any(path for pattern in TOKENIZERS for path in folder.glob(pattern)):
        raise ModelError(
            "there is no tokenizer", where=str(folder), fix="Save it with its save_pretrained() there."
        )


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's `config.json`. Raises: ModelError if it is not a JSON object."""
    return read_object(folder / "config.json")


def _check_place(folder: Path, given: str) -> None:
    if folder.is_dir():
        return
    if folder.is_file():
        raise ModelError(
            "is a file, not a folder",
            where=f"model.path={given}",
            fix=GGUF_FIX if folder.suffix == ".gguf" else "Give the folder that holds config.json.",
        )
    siblings = folder.parent.glob("*/") if folder.parent.is_dir() else ()
    near = did_you_mean(folder.name, [path.name for path in siblings])
    hub = f"If it is a Hub id, use model=hf model.path={given}." if HUB_ID.fullmatch(given) else ""
    raise ModelError(
        "there is no such folder",
        where=f"model.path={given}",
        fix=" ".join(part for part in (near, hub) if part) or "Give the folder that holds config.json.",
    )


def _refuse_adapter(folder: Path) -> None:
    base = read_object(folder / ADAPTER).get("base_model_name_or_path") or "its base"
    alone = not (folder / "config.json").is_file()
    what = "it holds an adapter without a model" if alone else "it holds an adapter next to a model"
    raise ModelError(
        f"{what} ({ADAPTER})",
        where=str(folder),
        fix=f"Merge it into {base} with PEFT (merge_and_unload(), then save_pretrained() to a new folder)"
        + ("." if alone else ", or move the adapter's files to another folder."),
    )


def _check_text(file: Path) -> None:
    """Raises: ModelError for a text file that is empty, a Git LFS pointer, or invalid JSON."""
    check_fetched(file)
    if not file.stat().st_size and file.suffix in (".json", ".model"):
        raise ModelError("is empty", where=str(file), fix="Fetch it again, or remove it.")
    if file.suffix == ".json":
        read_object(file, lists=file.name not in _OBJECTS)


_OBJECTS = {name for name in TEXTS if "*" not in name} | {"tokenizer.json", "tokenizer_config.json"}


def _check_code(folder: Path, config: Mapping[str, Any], *, trust_remote_code: bool) -> None:
    """Raises: ModelError if the model's code is in another repository, where the fingerprint does not cover it.

    That is so for its classes, and for an attention kernel that transformers would fetch from the Hub.
    """
    for part in (config, config.get("text_config")):
        for key in KERNELS:
            kernel = part.get(key) if isinstance(part, Mapping) else None
            if isinstance(kernel, str) and "/" in kernel:
                raise ModelError(
                    f"{key} names code of the Hub ({kernel})",
                    where=str(folder / "config.json"),
                    fix="Remove the entry, and set model.attn_implementation if you want that kernel.",
                )
    names = config.get("auto_map")
    for name in names.values() if trust_remote_code and isinstance(names, dict) else ():
        if OTHER_CODE in str(name):
            raise ModelError(
                f"its code is in another repository ({name})",
                where=str(folder / "config.json"),
                fix=f"Copy that repository's *.py here, and write '{str(name).split(OTHER_CODE)[-1]}' in auto_map.",
            )


def _check_architecture(folder: Path, config: Mapping[str, Any]) -> None:
    names = config.get("architectures")
    for name in names if isinstance(names, list) else ():
        if _NO_GENERATOR.search(str(name)):
            raise ModelError(
                f"it is a {name}, not a causal language model",
                where=str(folder / "config.json"),
                fix="Give the language model that it was fine-tuned from.",
            )


def _check_texts(folder: Path, config: Mapping[str, Any]) -> None:
    """Raises: ModelError for Llama 3.2 Vision, which skips blocks when it is given a text without an image; and for
    an encoder, such as EmbeddingGemma, whose tokens attend to later ones."""
    for part in (config, config.get("text_config")):
        found = part if isinstance(part, Mapping) else {}
        for key, ahead in LOOKS_AHEAD:
            if found.get(key) in ahead:
                raise ModelError(
                    f"its tokens attend to later ones ({key}={found[key]}), so it is not a causal language model",
                    where=str(folder / "config.json"),
                    fix="Give a causal language model.",
                )
    if str(config.get("model_type")).startswith("mllama"):
        raise ModelError(
            "some blocks of this model (mllama) attend to images, and a text skips them",
            where=str(folder / "config.json"),
            fix="Use the text model that it is built on, such as Llama 3.1 8B for Llama 3.2 11B Vision.",
        )


def _check_head(folder: Path, config: Mapping[str, Any], tensors: set[str]) -> None:
    """Raises: ModelError for a classification head, or an output layer that is neither present nor tied."""
    rates = sorted(name for name in tensors if name.startswith(HEADS))
    has_output = any(_OUTPUT.search(name) for name in tensors)
    if rates and not has_output:
        raise ModelError(
            f"the weights are a classifier's ({rates[0]}), not a causal language model's",
            where=str(folder),
            fix="Give the language model that it was fine-tuned from.",
        )
    if config.get("tie_word_embeddings") is False and not has_output:
        raise ModelError(
            "the weights have no output layer (lm_head), and config.json does not tie it to the embeddings",
            where=str(folder),
            fix='Save the whole model again, or set "tie_word_embeddings": true if it was trained so.',
        )


def _check_blocks(folder: Path, config: Mapping[str, Any], tensors: set[str]) -> None:
    """Raises: ModelError if the weights have fewer blocks than the config: the others would be random."""
    depth = config.get("num_hidden_layers", config.get("n_layer"))
    blocks = {int(found.group(1)) for name in tensors for found in _BLOCK.finditer(name)}
    if isinstance(depth, int) and blocks and len(blocks) < depth:
        raise ModelError(
            f"the weights have {len(blocks)} blocks, config.json has {depth}",
            where=str(folder),
            fix="Use config.json and weights of the same model.",
        )
