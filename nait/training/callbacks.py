"""Training callbacks: loss curve, progress bar and checkpoints.

The classes implement the trainer's events without a base class, so that this module can be imported without
transformers; `callbacks` turns them into callbacks. The trainer defines the signatures, `**_` included.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nait.core.contracts import Tracker
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import NaitError
from nait.training.checkpoints import EPOCHS, TOKENS, seal_checkpoint, write_epoch

CURVE = ("loss", "learning_rate", "grad_norm", "epoch")
# Saving takes at most 1/50 of the training time, however large the model.
SAVE_SHARE = 50


def callbacks(*watchers: Any) -> list[Any]:
    """These objects as transformers callbacks, in this order."""
    from transformers import TrainerCallback

    def as_callback(watcher: Any) -> Any:
        events = {name: getattr(watcher, name) for name in dir(watcher) if name.startswith("on_")}
        return type(type(watcher).__name__, (TrainerCallback,), events)()

    return [as_callback(watcher) for watcher in watchers]


def curve(state: Any) -> list[dict[str, float]]:
    """One row per step, from the first one on, also after a resume: checkpoints keep the trainer's log."""
    return [
        {"step": entry["step"], **{key: entry[key] for key in CURVE}}
        for entry in state.log_history
        if "loss" in entry
    ]


@dataclass
class LossCurve:
    """Logs each step, and stops training when the loss or the gradient is not finite."""

    tracker: Tracker

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Log the steps of a killed training that this one resumes."""
        for row in curve(state):
            self._track(row)

    def _track(self, row: Mapping[str, float]) -> None:
        self.tracker.log({key: float(row[key]) for key in CURVE}, phase="train", step=int(row["step"]))

    def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, Any], **_: Any) -> None:
        """Raises: NaitError at the first step that is not finite, before a checkpoint is written."""
        if "loss" not in logs:
            return  # the summary at the end
        values = {key: float(logs[key]) for key in CURVE}
        self._track({**values, "step": state.global_step})
        for name, key in (("loss", "loss"), ("gradient's norm", "grad_norm")):
            if not math.isfinite(values[key]):
                raise NaitError(
                    f"the {name} is {values[key]} at step {state.global_step} of {state.max_steps}",
                    where="train",
                    fix="Lower train.learning_rate, or train in fp32 (model.dtype=float32).",
                )


@dataclass
class Bar:
    """A progress bar with rate and remaining time, on a terminal only."""

    bar: Any = None

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        from tqdm import tqdm

        self.bar = tqdm(
            desc="train",
            unit="step",
            total=state.max_steps,
            initial=state.global_step,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )

    def on_log(self, _args: Any, _state: Any, _control: Any, logs: dict[str, Any], **_: Any) -> None:
        if "loss" in logs:
            self.bar.set_postfix(loss=f"{logs['loss']:.4g}", refresh=False)
            self.bar.update()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


@dataclass
class CheckpointSaves:
    """Requests a checkpoint when `seconds` have passed since the last one; 0 means at every step.

    At the end of an epoch the checkpoint is saved after the epoch's artifacts; the last step has none. A checkpoint
    is synced and gets its checksums before the one before it is removed. `begin` is called before the first step,
    `then` after each checkpoint.
    """

    seconds: float
    begin: Callable[[], None] = lambda: None
    then: Callable[[], None] = lambda: None
    cost: float = 0.0
    last: float = field(default_factory=time.monotonic)
    requested: float | None = None

    def on_train_begin(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        self.begin()

    def _request(self, state: Any, control: Any) -> None:
        now = time.monotonic()
        wait = self.seconds and max(self.seconds, SAVE_SHARE * self.cost)
        if now - self.last >= wait and state.global_step < state.max_steps:
            control.should_save = True
            self.requested = now

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        if not float(state.epoch).is_integer():
            self._request(state, control)

    def on_epoch_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        self._request(state, control)

    def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        seal_checkpoint(Path(args.output_dir), state.global_step)
        self.last = time.monotonic()
        if self.requested is not None:
            self.cost = self.last - self.requested
        self.then()


@dataclass
class Epochs:
    """Saves each epoch's adapter and Adam's moments in `epochs/<n>/`, n from 1."""

    folder: Path
    base: str

    def on_epoch_end(
        self, _args: Any, state: Any, _control: Any, model: Any, optimizer: Any, **_: Any
    ) -> None:
        n = math.ceil(state.epoch)
        facts = {"epoch": n, "steps": state.global_step, "learning_rate": mean_rate(curve(state), n)}
        place = self.folder / EPOCHS / str(n)
        write_epoch(place, model, optimizer, base=self.base, facts=facts)


def mean_rate(steps: Sequence[dict[str, float]], epoch: int) -> float:
    """The mean learning rate of an epoch's steps: the weight of its checkpoint in LESS."""
    rates = [row["learning_rate"] for row in steps if epoch - 1 < row["epoch"] <= epoch]
    return sum(rates) / len(rates)


def rows_read(steps: int, rows: int, batch_size: int) -> int:
    """Rows that so many updates read, repeats included. The last update of an epoch has the rows that are left.

    The trainer's `epoch` counts updates: one update of 128 rows is a third of an epoch of 296.
    """
    epochs, more = divmod(steps, -(-rows // batch_size))
    return epochs * rows + more * batch_size


def facts(
    state: Any, network: Any, rows: TokenTable, *, batch_size: int, earlier_seconds: float = 0.0
) -> dict[str, Any]:
    """The training's numbers for the manifest. Losses, tokens and rates cover all steps, also after a resume.

    `earlier_seconds`: the time of earlier attempts. The trainer measures only the last attempt.
    """
    losses = [row["loss"] for row in curve(state)]
    last = state.log_history[-1]
    seconds = last["train_runtime"] + earlier_seconds
    read = rows_read(state.global_step, len(rows), batch_size)
    return {
        "steps": state.global_step,
        "epochs": state.epoch,
        "train_loss": sum(losses) / len(losses),
        "final_loss": losses[-1],
        "rows": len(rows),
        "rows_read": read,
        "answer_tokens": int(rows.answer_tokens.sum()),
        "tokens_seen": state.num_input_tokens_seen,
        "device_tokens": last[TOKENS],
        "trainable_parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "samples_per_second": read / seconds if seconds else 0.0,
    }
