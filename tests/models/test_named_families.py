"""The families of the models by name that `tests.families` lacks have blocks, neurons and attention outputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nait.core.errors import ModelError
from nait.models.anatomy import dissect
from tests.families import COMMON, HIDDEN, LAYERS

VISION = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "image_size": 28,
    "patch_size": 14,
}  # fmt: skip
TEXT = {**COMMON, "head_dim": 8, "sliding_window": 16}
FAMILIES: dict[str, dict[str, Any]] = {
    "SmolLM3Config": COMMON,
    "Olmo2Config": COMMON,
    "OlmoeConfig": {**COMMON, "num_experts": 4, "num_experts_per_tok": 2},
    "Gemma3Config": {"text_config": TEXT, "vision_config": VISION, "mm_tokens_per_image": 4},
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_the_sites_of_its_blocks(name: str) -> None:
    import transformers

    config = getattr(transformers, name)(**FAMILIES[name])
    network = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    anatomy = dissect(network)
    assert (anatomy.layers, anatomy.hidden) == (LAYERS, HIDDEN)
    seen = []
    handles = [
        block.register_forward_hook(lambda *args: seen.append(args[2])) for block in anatomy.blocks
    ]  # the text runs through every block, without an image
    with torch.no_grad():
        network(input_ids=torch.tensor([[1, 9, 40, 33]]))
    for handle in handles:
        handle.remove()
    assert len(seen) == LAYERS
    for site in ("residual", "mlp_out", "attn_out"):
        assert anatomy.point(site, LAYERS).width == HIDDEN  # type: ignore[arg-type]
    if name == "OlmoeConfig":
        with pytest.raises(ModelError, match="mixture of experts"):
            anatomy.point("mlp", 1)
    else:
        assert anatomy.point("mlp", 1).width == COMMON["intermediate_size"]
