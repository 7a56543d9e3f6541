"""Models that can be used without a download: presets, folders nearby, and the Hub's cache."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from nait.core.errors import ConfigError

SHOWN = 12
"""The most models that a message lists."""
DEEP = ("*", "*/*", "*/*/*")
"""Patterns of folders that are searched below the working folder."""


def folders_nearby(root: Path) -> list[tuple[Path, int]]:
    """Model folders below `root` with the bytes of their weights, smallest first."""
    found = []
    for pattern in DEEP:
        for config in root.glob(f"{pattern}/config.json"):
            if any(part.startswith(".") for part in config.relative_to(root).parts):
                continue
            size = sum(path.stat().st_size for path in config.parent.glob("*.safetensors"))
            if size and (config.parent / "tokenizer_config.json").is_file():
                found.append((config.parent.relative_to(root), size))
    return sorted(found, key=lambda one: (one[1], str(one[0])))


def cached_ids() -> Iterator[tuple[str, int]]:
    """Ids of models in the Hub's cache with the bytes of their weights."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    for folder in sorted(cache.glob("models--*")) if cache.is_dir() else ():
        size = sum(path.stat().st_size for path in folder.glob("snapshots/*/*.safetensors"))
        if size:
            yield folder.name.removeprefix("models--").replace("--", "/"), size


def megabytes(size: int) -> str:
    """A size in human units: "0.5 MB", "14.2 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def without_model(presets: Sequence[str]) -> ConfigError:
    """The error for a command without a model. It lists the models at hand, smallest first."""
    nearby = [f"{path} ({megabytes(size)})" for path, size in folders_nearby(Path.cwd())]
    cached = [f"{name} ({megabytes(size)})" for name, size in sorted(cached_ids(), key=lambda one: one[1])]
    lines = [
        "Give one of:",
        *(f"  --model {one}" for one in [*nearby, *cached][:SHOWN]),
        "  --model nano (2.8 MB, embedded: it knows only its own world, and serves to try the commands)",
        "  --model FOLDER, with config.json, safetensors and a tokenizer",
        "  --model OWNER/NAME, which is downloaded from the Hub",
        f"Presets, which are downloaded too: {', '.join(name for name in presets if name != 'nano')}",
    ]
    return ConfigError("no model is named", where="--model", fix="\n".join(lines))
