"""Laws of fine-tuning: the recipe and the seed decide every byte, and only answers are learned."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nait.core.dataset.token_table import TokenTable, token_table
from nait.core.errors import ConfigError, DataError, NaitError
from nait.training.adapters.adapter_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from nait.training.adapters.lora import LoraRecipe
from nait.training.callbacks import facts
from nait.training.checkpoints import latest, seal_checkpoint
from nait.training.recipes.fine_tune import FineTune
from nait.training.recipes.no_training import NoTraining
from nait.training.trainer_run import deterministic_kernels, fit
from tests.clocks import later_clock
from tests.training.conftest import Records

LORA = FineTune(
    epochs=2, batch_size=4, learning_rate=0.01, save_seconds=0, lora=LoraRecipe(r=2, alpha=4, dropout=0.1)
)
FULL = replace(LORA, method="full", lora=None)
STEPS = 6  # two epochs of ten rows, four a step

Train = Callable[..., tuple[Path, dict[str, Any]]]
Plain = tuple[Path, dict[str, Any], Records]


@pytest.fixture(scope="module")
def train(tiny: Any, rows: TokenTable, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains into a new folder, or into the one given."""

    def run(recipe: FineTune, seed: int = 0, **other: Any) -> tuple[Path, dict[str, Any]]:
        folder = other.get("folder") or tmp_path_factory.mktemp("trained")
        table, model = other.get("rows", rows), other.get("model", tiny)
        facts = recipe.train(model, table, folder, seed=seed, tracker=other.get("tracker", Records()))
        return folder, dict(facts)

    return run


@pytest.fixture(scope="module")
def plain(train: Train) -> Plain:
    """LORA, trained once: its folder, its facts, its log."""
    records = Records()
    return *train(LORA, tracker=records), records


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_one_seed_gives_one_adapter_and_another_seed_another(train: Train, plain: Plain) -> None:
    first, again, other = plain[0], train(LORA)[0], train(LORA, seed=1)[0]
    assert content(first) == content(again)
    assert set(content(first)) == {ADAPTER_WEIGHTS, ADAPTER_CONFIG, "curve.json"}
    assert (first / ADAPTER_WEIGHTS).read_bytes() != (other / ADAPTER_WEIGHTS).read_bytes()


@pytest.mark.parametrize("recipe", [replace(LORA, checkpoints="epoch"), FULL], ids=["lora", "full"])
def test_a_killed_training_resumes_to_the_same_bytes(recipe: FineTune, train: Train, tmp_path: Path) -> None:
    whole, facts = train(recipe)
    folder, begun = tmp_path / "killed", time.monotonic()
    for step in (2, 5):  # in the middle of either epoch
        with pytest.raises(KeyboardInterrupt):
            train(recipe, folder=folder, tracker=Records(step))
        assert [path.name for path in (folder / "checkpoints").iterdir()] == [f"checkpoint-{step - 1}"]
    resumed = Records()
    started = time.monotonic()
    _, facts_of_resumed = train(recipe, folder=folder, tracker=resumed)
    assert 0 < facts_of_resumed.pop("earlier_seconds") < started - begun, (
        "what was kept, and no more than passed"
    )
    facts_of_resumed.pop("earlier_energy_wh")
    assert [step for step, _ in resumed.logged] == [1, 2, 3, 4, 5, 6], (
        "the curve is whole in the resumed run's log"
    )
    assert content(folder) == content(whole)
    speed = "samples_per_second"
    assert {**facts, speed: 0} == {**facts_of_resumed, speed: 0}


