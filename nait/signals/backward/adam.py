"""Adam updates: the step that Adam would take for a gradient, per parameter, from a checkpoint's moments.

Shapes: B rows, p weights of one parameter, flattened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from nait.core.errors import ModelError
from nait.signals.specs.gradients import Moments, Update
from nait.store import damaged


class Stepper:
    """Turns gradients into updates. The moments are on the device and scaled once."""

    def __init__(self, update: Update, shapes: Mapping[str, tuple[int, ...]], device: str) -> None:
        self.update = update
        self.first: dict[str, torch.Tensor] = {}
        self.second: dict[str, torch.Tensor] = {}
        moments = update.moments
        if update.variant == "sgd" or moments is None:
            return
        self.beta1, self.beta2, self.eps = moments.beta1, moments.beta2, moments.eps
        inside = 0.0 if update.variant == "eps_outside" else moments.eps
        for name, (m, v) in read_moments(moments, shapes).items():
            self.first[name] = (m.float().flatten() * moments.beta1).to(device)
            self.second[name] = (v.float().flatten() * moments.beta2 + inside).to(device)

    def __call__(self, name: str, g_bp: torch.Tensor) -> torch.Tensor:
        """Updates [B, p], one per row. `g_bp` is not modified."""
        if self.update.variant == "sgd":
            return g_bp
        root = torch.addcmul(self.second[name], g_bp, g_bp, value=1 - self.beta2).sqrt_()
        if self.update.variant == "no_momentum":
            return torch.div(g_bp, root, out=root)
        if self.update.variant == "eps_outside":
            root.add_(self.eps)
        return torch.add(self.first[name], g_bp, alpha=1 - self.beta1).div_(root)


def read_moments(
    moments: Moments, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """First and second moment of each parameter.

    Raises: StoreError for a file that cannot be read; ModelError for a tensor that is missing, has another shape, or
    belongs to no parameter.
    """
    from safetensors import SafetensorError, safe_open

    where = str(moments.path)
    try:
        with safe_open(where, framework="pt") as file:
            names = set(file.keys())
            wanted = {f"{name}.{moment}" for name in shapes for moment in ("exp_avg", "exp_avg_sq")}
            _refuse(sorted(wanted - names), "is not among Adam's moments", where)
            _refuse(sorted(names - wanted), "is among Adam's moments and is not a parameter here", where)
            pairs = {
                name: (file.get_tensor(f"{name}.exp_avg"), file.get_tensor(f"{name}.exp_avg_sq"))
                for name in shapes
            }
    except (OSError, SafetensorError) as error:
        raise damaged(
            moments.path,
            f"Adam's moments cannot be read ({error})",
            "Give the moments that were saved with this adapter.",
        ) from error
    for name, pair in pairs.items():
        for moment, tensor in zip(("exp_avg", "exp_avg_sq"), pair, strict=True):
            if tuple(tensor.shape) != shapes[name]:
                what = f"has shape {tuple(tensor.shape)}, the parameter {shapes[name]}"
                _refuse([f"{name}.{moment}"], what, where)
    return pairs


def _refuse(names: list[Any], what: str, where: str) -> None:
    if names:
        raise ModelError(f"{names[0]} {what}", where=where, fix="Use the moments saved with this adapter.")
