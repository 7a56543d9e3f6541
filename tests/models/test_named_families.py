"""The families of the models by name that `tests.families` lacks have blocks, neurons and attention outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nait.core.dataset.token_table import token_table
from nait.core.errors import ModelError
from nait.models.anatomy import dissect
from nait.signals.forward.activation_meters import ReadingMeter
from nait.signals.passes.runners import Runner
from nait.signals.specs.activations import Features, Reading
from tests.families import COMMON, HIDDEN, LAYERS
from tests.models.test_sites import read

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
    "Llama4TextConfig": {
        **COMMON,
        "head_dim": 8,
        "intermediate_size_mlp": 48,
        "num_local_experts": 2,
        "moe_layers": [],
    },
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


RECURRENT = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1}
GEMMA = {
    "head_dim": 8, "sliding_window": 16, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 320,
    "num_kv_shared_layers": 0, "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
}  # fmt: skip
GRANITE = {**RECURRENT, "layer_types": ["mamba", "attention", "mamba"]}
HYBRIDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "gemma4": ("Gemma4TextConfig", {**GEMMA, "global_head_dim": 8}, "mlp.down_proj"),
    "gemma3n": ("Gemma3nTextConfig", {**GEMMA, "laurel_rank": 4, "activation_sparsity_pattern": [0.0] * 3},
                "mlp.down_proj"),
    "bamba": ("BambaConfig", {**RECURRENT, "attn_layer_indices": [1]}, "feed_forward.down_proj"),
    "falcon_h1": ("FalconH1Config", {**RECURRENT, "mamba_d_ssm": 64, "head_dim": 8}, "feed_forward.down_proj"),
    "granite": ("GraniteMoeHybridConfig", {**GRANITE, "num_local_experts": 0, "shared_intermediate_size": 48},
                "shared_mlp.output_linear"),
}  # fmt: skip


def hybrid(name: str, options: dict[str, Any]) -> Any:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, name)(**{**COMMON, **options})
    return transformers.AutoModelForCausalLM.from_config(config).float().eval()


@pytest.mark.parametrize("family", HYBRIDS)
def test_the_neurons_are_those_of_the_mlp_beside_a_recurrence_or_per_layer_embeddings(family: str) -> None:
    name, options, down = HYBRIDS[family]
    anatomy = dissect(hybrid(name, options))
    for layer in range(1, LAYERS + 1):
        wanted = anatomy.blocks[layer - 1].get_submodule(down)
        assert anatomy.point("mlp", layer).module is wanted
        assert anatomy.point("mlp_out", layer).module is wanted
        assert anatomy.point("mlp", layer).width == COMMON["intermediate_size"]


def test_a_block_without_an_mlp_has_no_neurons() -> None:
    options = {"mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1, "head_dim": 8}
    anatomy = dissect(
        hybrid("NemotronHConfig", {**options, "layers_block_type": ["mamba", "attention", "mlp"]})
    )
    for layer in (1, 2):
        with pytest.raises(ModelError, match=f"block {layer} of nemotron_h has no MLP"):
            anatomy.point("mlp_out", layer)
    assert anatomy.point("mlp", 3).module is anatomy.blocks[2].mixer.down_proj
    assert anatomy.point("attn_out", 2).module is anatomy.blocks[1].mixer


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("JetMoeConfig", {"kv_channels": 8}),  # its attention has experts too
        ("GraniteMoeSharedConfig", {"shared_intermediate_size": 16}),  # a shared expert is added
        ("Gemma4TextConfig", {**GEMMA, "hidden_size_per_layer_input": 0, "global_head_dim": 8,
                              "enable_moe_block": True, "num_experts": 4, "top_k_experts": 2,
                              "moe_intermediate_size": 16}),  # experts beside a dense MLP
    ],
)  # fmt: skip
def test_a_part_of_the_mlp_is_not_read_as_its_output(name: str, options: dict[str, Any]) -> None:
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2}
    network = hybrid(name, options if "num_experts" in options else {**experts, **options})
    with pytest.raises(ModelError, match=r"no single MLP|no MLP"):
        dissect(network).point("mlp_out", 1)
    assert read(network, Reading("attn_out")).shape == (3, LAYERS, HIDDEN)


def test_several_residual_streams_in_front_of_the_rows_are_refused() -> None:
    name, options, _ = HYBRIDS["gemma3n"]
    with pytest.raises(ModelError, match=r"has activations of shape \(4, 3, 9, 32\) for 3 rows of 9 tokens"):
        read(hybrid(name, options), Reading("residual"))


def test_several_residual_streams_are_refused_when_rows_and_tokens_are_as_many() -> None:
    name, options, _ = HYBRIDS["gemma3n"]
    four = token_table([[1, 9, 40, 33]] * 4, [[False, False, True, True]] * 4, [False] * 4)
    with Runner(hybrid(name, options), [Features(Reading("residual"))]) as runner:
        for rows in ([0, 1, 2, 3], [0]):
            with pytest.raises(ModelError, match=rf"shape \(4, {len(rows)}, 4, 32\)"):
                runner.read(four, np.array(rows))


def test_a_block_that_is_skipped_or_shared_is_refused() -> None:
    from tests.families import network

    model = network("llama")
    model.model.layers[2] = model.model.layers[1]  # its hooks see two layers
    with pytest.raises(ModelError, match="layer 2 is computed 2 times for each text") as error:
        read(model, Reading("residual"))
    assert "mlp, mlp_out, attn_out" in str(error.value)
    assert "residual" not in error.value.fix
    meter = ReadingMeter(Reading("residual"), [], dissect(network("llama")), "cpu")
    for read_layers, message in (
        ([0, 1, 3], "layer 2 is computed 0 times for each text"),
        ([0, 2, 1, 3], "in the order 0, 2, 1, 3"),
    ):
        meter.read = read_layers
        with pytest.raises(ModelError, match=message):
            meter.finish(torch.zeros(1))


def test_a_family_whose_decoder_is_not_its_base_model_is_read() -> None:
    options = FAMILIES["Llama4TextConfig"]
    network = hybrid("Llama4TextConfig", options)
    assert network.get_decoder() is network
    assert dissect(network).decoder is network.model
    assert read(network, Reading("residual")).shape == (3, LAYERS + 1, HIDDEN)
