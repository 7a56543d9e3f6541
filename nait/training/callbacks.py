"""What happens beside the training steps: the curve, the bar, the checkpoints.

Plain classes with the trainer's event names; `callbacks` makes real callbacks of them, so that this module
can be imported without transformers. The events' signatures, `**_` included, are the trainer's.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nait.core.contracts import Tracker
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import NaitError
from nait.training.checkpoints import EPOCHS, write_epoch

CURVE = ("loss", "learning_rate", "grad_norm", "epoch")
# A save may cost at most a fiftieth of the time it protects, however large the model.
SAVE_SHARE = 50


def callbacks(*watchers: Any) -> list[Any]:
    """The watchers as transformers callbacks, in this order."""
    from transformers import TrainerCallback

    def adopt(watcher: Any) -> Any:
        events = {name: getattr(watcher, name) for name in dir(watcher) if name.startswith("on_")}
        return type(type(watcher).__name__, (TrainerCallback,), events)()

    return [adopt(watcher) for watcher in watchers]


def curve(state: Any) -> list[dict[str, float]]:
    """One row a step, from the first: the trainer's own log survives a resume, so this does too."""
    return [
        {"step": entry["step"], **{key: entry[key] for key in CURVE}}
        for entry in state.log_history
        if "loss" in entry
    ]


@dataclass
class LossCurve:
    """Logs each step, and stops a training whose loss or gradient is no longer a number."""

    tracker: Tracker

    def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, Any], **_: Any) -> None:
        """Raises: NaitError at the first step that is not finite; no checkpoint is written of it."""
        if "loss" not in logs:
            return  # the summary at the end
        values = {key: float(logs[key]) for key in CURVE}
        self.tracker.log(values, phase="train", step=state.global_step)
        for name, key in (("loss", "loss"), ("gradient's norm", "grad_norm")):
            if not math.isfinite(values[key]):
                raise NaitError(
                    f"the {name} is {values[key]} at step {state.global_step} of {state.max_steps}",
                    where="train",
                    mend="Lower train.learning_rate, or train in fp32 (model.dtype=float32).",
                )


@dataclass
class Bar:
    """A progress bar with rate and time left, on a terminal only."""

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
    """Asks for a checkpoint to resume from when `seconds` have passed since the last; 0 means each step.

    The last step of an epoch waits for the epoch's own record, and the last step of all needs none. `then` is called
    after each checkpoint.
    """

    seconds: float
    then: Callable[[], None] = lambda: None
    cost: float = 0.0
    last: float = field(default_factory=time.monotonic)
    asked: float | None = None

    def _ask(self, state: Any, control: Any) -> None:
        now = time.monotonic()
        wait = self.seconds and max(self.seconds, SAVE_SHARE * self.cost)
        if now - self.last >= wait and state.global_step < state.max_steps:
            control.should_save = True
            self.asked = now

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        if not float(state.epoch).is_integer():
            self._ask(state, control)

    def on_epoch_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        self._ask(state, control)

    def on_save(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        self.last = time.monotonic()
        if self.asked is not None:
            self.cost = self.last - self.asked
        self.then()


@dataclass
class Epochs:
    """Keeps each epoch's adapter and Adam's moments under `epochs/<n>/`, n from 1."""

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
    """The mean learning rate of an epoch's steps: what LESS weights the epoch's checkpoint with."""
    rates = [row["learning_rate"] for row in steps if epoch - 1 < row["epoch"] <= epoch]
    return sum(rates) / len(rates)


def facts(state: Any, network: Any, rows: TokenTable, *, earlier_seconds: float = 0.0) -> dict[str, Any]:
    """What a training did, for the manifest. Losses, tokens and the rate count from the first step, resumed or not.

    `earlier_seconds` is what the attempts took that this one continues: the trainer itself divides by its own time.
    """
    losses = [row["loss"] for row in curve(state)]
    last = state.log_history[-1]
    resumed = last["train_runtime"] / (last["train_runtime"] + earlier_seconds) if earlier_seconds else 1.0
    return {
        "steps": state.global_step,
        "epochs": state.epoch,
        "train_loss": sum(losses) / len(losses),
        "final_loss": losses[-1],
        "rows": len(rows),
        "answer_tokens": int(rows.answer_tokens.sum()),
        "tokens_seen": state.num_input_tokens_seen,
        "trainable_parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "samples_per_second": last["train_samples_per_second"] * resumed,
    }
