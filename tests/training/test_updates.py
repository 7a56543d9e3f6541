"""Laws of an update: how its rows are split, or packed, changes no gradient; only answer tokens reach the head."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nait.core.dataset.token_table import TokenTable, token_table
from nait.core.errors import ModelError
from nait.models import lm_head
from nait.models.anatomy import dissect
from nait.models.tokens.batches import width_of
from nait.models.tokens.uneven_rows import READING_TOKENS, overhead_tokens, split
from nait.training.adapters.adapter_files import ADAPTER_WEIGHTS
from nait.training.adapters.lora import LoraRecipe, attach
from nait.training.recipes.fine_tune import FineTune
from nait.training.updates.device_tokens import automatic, halved
from nait.training.updates.micro_batches import packed, padded, split_packed
from nait.training.updates.rows import RowNumbers, gather
from nait.training.updates.saved_state import read_state
from nait.training.updates.update_gradients import UpdateGradients
from tests.training.conftest import VOCABULARY, Records

LORA = LoraRecipe(r=2, alpha=4, dropout=0.0)
STEADY = FineTune(epochs=2, batch_size=4, learning_rate=0.01, save_seconds=0, lora=LORA)
ROWS = tuple(range(10))
LARGE, SMALL = 10_000, 20
"""Budgets of tokens: all ten rows in one micro-batch, and one or two rows in each."""

Gradients = dict[str, torch.Tensor]


def network_of(tiny: Any, *, lora: LoraRecipe | None, checkpointing: bool = False) -> Any:
    """A network to train, in training mode; the adapter's factors are random, so that each has a gradient."""
    network, _ = tiny.load()
    torch.manual_seed(0)
    if lora:
        network = attach(network, lora)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.1)
    if checkpointing:
        network.activation_checkpointing_enable({"use_reentrant": False})
    return network.train()


