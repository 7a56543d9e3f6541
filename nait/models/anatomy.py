"""Anatomy of a decoder: its blocks, MLP neurons and attention outputs, found by structure.

`residual` is a block's output (before the final norm, also for the last block), `mlp` the input of the MLP's
down-projection (the "neurons"), `mlp_out` and `attn_out` the outputs of the MLP and the attention, before a norm or a
scale that some families (Gemma, OLMo 2, Granite) apply before they add them to the residual stream. Blocks are
numbered 1..L; 0 is the embeddings, at the residual site only. A block's recurrence (Mamba), short convolution and
per-layer embeddings are neither its MLP nor its attention.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nait.core.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

Site = Literal["residual", "mlp", "mlp_out", "attn_out"]
SITES: tuple[Site, ...] = ("residual", "mlp", "mlp_out", "attn_out")
_MLP = re.compile(r"mlp|feed_?forward|ffn|moe", re.IGNORECASE)
"""Part of the names, or of the classes, of a block's MLP."""
_OTHER = re.compile(r"mamba|ssm|conv|recurrent|temporal|per_layer|altup|laurel|norm")
"""Part of the names of what is not the MLP, beside the attention's."""
_OTHER_CLASS = re.compile(r"Attention$|Mixer$|Mamba\d*$|ShortConv|RecurrentBlock")
"""Part of the names of classes that are not the MLP's, whatever their modules are called."""


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
            return HookPoint(self._attention_output(block, layer), "output", self.hidden)
        if site == "mlp_out" and _experts(block):
            return HookPoint(self._container(block, layer), "output", self.hidden)
        down = self._down_projection(block, layer)
        return (
            HookPoint(down, "input", _in_width(down))
            if site == "mlp"
            else HookPoint(down, "output", self.hidden)
        )

    def _down_projection(self, block: nn.Module, layer: int) -> nn.Module:
        """The last linear map of the MLP whose output has the hidden size."""
        if _experts(block):
            raise ModelError(
                f"block {layer} of {self.name} is a mixture of experts and has no single down-projection",
                where="selector.site",
                fix="Use selector.site=residual, mlp_out or attn_out.",
            )
        maps = self._mlp_maps(block)
        if not maps:
            raise ModelError(
                f"block {layer} of {self.name} has no MLP down-projection",
                where="selector.site",
                fix="Use selector.site=residual.",
            )
        return maps[-1][1]

    def _mlp_maps(self, block: nn.Module) -> list[tuple[str, nn.Module]]:
        """The linear maps of the MLP, by name, whose output has the hidden size: those in modules that are named so,
        else all outside the attention and other known parts (the `fc2` of a block)."""
        maps = [
            (name, module)
            for name, module in _outermost_linears(block)
            if _out_width(module) == self.hidden and not _is_outside_mlp(block, name)
        ]
        return [one for one in maps if _MLP.search(" ".join([one[0], *_classes(block, one[0])]))] or maps

    def _attention_output(self, block: nn.Module, layer: int) -> nn.Module:
        """The attention; the last of its linear maps to the hidden size if it adds the residual stream (BLOOM)."""
        attention = self._attention(block, layer)
        if "residual" not in inspect.signature(attention.forward).parameters:
            return attention
        return [part for _, part in _outermost_linears(attention) if _out_width(part) == self.hidden][-1]

    def _attention(self, block: nn.Module, layer: int) -> nn.Module:
        for name, module in block.named_children():
            attends = _is_attention(name) or type(module).__name__.endswith("Attention")
            if attends and any(_is_linear(part) for part in module.modules()):
                return module
        raise ModelError(
            f"block {layer} of {self.name} has no attention module",
            where="selector.site",
            fix="Use selector.site=residual.",
        )

    def _container(self, block: nn.Module, layer: int) -> nn.Module:
        """The module with the experts. Raises: ModelError if the MLP has parts beside it, which are added to it."""
        (first, *_) = _experts(block)
        name = first.split(".")[0]
        beside = [other for other, _ in self._mlp_maps(block) if other.split(".")[0] != name]
        if "." not in first or beside:
            raise ModelError(
                f"block {layer} of {self.name} has no single MLP: its experts and "
                f"{beside[0] if beside else 'the rest'} are separate modules",
                where="selector.site",
                fix="Use selector.site=residual or attn_out.",
            )
        return block.get_submodule(name)


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
    decoder = decoder_of(base)
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


def decoder_of(network: Any) -> Any:
    """The decoder of a causal language model: all of it but the LM head."""
    found = network.get_decoder()
    gives_itself = found is network and hasattr(network, "model")  # Llama 4
    return network.model if gives_itself else found


def halves_its_stream(config: Mapping[str, Any]) -> bool:
    """Whether a model, by its config, halves its residual stream between blocks, as `keep_scale` prevents."""
    return str(config.get("model_type", "")).startswith("rwkv")


def keep_scale(network: Any) -> None:
    """Have RWKV keep the scale of its residual stream. Call it before the network runs.

    Outside training, RWKV halves the stream every few blocks, and the weights that add to it, so that float16 does
    not overflow. The layers' activations would have different units, and an adapter, whose weights are not halved,
    more effect than in training.
    """
    for module in network.modules():
        config: Any = getattr(module, "config", None)
        if getattr(config, "rescale_every", 0):
            config.rescale_every = 0


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


def _is_outside_mlp(block: nn.Module, name: str) -> bool:
    """Whether a module is in the attention, or in a recurrence, a convolution or per-layer embeddings."""
    classes = _classes(block, name)
    return _is_attention(name) or bool(_OTHER.search(name)) or any(map(_OTHER_CLASS.search, classes))


def _classes(block: nn.Module, name: str) -> list[str]:
    """The classes of the modules around a module of the block."""
    parts = name.split(".")
    return [type(block.get_submodule(".".join(parts[:end]))).__name__ for end in range(1, len(parts))]


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


def _experts(block: nn.Module) -> list[str]:
    """The names of the modules that hold experts, outside the attention (JetMoE's has experts too)."""
    names = [name for name, _ in block.named_modules() if name.split(".")[-1] == "experts"]
    return [name for name in names if not _is_attention(name)]
