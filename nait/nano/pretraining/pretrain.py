"""Pretraining of the nano model: `python -m nait.nano.pretraining [--out DIR] [--steps N] [--check]`.

One thread, one seed, AdamW in bfloat16 autocast. The same machine gives bit-identical weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import time
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from nait.nano import world
from nait.nano.families import CAPABILITIES
from nait.nano.pretraining import bpe as tokenizers_
from nait.nano.pretraining.model_card import card
from nait.nano.pretraining.pretraining_recipe import Recipe, new_model
from nait.nano.pretraining.pretraining_text import documents, fingerprint
from nait.nano.pretraining.training_batches import batches
from nait.training.updates.saved_state import read_state, write_state

MODEL = Path(__file__).parents[1] / "model"
LOG, STUDY, STATE = "pretraining.json", "study.json", "state"
CHECK_STEPS = 30


class PretrainingRun:
    """The state of a training run: model, optimizer, batches, losses."""

    def __init__(self, recipe: Recipe) -> None:
        torch.set_num_threads(1)
        self.recipe = recipe
        sample = islice(documents(recipe.seed + 1_000_000), recipe.tokenizer_documents)
        self.tokenizer = tokenizers_.train(document.text for document in sample)
        self.model = new_model(recipe)
        self.batches = batches(self.tokenizer, recipe)
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": recipe.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98), fused=True)
        self.losses: list[float] = []  # nats per answer token, by step
        self.tokens = 0

    def advance(self, steps: int) -> None:
        """Take `steps` optimizer steps."""
        self.model.train()
        for ids, weights in islice(self.batches, steps):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate(len(self.losses))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = self.model(input_ids=ids, use_cache=False).logits
            nats = cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")
            weight = weights[:, 1:].flatten()
            ((nats * weight).sum() / weight.sum()).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.losses.append(nats.detach()[weight == 1].mean().item())
            self.tokens += int((weights > 0).sum())

    def save(self, folder: Path) -> None:
        """Write the model (bfloat16) and the tokenizer in the transformers format."""
        import copy

        folder.mkdir(parents=True, exist_ok=True)
        copy.deepcopy(self.model).to(torch.bfloat16).save_pretrained(str(folder))
        tokenizers_.save(self.tokenizer, folder, length=self.recipe.positions)

    def keep(self, folder: Path, log: dict[str, Any]) -> None:
        """Save the training state, from which another process can resume."""
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        write_state(
            part, STATE, state | {"losses": self.losses, "tokens": self.tokens, "log": json.dumps(log)}
        )
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)

    def resume(self, folder: Path) -> dict[str, Any]:
        """Restore a saved state and return its log."""
        state = read_state(folder, STATE)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.losses, self.tokens = state["losses"], state["tokens"]
        for _ in islice(self.batches, len(self.losses)):
            pass
        log: dict[str, Any] = json.loads(state["log"])
        return log

    def digest(self) -> str:
        """sha256 of the losses so far and the float32 weights."""
        total = hashlib.sha256(json.dumps(self.losses).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            total.update(name.encode() + tensor.contiguous().numpy().tobytes())
        return total.hexdigest()


def pretrain(recipe: Recipe, folder: Path, *, probe_every: int = 500) -> dict[str, Any]:
    """Train the whole recipe into `folder` and return the log that is written next to the weights.

    A killed run resumes from its last probe with identical results; its state is in `FOLDER.state/`.
    """
    state = folder.with_name(folder.name + ".state")
    run = PretrainingRun(recipe)
    log: dict[str, Any] = {"recipe": asdict(recipe), "documents": fingerprint(recipe.seed)}
    log |= {"world": world.VERSION, "torch": str(torch.__version__), "curve": [], "probes": [], "seconds": 0}
    log["parameters"] = sum(p.numel() for p in run.model.parameters())
    if state.exists():
        log = run.resume(state) | {"recipe": asdict(recipe)}
    start = time.process_time() - log["seconds"]  # CPU time of this process, independent of other load
    while len(run.losses) < recipe.steps:
        at = len(run.losses)
        run.advance(min(CHECK_STEPS if at < CHECK_STEPS else 100 - at % 100, recipe.steps - at))
        at, log["seconds"] = len(run.losses), round(time.process_time() - start)
        if at == CHECK_STEPS:
            log["check"] = {"steps": at, "digest": run.digest()}
            continue
        log["curve"].append({"step": at, "loss": mean(run.losses[-100:]), "seconds": log["seconds"]})
        if at % probe_every == 0 or at == recipe.steps:
            run.save(folder)
            _probe(folder, log, last=at == recipe.steps)
            log |= {"tokens": run.tokens, "sha256": checksum(folder)}
            (folder / LOG).write_text(json.dumps(log, indent=1) + "\n")
            run.keep(state, log)
    shutil.rmtree(state)
    return log


def _probe(folder: Path, log: dict[str, Any], *, last: bool) -> None:
    """Add the saved model's accuracies to the log and print them in one line."""
    from nait.nano.pretraining.probe import accuracies, load, raw_accuracies

    model, tokenizer = load(folder)
    skills = [skill for name, group in CAPABILITIES.items() if name != "facts" for skill in group]
    raw, table = raw_accuracies(model, tokenizer, skills), accuracies(model, tokenizer, n=200 if last else 60)
    point = log["curve"][-1]
    log["probes"].append({"step": point["step"], "raw": raw, "instruction": table})
    short = "  ".join(f"{name} {row['all']:.2f}" for name, row in table.items())
    head = f"step {point['step']:,}  {point['seconds']} s  loss {point['loss']:.3f}"
    print(f"{head}  raw {mean(raw.values()):.2f}  {short}", flush=True)