def test_the_cost_of_a_killed_attempt_does_not_contain_the_trainers_setup(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = later_clock(monkeypatch)

    def slow(*given: Any, **more: Any) -> Any:
        later(1000)
        return fit(*given, **more)

    monkeypatch.setattr("nait.training.recipes.fine_tune.fit", slow)
    with pytest.raises(KeyboardInterrupt):
        train(LORA, folder=tmp_path, tracker=Records(3))
    assert 0 < train(LORA, folder=tmp_path)[1]["earlier_seconds"] < 1000


def test_the_rate_of_a_resumed_run_covers_the_rows_and_seconds_of_all_attempts(rows: TokenTable) -> None:
    """Of two epochs, the last attempt trains one, in 2 of 5 seconds; its own rate is that of its rows."""
    batch = -(-len(rows) // 3)
    step = {"step": 6, "loss": 1.0, "learning_rate": 0.1, "grad_norm": 1.0, "epoch": 2.0}
    end = {"train_runtime": 2.0, "train_samples_per_second": len(rows) / 2.0, "device_tokens": 512}
    state = SimpleNamespace(global_step=6, epoch=2.0, num_input_tokens_seen=0, log_history=[step, end])
    network = SimpleNamespace(parameters=list)
    assert (
        facts(state, network, rows, batch_size=batch, earlier_seconds=3.0)["samples_per_second"]
        == 2 * len(rows) / 5.0
    )
    assert facts(state, network, rows, batch_size=batch)["samples_per_second"] == 2 * len(rows) / 2.0


def test_a_half_written_checkpoint_is_not_gone_on_from(train: Train, plain: Plain, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        train(LORA, folder=folder, tracker=Records(4))
    half = folder / "checkpoints" / "checkpoint-4"
    half.mkdir()
    (half / "trainer_state.json").write_text('{"global_step": 4, "log_hi', encoding="utf-8")
    train(LORA, folder=folder)
    assert content(folder) == content(plain[0])


@pytest.mark.parametrize(
    "name",
    [
        "updates.safetensors",
        "updates.json",
        "generators-0.json",
        "generators-0.safetensors",
        "trainer_state.json",
        "adapter_model.safetensors",
    ],
)
def test_a_training_does_not_resume_from_a_damaged_checkpoint(
    name: str, train: Train, plain: Plain, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        train(LORA, folder=folder, tracker=Records(4))
    (checkpoint,) = (folder / "checkpoints").iterdir()
    damaged = bytearray((checkpoint / name).read_bytes())
    damaged[len(damaged) // 2] ^= 4
    (checkpoint / name).write_bytes(damaged)
    train(LORA, folder=folder)
    assert f"{name} differs from its checksum" in caplog.text
    assert content(folder) == content(plain[0])


def test_a_checkpoint_holds_no_pickled_file(train: Train, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(LORA, folder=tmp_path, tracker=Records(4))
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    suffixes = {path.suffix for path in checkpoint.rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".safetensors", ".md"}


@pytest.mark.parametrize("name", ["optimizer.pt", "rng_state.pth", "pytorch_model.bin", "adapter_model.bin"])
def test_a_checkpoint_with_a_pickled_file_is_set_aside(
    name: str, train: Train, plain: Plain, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import torch

    with pytest.raises(KeyboardInterrupt):
        train(LORA, folder=tmp_path, tracker=Records(4))
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    (checkpoint / name).write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    seal_checkpoint(tmp_path / "checkpoints", 3)  # its author can make checksums, too
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    train(LORA, folder=tmp_path)
    assert f"holds a pickled file, {name}" in caplog.text
    assert content(tmp_path) == content(plain[0])


def test_a_checkpoint_covers_the_epochs_before_it(train: Train, tmp_path: Path) -> None:
    recipe = replace(LORA, checkpoints="epoch")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, folder=tmp_path, tracker=Records(5))
    assert latest(tmp_path / "checkpoints") is not None
    moments = tmp_path / "epochs" / "1" / "adam.safetensors"
    moments.write_bytes(moments.read_bytes()[:-1] + b"x")
    assert latest(tmp_path / "checkpoints") is None


def test_the_loss_is_the_mean_over_answer_tokens(train: Train, tiny: Any, rows: TokenTable) -> None:
    import torch

    network, _ = tiny.load()
    nll = []
    for i in range(len(rows)):
        ids, answer = rows.row(i)
        tokens = torch.from_numpy(ids.astype(np.int64))[None]
        with torch.inference_mode():
            log_probs = network(tokens).logits[0].log_softmax(-1)
        nll += [-float(log_probs[t - 1, ids[t]]) for t in range(1, len(ids)) if answer[t]]
    one_step = replace(FULL, max_steps=1, batch_size=len(rows))
    _, facts = train(one_step)
    assert facts["train_loss"] == pytest.approx(np.mean(nll), rel=1e-5)
    assert facts["answer_tokens"] == len(nll)
    assert facts["tokens_seen"] == rows.lengths.sum()


def test_what_saves_memory_or_time_changes_no_byte(train: Train, plain: Plain) -> None:
    other, _ = train(replace(LORA, gradient_checkpointing=True, save_seconds=300))
    assert content(other) == content(plain[0])


def test_each_step_reaches_the_tracker_and_the_curve_file(plain: Plain) -> None:
    folder, facts, tracker = plain
    curve = json.loads((folder / "curve.json").read_text(encoding="utf-8"))
    assert [row["step"] for row in curve] == [step for step, _ in tracker.logged] == list(range(1, STEPS + 1))
    for row, (_, logged) in zip(curve, tracker.logged, strict=True):
        assert {"step": row["step"], **logged} == row
    assert min(row["learning_rate"] for row in curve) > 0
    assert facts["steps"] == STEPS
    assert facts["epochs"] == 2
    assert facts["train_loss"] == pytest.approx(np.mean([row["loss"] for row in curve]))


def test_training_lowers_the_loss(train: Train) -> None:
    tracker = Records()
    train(replace(FULL, epochs=8, save_seconds=300), tracker=tracker)
    assert tracker.logged[-1][1]["loss"] < tracker.logged[0][1]["loss"] - 0.3


def test_a_nan_loss_stops_training_at_its_step(train: Train, tmp_path: Path) -> None:
    wild = replace(FULL, learning_rate=1e30, warmup=0.0, max_grad_norm=0.0)
    with pytest.raises(NaitError, match=r"at step [23] of 6.*train\.learning_rate") as caught:
        train(wild, folder=tmp_path / "wild")
    assert "nan" in str(caught.value) or "inf" in str(caught.value)
    assert not list((tmp_path / "wild").glob("*.safetensors"))


def test_rows_without_an_answer_are_refused_before_a_model_is_opened(train: Train) -> None:
    cut = token_table([[2, 3, 4], [5, 6]], [[False, True, True], [True, False]], [False, True])
    with pytest.raises(DataError, match=r"1 of 2 rows have no answer token.*row 1"):
        train(LORA, rows=cut, model=None)
    with pytest.raises(DataError, match="no row to train on"):
        train(LORA, rows=token_table([], [], []), model=None)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bf16_trains_and_leaves_the_models_own_dtype(dtype: str, train: Train, tiny: Any) -> None:
    from safetensors.torch import load_file

    folder, facts = train(
        replace(FULL, epochs=1, precision="bf16", save_seconds=300), model=replace(tiny, dtype=dtype)
    )
    assert np.isfinite(facts["train_loss"])
    weights = load_file(folder / "model.safetensors").values()
    assert {str(tensor.dtype) for tensor in weights} == {f"torch.{dtype}"}


def test_deterministic_kernels_are_asked_for_on_cuda_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

    def lacking() -> None:
        with deterministic_kernels(torch.device("cuda")):
            assert torch.are_deterministic_algorithms_enabled()
            raise RuntimeError("scatter does not have a deterministic implementation")

    with pytest.raises(ConfigError, match=r"train\.deterministic=false"):
        lacking()
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic_kernels(torch.device("cpu")):
        assert not torch.are_deterministic_algorithms_enabled()


def test_no_file_contains_the_path_of_the_model(train: Train, plain: Plain, tiny: Any) -> None:
    for folder in (plain[0], train(replace(FULL, max_steps=1))[0]):
        for name, raw in content(folder).items():
            assert str(tiny.folder.parent).encode() not in raw, name


def test_no_training_has_no_recipe_and_refuses_to_train(train: Train) -> None:
    assert NoTraining().recipe is None
    with pytest.raises(ConfigError, match="train=lora"):
        train(NoTraining())