def gradients_of(network: Any) -> Gradients:
    """The gradients by parameter, which are cleared."""
    found = {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    return found


def of_one_padded_batch(network: Any, rows: TokenTable) -> tuple[float, Gradients]:
    """Loss and gradients of all rows in one batch with a mask: the model's own loss over all logits."""
    width = int(rows.lengths.max())
    ids, labels, mask = (np.full((len(rows), width), fill) for fill in (5, -100, 0))
    for i in range(len(rows)):
        own, answer = rows.row(i)
        ids[i, : len(own)], mask[i, : len(own)] = own, 1
        labels[i, : len(own)] = np.where(answer, own, -100)
    batch = {"input_ids": ids, "labels": labels, "attention_mask": mask}
    loss = network(**{name: torch.from_numpy(array) for name, array in batch.items()}).loss
    loss.backward()
    return float(loss.detach()), gradients_of(network)


def of_split(network: Any, rows: TokenTable, tokens: int, **more: Any) -> tuple[float, Gradients]:
    """Loss and gradients of all rows as one update."""
    loss = UpdateGradients(network, rows, device_tokens=tokens, **more)(ROWS)
    return float(loss), gradients_of(network)


def assert_equal(found: tuple[float, Gradients], wanted: tuple[float, Gradients]) -> None:
    assert found[0] == pytest.approx(wanted[0], abs=1e-6)
    assert set(found[1]) == set(wanted[1])
    for name, gradient in wanted[1].items():
        torch.testing.assert_close(found[1][name], gradient, atol=1e-6, rtol=0)


@pytest.mark.parametrize("checkpointing", [False, True], ids=["", "checkpointing"])
@pytest.mark.parametrize("lora", [LORA, None], ids=["lora", "full"])
@pytest.mark.parametrize("tokens", [1, SMALL, LARGE])
def test_the_split_changes_no_gradient(
    tokens: int, lora: LoraRecipe | None, checkpointing: bool, tiny: Any, rows: TokenTable
) -> None:
    network = network_of(tiny, lora=lora, checkpointing=checkpointing)
    wanted = of_one_padded_batch(network, rows)
    assert_equal(of_split(network, rows, tokens), wanted)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_rows_have_the_same_gradient_and_see_no_other_row(
    attention: str, tiny: Any, rows: TokenTable
) -> None:
    network = network_of(tiny, lora=LORA)
    network.set_attn_implementation(attention)
    wanted = of_one_padded_batch(network, rows)
    assert_equal(of_split(network, rows, LARGE, packs=True), wanted)
    assert_equal(of_split(network, rows, 30, packs=True), wanted)
    batch = packed(rows, np.array([3, 1, 2]), device="cpu")
    assert batch.input_ids.shape == (1, int(rows.lengths[1:4].sum()))
    assert not UpdateGradients(network, rows, device_tokens=LARGE).packs, (
        "only flash attention packs by itself"
    )


def test_dropout_has_one_distribution_however_an_update_is_split(tiny: Any, rows: TokenTable) -> None:
    network = network_of(tiny, lora=replace(LORA, dropout=0.3))
    torch.manual_seed(1)
    draws = {}
    for tokens in (70, LARGE):
        update = UpdateGradients(network, rows, device_tokens=tokens)
        drawn = []
        for _ in range(60):
            loss = float(update(ROWS))
            norm = torch.stack([g.norm() for g in gradients_of(network).values()]).norm()
            drawn.append((loss, float(norm)))
        draws[tokens] = np.array(drawn)
    few, many = draws.values()
    errors = np.sqrt(few.var(axis=0) / len(few) + many.var(axis=0) / len(many))
    assert (few.std(axis=0) > 0).all()
    assert (np.abs(few.mean(axis=0) - many.mean(axis=0)) < 4 * errors).all()


def test_dropout_is_drawn_by_the_seed(tiny: Any, rows: TokenTable) -> None:
    network = network_of(tiny, lora=replace(LORA, dropout=0.3))
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(of_split(network, rows, SMALL)[0])
    assert losses[0] == losses[1] != losses[2]


def test_a_training_is_the_plain_trainers_with_as_many_updates(
    tiny: Any, rows: TokenTable, tmp_path: Path
) -> None:
    """transformers' own loop over batches of 2 rows, two an update, full logits: the same rows, rates and weights."""
    records, seen = Records(), []
    recipe = replace(STEADY, max_grad_norm=1.0, device_tokens=SMALL)
    facts = recipe.train(tiny, rows, tmp_path / "ours", seed=3, tracker=records)
    network, logs = plain_trainer(tiny, rows, recipe, tmp_path / "plain", seen)
    assert facts["steps"] == len(records.logged) == len(logs) == 6
    for (_, ours), theirs in zip(records.logged, logs, strict=True):
        for key in ("loss", "grad_norm", "learning_rate"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-4), key
    from safetensors.torch import load_file

    state = network.state_dict()
    for name, tensor in load_file(tmp_path / "ours" / ADAPTER_WEIGHTS).items():
        own = state[name.replace(".weight", ".default.weight")]
        torch.testing.assert_close(tensor, own, atol=1e-4, rtol=0)


def plain_trainer(
    tiny: Any, rows: TokenTable, recipe: FineTune, folder: Path, seen: list[Any]
) -> tuple[Any, list[dict[str, float]]]:
    """The network trained by transformers' Trainer as it is, and its log."""
    from functools import partial

    from transformers import Trainer, TrainingArguments, set_seed

    from nait.core.addresses import unit_interval
    from nait.training.recipes import schedules

    def collate(numbers: Sequence[int]) -> dict[str, torch.Tensor]:
        seen.append(list(numbers))
        width = int(rows.lengths[list(numbers)].max())
        ids, labels, mask = (np.full((len(numbers), width), fill) for fill in (0, -100, 0))
        for b, i in enumerate(numbers):
            own, answer = rows.row(i)
            ids[b, : len(own)], mask[b, : len(own)] = own, 1
            labels[b, : len(own)] = np.where(answer, own, -100)
        named = {"input_ids": ids, "labels": labels, "attention_mask": mask}
        return {name: torch.from_numpy(array) for name, array in named.items()}

    network, _ = tiny.load()
    set_seed(3)
    network = attach(network, LORA)
    arguments = TrainingArguments(
        str(folder), num_train_epochs=recipe.epochs, per_device_train_batch_size=2, gradient_accumulation_steps=2,
        learning_rate=recipe.learning_rate, max_grad_norm=recipe.max_grad_norm, optim="adamw_torch", seed=3,
        data_seed=int(unit_interval("order of rows", 3) * 2**31), use_cpu=True, logging_steps=1, save_strategy="no",
        report_to="none", disable_tqdm=True, remove_unused_columns=False, label_names=["labels"],
        dataloader_pin_memory=False,
    )  # fmt: skip
    rate = partial(schedules.scheduler, recipe.scheduler, share=recipe.warmup)
    trainer = Trainer(network, arguments, train_dataset=RowNumbers(len(rows)), data_collator=collate)
    trainer.create_scheduler = lambda num_training_steps, optimizer=None: setattr(
        trainer, "lr_scheduler", rate(optimizer or trainer.optimizer, updates=num_training_steps)
    )
    trainer.train()
    return network, [entry for entry in trainer.state.log_history if "loss" in entry]


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """A device with memory for so many padded tokens; returns the sizes of the micro-batches that ran."""

    original = UpdateGradients._backward

    def limit(most: int) -> list[int]:
        sizes: list[int] = []

        def backward(self: UpdateGradients, batch: Any, weight: float) -> torch.Tensor:
            loss = original(self, batch, weight)  # the gradients of a failed update have been added in part
            if batch.input_ids.numel() > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            sizes.append(batch.input_ids.numel())
            return loss

        monkeypatch.setattr(UpdateGradients, "_backward", backward)
        return sizes

    return limit


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_out_of_memory_halves_the_budget_and_changes_no_byte(
    dropout: float,
    tiny: Any,
    rows: TokenTable,
    tmp_path: Path,
    limited: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recipe = replace(STEADY, device_tokens=LARGE, lora=replace(LORA, dropout=dropout))
    sizes = limited(36)
    facts = recipe.train(tiny, rows, tmp_path / "halved", seed=0, tracker=Records())
    assert max(sizes) <= 36
    tokens = facts["device_tokens"]
    assert f"continues with half, {tokens}" in caplog.text
    assert halved(LARGE, tokens)[0] in facts["warnings"]
    same = replace(recipe, device_tokens=tokens).train(
        tiny, rows, tmp_path / "small", seed=0, tracker=Records()
    )
    assert (tmp_path / "halved" / ADAPTER_WEIGHTS).read_bytes() == (
        tmp_path / "small" / ADAPTER_WEIGHTS
    ).read_bytes()
    assert same["device_tokens"] == tokens
    assert not [text for text in same["warnings"] if "memory" in text]


def test_a_resumed_run_keeps_the_halved_budget(
    tiny: Any, rows: TokenTable, tmp_path: Path, limited: Any
) -> None:
    recipe = replace(STEADY, device_tokens=LARGE, lora=replace(LORA, dropout=0.2))
    limited(36)
    whole = recipe.train(tiny, rows, tmp_path / "whole", seed=0, tracker=Records())
    with pytest.raises(KeyboardInterrupt):
        recipe.train(tiny, rows, tmp_path / "killed", seed=0, tracker=Records(4))
    limited(LARGE)  # with more memory, a new run would not halve
    resumed = recipe.train(tiny, rows, tmp_path / "killed", seed=0, tracker=Records())
    assert (tmp_path / "whole" / ADAPTER_WEIGHTS).read_bytes() == (
        tmp_path / "killed" / ADAPTER_WEIGHTS
    ).read_bytes()
    assert resumed["device_tokens"] == whole["device_tokens"] < LARGE
    assert resumed["warnings"] == whole["warnings"]


def test_a_row_that_does_not_fit_alone_is_an_error(tiny: Any, rows: TokenTable, limited: Any) -> None:
    update = UpdateGradients(network_of(tiny, lora=LORA), rows, device_tokens=LARGE)
    limited(4)
    with pytest.raises(ModelError, match=r"one row of 13 tokens.*gradient_checkpointing=true"):
        update(ROWS)


def test_the_head_runs_at_answer_tokens_only_and_a_few_at_a_time(
    tiny: Any, rows: TokenTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = network_of(tiny, lora=LORA)
    update = UpdateGradients(network, rows, device_tokens=LARGE)
    monkeypatch.setitem(lm_head.LOGITS_AT_ONCE, "cpu", 7 * VOCABULARY)
    shapes: list[torch.Size] = []
    network.get_output_embeddings().register_forward_hook(lambda _m, _i, out: shapes.append(out.shape))
    update(ROWS)
    assert sum(rows_ for rows_, _ in shapes) == rows.answer_tokens.sum()
    assert max(rows_ for rows_, _ in shapes) == 7


def test_a_head_that_is_not_known_is_trained_over_all_logits(
    tiny: Any, rows: TokenTable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    network = network_of(tiny, lora=None)
    wanted = of_one_padded_batch(network, rows)
    monkeypatch.setattr(lm_head, "TOLERANCE", {"float32": -1.0})
    lm_head._FOUND.clear()
    assert_equal(of_split(network, rows, SMALL), wanted)
    assert "logits of all positions" in caplog.text


def test_the_optimiser_has_state_for_the_adapter_only(tiny: Any, rows: TokenTable, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        STEADY.train(tiny, rows, tmp_path, seed=0, tracker=Records(2))
    (saved,) = (tmp_path / "checkpoints").iterdir()
    state = read_state(saved, "updates")["optimizer"]["state"]
    moments = sum(one["exp_avg"].numel() for one in state.values())
    network = network_of(tiny, lora=LORA)
    assert moments == sum(p.numel() for p in network.parameters() if p.requires_grad)


def test_a_split_has_each_row_once_within_the_budget_and_no_better_one_exists() -> None:
    draw = np.random.default_rng(0)
    for overhead, budget in itertools.product((0.0, 9.0, 1e6), (30, 64, 500)):
        lengths = draw.integers(4, 60, size=7)
        batches = split(lengths, budget, overhead=overhead)
        assert sorted(np.concatenate(batches)) == list(range(7))
        longest = [int(lengths[batch].max()) for batch in batches]
        assert longest == sorted(longest, reverse=True)
        assert all(len(batch) == 1 or cost(lengths, [batch]) <= budget for batch in batches)
        assert cost(lengths, batches) + overhead * len(batches) == pytest.approx(
            best(lengths, budget, overhead)
        )


def cost(lengths: Any, batches: Sequence[Any]) -> int:
    return sum(len(batch) * width_of(int(lengths[batch].max())) for batch in batches)


def best(lengths: Any, budget: int, overhead: float) -> float:
    """The least cost of all splits of the sorted rows, by trying each."""
    order = np.argsort(-lengths)
    costs = []
    for cuts in itertools.product((False, True), repeat=len(order) - 1):
        ends = [i + 1 for i, cut in enumerate(cuts) if cut]
        batches = np.split(order, ends)
        if all(len(batch) == 1 or cost(lengths, [batch]) <= budget for batch in batches):
            costs.append(cost(lengths, batches) + overhead * len(batches))
    return min(costs)


def test_packed_micro_batches_are_filled_up_to_the_budget() -> None:
    batches = split_packed(np.array([5, 30, 9, 20, 10]), 30)
    assert [batch.tolist() for batch in batches] == [[1], [3, 4], [2, 0]]


def test_a_micro_batch_by_hand() -> None:
    table = token_table(
        [[5, 6, 7], [8, 9, 10, 11, 12]],
        [[True, False, True], [False, False, True, False, True]],
        [False, False],
    )
    batch = padded(table, np.array([1, 0]), fill_id=1, device="cpu")
    assert batch.input_ids.tolist() == [[8, 9, 10, 11, 12], [5, 6, 7, 1, 1]]
    assert (batch.places.tolist(), batch.labels.tolist()) == ([1, 3, 6], [10, 12, 7])
    assert batch.options == {}
    batch = packed(table, np.array([1, 0]), device="cpu")
    assert batch.input_ids.tolist() == [[8, 9, 10, 11, 12, 5, 6, 7]]
    assert batch.options["position_ids"].tolist() == [[0, 1, 2, 3, 4, 0, 1, 2]]
    assert (batch.places.tolist(), batch.labels.tolist()) == ([1, 3, 6], [10, 12, 7])


def test_padding_never_exceeds_the_longest_row_which_is_what_a_model_is_known_to_hold() -> None:
    assert width_of(1000) > 1000
    ids = [list(range(length)) for length in (1000, 990)]
    table = token_table(ids, [[False, *[True] * (len(row) - 1)] for row in ids], [False, False])
    assert padded(table, np.array([0]), fill_id=0, device="cpu").input_ids.shape == (1, 1000)
    assert padded(table, np.array([1]), fill_id=0, device="cpu").input_ids.shape == (1, 992)


def test_the_automatic_budget_is_the_cpus_and_small_models_get_larger_micro_batches(tiny: Any) -> None:
    network = network_of(tiny, lora=LORA)
    assert automatic(network, checkpointing=False) == 512
    anatomy = dissect(network)
    weights = sum(p.numel() for block in anatomy.blocks for p in block.parameters())
    assert overhead_tokens(anatomy, torch.device("cpu")) == pytest.approx(2 * 7e7 / (4 * weights))


def test_a_large_models_further_micro_batch_costs_what_reading_its_weights_takes() -> None:
    block = torch.nn.Linear(4096, 4096, bias=False, device="meta")
    anatomy = SimpleNamespace(layers=1, blocks=[block])
    assert overhead_tokens(anatomy, torch.device("cpu")) == READING_TOKENS["cpu"]
    assert overhead_tokens(anatomy, torch.device("cuda")) == pytest.approx(7e11 / (4 * 4096**2))


def test_the_trainer_passes_row_numbers_on() -> None:
    assert (len(RowNumbers(3)), RowNumbers(3)[2], gather([2, 0])) == (3, 2, {"rows": [2, 0]})
