"""One run of transformers' Trainer: quiet, reproducible, resumable, on the network's device.

The trainer keeps the order of rows, the optimiser, the schedule, the callbacks and the checkpoints. Its step is ours:
a batch of the trainer holds the row numbers of one update, and `UpdateGradients` splits them into micro-batches.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from nait.core.addresses import unit_interval
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ConfigError
from nait.models.devices.process_group import shared_by
from nait.models.devices.sharded_network import is_shard
from nait.training.callbacks import callbacks
from nait.training.checkpoints import TOKENS, tokens_of
from nait.training.updates.rows import ROWS, RowNumbers, gather
from nait.training.updates.saved_state import generators, read_state, restore_generators, write_state
from nait.training.updates.sharded_states import SavesTogether, gathers, load_weights, own_parts, save_weights

UPDATES, SCALER = "updates", "scaler"
"""Files of a checkpoint: the state of optimizer and schedule, and of the scaler of gradients."""
FIXED: Mapping[str, Any] = {
    "report_to": "none",
    "disable_tqdm": True,  # it prints a line at each step; `callbacks.Bar` replaces it
    "logging_steps": 1,
    "logging_nan_inf_filter": False,  # it would replace a NaN by the last finite loss
    "save_strategy": "no",  # `callbacks.CheckpointSaves` requests checkpoints, and removes old ones
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
    device_tokens: int,
    resumed: Path | None,
    seed: int,
    deterministic: bool,
    watchers: Sequence[Any],
) -> Any:
    """The trainer's state after training `network` in place. Its log has the `device_tokens` of each update.

    `options`: fields of TrainingArguments. `schedule(optimizer, updates=...)`: returns the scheduler of the learning
    rate. `optimizer`: a class and its arguments; None uses the one in `options`. `device_tokens`: the most padded
    tokens of a micro-batch. `resumed`: the checkpoint to resume from, whose number is used if that is smaller.
    Within `sharing`, each process calls this with the same arguments; all end with the same network.

    Raises: ConfigError when the device does not support the options.
    """
    from transformers import PrinterCallback

    arguments = _arguments(network.device, options, checkpoints, seed)
    cached = getattr(network.config, "use_cache", True)  # the trainer disables it and does not restore it
    trainer = _updates_trainer()(
        model=network,
        optimizer_cls_and_kwargs=optimizer,
        args=arguments,
        train_dataset=RowNumbers(len(rows)),
        data_collator=gather,
        callbacks=callbacks(*watchers, *([SavesTogether()] if _trains_shards(network) else [])),
        table=rows,
        schedule=schedule,
        device_tokens=min(device_tokens, tokens_of(resumed) if resumed else device_tokens),
    )
    trainer.remove_callback(PrinterCallback)
    kernels = deterministic_kernels(network.device) if deterministic else nullcontext()
    with kernels, _listed_gradients(network, trainer.trained):
        _train(trainer, resumed)
    if network.device.type != "cpu":
        trainer.accelerator.free_memory()  # the evaluation loads the model again
    network.config.use_cache = cached
    if arguments.activation_checkpointing:
        network.activation_checkpointing_disable()
        network.disable_input_require_grads()
    return trainer.state


def _train(trainer: Any, resumed: Path | None) -> None:
    """Train; an error of rank 0 also ends the training of the processes that share it."""
    try:
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    except Exception:
        from nait.training.updates.shared_updates import end_training

        workers, state = shared_by(), trainer.state
        waiting = state.global_step < state.max_steps or trainer.trains_shards
        if workers.count > 1 and workers.rank == 0 and waiting:
            end_training()
        raise


def _updates_trainer() -> Any:
    """The trainer's class: a batch is one update, and its learning rate follows `schedule`."""
    import torch
    from torch.nn.utils import clip_grad_norm_
    from transformers import Trainer

    from nait.training.updates.update_gradients import UpdateGradients

    workers = shared_by()

    def norm(parameters: Sequence[Any], most: float) -> Any:
        found: Any = clip_grad_norm_(parameters, most)
        return found.full_tensor() if is_shard(found) else found

    class UpdatesTrainer(Trainer):  # type: ignore[misc]  # the trainer's hooks are methods
        def __init__(
            self, *, table: TokenTable, schedule: Callable[..., Any], device_tokens: int, **given: Any
        ) -> None:
            super().__init__(**given)
            self.lengths, self.schedule = table.lengths, schedule
            self.trained = [p for p in self.model.parameters() if p.requires_grad]
            self.trains_shards = _trains_shards(self.model)
            self.whole: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
            self.gradients = UpdateGradients(
                self.model, table, device_tokens=device_tokens, autocast=self._autocast(), workers=workers,
            )  # fmt: skip

        def _autocast(self) -> Callable[[], Any]:
            """accelerate's; of shards without its cache, which would keep a copy of each block's gathered weights."""
            if not (self.trains_shards and self.args.bf16):
                autocast: Callable[[], Any] = self.accelerator.autocast
                return autocast
            kind = self.args.device.type
            return lambda: torch.autocast(kind, dtype=torch.bfloat16, cache_enabled=False)

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            self.lr_scheduler = self.schedule(optimizer or self.optimizer, updates=num_training_steps)
            return self.lr_scheduler

        def training_step(
            self,
            model: Any,  # noqa: ARG002
            inputs: dict[str, list[int]],
            num_items_in_batch: Any = None,  # noqa: ARG002
        ) -> Any:
            self.state.num_input_tokens_seen += int(self.lengths[inputs[ROWS]].sum())
            loss = self.gradients(inputs[ROWS], step=self.state.global_step)
            return loss.to(self.args.device)

        # The trainer's own two methods walk through all modules of the adapted network at each update.
        def _clip_grad_norm(self, model: Any) -> Any:  # noqa: ARG002
            return norm(self.trained, self.args.max_grad_norm)

        def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:  # noqa: ARG002
            return norm(self.trained, math.inf) if grad_norm is None else grad_norm

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            """Of trained shards: all processes gather them, and rank 0 writes."""
            if self.trains_shards:
                self.whole = gathers(self.optimizer, self.model)
            if workers.rank == 0:
                super()._save_checkpoint(model, trial)
            self.whole = ({}, {})

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            if self.trains_shards:
                save_weights(self.whole[0], Path(str(output_dir)))
            else:
                super()._save(output_dir, state_dict)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            if self.trains_shards:
                load_weights(self.model, Path(resume_from_checkpoint))
            else:
                super()._load_from_checkpoint(resume_from_checkpoint, model)

        # The trainer's own files of its state are pickles.
        def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
            super().save_model(output_dir, _internal_call)
            Path(output_dir or self.args.output_dir, "training_args.bin").unlink(missing_ok=True)

        def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
            if self.args.should_save:
                optimizer = self.whole[1] if self.trains_shards else self.optimizer.state_dict()
                state = {"optimizer": optimizer, "schedule": self.lr_scheduler.state_dict()}
                write_state(Path(output_dir), UPDATES, state)

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            if checkpoint is not None:
                state = read_state(Path(checkpoint), UPDATES)
                saved = state["optimizer"]
                self.optimizer.load_state_dict(
                    own_parts(saved, self.optimizer) if self.trains_shards else saved
                )
                self.lr_scheduler.load_state_dict(state["schedule"])

        def _save_scaler(self, output_dir: str) -> None:
            scaler = getattr(self.accelerator, "scaler", None)
            if scaler is not None and self.args.should_save:
                write_state(Path(output_dir), SCALER, scaler.state_dict())

        def _load_scaler(self, checkpoint: str | None) -> None:
            scaler = getattr(self.accelerator, "scaler", None)
            if scaler is not None and checkpoint is not None:
                scaler.load_state_dict(read_state(Path(checkpoint), SCALER))

        def _save_rng_state(self, output_dir: str) -> None:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            write_state(Path(output_dir), self._generators, generators())

        def _load_rng_state(self, checkpoint: str | None) -> None:
            if checkpoint is not None:
                restore_generators(read_state(Path(checkpoint), self._generators))

        @property
        def _generators(self) -> str:
            return f"generators-{self.args.process_index}"

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            super().log({**logs, TOKENS: self.gradients.device_tokens}, start_time)

    return UpdatesTrainer


