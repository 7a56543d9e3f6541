"""Laws of LESS: a warm-up's epochs, weighted by their learning rates; cosines of gradients; subtasks."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.baselines.less import Checkpoint, Less, reduced
from nait.core.dataset.examples import Example, Target, Turn, as_target, gather
from nait.core.errors import ConfigError, DataError, StoreError
from nait.models.loading import LocalModel
from nait.store import read_json, write_json
from nait.training.adapters.adapted_models import load_adapted
from nait.training.adapters.lora import LoraRecipe
from nait.training.recipes.fine_tune import FineTune
from tests.baselines.conftest import Open
from tests.baselines.test_warmup import tune
from tests.families import pool, target
from tests.signals.test_gradients import by_hand, flat, one_by_one, unit

TRAINER = FineTune(
    epochs=2, batch_size=4, learning_rate=0.01, scheduler="linear", checkpoints="epoch",
    lora=LoraRecipe(r=2, alpha=8.0, dropout=0.0),
)  # fmt: skip
LESS = Less(TRAINER, warmup_ratio=0.34)
ROWS, REFERENCES = pool(24), target(4)


def subtasks(names: Sequence[str]) -> Target:
    rows = [
        Example(f"r{i}", (Turn(f"Add {i} and {i}", f"{2 * i} it is"),), subtask=name, row=i)
        for i, name in enumerate(names)
    ]
    return as_target(gather("subtasks", rows))


@pytest.fixture
def trained() -> list[set[str]]:
    """The ids of the rows of each warm-up training."""
    return []


@pytest.fixture
def warm(opened: Open, folder: Path, tmp_path: Path, trained: list[set[str]]) -> Any:
    return opened(tune=tune(folder, tmp_path, trained))


def epochs(store: Path) -> list[Path]:
    (made,) = [path for path in (store / "adapters").iterdir() if path.is_dir()]
    return sorted((made / "epochs").iterdir())


def test_reduction_by_hand() -> None:
    """Subtask a: rows 0 and 2; b: row 1. Row x: means 2 and 3; row y: means 1 and -4."""
    influence = np.array([[1.0, 3.0, 3.0], [-2.0, -4.0, 4.0]])
    assert reduced(influence, ["a", "b", "a"]).tolist() == [3.0, 1.0]
    np.testing.assert_allclose(reduced(influence, ["a", "b", "a"], "mean"), [7 / 3, -2 / 3])
    assert reduced(influence, ["a", "b", "a"], "max").tolist() == [3.0, 4.0]
    assert reduced(influence, ["", "", ""]).tolist() == reduced(influence, ["a", "b", "c"], "mean").tolist()


@pytest.mark.parametrize("adam", ["less", "sgd"])
def test_influence_is_the_weighted_sum_of_the_epochs_cosines(
    adam: Any, warm: Any, folder: Path, tmp_path: Path
) -> None:
    (found,) = replace(LESS, adam=adam).influences(ROWS, [REFERENCES], warm)
    total, rates = np.zeros_like(found), 0.0
    for epoch in epochs(tmp_path):
        network, _ = load_adapted(LocalModel(str(folder), device="cpu", max_length=200), epoch)
        moments = epoch / "adam.safetensors"
        g = one_by_one(network, warm.tokens(ROWS))
        u = unit(by_hand(adam, g, flat(moments, ".exp_avg"), flat(moments, ".exp_avg_sq")))
        z = unit(one_by_one(network, warm.tokens(REFERENCES)))
        rate = read_json(epoch / "epoch.json")["learning_rate"]
        total, rates = total + rate * (u @ z.T), rates + rate
    np.testing.assert_allclose(found, total / rates, atol=1e-5)
    table = replace(LESS, adam=adam).score(ROWS, [REFERENCES], warm)
    np.testing.assert_allclose(table.column("target"), found.mean(axis=1))
    assert sum(table.diagnostics["checkpoints"].values()) == pytest.approx(1.0)


def test_a_subtask_counts_by_its_best(warm: Any) -> None:
    named = subtasks(["a", "a", "b", "c"])
    (influence,) = LESS.influences(ROWS, [named], warm)
    wanted = np.max([influence[:, :2].mean(axis=1), influence[:, 2], influence[:, 3]], axis=0)
    np.testing.assert_allclose(LESS.score(ROWS, [named], warm).column("subtasks"), wanted)


def test_targets_share_a_pass_and_the_warm_up_is_trained_once(
    warm: Any, trained: list[set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = [REFERENCES, subtasks(["a", "b"])]
    together = LESS.score(ROWS, two, warm)
    assert len(trained[0]) == round(0.34 * len(ROWS))
    # At each of 2 epochs: one pass over each reference set, one over the pool.
    assert len(list((tmp_path / "passes").glob("*/manifest.json"))) == 2 * 3
    warm.close()
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    again = LESS.score(ROWS, two[::-1], warm)
    np.testing.assert_array_equal(again.values[:, ::-1], together.values)


def test_projected_influences_are_near_and_new_targets_need_no_pass_over_the_pool(
    warm: Any, tmp_path: Path
) -> None:
    projected = replace(LESS, projection="rademacher", projection_dim=4096)
    (exact,) = LESS.influences(ROWS, [REFERENCES], warm)
    (near,) = projected.influences(ROWS, [REFERENCES], warm)
    assert np.abs(near - exact).max() < 5 / 4096**0.5
    before = len(list((tmp_path / "passes").glob("*/manifest.json")))
    projected.influences(ROWS, [subtasks(["a", "b"])], warm)
    assert len(list((tmp_path / "passes").glob("*/manifest.json"))) == before + 2


def test_the_warm_ups_rows_are_drawn_by_id(warm: Any) -> None:
    drawn = LESS.drawn(ROWS, warm)
    assert drawn == LESS.drawn(ROWS, warm)
    assert set(drawn) < set(ROWS.ids)
    assert drawn != replace(LESS, seed=1).drawn(ROWS, warm)
    assert set(drawn) < set(replace(LESS, warmup_ratio=0.5).drawn(ROWS, warm))
    blank = gather("blank", [*ROWS.examples[:3], Example("empty", (Turn("Do", " "),), row=9)])
    assert "empty" not in replace(LESS, warmup_ratio=1.0).drawn(blank, warm)


def test_own_checkpoints_replace_the_warm_up(warm: Any, tmp_path: Path) -> None:
    (wanted,) = LESS.influences(ROWS, [REFERENCES], warm)
    own = [
        Checkpoint(str(epoch), weight=read_json(epoch / "epoch.json")["learning_rate"] * 7)
        for epoch in epochs(tmp_path)
    ]
    (found,) = Less(checkpoints=own).influences(ROWS, [REFERENCES], warm)
    np.testing.assert_allclose(found, wanted, atol=1e-7)
    with pytest.raises(StoreError, match=r"adapter_config\.json"):
        Less(checkpoints=[Checkpoint(str(tmp_path))]).score(ROWS, [REFERENCES], warm)


def test_a_row_without_an_answer_is_not_ranked(warm: Any) -> None:
    rows = gather("blank", [*ROWS.examples, Example("zz", (Turn("Do", ""),), row=99)])
    table = LESS.score(rows, [REFERENCES], warm)
    assert np.isnan(table.values[rows.ids.index("zz")]).all()
    assert int(table.eligible.sum()) == len(ROWS)


def test_a_target_without_answers_is_refused_before_anything_is_trained(
    warm: Any, trained: list[set[str]]
) -> None:
    for targets in ([], [replace(REFERENCES, examples=())]):
        with pytest.raises(DataError):
            LESS.score(ROWS, targets, warm)
    silent = as_target(gather("silent", [Example("s", (Turn("Do", ""),))]))
    with pytest.raises(DataError, match=r"silent.*1 of 1"):
        LESS.score(ROWS, [silent], warm)
    assert trained == []


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"warmup": None}, "selector.warmup"),
        ({"warmup": replace(TRAINER, checkpoints="none")}, r"warmup\.checkpoints"),
        ({"warmup": FineTune(method="full", checkpoints="epoch")}, r"warmup\.method"),
        ({"adam": "adams"}, r"adam.*'sgd'|selector\.adam"),
        ({"projection": "gauss"}, "selector.projection"),
        ({"projection": "rademacher", "projection_dim": 100}, "multiple of 64"),
        ({"reduce": "sum"}, "selector.reduce"),
        ({"warmup_ratio": 0.0}, "warmup_ratio"),
        ({"checkpoints": []}, "selector.checkpoints"),
        ({"checkpoints": [Checkpoint("a", weight=0.0)]}, "weight above 0"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        Less(**{"warmup": TRAINER, **wrong})


def test_other_bytes_under_the_same_path_are_other_scores(warm: Any, tmp_path: Path) -> None:
    LESS.score(ROWS, [REFERENCES], warm)
    copied = tmp_path / "mine"
    shutil.copytree(epochs(tmp_path)[-1], copied)
    one = Less(checkpoints=[Checkpoint(str(copied))])
    before = one.content()
    assert one.content() == before
    moments = copied / "adam.safetensors"
    moments.write_bytes(moments.read_bytes()[:-4] + bytes(4))
    assert one.content() != before
    assert LESS.content() == []


def test_other_constants_of_adam_are_other_scores(warm: Any, tmp_path: Path) -> None:
    LESS.score(ROWS, [REFERENCES], warm)
    copied = tmp_path / "mine"
    shutil.copytree(epochs(tmp_path)[-1], copied)
    one, plain = (Less(checkpoints=[Checkpoint(str(copied))], adam=adam) for adam in ("less", "sgd"))
    before, without = one.content(), plain.content()
    facts = read_json(copied / "epoch.json")
    write_json(copied / "epoch.json", {**facts, "beta2": 0.95})
    assert one.content() != before
    assert plain.content() == without
    write_json(copied / "epoch.json", {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8})
    assert one.content() == before
