"""Embeddings are the decoder's normalised output, pooled over a row's real tokens, in every family."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nait.core.dataset.token_table import TokenTable, token_table
from nait.core.errors import ConfigError
from nait.models.anatomy import dissect
from nait.signals.passes.runners import Runner
from nait.signals.specs.activations import PARTS, POOLINGS, Embedding, Signal
from tests.families import CONFIGS, HIDDEN, network

ROWS = [[1, 9, 40, 33, 7], [1, 12, 13], [1, 50, 51, 52, 53, 54, 55, 60, 61], [8]]
PROMPTS = [3, 3, 7, 1]
SIGNALS: list[Signal] = [Embedding(pooling, part) for part in PARTS for pooling in POOLINGS]


def table() -> TokenTable:
    answers = [[t >= n for t in range(len(row))] for row, n in zip(ROWS, PROMPTS, strict=True)]
    return token_table(ROWS, answers, [False] * len(ROWS))


def read(model: Any, *, padding: Any = "right", rows: Any = (0, 1, 2, 3)) -> list[Any]:
    with Runner(model, SIGNALS, padding=padding) as runner:
        return runner.read(table(), np.array(rows))


def slow(model: Any) -> list[np.ndarray]:
    """Reference: row by row from the decoder's output, in float64, in the order of SIGNALS."""
    values: list[list[np.ndarray]] = [[] for _ in SIGNALS]
    for ids, prompt in zip(ROWS, PROMPTS, strict=True):
        with torch.no_grad():
            states = dissect(model).decoder(torch.tensor([ids])).last_hidden_state[0].double().numpy()
        for place, part in enumerate(PARTS):
            h_td = states if part == "whole" else states[:prompt]
            t = np.arange(1, len(h_td) + 1)
            pooled = [(t[:, None] * h_td).sum(axis=0) / t.sum(), h_td.mean(axis=0), h_td[-1]]
            for number, value in enumerate(pooled):
                values[place * len(POOLINGS) + number].append(value)
    return [np.array(value) for value in values]


@pytest.mark.parametrize("family", CONFIGS)
def test_embeddings_equal_a_slow_loop_whatever_the_padding(family: str) -> None:
    model = network(family)
    wanted = slow(model)
    for padding in ("right", "left"):
        for ours, theirs in zip(read(model, padding=padding), wanted, strict=True):
            assert ours.dtype == np.float32
            assert ours.shape == (len(ROWS), HIDDEN)
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_output_is_the_librarys_last_hidden_state() -> None:
    model = network("llama")
    with torch.no_grad():
        states = model(torch.tensor([ROWS[2]]), output_hidden_states=True).hidden_states[-1]
    np.testing.assert_allclose(read(model)[2][2], states[0, -1].numpy(), rtol=1e-5, atol=1e-6)


def test_embeddings_do_not_depend_on_batch_or_order() -> None:
    model = network("qwen3")
    together, turned = read(model), read(model, rows=[2, 0, 3, 1])
    for number, value in enumerate(together):
        alone = np.concatenate([read(model, rows=[i])[number] for i in range(len(ROWS))])
        np.testing.assert_allclose(alone, value, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(turned[number], value[[2, 0, 3, 1]], rtol=1e-5, atol=1e-5)


def test_weighted_mean_weighs_later_tokens_more() -> None:
    """By hand: weights 1/6, 2/6, 3/6 over three tokens."""
    model = network("llama")
    with torch.no_grad():
        h = dissect(model).decoder(torch.tensor([ROWS[1]])).last_hidden_state[0].numpy()
    np.testing.assert_allclose(read(model)[0][1], (h[0] + 2 * h[1] + 3 * h[2]) / 6, rtol=1e-5, atol=1e-6)


def test_wrong_choices_are_named() -> None:
    with pytest.raises(ConfigError, match="men"):
        Embedding("men")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="promt"):
        Embedding("mean", "promt")  # type: ignore[arg-type]
