"""Per-example LoRA gradients: the gradient of every row of a batch from one backward pass.

Shapes: B rows, T tokens, I inputs and O outputs of a factor. A factor is a linear map y = x W^T, and the
gradient of row b with respect to W is the sum over t of g_y[b, t] x[b, t]^T. One backward pass of the batch has
both x, which is saved for it, and g_y, which is its input. No row needs a backward pass of its own. This holds for
any model, with tied weights and with activation checkpointing, because each factor's backward runs once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from nait.core.errors import ModelError

Take = Callable[[torch.Tensor, torch.Tensor], None]
"""Called during the backward pass with the gradient at a factor's output and the factor's input."""


def find_factors(network: Any) -> dict[str, Any]:
    """LoRA factors (linear modules) by the name of their weight, sorted by name.

    Raises: ModelError if there are none, or the adapter trains other parameters.
    """
    found = {}
    for path, module in network.named_modules():
        if hasattr(module, "parameter_name"):
            continue  # peft's wrapper of a bare parameter (experts): its factors are multiplied, not called
        for part in ("lora_A", "lora_B"):
            held = getattr(module, part, None)
            for adapter, factor in held.items() if isinstance(held, torch.nn.ModuleDict) else ():
                if isinstance(factor, torch.nn.Linear):
                    found[f"{path}.{part}.{adapter}.weight"] = factor
    marks = (".lora_", ".modules_to_save.", ".trainable_tokens_")
    ours = [name for name, _ in network.named_parameters() if any(mark in name for mark in marks)]
    other = sorted(set(ours) - set(found))
    if not found or other:
        what = f"the adapter trains {other[0]}" if other else "there is no LoRA on this model"
        raise ModelError(what, where="gradients", fix="Use one plain LoRA adapter on linear layers.")
    return dict(sorted(found.items()))


class _Factor(torch.autograd.Function):
    """A linear map that passes (gradient at its output, input) to `take`, without a summed weight gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, take: Take) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.take = take
        return torch.nn.functional.linear(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        ctx.take(g, x)
        return g @ weight if ctx.needs_input_grad[0] else None, None, None


class Tap:
    """A context in which `take(name, gradient)` receives each factor's per-row gradient [B, O, I] in float32.

    Only the factors require gradients, so the backward pass ends at the lowest factor. Dropout is off.
    """

    def __init__(self, network: Any, take: Callable[[str, torch.Tensor], None]) -> None:
        self.network = network
        self.factors = find_factors(network)
        self.take = take
        self.rows = self.width = 0  # of the batch
        self.before: tuple[bool, dict[torch.Tensor, bool]] = (False, {})
        self.forwards: dict[str, Any] = {}

    def __enter__(self) -> Tap:
        wanted = {id(factor.weight) for factor in self.factors.values()}
        self.before = self.network.training, {p: p.requires_grad for p in self.network.parameters()}
        self.network.eval()
        for parameter in self.network.parameters():
            parameter.requires_grad_(id(parameter) in wanted)
        for name, factor in self.factors.items():
            self.forwards[name] = vars(factor).get("forward")
            factor.forward = self._forward(name, factor)
        return self

    def __exit__(self, *_: object) -> None:
        for name, factor in self.factors.items():
            _restore_forward(factor, self.forwards[name])
        training, wanted = self.before
        for parameter, was in wanted.items():
            parameter.requires_grad_(was)
        self.network.train(training)

    def _forward(self, name: str, factor: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        def take(g: torch.Tensor, x: torch.Tensor) -> None:
            self.take(name, self._gradient(name, g, x))

        def forward(x: torch.Tensor) -> torch.Tensor:
            return _Factor.apply(x, factor.weight, take)  # type: ignore[no-any-return]

        return forward

    def _gradient(self, name: str, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Per-row gradient [B, O, I]. Undoes the flattening of [B, T] that some models do before a router.

        Raises: ModelError for other tokens than all of the batch, such as those that a router sends to an expert.
        """
        seen = x.numel() // x.shape[-1]
        tokens, uneven = divmod(seen, self.rows)
        some = x.dim() == 2 and (not seen or seen % (self.rows * self.width))
        if uneven or some or (x.dim() == 3 and x.shape[0] != self.rows):
            raise ModelError(
                f"{name} mixes tokens of several rows ({tuple(x.shape)} for {self.rows} rows)",
                where="gradients",
                fix="Leave this module out of train.lora.target_modules.",
            )
        g_bto, x_bti = g.reshape(self.rows, tokens, -1), x.reshape(self.rows, tokens, -1)
        return torch.bmm(g_bto.float().transpose(1, 2), x_bti.float())


def _restore_forward(module: Any, before: Any) -> None:
    """Restore the module's own `forward`; None restores its class's."""
    if before is None:
        del module.forward
    else:
        module.forward = before
