"""bfloat16 models: activations are rounded, values computed from them are not."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from nait.models.anatomy import dissect
from nait.signals.passes.runners import Runner
from nait.signals.specs.activations import Embedding, Features, Losses, Norms, Reading, Signal, project_on
from tests.families import HIDDEN, LAYERS, network
from tests.signals.test_losses import ROWS
from tests.signals.test_spread import read, table

ROUNDING = 2.0**-8
"""Relative rounding error of bfloat16: eight bits."""
V_CLD = np.random.default_rng(0).normal(size=(2, LAYERS + 1, HIDDEN)).astype(np.float32)
MEAN = Reading(feature="mean")


def states(model: Any) -> list[np.ndarray]:
    """Each row's activations before block 1 and after each block, [L, T, D], row by row."""
    anatomy, found = dissect(model), []
    for ids in ROWS:
        kept: list[Any] = []
        handles = [
            block.register_forward_hook(lambda _m, _a, out, kept=kept: kept.append(out))
            for block in anatomy.blocks
        ]
        handles.append(
            anatomy.blocks[0].register_forward_pre_hook(lambda _m, args, kept=kept: kept.append(args[0]))
        )
        with torch.no_grad():
            anatomy.decoder(input_ids=torch.tensor([ids]), use_cache=False)
        for handle in handles:
            handle.remove()
        found.append(torch.cat(kept).double().numpy())
    return found


def test_sums_and_products_of_bfloat16_activations_are_float32() -> None:
    model = network("llama").to(torch.bfloat16)
    asked: list[Signal] = [Features(MEAN), project_on(MEAN, V_CLD), Norms(MEAN)]
    with Runner(
        model, asked
    ) as runner:  # row by row, as `states`: a processor may round a batch in another way
        parts = [runner.read(table(), np.array([row])) for row in range(len(ROWS))]
    features, projections, norms = (np.concatenate(one) for one in zip(*parts, strict=True))
    assert {array.dtype for array in (features, projections, norms)} == {np.dtype(np.float32)}
    mean_nld = np.stack([h_ltd.mean(axis=1) for h_ltd in states(model)])
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5 * float(np.abs(mean_nld).max()))
    close(features, mean_nld)
    close(projections, np.einsum("nld,cld->ncl", mean_nld, V_CLD))
    close(norms, np.linalg.norm(mean_nld, axis=2))


@pytest.mark.parametrize(
    "signal",
    [project_on(Reading(), V_CLD), project_on(MEAN, V_CLD), Norms(Reading()), Embedding(), Losses("whole")],
    ids=["shift", "mean", "norms", "embedding", "losses"],
)
def test_a_bfloat16_model_agrees_with_float32_up_to_rounding(signal: Signal) -> None:
    """Within four roundings of the largest number: each of three blocks adds its own to the stream."""
    rounded = network("llama").to(torch.bfloat16)
    exact = network("llama").to(torch.bfloat16).float()
    (found,), (wanted,) = read(rounded, [signal]), read(exact, [signal])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=4 * ROUNDING * float(np.abs(wanted).max()))
