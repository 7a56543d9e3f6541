"""A model whose values for a row depend on padding or on the other rows of a batch is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nait.core.dataset.token_table import token_table
from nait.core.errors import ConfigError, ModelError
from nait.signals.passes.runners import Runner, runner_of
from nait.signals.specs.activations import Embedding, Features, Losses, Reading
from nait.signals.specs.gradients import Gradients
from tests.families import COMMON, HIDDEN, LAYERS, network

ROWS = [[1, 9, 40, 33, 7], [], [1, 12, 13], [1, 50, 51, 52, 53, 54, 55, 60, 61]]
TABLE = token_table(ROWS, [[i > 1 for i in range(len(row))] for row in ROWS], [False] * len(ROWS))
SIGNALS = [Features(Reading(feature="mean")), Embedding(), Losses("whole")]
WORDED = [0, 2, 3]


def made(name: str, **options: Any) -> Any:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, name)(**{**COMMON, **options})
    return transformers.AutoModelForCausalLM.from_config(config).float().eval()


def looking_ahead() -> Any:
    net = network("llama")
    net.config.is_causal = False
    return net


def words(*sizes: int) -> Any:
    ids = [np.random.default_rng(size).integers(3, 60, size=size).tolist() for size in sizes]
    return token_table(ids, [[i > 2 for i in range(len(row))] for row in ids], [False] * len(ids))


def read(net: Any, padding: Any, *, apart: bool = False) -> list[np.ndarray]:
    with Runner(net, SIGNALS, padding=padding) as runner:
        batches = [[row] for row in WORDED] if apart else [WORDED]
        parts = [runner.read(TABLE, np.array(rows)) for rows in batches]
    return [np.concatenate(piece) for piece in zip(*parts, strict=True)]


def test_a_decoder_whose_positions_count_padding_is_read_with_padding_on_the_right_only() -> None:
    net = made(
        "BartConfig", d_model=HIDDEN, decoder_layers=LAYERS, decoder_attention_heads=4, decoder_ffn_dim=48
    )
    for one, other in zip(read(net, "right"), read(net, "right", apart=True), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())
    with pytest.raises(
        ConfigError, match=r"bart reads padding on the left: the values of a text change by \d"
    ):
        read(net, "left")


def test_a_model_that_looks_ahead_is_refused_in_a_padded_batch() -> None:
    with pytest.raises(ModelError, match="llama reads padding behind a text"):
        read(looking_ahead(), "right")


def test_gradients_of_a_model_that_looks_ahead_are_refused() -> None:
    from peft import LoraConfig, get_peft_model

    net = get_peft_model(looking_ahead(), LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM"))
    with runner_of(net, [Gradients()]) as runner, pytest.raises(ModelError, match="reads padding behind"):
        runner.read(TABLE, np.array(WORDED))


def test_the_check_of_a_pass_is_made_once_and_leaves_out_empty_rows() -> None:
    net, calls = network("llama"), []
    with Runner(net, SIGNALS) as runner:
        net.model.register_forward_hook(lambda *_: calls.append(1))
        runner.read(TABLE, np.array([0]))  # no padding
        assert len(calls) == 1
        runner.read(TABLE, np.array([0, 1, 2, 3]))
        runner.read(TABLE, np.array([2, 3]))
    assert len(calls) == 1 + (3 + 1) + 1


def test_a_model_that_looks_ahead_by_little_padding_in_16_bits_is_refused() -> None:
    with (
        Runner(looking_ahead().bfloat16(), SIGNALS) as runner,
        pytest.raises(ModelError, match="behind a text"),
    ):
        runner.read(words(100, 99), np.array([0, 1]))


def test_a_causal_model_that_reads_another_shape_otherwise_has_a_warning(caplog: Any) -> None:
    """Dynamic RoPE encodes all positions of a batch by its width; kernels of other shapes round otherwise."""
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
    with Runner(made("LlamaConfig", max_position_embeddings=30, rope_parameters=rope), SIGNALS) as runner:
        runner.read(words(70, 20), np.array([0, 1]))
    assert "a row's values change by" in caplog.text
    caplog.clear()
    read(network("llama").bfloat16(), "right")
    read(made("MixtralConfig", num_local_experts=4).bfloat16(), "left")
    assert not caplog.text


def test_a_batch_is_at_most_as_wide_as_the_longest_text() -> None:
    """70 tokens would be rounded to 72: GPT-2 has no such position, and dynamic RoPE encodes all in another way."""
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
    sizes = {"n_embd": HIDDEN, "n_layer": LAYERS, "n_head": 4, "n_positions": 70}
    table = words(70, 69, 20)
    for net in (
        made("GPT2Config", **sizes),
        made("LlamaConfig", max_position_embeddings=70, rope_parameters=rope),
    ):
        with Runner(net, SIGNALS) as runner:
            together = runner.read(table, np.array([0, 1, 2]))
            apart = [runner.read(table, np.array([row])) for row in range(3)]
        for one, *alone in zip(together, *apart, strict=True):
            np.testing.assert_allclose(one, np.concatenate(alone), rtol=1e-4, atol=1e-4)
