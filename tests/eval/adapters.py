"""Adapters that change a model's answers."""

from __future__ import annotations

from pathlib import Path

import torch

from nait.core.contracts import Model
from nait.training.adapters.adapter_files import save
from nait.training.adapters.lora import LoraRecipe, attach


def save_adapter(model: Model, folder: Path, *, std: float, r: int = 2, seed: int = 0) -> Path:
    """Save a LoRA adapter whose factors B are drawn with this standard deviation. Returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    adapted = attach(model.load()[0], LoraRecipe(r=r, dropout=0.0))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=std)
    save(adapted, folder, base="base")
    return folder
