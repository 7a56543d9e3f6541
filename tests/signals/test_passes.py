"""Passes: one forward for all signals, with the same values for any chunking, interruption or padding."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from nait.core.dataset.token_table import token_table
from nait.core.errors import ConfigError
from nait.models.anatomy import keep_scale
from nait.models.devices.open_networks import free
from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.signals.extractor import StoredExtractor
from nait.signals.passes import runners
from nait.signals.passes.chunk_pieces import ChunkBuffer
from nait.signals.passes.chunks import Chunks
from nait.signals.passes.options import Engine
from nait.signals.specs.activations import FEATURES, Features, Mean, Norms, Reading, norms_about, project_on
from nait.store import Store
from tests.families import COMMON, HIDDEN, LAYERS, pool, save

TEMPLATE = TextTemplate(prompt="Q: {user}\nA: ")
QUIET = {"progress": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


def extractor(folder: Path, store: Path, **engine: Any) -> StoredExtractor:
    model = LocalModel(str(folder), device="cpu", max_length=128)
    return StoredExtractor(model, Store(store), TEMPLATE, engine=Engine(**{**QUIET, **engine}))


def directions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, LAYERS + 1, HIDDEN)).astype(np.float32)


def slow_readings(x: StoredExtractor, reading: Reading) -> np.ndarray:
    """Row by row, token by token, from the library's hidden states (last layer left out: it is normed)."""
    table, network = x.tokens(pool()), x.encodings.network()
    rows = []
    for i in range(len(table)):
        ids, answer = table.row(i)
        with torch.no_grad():
            states = network(torch.tensor(ids[None]).long(), output_hidden_states=True).hidden_states[:-1]
        origin = 0 if reading.origin == "first" else int(np.argmax(answer)) - 1
        first = 0 if reading.origin == "first" else origin + 1
        parts = []
        for state in states:
            h = state[0].numpy().astype(np.float64)
            mean, last = h[first:].mean(axis=0), h[-1]
            value = {"delta": last - h[origin], "mean": mean, "last": last, "mean_delta": mean - h[origin]}
            parts.append(value[reading.feature])
        rows.append(parts)
    return np.array(rows)


@pytest.mark.parametrize("origin", ["first", "prompt_end"])
@pytest.mark.parametrize("feature", FEATURES)
def test_features_equal_a_slow_loop(folder: Path, tmp_path: Path, feature: Any, origin: Any) -> None:
    x = extractor(folder, tmp_path)
    reading = Reading("residual", feature, origin)
    (found,) = x.measure(pool(), [Features(reading)])
    np.testing.assert_allclose(found[:, :-1], slow_readings(x, reading), rtol=1e-5, atol=1e-5)


