"""Anatomy of a decoder: its blocks, MLP neurons and attention outputs, found by structure.

`residual` is a block's output (before the final norm, also for the last block), `mlp` the input of the MLP's
down-projection (the "neurons"), `mlp_out` and `attn_out` the outputs of the MLP and the attention, before a norm or a
scale that some families (Gemma, OLMo 2, Granite) apply before they add them to the residual stream. Blocks are
numbered 1..L; 0 is the embeddings, at the residual site only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nait.core.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

Site = Literal["residual", "mlp", "mlp_out", "attn_out"]
SITES: tuple[Site, ...] = ("residual", "mlp", "mlp_out", "attn_out")


@dataclass(frozen=True)
class HookPoint:
    """A module, and whether to read its input or output."""

    module: nn.Module
    end: Literal["input", "output"]
    width: int


@dataclass(frozen=True)
class Anatomy:
    """Components of a causal language model: decoder, blocks and hidden size."""

    decoder: nn.Module
    blocks: tuple[nn.Module, ...]
    hidden: int
    name: str

    @property
    def layers(self) -> int:
        return len(self.blocks)

    def point(self, site: Site, layer: int) -> HookPoint:
        """The hook point of `site` in block `layer` (1..L; 0: the embeddings).

        Raises: ModelError if the block has no such site.
        """
        if layer == 0 and site == "residual":
            return HookPoint(self.blocks[0], "input", self.hidden)
        if not 1 <= layer <= self.layers:
            raise ModelError(
                f"there is no layer {layer} at site {site}",
                where="selector.layers",
                fix=f"{self.name} has blocks 1 to {self.layers}; 0, the embeddings, exists at residual only.",
            )
        block = self.blocks[layer - 1]
        if site == "residual":
            return HookPoint(block, "output", self.hidden)
        if site == "attn_out":
            return HookPoint(self._attention(block, layer), "output", self.hidden)
        if site == "mlp_out" and _experts(block) is not None:
            return HookPoint(self._container(block, layer), "output", self.hidden)
        down = self._down_projection(block, layer)
        return (
            HookPoint(down, "input", _in_width(down))
            if site == "mlp"
            else HookPoint(down, "output", self.hidden)
        )

    def _down_projection(self, block: nn.Module, layer: int) -> nn.Module:
        """The last linear map outside attention whose output has the hidden size."""
        if _experts(block) is not None:
            raise ModelError(
                f"block {layer} of {self.name} is a mixture of experts and has no single down-projection",
                where="selector.site",
                fix="Use selector.site=residual, mlp_out or attn_out.",
            )
        maps = [
            module
            for name, module in _outermost_linears(block)
            if not _is_attention(name) and _out_width(module) == self.hidden
        ]
        if not maps:
            raise ModelError(
                f"block {layer} of {self.name} has no MLP down-projection",
                where="selector.site",
                fix="Use selector.site=residual.",
            )
        return maps[-1]

    def _attention(self, block: nn.Module, layer: int) -> nn.Module:
        for name, module in block.named_children():
            if _is_attention(name) and any(_is_linear(part) for part in module.modules()):
                return module
        raise ModelError(
            f"block {layer} of {self.name} has no attention module",
            where="selector.site",
            fix="Use selector.site=residual.",
        )

    def _container(self, block: nn.Module, layer: int) -> nn.Module:
        for module in block.children():
            if any(name.split(".")[-1] == "experts" for name, _ in module.named_modules()):
                return module
        raise ModelError(
            f"block {layer} of {self.name} has no MLP", where="selector.site", fix="Use residual."
        )


def dissect(network: Any) -> Anatomy:
    """Anatomy of a causal language model, without peft's wrapper.

    Raises: ModelError if the network is not a decoder-only model.
    """
    from torch import nn

    base = network.get_base_model() if hasattr(network, "get_base_model") else network
    config = base.config.get_text_config(decoder=True)
    name = str(base.config.model_type)
    if getattr(base.config, "is_encoder_decoder", False):
        raise ModelError(
            f"{name} is an encoder-decoder model", where="model.path", fix="Use a decoder-only model."
        )
    decoder = base.get_decoder()
    for path, module in decoder.named_modules():
        leaf = path.rsplit(".", 1)[-1]
        is_blocks = isinstance(module, nn.ModuleList) and leaf in ("layers", "h", "blocks")
        if is_blocks and len(module) == config.num_hidden_layers:
            return Anatomy(decoder, tuple(module), int(config.hidden_size), name)
    raise ModelError(
        f"no list of {config.num_hidden_layers} blocks was found in {name}",
        where="model.path",
        fix="Use a decoder-only model of transformers 5.",
    )


def device_of(network: Any) -> str:
    """Device of the input embeddings, where token ids go. An offloaded model holds no weights there between calls."""
    embeddings = network.get_input_embeddings()
    hook = getattr(embeddings, "_hf_hook", None)  # set if the model is spread over devices or offloaded
    device = getattr(hook, "execution_device", None)
    if device is None:
        device = embeddings.weight.device
    return f"cuda:{device}" if isinstance(device, int) else str(device)


def _is_attention(name: str) -> bool:
    return any("attn" in part or "attention" in part for part in name.split(".")) and "norm" not in name


def _is_linear(module: Any) -> bool:
    """Whether a module is linear: torch's Linear, modules like it, or GPT-2's transposed Conv1D."""
    return hasattr(module, "weight") and (
        (hasattr(module, "in_features") and hasattr(module, "out_features"))
        or type(module).__name__ == "Conv1D"
    )


def _outermost_linears(block: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Linear maps by name, in order, without the ones that an adapter puts inside another."""
    inside: tuple[str, ...] = ()
    for name, module in block.named_modules():
        if _is_linear(module) and not name.startswith(inside):
            yield name, module
            inside = (*inside, name + ".")


def _out_width(module: Any) -> int:
    return int(module.nf if type(module).__name__ == "Conv1D" else module.out_features)


def _in_width(module: Any) -> int:
    return int(module.nx if type(module).__name__ == "Conv1D" else module.in_features)


def _experts(block: nn.Module) -> nn.Module | None:
    found = [module for name, module in block.named_modules() if name.split(".")[-1] == "experts"]
    return found[0] if found else None
