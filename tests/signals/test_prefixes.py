"""Prefix caching: which prefixes are found, and that caching changes no value beyond rounding."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nait.core.dataset.token_table import TokenTable, token_table
from nait.models.tokens.batches import batch_width
from nait.signals.forward.prefix_cache import (
    NONE,
    Prefixes,
    find_prefixes,
    forwarded_tokens,
    plan_by_prefix,
    worthwhile,
)
from nait.signals.passes.options import Engine
from nait.signals.passes.run import run_pass
from nait.signals.passes.runners import Runner
from nait.signals.specs.activations import (
    Choice,
    Embedding,
    Features,
    Losses,
    Norms,
    Reading,
    Signal,
    project_on,
)
from tests.families import CONFIGS, HIDDEN, LAYERS, VOCABULARY, network
from tests.signals.test_passes import recurrent

FIRST, SECOND = tuple(range(40, 60)), tuple(range(40, 50)) + tuple(range(70, 90))


def table_of(rows: Sequence[Sequence[int]]) -> TokenTable:
    answers = [[i >= 2 * len(row) // 3 for i in range(len(row))] for row in rows]
    return token_table([list(row) for row in rows], answers, [False] * len(rows))


def behind(prefix: Sequence[int], count: int, *, seed: int = 0, most: int = 14) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    tails = [generator.integers(100, VOCABULARY, size=generator.integers(1, most)) for _ in range(count)]
    return [[*prefix, *(int(token) for token in tail)] for tail in tails]


def found(table: TokenTable) -> list[tuple[tuple[int, ...], int]]:
    """Each prefix and its number of rows, rows without a prefix last."""
    prefixes = find_prefixes(table)
    named = [(tuple(map(int, ids)), int((prefixes.number == k).sum())) for k, ids in enumerate(prefixes.ids)]
    return [*sorted(named), ((), int((prefixes.number == -1).sum()))]


def test_the_tokens_that_all_rows_begin_with_are_one_prefix() -> None:
    assert found(table_of(behind(FIRST, 40))) == [(FIRST, 40), ((), 0)]


def test_two_templates_with_a_common_beginning_are_two_prefixes() -> None:
    table = table_of([*behind(FIRST, 30), *behind(SECOND, 30, seed=1)])
    assert found(table) == [(FIRST, 30), (SECOND, 30), ((), 0)]


def test_rows_without_a_template_have_no_prefix() -> None:
    table = table_of([*behind(FIRST, 40), *behind((), 15, seed=1, most=30)])
    assert found(table) == [(FIRST, 40), ((), 15)]


def test_too_few_rows_or_tokens_are_not_a_prefix() -> None:
    assert found(table_of(behind(FIRST, 15))) == [((), 15)]
    assert found(table_of(behind(FIRST[:7], 40))) == [((), 40)]


def test_a_row_is_longer_than_its_prefix() -> None:
    table = table_of([*behind(FIRST, 40), list(FIRST), list(FIRST[:5]), []])
    prefixes = find_prefixes(table)
    assert [len(ids) for ids in prefixes.ids] == [len(FIRST)]
    assert prefixes.number[-3:].tolist() == [-1, -1, -1]


def test_equal_rows_share_all_but_their_last_token() -> None:
    assert found(table_of([[*FIRST, 7]] * 20)) == [(FIRST, 20), ((), 0)]


def test_a_short_prefix_within_a_longer_one_is_kept_for_the_other_rows() -> None:
    longer = (*FIRST, *range(200, 230))
    table = table_of([*behind(longer, 30), *behind(FIRST, 40, seed=1)])
    assert found(table) == [(FIRST, 40), (longer, 30), ((), 0)]


def test_prefixes_do_not_depend_on_row_order() -> None:
    rows = [*behind(FIRST, 30), *behind(SECOND, 30, seed=1), *behind((), 20, seed=2)]
    assert found(table_of(rows)) == found(table_of(rows[::-1]))


def test_every_row_begins_with_its_prefix() -> None:
    table = table_of([*behind(FIRST, 30), *behind(SECOND, 30, seed=1), *behind((), 20, seed=2)])
    prefixes = find_prefixes(table)
    for row, number in enumerate(prefixes.number):
        ids = prefixes.ids[number] if number >= 0 else np.empty(0, dtype=np.int64)
        own, _ = table.row(row)
        assert len(own) > len(ids)
        assert own[: len(ids)].tolist() == ids.tolist()


def test_batches_hold_every_row_once_and_mix_no_prefixes() -> None:
    table = table_of([*behind(FIRST, 30), *behind(SECOND, 30, seed=1), *behind((), 20, seed=2)])
    prefixes = find_prefixes(table)
    batches = plan_by_prefix(table.lengths, 128, prefixes)
    assert sorted(np.concatenate(batches).tolist()) == list(range(80))
    assert all(len(set(prefixes.number[rows].tolist())) == 1 for rows in batches)
    widths = [int(table.lengths[rows].max()) for rows in batches]
    assert widths[0] == table.lengths.max()


def test_prefixes_that_save_too_few_tokens_are_not_cached() -> None:
    table = table_of(behind(FIRST, 40))
    prefixes = find_prefixes(table)
    assert worthwhile(prefixes, table.lengths, 256) is prefixes
    some = table_of([*behind(FIRST, 40), *behind((), 700, seed=2, most=60)])
    few = find_prefixes(some)
    assert worthwhile(few, some.lengths, 256) is NONE
    assert worthwhile(NONE, table.lengths, 256) is NONE


def test_forwarded_tokens_include_padding_and_exclude_cached_prefixes() -> None:
    table = table_of(behind(FIRST, 40))
    prefixes = find_prefixes(table)
    batches = plan_by_prefix(table.lengths, 256, prefixes)
    padded = sum(batch_width(table, rows) * len(rows) for rows in batches)
    assert forwarded_tokens(batches, table.lengths, NONE) == padded
    assert forwarded_tokens(batches, table.lengths, prefixes) == padded - 40 * len(FIRST)


def signals_of(site: str) -> list[Signal]:
    layers = LAYERS + (site == "residual")
    directions = np.random.default_rng(0).normal(size=(2, layers, HIDDEN)).astype(np.float32)
    delta = Reading(site=site, feature="delta")  # type: ignore[arg-type]
    return [
        project_on(delta, directions), Features(delta), Norms(delta),
        Features(Reading(site=site, feature="mean")),  # type: ignore[arg-type]
        Features(Reading(site=site, feature="mean_delta", origin="prompt_end")),  # type: ignore[arg-type]
        Embedding(), Losses("answer"), Losses("whole"), Choice((5, 6)),
    ]  # fmt: skip


def read(net: Any, table: TokenTable, signals: Sequence[Signal], prefixes: Prefixes) -> list[Any]:
    with Runner(net, signals, prefixes=prefixes) as runner:
        batches = plan_by_prefix(table.lengths, 256, find_prefixes(table))
        parts = [runner.read(table, rows) for rows in batches]
    return [np.concatenate(piece) for piece in zip(*parts, strict=True)]


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_prefix_caching_changes_no_value(family: str, caplog: pytest.LogCaptureFixture) -> None:
    net = network(family)
    table = table_of([*behind(FIRST, 20), *behind(SECOND, 20, seed=1), *behind((), 16, seed=2, most=30)])
    prefixes = find_prefixes(table)
    assert len(prefixes.ids) == 2
    signals = signals_of("residual")
    with caplog.at_level(logging.WARNING):
        ours = read(net, table, signals, prefixes)
    for one, other in zip(ours, read(net, table, signals, NONE), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())
    assert not caplog.records, "this family is read on from a prefix"


@pytest.mark.parametrize("site", ["mlp_out", "attn_out"])
def test_other_sites_see_whole_rows_too(site: str) -> None:
    net, table = network("opt"), table_of(behind(FIRST, 20))
    signals = signals_of(site)
    ours, whole = (read(net, table, signals, given) for given in (find_prefixes(table), NONE))
    for one, other in zip(ours, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())


def test_a_pass_that_stops_early_uses_cached_prefixes_too() -> None:
    net, table = network("llama"), table_of(behind(FIRST, 20))
    signals: list[Signal] = [Features(Reading(depth=1))]
    ours, whole = (read(net, table, signals, given) for given in (find_prefixes(table), NONE))
    np.testing.assert_allclose(ours[0], whole[0], rtol=1e-5, atol=1e-5)


def test_a_prefix_is_run_once_per_pass() -> None:
    net, table = network("llama"), table_of(behind(FIRST, 40))
    tokens: list[int] = []
    read(net, table, [Embedding()], NONE)  # checks once that padding is not read
    taking = net.model.register_forward_pre_hook(
        lambda _module, _args, given: tokens.append(given["input_ids"].numel()), with_kwargs=True
    )
    read(net, table, [Embedding()], find_prefixes(table))
    read_on = sum(tokens)
    tokens.clear()
    read(net, table, [Embedding()], NONE)
    taking.remove()
    assert read_on < sum(tokens) - 36 * len(
        FIRST
    )  # of 40 rows: the prefix itself and one row both ways are read too


def test_a_decoder_that_ignores_its_kv_cache_gets_whole_rows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    net, table = network("llama"), table_of(behind(FIRST, 20))
    whole = read(net, table, [Embedding()], NONE)
    original = net.model.forward

    def forgetful(*args: Any, past_key_values: Any = None, **given: Any) -> Any:
        kept = (
            past_key_values if past_key_values is not None and past_key_values.get_seq_length() == 0 else None
        )
        return original(*args, past_key_values=kept, **given)

    monkeypatch.setattr(net.model, "forward", forgetful)
    ours = read(net, table, [Embedding()], find_prefixes(table))
    assert "does not support prefix caching" in caplog.text
    np.testing.assert_allclose(ours[0], whole[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["BambaConfig", "NemotronHConfig", "Lfm2Config", "MiniMaxConfig"])
def test_a_decoder_that_needs_a_cache_of_its_own_gets_whole_rows(name: str) -> None:
    net, table = recurrent(name), table_of(behind(FIRST, 20))
    signals: list[Signal] = [Features(Reading()), Embedding()]
    ours, whole = (read(net, table, signals, given) for given in (find_prefixes(table), NONE))
    for one, other in zip(ours, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())


def test_bfloat16_agrees_within_its_rounding() -> None:
    net, table = network("llama").to(torch.bfloat16), table_of(behind(FIRST, 20))
    ours, whole = (read(net, table, [Embedding()], given)[0] for given in (find_prefixes(table), NONE))
    assert np.linalg.norm(ours - whole) < 0.05 * np.linalg.norm(whole)


def test_engine_share_prefixes_decides_whether_a_pass_caches_prefixes(tmp_path: Path) -> None:
    net, table = network("llama"), table_of(behind(FIRST, 40))
    tokens: list[int] = []
    net.model.register_forward_pre_hook(
        lambda _module, _args, given: tokens.append(given["input_ids"].numel()), with_kwargs=True
    )
    counts, values = [], []
    for share in (True, False):
        folder = tmp_path / str(share)
        folder.mkdir()
        tokens.clear()
        engine = Engine(batch_tokens=512, share_prefixes=share, progress=False)
        run_pass(lambda: net, table, [Embedding()], folder, engine=engine, name="rows")
        counts.append(sum(tokens))
        values.append(np.load(folder / "0.npy"))
    assert counts[0] < counts[1]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5, atol=1e-5)