def test_projections_norms_and_means_follow_from_the_features(folder: Path, tmp_path: Path) -> None:
    reading, v, centre = Reading("mlp", "mean"), directions(2)[:, 1:, :], None
    v = np.random.default_rng(1).normal(size=(2, LAYERS, 48)).astype(np.float32)
    x = extractor(folder, tmp_path)
    (features,) = x.measure(pool(), [Features(reading)])
    centre = features.mean(axis=0)
    p, norms, mean, about = x.measure(
        pool(), [project_on(reading, v), Norms(reading), Mean(reading), norms_about(reading, centre)]
    )
    np.testing.assert_allclose(p, np.einsum("nld,cld->ncl", features, v), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(norms, np.linalg.norm(features, axis=2), rtol=1e-5)
    np.testing.assert_allclose(mean[0], features.mean(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(about, np.linalg.norm(features - centre, axis=2), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "other", [{"batch_tokens": 40}, {"batch_tokens": 100_000}, {"padding": "left"}, {"chunk_tokens": 64}]
)
def test_readings_do_not_depend_on_batches_and_chunks(
    folder: Path, tmp_path: Path, other: dict[str, Any]
) -> None:
    signals = [project_on(Reading(), directions(3)), Norms(Reading(feature="mean"))]
    usual = extractor(folder, tmp_path / "a").measure(pool(), signals)
    changed = extractor(folder, tmp_path / "b", **other).measure(pool(), signals)
    for a, b in zip(usual, changed, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_one_pass_serves_every_signal_and_target(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = extractor(folder, tmp_path)
    forwards = count_forwards(x, monkeypatch)
    signals = [
        project_on(Reading(site), directions(1, seed))
        for seed in range(3)
        for site in ("residual", "attn_out")
    ]
    signals = [
        s if s.reading.site == "residual" else project_on(s.reading, s.directions[:, 1:]) for s in signals
    ]
    together = x.measure(pool(), signals)
    # Two rows twice and one of them alone, which shows that padding is not read; then all rows.
    assert forwards == [4]
    alone = extractor(folder, tmp_path / "alone").measure(pool(), signals[3:4])[0]
    np.testing.assert_allclose(together[3], alone, rtol=1e-6, atol=1e-6)


def count_forwards(x: StoredExtractor, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counts = [0]
    decoder = x.encodings.network().get_decoder()
    original = decoder.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        counts[0] += 1
        return original(*args, **kwargs)

    monkeypatch.setattr(decoder, "forward", counted)
    return counts


def test_a_second_request_opens_no_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = [project_on(Reading(), directions(1))]
    first = extractor(folder, tmp_path).measure(pool(), signals)[0]
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    monkeypatch.setattr(LocalModel, "load_tokenizer", lambda _: pytest.fail("the tokenizer was opened"))
    np.testing.assert_array_equal(extractor(folder, tmp_path).measure(pool(), signals)[0], first)


@pytest.mark.parametrize("change", ["template", "max_length", "weights", "pool", "reading"])
def test_what_changes_the_numbers_changes_the_address(folder: Path, tmp_path: Path, change: str) -> None:
    signal = project_on(Reading(), directions(1))
    extractor(folder, tmp_path).measure(pool(), [signal])
    x, rows = extractor(folder, tmp_path), pool()
    if change == "template":
        x = x.under(template=TextTemplate(prompt="Question: {user}\nA: "))
    elif change == "max_length":
        x = x.under(max_length=64)
    elif change == "weights":
        other = save(tmp_path / "other", "mistral")
        x = x.on(LocalModel(str(other), device="cpu", max_length=128))
    elif change == "pool":
        rows = pool(23)
    else:
        signal = project_on(Reading(feature="mean"), directions(1))
    before = len(list((tmp_path / "passes").glob("*/manifest.json")))
    x.measure(rows, [signal])
    assert len(list((tmp_path / "passes").glob("*/manifest.json"))) == before + 1


def test_a_killed_pass_resumes_and_ends_with_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = [project_on(Reading(), directions(2)), Mean(Reading())]
    cut = {"batch_tokens": 128, "chunk_tokens": 200}
    whole = extractor(folder, tmp_path / "whole", **cut).measure(pool(), signals)

    begin, calls = runners.Runner.begin, [0]

    def killed(self: runners.Runner, *args: Any) -> Any:
        calls[0] += 1
        if calls[0] == 4:
            raise KeyboardInterrupt
        return begin(self, *args)

    monkeypatch.setattr(runners.Runner, "begin", killed)
    with pytest.raises(KeyboardInterrupt):
        extractor(folder, tmp_path / "cut", **cut).measure(pool(), signals)
    assert list((tmp_path / "cut").rglob("chunk-*.npz")), "nothing was kept"

    calls[0] = 100
    resumed = extractor(folder, tmp_path / "cut", **cut).measure(pool(), signals)
    first_try = calls[0] - 100
    for a, b in zip(whole, resumed, strict=True):
        assert a.tobytes() == b.tobytes()
    calls[0] = 100
    extractor(folder, tmp_path / "again", **cut).measure(pool(), signals)
    assert first_try < calls[0] - 100, "the resumed pass read everything again"


def test_a_pass_that_is_killed_after_its_last_chunk_resumes_without_the_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = [project_on(Reading(), directions(2))]
    whole = extractor(folder, tmp_path / "whole").measure(pool(), signals)
    with monkeypatch.context() as patch:
        patch.setattr(Chunks, "assemble", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            extractor(folder, tmp_path / "cut").measure(pool(), signals)
    free()
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    resumed = extractor(folder, tmp_path / "cut").measure(pool(), signals)
    assert resumed[0].tobytes() == whole[0].tobytes()


class Stopped(Exception):
    """Simulates a kill after which nothing can be written."""


def stop_at(
    patch: pytest.MonkeyPatch, count: int, error: type[BaseException], seconds: float = 0
) -> list[int]:
    """Raise at batch number `count`, from 1. Returns a one-element list that counts the started batches."""
    begin, calls = runners.Runner.begin, [0]

    def begun(self: runners.Runner, *args: Any) -> Any:
        calls[0] += 1
        if calls[0] == count:
            raise error
        time.sleep(seconds)
        return begin(self, *args)

    patch.setattr(runners.Runner, "begin", begun)
    return calls


def stop(x: StoredExtractor, count: int, error: type[BaseException], seconds: float = 0) -> None:
    """Stop a measurement at batch number `count`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nait.signals.passes.run.SAVE_SHARE", 0)  # a busy machine writes slowly
        stop_at(patch, count, error, seconds)
        with pytest.raises(error):
            x.measure(pool(), kept_signals())


BATCHES = {"batch_tokens": 128}


@pytest.fixture(scope="module")
def uninterrupted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[bytes]]:
    """Number of batches of an uninterrupted pass, and the bytes of its signals."""
    with pytest.MonkeyPatch.context() as patch:
        calls = stop_at(patch, 0, Stopped)
        store = tmp_path_factory.mktemp("whole")
        found = extractor(folder, store, **BATCHES, save_seconds=1000).measure(pool(), kept_signals())
        return calls[0], [values.tobytes() for values in found]


def kept_signals() -> list[Any]:
    """One per-row signal, and one set-level signal whose sum depends on the order by rounding."""
    return [project_on(Reading(), directions(2)), Mean(Reading())]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("stops", [(2,), (6,), (4, 3, 2)])
def test_an_interrupt_within_a_chunk_loses_no_batch_and_changes_no_byte(
    folder: Path, tmp_path: Path, uninterrupted: tuple[int, list[bytes]], stops: tuple[int, ...],
    error: type[BaseException], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    batches, whole = uninterrupted
    done = 0
    for count in stops:
        stop(extractor(folder, tmp_path, **BATCHES), count, error)
        done += count - 1
        assert not list(tmp_path.rglob("chunk-*")), "one chunk holds all"
    assert "rows are measured and kept" in caplog.text
    with pytest.MonkeyPatch.context() as patch:
        calls = stop_at(patch, 0, error)
        resumed = extractor(folder, tmp_path, **BATCHES).measure(pool(), kept_signals())
        assert calls[0] == batches - done
    assert [values.tobytes() for values in resumed] == whole
    (made,) = (path.parent for path in (tmp_path / "passes").glob("*/manifest.json"))
    assert {path.name for path in made.iterdir()} == {"manifest.json", "0.npy", "1.npy"}


def test_a_kill_within_a_chunk_loses_what_was_read_since_the_last_save(
    folder: Path, tmp_path: Path, uninterrupted: tuple[int, list[bytes]]
) -> None:
    batches, whole = uninterrupted
    for seconds, kept in ((1000.0, 0), (0.0, 4)):  # of five batches, the last is on its way
        store = tmp_path / str(kept)
        stop(extractor(folder, store, **BATCHES, save_seconds=seconds), 6, Stopped)
        assert bool(list(store.rglob("begun-*"))) == bool(kept)
        with pytest.MonkeyPatch.context() as patch:
            calls = stop_at(patch, 0, Stopped)
            resumed = extractor(folder, store, **BATCHES).measure(pool(), kept_signals())
            assert calls[0] == batches - kept
        assert [values.tobytes() for values in resumed] == whole


def test_pieces_of_another_plan_are_deleted(
    folder: Path, tmp_path: Path, uninterrupted: tuple[int, list[bytes]]
) -> None:
    stop(extractor(folder, tmp_path, batch_tokens=200), 3, KeyboardInterrupt)
    assert list(tmp_path.rglob("begun-*"))
    x = extractor(folder, tmp_path, **BATCHES)
    assert [values.tobytes() for values in x.measure(pool(), kept_signals())] == uninterrupted[1]
    (made,) = Store(tmp_path).artifacts("passes")
    assert "earlier_seconds" not in made.manifest


def test_a_resumed_pass_costs_the_sum_of_its_attempts(folder: Path, tmp_path: Path) -> None:
    stop(extractor(folder, tmp_path, **BATCHES), 5, KeyboardInterrupt, seconds=0.1)
    x, started = extractor(folder, tmp_path, **BATCHES), time.monotonic()
    x.measure(pool(), kept_signals())
    elapsed = time.monotonic() - started
    (made,) = (one for one in x.lineage if one.kind == "passes")
    earlier = made.manifest["earlier_seconds"]
    assert earlier >= 0.4
    assert made.fresh
    assert earlier < made.seconds <= earlier + elapsed
    assert made.seconds_now == pytest.approx(made.seconds - earlier)
    encoded = sum(one.seconds for one in x.lineage if one.kind == "encodings")
    assert x.lineage.seconds(elapsed) == pytest.approx(elapsed + earlier + encoded), "each second once"
    again = extractor(folder, tmp_path, **BATCHES)
    again.measure(pool(), kept_signals())
    assert again.lineage.seconds(0.0) == pytest.approx(made.seconds + encoded), (
        "its texts had to be tokenized"
    )


def test_an_interrupt_comes_after_the_batch_that_was_read() -> None:
    class Runner:
        def begin(self, table: Any, rows: Any) -> list[Any]:
            if rows[0] == 2:
                raise KeyboardInterrupt
            return [SimpleNamespace(arrays=lambda: [rows])]

    found = runners.read_ahead(Runner(), None, [np.array([row]) for row in range(4)])  # type: ignore[arg-type]
    assert [int(next(found)[0][0]), int(next(found)[0][0])] == [0, 1]
    with pytest.raises(KeyboardInterrupt):
        next(found)


def test_the_next_batch_starts_before_the_values_of_the_last_are_copied() -> None:
    happened: list[str] = []

    class Arriving:
        def __init__(self, name: int) -> None:
            self.name = name
            happened.append(f"begin {name}")

        def arrays(self) -> list[np.ndarray]:
            happened.append(f"wait {self.name}")
            return [np.full(2, self.name)]

    class Runner:
        def begin(self, table: Any, rows: Any) -> list[Arriving]:
            return [Arriving(int(rows[0]))]

    runner, batches = Runner(), [np.array([row, row + 1]) for row in (0, 2, 4)]
    found = list(runners.read_ahead(runner, None, batches))  # type: ignore[arg-type]
    assert [(rows.tolist(), values[0].tolist()) for rows, values in found] == [
        ([row, row + 1], [row, row]) for row in (0, 2, 4)
    ]
    assert happened == ["begin 0", "begin 2", "wait 0", "begin 4", "wait 2", "wait 4"]


def test_a_chunk_fills_arrays_of_full_size() -> None:
    signals = [project_on(Reading(), directions(1)), Mean(Reading())]
    buffer = ChunkBuffer(signals, 3)
    ones = np.ones((1, 1, 2), dtype=np.float32)
    buffer.add(
        [np.concatenate([ones, 2 * ones]), np.full((2, 1, 1), 0.5)], 2
    )  # a batch that was read in halves
    first, total = buffer.arrays
    buffer.add([3 * ones, np.full((1, 1, 1), 4.0)], 1)
    assert [id(one) for one in buffer.arrays] == [id(first), id(total)], "the arrays are allocated once"
    assert first[:, 0, 0].tolist() == [1, 2, 3]
    assert first.dtype == np.float32
    assert total.tolist() == [[[5.0]]]


@pytest.mark.gpu
def test_a_gpu_measures_what_a_cpu_measures(folder: Path, tmp_path: Path) -> None:
    signals = [
        project_on(Reading(), directions(2)),
        Norms(Reading("mlp")),
        Features(Reading("residual", "mean")),
    ]
    usual = extractor(folder, tmp_path / "a", batch_tokens=256).measure(pool(), signals)
    x = extractor(folder, tmp_path / "b", batch_tokens=256)
    x = x.on(LocalModel(str(folder), device="cuda", max_length=128))
    for a, b in zip(usual, x.measure(pool(), signals), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_out_of_memory_halves_the_batch(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    signals = [project_on(Reading(), directions(1)), Norms(Reading())]
    usual = extractor(folder, tmp_path / "a").measure(pool(), signals)
    original = runners.Runner._read

    def tight(self: runners.Runner, table: Any, rows: Any) -> Any:
        if len(rows) > 2:
            raise torch.OutOfMemoryError
        return original(self, table, rows)

    monkeypatch.setattr(runners.Runner, "_read", tight)
    halved = extractor(folder, tmp_path / "b").measure(pool(), signals)
    assert "half" in caplog.text
    for a, b in zip(usual, halved, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


STATE = {"state_size": 8}
MAMBA_2 = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1}
MIXED = {"layer_types": ["linear_attention", "full_attention", "linear_attention"]}
LINEAR = {
    **MIXED, "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8, "head_dim": 8,
}  # fmt: skip
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
RECURRENT: dict[str, dict[str, Any]] = {
    "MambaConfig": STATE,
    "Mamba2Config": {**STATE, "num_heads": 8, "head_dim": 8, "n_groups": 1},
    "FalconMambaConfig": STATE,
    "BambaConfig": {**MAMBA_2, "attn_layer_indices": [1]},
    "FalconH1Config": {**MAMBA_2, "mamba_d_ssm": 64, "head_dim": 8},
    "GraniteMoeHybridConfig": {**MAMBA_2, "layer_types": ["mamba", "attention", "mamba"], "num_local_experts": 0,
                               "shared_intermediate_size": 48},
    "JambaConfig": {"attn_layer_period": 3, "attn_layer_offset": 1, "use_mamba_kernels": False, "num_experts": 2,
                    "mamba_d_state": 8},
    "Zamba2Config": {"mamba_d_state": 8, "n_mamba_heads": 8, "mamba_headdim": 8, "mamba_ngroups": 1,
                     "layers_block_type": ["mamba", "hybrid", "mamba"]},
    "NemotronHConfig": {"mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1, "head_dim": 8,
                        "layers_block_type": ["mamba", "attention", "mlp"]},
    "Lfm2Config": {"layer_types": ["conv", "full_attention", "conv"]},
    "Lfm2MoeConfig": {**EXPERTS, "num_dense_layers": 1, "layer_types": ["conv", "full_attention", "conv"]},
    "Qwen3NextConfig": {**LINEAR, **EXPERTS, "shared_expert_intermediate_size": 16},
    "Qwen3_5TextConfig": LINEAR,
    "OlmoHybridConfig": LINEAR,
    "MiniMaxConfig": {**MIXED, **EXPERTS, "num_local_experts": 4, "head_dim": 8, "block_size": 4},
    "RecurrentGemmaConfig": {"lru_width": HIDDEN, "attention_window_size": 16, "head_dim": 8,
                             "block_types": ["recurrent", "recurrent", "attention"]},
    "RwkvConfig": {"attention_hidden_size": HIDDEN, "context_length": 64, "rescale_every": 2},
    "xLSTMConfig": {"num_heads": 4, "num_blocks": LAYERS},
}  # fmt: skip
REFUSED = ("RecurrentGemmaConfig", "RwkvConfig", "xLSTMConfig")


def recurrent(name: str) -> Any:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, name)(**{**COMMON, **RECURRENT[name]})
    return transformers.AutoModelForCausalLM.from_config(config).float().eval()


@pytest.mark.parametrize("name", RECURRENT)
def test_the_residual_of_a_recurrent_model_is_its_hidden_states(name: str) -> None:
    """The hidden states begin with the embeddings in some families, and with the first block's output in others."""
    network, ids = recurrent(name), [1, 9, 40, 33, 7]
    keep_scale(network)
    table = token_table([ids], [[False, *[True] * 4]], [False])
    with runners.runner_of(network, [Features(Reading(feature="last"))], padding="right") as runner:
        (found_ld,) = runner.read(table, np.array([0]))[0]
    with torch.no_grad():
        hidden = network(torch.tensor([ids]), output_hidden_states=True, use_cache=False).hidden_states
    states = np.stack([state[0, -1].numpy() for state in hidden])
    first = 0 if np.allclose(states[0], found_ld[0], rtol=1e-5, atol=1e-6) else 1
    count = len(states) - 1  # the last is after the final norm
    assert count + first >= LAYERS
    np.testing.assert_allclose(found_ld[first : first + count], states[:-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", RECURRENT)
def test_padding_changes_nothing_in_a_recurrent_model_or_is_refused(name: str) -> None:
    network = recurrent(name)
    ids = [[1, 9, 40, 33, 7], [1, 12, 13], [1, 50, 51, 52, 53, 54, 55, 60, 61]]
    table = token_table(ids, [[False, *[True] * (len(row) - 1)] for row in ids], [False] * 3)

    def read(rows: list[int], padding: Any) -> np.ndarray:
        with runners.runner_of(network, [Features(Reading())], padding=padding) as runner:
            return runner.read(table, np.array(rows))[0]

    wanted = np.concatenate([read([row], "right") for row in range(3)])
    close = {"rtol": 1e-5, "atol": 1e-5 * np.abs(wanted).max()}
    np.testing.assert_allclose(read([0, 1, 2], "right"), wanted, **close)
    if name in REFUSED:
        with pytest.raises(
            ConfigError, match=f"layers of {network.config.model_type} read padding on the left"
        ):
            read([0, 1, 2], "left")
    else:
        np.testing.assert_allclose(read([0, 1, 2], "left"), wanted, **close)
