"""Checkpoints: the trainer's, to resume from, and one per epoch with Adam's moments by parameter name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from nait.store import is_signed, set_aside, signed, sync, sync_tree, write_json
from nait.store.files.checksums import damage, sums_of
from nait.store.files.durable import rename
from nait.training.adapters.adapter_files import save
from nait.training.updates.saved_state import pickled

CHECKPOINTS = "checkpoints"
EPOCHS = "epochs"
STATE = "trainer_state.json"
SUMS = "checksums.json"
TOKENS = "device_tokens"
"""The key of the trainer's log that has each update's budget of tokens."""


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint in `folder`, or None. Incomplete ones are removed, damaged ones set aside.

    A checkpoint is complete when it has its checksums (`seal_checkpoint`). They cover the epochs saved before it.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.glob("checkpoint-*")):
        if not (path / SUMS).is_file():
            shutil.rmtree(path)
        elif fault := _fault(path):
            set_aside(path, f"is damaged: {fault}")
        else:
            found[int(path.name.partition("-")[2])] = path
    return found[max(found)] if found else None


def _fault(checkpoint: Path) -> str:
    """What is wrong with a checkpoint's files or with the epochs saved before it; empty if nothing is."""
    try:
        sums = json.loads((checkpoint / SUMS).read_text(encoding="utf-8"))
        if not is_signed(sums):
            return f"{SUMS} differs from its checksum"
        if name := pickled(checkpoint):
            return f"it holds a pickled file, {name}, as earlier versions and other programs write it"
        for folder, files in ((checkpoint, sums["files"]), (_epochs(checkpoint), sums[EPOCHS])):
            if found := damage(folder, files):
                return f"{found[0].name} {found[1]}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{SUMS} cannot be read ({error})"
    return ""


def _epochs(checkpoint: Path) -> Path:
    """The folder of the epochs' adapters."""
    return checkpoint.parent.parent / EPOCHS


def seal_checkpoint(folder: Path, step: int) -> None:
    """Sync the checkpoint of this step in `folder` and write its checksums; then remove the earlier ones."""
    path = folder / f"checkpoint-{step}"
    sync_tree(path)
    epochs = _epochs(path)
    saved = sums_of(epochs) if epochs.is_dir() else {}
    write_json(path / SUMS, signed({"files": sums_of(path), EPOCHS: saved}))
    sync(folder)
    for other in folder.glob("checkpoint-*"):
        if other != path:
            shutil.rmtree(other)


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
    save(network, part, base=base)
    save_file(moments(network, optimizer), part / "adam.safetensors")
    group = optimizer.param_groups[0]
    betas = {"beta1": group["betas"][0], "beta2": group["betas"][1], "eps": group["eps"]}
    write_json(part / "epoch.json", {**facts, **betas})
    sync_tree(part)
    rename(part, folder)


def moments(network: Any, optimizer: Any) -> dict[str, Any]:
    """Adam's two moments of each trained parameter, by name, on the CPU."""
    return {
        f"{name}.{moment}": optimizer.state[parameter][moment].detach().cpu().contiguous()
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and parameter in optimizer.state
        for moment in ("exp_avg", "exp_avg_sq")
    }