def checksum(folder: Path) -> str:
    """sha256 of the weights file."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def recorded(folder: Path) -> dict[str, Any]:
    """The log of the run that produced the weights in this folder."""
    log: dict[str, Any] = json.loads((folder / LOG).read_text(encoding="utf-8"))
    return log


def write_card(folder: Path) -> Path:
    """Write MODEL_CARD.md next to the folder, from the run's log and, if present, the study; return its path."""
    study = folder / STUDY
    records = json.loads(study.read_text(encoding="utf-8")) if study.exists() else []
    path = folder.parent / "MODEL_CARD.md"
    path.write_text(card(recorded(folder), records), encoding="utf-8")
    return path


def check(folder: Path = MODEL) -> list[str]:
    """Discrepancies of weights, card, text or the first training steps from the recorded run; empty if none."""
    log, faults = recorded(folder), list[str]()
    recipe = Recipe(**log["recipe"])
    if checksum(folder) != log["sha256"]:
        faults.append(f"{folder / 'model.safetensors'} does not have the checksum in {LOG}")
    if log["sha256"] not in (folder.parent / "MODEL_CARD.md").read_text(encoding="utf-8"):
        faults.append("MODEL_CARD.md has another checksum: run again with --card")
    if fingerprint(recipe.seed) != log["documents"]:
        faults.append("the pretraining text has changed: pretrain again")
    digests = [_prefix_digest(recipe, log["check"]["steps"]) for _ in range(2)]
    print(f"first {log['check']['steps']} steps twice: {digests}, recorded {log['check']['digest']}")
    if digests[0] != digests[1]:
        faults.append("two runs of the first steps differ: this machine is not deterministic")
    elif digests[0] != log["check"]["digest"]:
        faults.append(
            f"the first steps repeat but differ from the record: other processor or torch (recorded {log['torch']})"
        )
    return faults


def _prefix_digest(recipe: Recipe, steps: int) -> str:
    run = PretrainingRun(recipe)
    run.advance(steps)
    return run.digest()


def main() -> None:
    """Pretrain the nano model and write its card, or check the model with --check."""
    parser = argparse.ArgumentParser(prog="python -m nait.nano.pretraining", description=main.__doc__)
    parser.add_argument(
        "--out", type=Path, default=MODEL, help="the model's folder; the card is written next to it"
    )
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument(
        "--check",
        action="store_true",
        help="repeat the first steps, change nothing, exit 1 if anything differs",
    )
    parser.add_argument("--card", action="store_true", help="only rewrite the card")
    options = parser.parse_args()
    if options.check:
        faults = check(options.out)
        print("\n".join(faults) or "as recorded")
        raise SystemExit(bool(faults))
    if not options.card:
        pretrain(replace(Recipe(), steps=options.steps), options.out)
    print(write_card(options.out))