def _trains_shards(network: Any) -> bool:
    return any(is_shard(parameter) for parameter in network.parameters() if parameter.requires_grad)


@contextmanager
def _listed_gradients(network: Any, trained: Sequence[Any]) -> Iterator[None]:
    """Within the block, `network.zero_grad()` clears these parameters without a walk through all modules."""

    def zero_grad(set_to_none: bool = True) -> None:  # noqa: ARG001
        for parameter in trained:
            parameter.grad = None

    network.zero_grad = zero_grad
    try:
        yield
    finally:
        del network.zero_grad


def stochastic_adamw(learning_rate: float) -> tuple[Any, dict[str, Any]]:
    """AdamW with 8-bit moments and stochastic rounding of bfloat16 weights, which keeps small steps on average."""
    from torchao.optim import AdamW8bit

    return AdamW8bit, {"lr": learning_rate, "bf16_stochastic_round": True}


def _arguments(device: Any, options: Mapping[str, Any], checkpoints: Path, seed: int) -> Any:
    from transformers import TrainingArguments

    try:
        with _without_group_warning():
            arguments = TrainingArguments(
                output_dir=str(checkpoints),
                seed=seed,
                # Epoch e is shuffled with data_seed + e: without the hash, seed 1 would repeat epochs of seed 0.
                data_seed=int(unit_interval("order of rows", seed) * 2**31),
                use_cpu=device.type == "cpu",
                dataloader_pin_memory=False,  # a batch is a list of row numbers
                **FIXED,
                **options,
            )
    except ValueError as error:
        raise ConfigError(f"cannot train on {device} with these options ({error})", where="train") from error
    # With several visible GPUs the trainer would split each batch, which changes the sums.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    if device.type == "cuda":
        import torch

        torch.cuda.set_device(device)  # the arguments chose the first GPU
        vars(arguments)["_setup_devices"] = device
    return arguments


@contextmanager
def _without_group_warning() -> Iterator[None]:
    """Hide the advice to launch DDP: the processes of a group sum their gradients themselves."""

    def other(record: logging.LogRecord) -> bool:
        return "process group is initialized" not in record.getMessage()

    log = logging.getLogger("transformers.training_args")
    log.addFilter(other)
    try:
        yield
    finally:
        log.removeFilter(other)


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
