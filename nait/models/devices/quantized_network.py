"""Networks whose linear layers are quantised to 4 bits when they are opened, by bitsandbytes."""

from __future__ import annotations

import importlib.util
from typing import Any

from nait.core.contracts import Model, Quantizable
from nait.core.errors import ConfigError

PACKAGE = "bitsandbytes"
KEY = "train.quantization"


def check_quantization() -> None:
    """Raises: ConfigError without bitsandbytes or without a CUDA GPU."""
    import torch

    if importlib.util.find_spec(PACKAGE) is None:
        raise ConfigError(
            f"4 bits need {PACKAGE}, which is not installed", where=KEY,
            fix="pip install 'nait[qlora]', or use train=lora.",
        )  # fmt: skip
    if not torch.cuda.is_available():
        raise ConfigError(
            "4 bits need a CUDA GPU, and torch finds none here", where=KEY,
            fix="Start it on a machine with one and a CUDA build of torch, or use train=lora.",
        )  # fmt: skip


def open_quantized(model: Model) -> Any:
    """The network in eval mode with 4-bit linear layers. Raises: ConfigError if the model cannot be opened so."""
    if not isinstance(model, Quantizable):
        raise ConfigError(
            f"{model.name} cannot be quantised", where=KEY, fix="Use model=hf or model=local, or train=lora."
        )
    return model.load_quantized()
