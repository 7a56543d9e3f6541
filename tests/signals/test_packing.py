"""Packing: rows in one sequence without padding give the same values as padded rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ConfigError
from nait.models.tokens.batches import Side, plan
from nait.signals.forward.packing import When
from nait.signals.passes.options import Engine
from nait.signals.passes.run import run_pass
from nait.signals.passes.runners import Runner
from nait.signals.specs.activations import Embedding, Features, Reading, Signal
from tests.families import CONFIGS, network
from tests.signals.test_prefixes import behind, signals_of, table_of

APART = {"falcon", "opt"}
"""Families whose attention masks ignore row boundaries: batches are padded, with a warning."""


def table() -> TokenTable:
    return table_of(behind((), 40, most=30))


def read(
    net: Any, rows: TokenTable, signals: Sequence[Signal], packing: When, *, padding: Side = "right"
) -> list[Any]:
    with Runner(net, signals, packing=packing, padding=padding) as runner:
        parts = [runner.read(rows, batch) for batch in plan(rows.lengths, 256)]
    return [np.concatenate(piece) for piece in zip(*parts, strict=True)]


def given_to(net: Any) -> list[torch.Size]:
    """Record the shapes of the ids that the decoder gets."""
    shapes: list[torch.Size] = []
    net.model.register_forward_pre_hook(
        lambda _module, _args, given: shapes.append(given["input_ids"].shape), with_kwargs=True
    )
    return shapes


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_packing_changes_no_value(family: str, caplog: pytest.LogCaptureFixture) -> None:
    net, rows, signals = network(family), table(), signals_of("residual")
    with caplog.at_level(logging.WARNING):
        ours = read(net, rows, signals, "always")
    for one, other in zip(ours, read(net, rows, signals, "never"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * max(1, np.abs(other).max()))
    assert bool(caplog.records) == (family in APART)


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize("site", ["mlp_out", "attn_out"])
def test_other_sites_and_sides_see_the_same_rows(site: str, padding: Side) -> None:
    net, rows, signals = network("llama"), table(), signals_of(site)
    ours = read(net, rows, signals, "always", padding=padding)
    for one, other in zip(ours, read(net, rows, signals, "never", padding=padding), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * max(1, np.abs(other).max()))


def test_a_pass_that_stops_early_packs_as_well() -> None:
    signals: list[Signal] = [Features(Reading(depth=1))]
    ours, padded = (read(network("llama"), table(), signals, when) for when in ("always", "never"))
    np.testing.assert_allclose(ours[0], padded[0], rtol=1e-5, atol=1e-6)


def test_the_decoder_gets_only_real_tokens() -> None:
    net, rows = network("llama"), table()
    shapes = given_to(net)
    read(net, rows, [Embedding()], "always")
    # Two rows twice and one of them alone, which shows that padding is not read; then two rows both ways: the trial.
    assert [count for count, _ in shapes] == [2, 2, 1, 2] + [1] * (len(shapes) - 4)
    assert sum(width for _, width in shapes[5:]) == int(rows.lengths.sum())


def test_a_decoder_that_attends_across_rows_gets_padded_batches(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    net, rows = network("llama"), table()
    padded = read(net, rows, [Embedding()], "never")
    original = net.model.forward

    def borderless(*args: Any, position_ids: Any = None, **given: Any) -> Any:
        return original(*args, **given)

    monkeypatch.setattr(net.model, "forward", borderless)
    ours = read(net, rows, [Embedding()], "always")
    assert "other values for packed rows" in caplog.text
    np.testing.assert_allclose(ours[0], padded[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("packing", "attention", "packed"),
    [
        ("auto", "sdpa", False), ("auto", "flash_attention_2", True), ("auto", "kernels-community/flash-attn3", True),
        ("never", "flash_attention_2", False), ("always", "sdpa", True),
    ],
)  # fmt: skip
def test_auto_packs_with_flash_attention(packing: When, attention: str, packed: bool) -> None:
    net = network("llama")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(net.config, "_attn_implementation_internal", attention)
        assert Runner(net, [Embedding()], packing=packing).packing.on == packed


def test_engine_packing_decides_whether_a_pass_packs(tmp_path: Path) -> None:
    net, rows = network("llama"), table()
    shapes, values = given_to(net), {}
    for when, singles in (("always", True), ("never", False)):
        folder = tmp_path / when
        folder.mkdir()
        shapes.clear()
        engine = Engine(batch_tokens=256, packing=when, progress=False)  # type: ignore[arg-type]
        run_pass(lambda: net, rows, [Embedding()], folder, engine=engine, name="rows")
        assert (sum(count == 1 for count, _ in shapes) > 1) == singles
        values[when] = np.load(folder / "0.npy")
    np.testing.assert_allclose(values["always"], values["never"], rtol=1e-5, atol=1e-6)
    with pytest.raises(ConfigError, match=r"engine\.packing"):
        Engine(packing="sometimes")  # type: ignore[arg-type]
