"""One run of transformers' Trainer: quiet, reproducible, resumable, on the network's device."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from nait.core.addresses import unit_interval
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ConfigError
from nait.training.callbacks import callbacks
from nait.training.checkpoints import latest
from nait.training.dataset import Padding, Rows

FIXED: Mapping[str, Any] = {
    "report_to": "none",
    "disable_tqdm": True,  # it prints a line at each step; `callbacks.Bar` replaces it
    "logging_steps": 1,
    "logging_nan_inf_filter": False,  # it would replace a NaN by the last finite loss
    "include_num_input_tokens_seen": "non_padding",
    "save_strategy": "no",  # `callbacks.CheckpointSaves` requests checkpoints
    "save_total_limit": 1,
    "remove_unused_columns": False,
    "label_names": ["labels"],
}


def fit(
    network: Any,
    rows: TokenTable,
    options: Mapping[str, Any],
    checkpoints: Path,
    *,
    schedule: Callable[..., Any],
    optimizer: tuple[Any, dict[str, Any]] | None,
    pad_id: int,
    seed: int,
    deterministic: bool,
    watchers: Sequence[Any],
) -> Any:
    """The trainer's state after training `network` in place.

    `options`: fields of TrainingArguments. `schedule(optimizer, updates=...)`: returns the scheduler of the learning
    rate. `optimizer`: a class and its arguments; None uses the one in `options`.

    Raises: ConfigError when the device does not support the options.
    """
    from transformers import PrinterCallback, Trainer

    arguments = _arguments(network.device, options, checkpoints, seed)
    cached = getattr(network.config, "use_cache", True)  # the trainer disables it and does not restore it

    class Scheduled(Trainer):  # type: ignore[misc]  # the only hook for a custom schedule
        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            self.lr_scheduler = schedule(optimizer or self.optimizer, updates=num_training_steps)
            return self.lr_scheduler

    trainer = Scheduled(
        model=network,
        optimizer_cls_and_kwargs=optimizer,
        args=arguments,
        train_dataset=Rows(rows),
        data_collator=Padding(rows, pad_id),
        callbacks=callbacks(*watchers),
    )
    trainer.remove_callback(PrinterCallback)
    resumed = latest(checkpoints)
    with deterministic_kernels(network.device) if deterministic else nullcontext():
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    if network.device.type != "cpu":
        trainer.accelerator.free_memory()  # the evaluation loads the model again
    network.config.use_cache = cached
    return trainer.state


def stochastic_adamw(learning_rate: float) -> tuple[Any, dict[str, Any]]:
    """AdamW with 8-bit moments and stochastic rounding of bfloat16 weights, which keeps small steps on average."""
    from torchao.optim import AdamW8bit

    return AdamW8bit, {"lr": learning_rate, "bf16_stochastic_round": True}


def _arguments(device: Any, options: Mapping[str, Any], checkpoints: Path, seed: int) -> Any:
    from transformers import TrainingArguments

    if device.type == "cuda" and device.index not in (None, 0):
        raise ConfigError(
            f"the model is on {device}, the trainer uses the first visible GPU",
            where="model.device",
            fix=f"Set CUDA_VISIBLE_DEVICES={device.index} and model.device=cuda.",
        )
    try:
        arguments = TrainingArguments(
            output_dir=str(checkpoints),
            seed=seed,
            # The sampler shuffles epoch e with data_seed + e: without the hash, seed 1 would repeat epochs of seed 0.
            data_seed=int(unit_interval("order of rows", seed) * 2**31),
            use_cpu=device.type == "cpu",
            dataloader_pin_memory=device.type == "cuda",
            **FIXED,
            **options,
        )
    except ValueError as error:
        raise ConfigError(f"cannot train on {device} with these options ({error})", where="train") from error
    # With several visible GPUs the trainer would split each batch, which changes the sums.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


@contextmanager
def deterministic_kernels(device: Any) -> Iterator[None]:
    """Use deterministic CUDA kernels within the block. Other devices are deterministic already.

    Raises: ConfigError when an operation of the model has no deterministic kernel.
    """
    if device.type != "cuda":
        yield
        return
    import torch

    # cuBLAS reads this when it is initialised, so it must be set before the first matrix product.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    # With warn_only, memory-efficient attention would keep its nondeterministic kernel.
    torch.use_deterministic_algorithms(True)
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise ConfigError(
            f"this model has no deterministic kernel ({str(error).splitlines()[0]})",
            where="train.deterministic",
            fix="Set train.deterministic=false; two runs may then differ in the last bits.",
        ) from error
    finally:
        torch.use_deterministic_algorithms(before)
