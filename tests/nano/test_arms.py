"""Laws of the small world: an oracle beats random beats the base; no selector sees a label."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from nait.data.pools import read_pool
from nait.models.prompts.templates import TextTemplate
from nait.nano import world
from nait.nano.pools import nano_model, nano_pool, nano_targets
from nait.nano.pretraining import probe
from nait.neurons.scorer import Nait
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.store import Store

SIZE, CHOSEN = 1_000, 100
FILES = [files("nait.conf") / "template" / f"{name}.yaml" for name in ("alpaca", "nano")]
SHIPPED = {
    key: value for file in FILES for key, value in yaml.safe_load(file.read_text(encoding="utf-8")).items()
}
TEMPLATE = TextTemplate(
    **{key: value for key, value in SHIPPED.items() if key not in ("_target_", "defaults")}
)


@pytest.fixture(scope="module")
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def rows() -> list[world.Row]:
    return world.pool_rows(SIZE)


def weights(network: Any) -> torch.Tensor:
    return torch.cat([parameter.flatten() for parameter in network.parameters()])


@pytest.mark.usefixtures("one_thread")
def test_an_oracle_beats_random_and_random_beats_the_base(rows: list[world.Row]) -> None:
    model, tokenizer = probe.load()
    items = world.evaluation_rows("math", 60)

    def reached(arm: str) -> float:
        tuned = probe.tuned(model, tokenizer, probe.chosen(rows, arm, count=CHOSEN, seed=0), seed=0)
        return probe.accuracy(tuned, tokenizer, "math", items)["all"]

    base = probe.accuracy(model, tokenizer, "math", items)["all"]
    assert base < reached("random") < reached("math") - 0.1


@pytest.mark.usefixtures("one_thread")
def test_tuning_on_the_same_rows_and_seed_gives_the_same_bits(rows: list[world.Row]) -> None:
    model, tokenizer = probe.load()
    first, second, other = (
        weights(probe.tuned(model, tokenizer, rows[:32], seed=seed, epochs=1)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_pools_reference_sets_and_items_are_drawn_from_their_seed_alone() -> None:
    assert nano_pool(200).fingerprint == nano_pool(200).fingerprint
    assert nano_pool(200, seed=1).fingerprint != nano_pool(200).fingerprint
    assert nano_targets(["math"])[0].fingerprint == nano_targets(["math"])[0].fingerprint


def test_no_label_is_in_what_a_selector_sees(rows: list[world.Row]) -> None:
    labels = {"family", "skill", "clean", "noise", "lookalike"}
    assert labels <= set(rows[0])
    pool = nano_pool(SIZE).blind()
    assert pool.source is None
    for example, row in zip(pool.examples, sorted(rows, key=lambda row: row["id"]), strict=True):
        (turn,) = example.turns
        assert (turn.instruction, turn.input, turn.answer) == (
            row["instruction"],
            row["input"],
            row["output"],
        )
        assert not example.system
        assert not example.subtask
        assert row["family"] not in example.id


def test_scores_do_not_change_when_the_labels_do(tmp_path: Path, rows: list[world.Row]) -> None:
    """The same texts under other labels, read from a file as a user's would be."""

    def pool(name: str, shift: int) -> Any:
        path = tmp_path / f"{name}.jsonl"
        moved = [{**row, **{k: rows[(i + shift) % 200][k] for k in ("family", "skill", "clean", "lookalike")}}
                 for i, row in enumerate(rows[:200])]  # fmt: skip
        path.write_text("".join(json.dumps(row) + "\n" for row in moved))
        return read_pool(str(path), name="pool", id_column="id")

    def scores(name: str, shift: int) -> Any:
        x = StoredExtractor(
            nano_model(), Store(tmp_path / f"{name} store"), TEMPLATE, engine=Engine(progress=False)
        )
        return Nait().score(pool(name, shift), nano_targets(["math"]), x).values

    np.testing.assert_array_equal(scores("one", 0), scores("two", 7))
    assert pool("one", 0).fingerprint == pool("two", 7).fingerprint
