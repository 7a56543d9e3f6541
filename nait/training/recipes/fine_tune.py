"""Fine-tuning recipes: the options of `conf/train`, and their run with transformers' Trainer.

The same model, rows, recipe and seed give the same bytes, even when a killed run is resumed from a checkpoint. On
MPS this holds only for uninterrupted runs: the trainer does not save the state of its random generator.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from nait.core.contracts import Model, Tracker
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ConfigError
from nait.core.estimates.plans import updates
from nait.models.devices.open_networks import borrow, free
from nait.models.devices.process_group import shared_by
from nait.models.devices.quantized_network import check_quantization, open_quantized
from nait.models.devices.sharded_network import open_unsharded, shard
from nait.store import write_json
from nait.store.attempts import Attempt
from nait.training import callbacks as watch
from nait.training import health
from nait.training.adapters.adapted_models import release
from nait.training.adapters.adapter_files import save
from nait.training.adapters.lora import LoraRecipe, attach, is_zero
from nait.training.checkpoints import CHECKPOINTS, STATE, latest
from nait.training.recipes import schedules
from nait.training.recipes.recipe_checks import OPTIMIZERS, STOCHASTIC, check_settings
from nait.training.trainer_run import fit, stochastic_adamw
from nait.training.updates.device_tokens import AUTO, automatic, halved
from nait.training.updates.rows import check_trainable
from nait.training.updates.sharded_states import whole_weights
from nait.training.updates.shared_updates import agreed, opening_together

VERSION = 3


@dataclass(frozen=True)
class FineTune:
    """Supervised fine-tuning on the answer tokens, with LoRA or of all weights.

    An update covers `batch_size` rows; its loss is the mean over all their answer tokens. They are split by length
    into micro-batches of at most `device_tokens` padded tokens (`auto`: as many as suit the device). The split
    changes no gradient beyond float rounding; with dropout it changes the random draws, as another seed would. Out of
    memory halves `device_tokens`. `warmup` is a share of all updates; a share below one update means no warm-up.

    `max_steps`, when set, replaces `epochs`, and so does `max_tokens`: as many updates as read about so many tokens,
    so that subsets of other sizes or lengths are compared at equal cost. `budget=steps` or `tokens` derives it from
    the pool: subsets of all sizes get the updates, or about the tokens, of `epochs` passes over `budget_share` of its
    rows.

    Trained weights (the adapter's, or the whole model's for `method=full`) are fp32 whatever the checkpoint's dtype,
    since steps of 2e-5 round to zero in bfloat16. `precision=model` computes in the checkpoint's dtype (float16
    checkpoints in bfloat16, since float16 gradients underflow), `bf16` in bfloat16. `bf16_weights` also trains the
    weights in bfloat16 to save memory; it requires `method=full` and the optimiser with stochastic rounding.

    `quantization=nf4` (QLoRA, arXiv 2305.14314) trains an adapter over a base in 4 bits: NormalFloat with double
    quantisation, on a CUDA GPU. The adapter is evaluated on the base as the model's dtype has it.

    `checkpoints=epoch` keeps each epoch's adapter with Adam's moments, for LESS. `gradient_checkpointing` and
    `save_seconds` change time and memory, never the result. So does `sharding=fsdp`, for models that no device holds:
    each process of a launcher has a share of each base weight. An adapter is whole in each; with `method=full` the
    gradients and the optimiser's moments are sharded too. Without `deterministic`, two runs on a GPU may differ in
    the last bits.
    """

    method: Literal["lora", "full"] = "lora"
    epochs: float = 3.0
    max_steps: int | None = None
    max_tokens: int | None = None
    budget: Literal["epochs", "steps", "tokens"] = "epochs"
    budget_share: float = 0.1
    learning_rate: float = 2e-4
    batch_size: int = 16
    device_tokens: int | Literal["auto"] = AUTO
    scheduler: str = "cosine"
    warmup: float = 0.03
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    optimizer: str = "adamw"
    precision: Literal["model", "bf16", "bf16_weights"] = "model"
    gradient_checkpointing: bool = False
    deterministic: bool = True
    checkpoints: Literal["none", "epoch"] = "none"
    save_seconds: float = 300.0
    sharding: Literal["none", "fsdp"] = "none"
    quantization: Literal["none", "nf4"] = "none"
    lora: LoraRecipe | None = None

    def __post_init__(self) -> None:
        check_settings(self)

    def check_machine(self) -> None:
        """Raises: ConfigError if this machine lacks what the recipe needs, before a model is opened."""
        if self.quantization != "none":
            check_quantization()

    def check_processes(self, count: int) -> None:
        """Raises: ConfigError if one process would have to hold all shards."""
        if self.sharding == "fsdp" and count == 1:
            raise ConfigError(
                "fsdp shards a model over several processes, and this is one",
                where="train.sharding",
                fix="Start it with torchrun --nproc-per-node N -m nait ..., or set train.sharding=none.",
            )

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The settings that determine the result: part of the artifact's address."""
        return {
            "kind": "fine_tune",
            "version": VERSION,
            "method": self.method,
            "epochs": float(self.epochs),
            "max_steps": self.max_steps,
            **({"max_tokens": self.max_tokens} if self.max_tokens else {}),
            **({"budget": [self.budget, float(self.budget_share)]} if self.budget != "epochs" else {}),
            "learning_rate": float(self.learning_rate),
            "batch_size": self.batch_size,
            "scheduler": self.scheduler,
            "warmup": float(self.warmup),
            "weight_decay": float(self.weight_decay),
            "max_grad_norm": float(self.max_grad_norm),
            "optimizer": self.optimizer,
            "precision": self.precision,
            "checkpoints": self.checkpoints,
            **({"quantization": self.quantization} if self.quantization != "none" else {}),
            "lora": self.lora.recipe if self.lora else None,
        }

    def for_pool(self, rows: int, tokens_per_row: Callable[[], float]) -> FineTune:
        """The recipe with the number of updates or tokens that `budget` derives from a pool of so many rows.

        `tokens_per_row`: the mean length of the pool's rows. The result has `budget=epochs`, so that its address is
        that of the same number given as `max_steps` or `max_tokens`.
        """
        if self.budget == "epochs":
            return self
        share = max(1, math.floor(self.budget_share * rows + 1e-9))  # as budget.ratio counts
        if self.budget == "steps":
            return replace(self, budget="epochs", max_steps=updates(self.recipe, share))
        return replace(
            self, budget="epochs", max_tokens=max(1, round(self.epochs * share * tokens_per_row()))
        )

    def save_untrained(self, model: Model, folder: Path) -> Path | None:
        """Write an adapter of the recipe's shape that has no effect into `folder`; None without LoRA."""
        if self.lora is None:
            return None
        plainly = "lora" if self.lora.variant == "pissa" else self.lora.variant
        network = borrow(model)
        try:
            network = attach(network, replace(self.lora, variant=plainly))
            save(network, folder, base=model.name)
        finally:
            release(network)
        return folder

    def draws(self, model: Model) -> bool:
        """Whether the training draws at random beside the order of rows: dropout of the adapter or of the model."""
        own = getattr(model, "drops_out", None)
        return bool(self.lora and self.lora.rate) or (own is not None and bool(own()))

    def train(
        self, model: Model, rows: TokenTable, folder: Path, *, seed: int, tracker: Tracker
    ) -> Mapping[str, Any]:
        """The training's numbers for the manifest. Writes the adapter or the model and `curve.json` into `folder`.

        A checkpoint of a killed run in `folder` is resumed. Raises: NaitError when the loss is not finite.
        """
        check_trainable(rows)
        network, dtype = self._open(model, seed)
        tokenizer = model.load_tokenizer()
        start = health.sample_weights(network)
        most = self._most_tokens(network)
        resumed = self.resumes(folder)
        attempt = Attempt(folder, kept=[resumed / STATE] if resumed else [])
        bar = watch.Bar()
        kept = [watch.Epochs(folder, model.name)] if self.checkpoints == "epoch" else []
        try:
            saves = watch.CheckpointSaves(self.save_seconds, attempt.begin, attempt.keep)
            state = self._fit(
                network, rows, folder / CHECKPOINTS, resumed, dtype=dtype, device_tokens=most, seed=seed,
                watchers=[watch.LossCurve(tracker), bar, *kept, saves],
            )  # fmt: skip
        finally:
            bar.close()
        facts = watch.facts(
            state, network, rows, batch_size=self.batch_size, earlier_seconds=attempt.earlier_seconds
        )
        trained = health.sample_weights(network)
        weights = self._whole(network, dtype)
        if self.lora is None:
            if not weights:
                network.to(dtype)
            tokenizer.save_pretrained(folder)
        save(network, folder, base=model.name, weights=weights)
        curve = watch.curve(state)
        write_json(folder / "curve.json", curve)
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        saved = trained.to(dtype) if weights else health.sample_weights(network, list(start.values))
        shares = {
            "trained_share": start.changed(trained),
            "saved_share": start.to(dtype if self.lora is None else None).changed(saved),
        }
        warnings = health.warnings(
            curve,
            rows=len(rows),
            rows_read=facts["rows_read"],
            **shares,
            dtype=str(dtype).removeprefix("torch."),
            zero_adapter=self.lora is not None and is_zero(network),
        )
        warnings += health.length_warnings(
            facts,
            epochs=self.epochs if self.max_steps is None else None,
            max_tokens=self.max_tokens,
            batch_size=self.batch_size,
        )
        if self.lora is not None and self.lora.holds_weights:
            warnings += health.weight_warnings(dropout=self.lora.rate, weight_decay=self.weight_decay)
        warnings += halved(most, facts["device_tokens"])
        release(network)
        return {**facts, **shares, "warnings": warnings, **attempt.facts()}

    def resumes(self, folder: Path) -> Path | None:
        """The checkpoint of a killed run in `folder`, from which `train` resumes."""
        return latest(folder / CHECKPOINTS)

    def assist(self, model: Model, rows: TokenTable, *, resumed: Path | None, seed: int) -> None:
        """This process's share of `train`, which rank 0 calls with the same model, rows and seed. Writes nothing.

        `resumed`: the checkpoint from which rank 0 resumes.
        """
        check_trainable(rows)
        network, dtype = self._open(model, seed)
        with TemporaryDirectory(prefix="nait-helper-") as folder:
            self._fit(
                network, rows, Path(folder), resumed, dtype=dtype, device_tokens=self._most_tokens(network),
                seed=seed, watchers=[],
            )  # fmt: skip
        self._whole(network, dtype)
        release(network)

    def _open(self, model: Model, seed: int) -> tuple[Any, Any]:
        """The network with its trainable weights, and the checkpoint's dtype. Draws are seeded.

        Raises: ConfigError for a single process that shards.
        """
        workers = shared_by()
        self.check_processes(workers.count)
        self.check_machine()
        if self.quantization != "none":
            free()
            return self._prepare(open_quantized(model), seed)
        if self.sharding == "none":
            return self._prepare(borrow(model), seed)
        free()
        with opening_together(workers):
            network, dtype = self._prepare(open_unsharded(model, workers.rank), seed)
        import torch

        shard(network, rank=workers.rank, dtype=None if self.lora else torch.float32)
        return network, dtype

    def _prepare(self, network: Any, seed: int) -> tuple[Any, Any]:
        from transformers import set_seed

        set_seed(seed)  # before the adapter is initialised
        dtype = network.dtype
        return self._trainable(network), dtype

    def _whole(self, network: Any, dtype: Any) -> Mapping[str, Any]:
        """All trained weights in `dtype`, if the processes hold shards of them. All processes call it."""
        if self.sharding == "none" or self.lora is not None:
            return {}
        agreed(0)
        weights = whole_weights(network, rank=shared_by().rank)
        return {name: weight.to(dtype) for name, weight in weights.items()}

    def _fit(
        self, network: Any, rows: TokenTable, checkpoints: Path, resumed: Path | None, *, dtype: Any,
        device_tokens: int, seed: int, watchers: Sequence[Any],
    ) -> Any:  # fmt: skip
        """The trainer's state after training. `dtype`: the checkpoint's."""
        return fit(
            network,
            rows,
            self._options(dtype, rows),
            checkpoints,
            schedule=partial(schedules.scheduler, self.scheduler, share=float(self.warmup)),
            optimizer=stochastic_adamw(self.learning_rate) if self.optimizer == STOCHASTIC else None,
            device_tokens=device_tokens,
            resumed=resumed,
            seed=seed,
            deterministic=self.deterministic,
            watchers=watchers,
        )

    def _most_tokens(self, network: Any) -> int:
        if self.device_tokens != AUTO:
            return int(self.device_tokens)
        return automatic(network, checkpointing=self.gradient_checkpointing)

    def _trainable(self, network: Any) -> Any:
        if self.lora:
            return attach(network, self.lora)
        network.requires_grad_(True)
        if self.sharding == "fsdp":
            return network  # the shards are cast
        return network.bfloat16() if self.precision == "bf16_weights" else network.float()

    def _autocasts(self, dtype: Any) -> bool:
        """Whether to autocast to bfloat16: requested, or the trained weights are not in the dtype of computation."""
        kind = str(dtype).removeprefix("torch.")
        if self.precision == "model":
            whole = self.method == "full" or (self.lora is not None and bool(self.lora.modules_to_save))
            return kind == "float16" or (kind == "bfloat16" and whole)
        return self.precision == "bf16"

    def _updates(self, rows: TokenTable) -> int | None:
        """The number of updates, if epochs do not decide it. Raises: ConfigError if it depends on a pool."""
        if self.budget != "epochs":
            raise ConfigError(
                f"{self.budget} follows from a pool, and this training has none",
                where="train.budget",
                fix="Set it to epochs, or use max_steps or max_tokens.",
            )
        if self.max_tokens is None:
            return self.max_steps
        return updates(self.recipe, len(rows), tokens_per_row=float(rows.lengths.mean()))

    def _options(self, dtype: Any, rows: TokenTable) -> Mapping[str, Any]:
        return {
            "num_train_epochs": float(self.epochs),
            "max_steps": self._updates(rows) or -1,
            "learning_rate": self.learning_rate,
            "per_device_train_batch_size": self.batch_size,
            "weight_decay": self.weight_decay,
            "max_grad_norm": self.max_grad_norm,
            "optim": OPTIMIZERS[self.optimizer],
            "bf16": self._autocasts(dtype),
            "activation_checkpointing": self.gradient_checkpointing,
            "activation_checkpointing_kwargs": {"use_reentrant": False},
        }
