"""Sites are found by structure in every family and give the named activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nait.core.dataset.token_table import TokenTable, token_table
from nait.core.errors import ModelError
from nait.models.anatomy import dissect
from nait.signals.passes.runners import Runner
from nait.signals.specs.activations import Features, Reading
from tests.families import CONFIGS, DENSE, HIDDEN, LAYERS, VOCABULARY, network

ROWS = [[1, 9, 40, 33, 7], [1, 12, 13], [1, 50, 51, 52, 53, 54, 55, 60, 61]]


def table() -> TokenTable:
    answers = [[False] * (len(row) - 2) + [True] * 2 for row in ROWS]
    return token_table(ROWS, answers, [False] * len(ROWS))


def read(
    model: Any, reading: Reading, *, padding: Any = "right", rows: list[int] | None = None
) -> np.ndarray:
    with Runner(model, [Features(reading)], padding=padding) as runner:
        return runner.read(table(), np.array(rows or [0, 1, 2]))[0]


def slow_states(model: Any) -> list[list[torch.Tensor]]:
    """Row by row, without padding: each block's raw output, the last one's before the final norm."""
    states = []
    for row in ROWS:
        outputs: list[torch.Tensor] = []
        handles = [
            block.register_forward_hook(
                lambda m, a, out, kept=outputs: kept.append(out[0] if isinstance(out, tuple) else out)
            )
            for block in dissect(model).blocks
        ]
        with torch.no_grad():
            hidden = model(torch.tensor([row]), output_hidden_states=True, use_cache=False).hidden_states
        for handle in handles:
            handle.remove()
        # All but the last state must be the library's own hidden states.
        for ours, theirs in zip(outputs[:-1], hidden[1:-1], strict=True):
            torch.testing.assert_close(ours, theirs)
        states.append([hidden[0][0], *(output[0] for output in outputs)])
    return states


@pytest.mark.parametrize("family", CONFIGS)
def test_residual_is_the_block_output_with_any_padding(family: str) -> None:
    model = network(family)
    wanted = np.stack([[(h[-1] - h[0]).numpy() for h in row] for row in slow_states(model)])
    for padding in ("right", "left"):
        found = read(model, Reading("residual", "delta"), padding=padding)
        assert found.shape == (3, LAYERS + 1, HIDDEN)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("family", DENSE)
def test_neurons_are_the_down_projections_input(family: str) -> None:
    model = network(family)
    neurons = read(model, Reading("mlp", "last"), rows=[1])
    out = read(model, Reading("mlp_out", "last"), rows=[1])
    assert neurons.shape == (1, LAYERS, 48)
    for layer in range(1, LAYERS + 1):
        down = dissect(model).point("mlp", layer).module
        with torch.no_grad():
            again = down(torch.tensor(neurons[:, layer - 1]))
        np.testing.assert_allclose(out[:, layer - 1], again.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", CONFIGS)
def test_attention_and_mlp_outputs_have_the_hidden_size(family: str) -> None:
    model = network(family)
    for site in ("attn_out", "mlp_out"):
        assert read(model, Reading(site, "mean")).shape == (3, LAYERS, HIDDEN)


def bloom() -> Any:
    """A family whose attention and MLP add the residual stream themselves."""
    import transformers

    torch.manual_seed(0)
    options = {"hidden_size": HIDDEN, "n_layer": LAYERS, "n_head": 4, "vocab_size": VOCABULARY}
    made = transformers.AutoModelForCausalLM.from_config(transformers.BloomConfig(**options)).float().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(4.0) if parameter.dim() > 1 else None
    return made


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "bloom"])
def test_the_residual_is_the_sum_of_attention_and_mlp_outputs(family: str) -> None:
    model = bloom() if family == "bloom" else network(family)
    stream, attention, mlp = (
        read(model, Reading(site, "last")) for site in ("residual", "attn_out", "mlp_out")
    )
    np.testing.assert_allclose(stream[:, 1:], stream[:, :-1] + attention + mlp, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
def test_a_mixture_of_experts_refuses_the_neuron_site(family: str) -> None:
    with pytest.raises(ModelError, match="mixture of experts"):
        dissect(network(family)).point("mlp", 1)


def test_a_layer_that_does_not_exist_is_named() -> None:
    with pytest.raises(ModelError, match="no layer 9"):
        dissect(network("llama")).point("residual", 9)


def test_an_encoder_decoder_model_is_refused() -> None:
    import transformers

    config = transformers.T5Config(d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2, vocab_size=32)
    with pytest.raises(ModelError, match="encoder-decoder"):
        dissect(transformers.T5ForConditionalGeneration(config))


def test_a_peft_model_has_the_anatomy_of_its_base() -> None:
    from peft import LoraConfig, get_peft_model

    model = network("llama")
    before = read(model, Reading("mlp", "delta"))
    wrapped = get_peft_model(model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    np.testing.assert_array_equal(read(wrapped.eval(), Reading("mlp", "delta")), before)
