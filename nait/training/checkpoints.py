"""Checkpoints: the trainer's, to resume from, and one per epoch with Adam's moments by parameter name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from nait.store import write_json
from nait.training import adapter

CHECKPOINTS = "checkpoints"
EPOCHS = "epochs"
STATE = "trainer_state.json"
TOKENS = "device_tokens"
"""The key of the trainer's log that has each update's budget of tokens."""


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint in `folder`, or None. Incomplete ones are removed.

    The trainer writes its state file last, so a checkpoint is complete when that file can be read.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.glob("checkpoint-*")):
        step = _step(path)
        if step is None:
            shutil.rmtree(path)
        else:
            found[step] = path
    return found[max(found)] if found else None


def _step(path: Path) -> int | None:
    try:
        return int(json.loads((path / STATE).read_text(encoding="utf-8"))["global_step"])
    except (OSError, ValueError, KeyError):
        return None


def tokens_of(checkpoint: Path) -> int:
    """The budget of tokens with which a checkpoint's last update was trained."""
    return int(json.loads((checkpoint / STATE).read_text(encoding="utf-8"))["log_history"][-1][TOKENS])


def write_epoch(folder: Path, network: Any, optimizer: Any, *, base: str, facts: dict[str, Any]) -> None:
    """Write the adapter, `adam.safetensors` and `epoch.json` into `folder`, atomically.

    The moments are named `NAME.exp_avg` and `NAME.exp_avg_sq`, with NAME from `network.named_parameters()`.
    """
    from safetensors.torch import save_file

    part = folder.with_name(folder.name + ".part")
    for old in (part, folder):
        shutil.rmtree(old, ignore_errors=True)
    adapter.save(network, part, base=base)
    save_file(moments(network, optimizer), part / "adam.safetensors")
    group = optimizer.param_groups[0]
    betas = {"beta1": group["betas"][0], "beta2": group["betas"][1], "eps": group["eps"]}
    write_json(part / "epoch.json", {**facts, **betas})
    part.rename(folder)


def moments(network: Any, optimizer: Any) -> dict[str, Any]:
    """Adam's two moments of each trained parameter, by name, on the CPU."""
    return {
        f"{name}.{moment}": optimizer.state[parameter][moment].detach().cpu().contiguous()
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and parameter in optimizer.state
        for moment in ("exp_avg", "exp_avg_sq")
    }
