"""LESS features relative to the floor: forward and backward of the same batches with LoRA, without per-row gradients.

`ratio` is features over floor (goal 1.25): per-row cosines of Adam's updates with reference gradients at full
dimension. The floor computes the same loss and the LoRA gradients summed over the batch. `published_ratio` (goal 1.3)
is the published implementation over ours: one row at a time, full logits, one backward per row, Adam's formula on the
flat gradient.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.lines import Goal, alternate, print_result, setting
from benchmarks.models import arguments, load, rows
from nait.models.anatomy import dissect
from nait.models.lm_head import head_of
from nait.models.tokens.batches import collate, plan
from nait.signals.backward.answer_loss import backward
from nait.signals.backward.gradient_runner import GradientRunner
from nait.signals.backward.per_example import find_factors
from nait.signals.specs.gradients import Update, find_moments, influences_of
from nait.training.adapters.lora import LoraRecipe, attach

GOAL, PUBLISHED_GOAL = 1.25, 1.3
ROUNDS, PUBLISHED_ROUNDS = 8, 2
BATCH_TOKENS = {"cpu": 512, "cuda": 2048}
RANK, REFERENCES = 8, 32
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")


def main() -> None:
    """Print one JSON line."""
    import torch

    options = arguments(__doc__, rows=16, rank=RANK)
    network = attach(
        load(options.model, device=options.device, dtype=options.dtype),
        LoraRecipe(r=options.rank, alpha=4.0 * options.rank, dropout=0.1, target_modules=TARGETS),
    ).eval()
    factors = find_factors(network)
    with torch.no_grad():
        for name, factor in factors.items():
            if "lora_B" in name:
                factor.weight.normal_(std=0.01)
    batch_tokens = BATCH_TOKENS["cuda" if options.device.startswith("cuda") else "cpu"]
    table = rows(options.rows, vocabulary=network.config.vocab_size, batch_tokens=batch_tokens)
    batches = plan(table.lengths, batch_tokens)
    anatomy, head = dissect(network), head_of(network, dissect(network))
    with TemporaryDirectory() as folder:
        update = Update("less", find_moments(_moments(factors, Path(folder))))
        width = sum(factor.weight.numel() for factor in factors.values())
        references = np.random.default_rng(0).normal(size=(REFERENCES, width)).astype(np.float32)
        references /= np.linalg.norm(references, axis=1, keepdims=True)
        runner = GradientRunner(network, [influences_of(references, update)])
    m, v = (
        torch.cat([stepper[name] for name in factors])
        for stepper in (runner.reducer.steppers[0][0].first, runner.reducer.steppers[0][0].second)
    )

    def floor() -> None:
        for chosen in batches:
            backward(head, anatomy, collate(table, chosen, fill_id=1, device=options.device))
            network.zero_grad()

    def ours() -> None:
        with runner:
            for chosen in batches:
                runner.read(table, chosen)

    def published() -> None:
        for i in range(len(table)):
            ids, answer = (torch.from_numpy(np.array(part))[None].to(options.device) for part in table.row(i))
            labels = torch.where(answer, ids, -100).long()
            network(input_ids=ids.long(), attention_mask=torch.ones_like(ids), labels=labels).loss.backward()
            g = torch.cat([factor.weight.grad.view(-1) for factor in factors.values()])
            _ = (m + 0.1 * g) / torch.sqrt(v + 0.001 * g**2)
            network.zero_grad()

    seconds = alternate([floor, ours], rounds=ROUNDS, device=options.device)
    slow, alongside = alternate([published, ours], rounds=PUBLISHED_ROUNDS, device=options.device)
    taken, floor_taken = seconds[1], seconds[0]
    print_result(
        "gradients", f"{setting(options, len(table))} LoRA {options.rank} q k v o",
        seconds=taken, goal=GOAL, floor=floor_taken,
        goals=[Goal("published_ratio", slow.over(alongside), at_least=PUBLISHED_GOAL)],
        rows_per_second=len(table) / taken,
    )  # fmt: skip


def _moments(factors: dict[str, Any], folder: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    tensors = {}
    for name, factor in factors.items():
        tensors[f"{name}.exp_avg"] = torch.randn(factor.weight.shape) * 1e-3
        tensors[f"{name}.exp_avg_sq"] = torch.rand(factor.weight.shape) * 1e-6
    save_file(tensors, folder / "adam.safetensors")
    return folder / "adam.safetensors"


if __name__ == "__main__":
    main()
