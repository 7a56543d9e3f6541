"""Pretraining of the nano model: `python -m nait.nano.pretraining [--out DIR] [--steps N] [--check]`.

One thread, one seed, AdamW in bfloat16 autocast. The same machine gives bit-identical weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from nait.nano import world
from nait.nano.families import CAPABILITIES
from nait.nano.pretraining import bpe as tokenizers_
from nait.nano.pretraining.model_card import card
from nait.nano.pretraining.pretraining_text import documents, fingerprint

MODEL = Path(__file__).parents[1] / "model"
LOG, STUDY = "pretraining.json", "study.json"
CHECK_STEPS = 30
EOS_ID, PAD_ID = 1, 2  # `bpe.train` gives the special tokens the first ids


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters, which determine the weights."""

    seed: int = 0
    steps: int = 4_000
    tokens: int = 2_048  # per batch, padding included
    shuffle: int = 2_048  # documents per window that is sorted by length
    lr: float = 1.2e-3
    warmup: int = 100
    init: float = 0.06  # standard deviation; a width of 128 needs more than the usual 0.02
    decay: float = 0.4  # share of the steps, at the end, in which the rate falls to 5 %
    weight_decay: float = 0.1
    question_weight: float = (
        0.1  # loss weight outside answers: such tokens are random, their gradients mostly noise
    )
    clip: float = 1.0
    tokenizer_documents: int = 60_000
    hidden: int = 128
    layers: int = 6
    heads: int = 4
    ffn: int = 384
    positions: int = 512

    def rate(self, step: int) -> float:
        """The learning rate of a step: linear warm-up, flat, linear decay."""
        start = int(self.steps * (1 - self.decay))
        fall = max(0.0, (step - start) / max(1, self.steps - start))
        return self.lr * min(1.0, (step + 1) / self.warmup) * (1 - 0.95 * fall)


def new_model(recipe: Recipe) -> Any:
    """A Llama with the recipe's shape and random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=tokenizers_.VOCABULARY,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.ffn,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.positions,
        initializer_range=recipe.init,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=EOS_ID,
        pad_token_id=PAD_ID,
    )
    model = LlamaForCausalLM(config)
    model.set_attn_implementation(
        "eager"
    )  # 1.7 times as fast as the fused kernel on a CPU with rows this short
    return model


def batches(tokenizer: Any, recipe: Recipe) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids and loss weights, both [B, T]: one document per row, of similar lengths, about `tokens` in total.

    This model learns half as fast with several documents packed into a row: attention starts out uniform, and a
    shorter row has fewer positions to attend to.
    """
    stream, random = documents(recipe.seed), Random(recipe.seed)
    while True:
        texts = list(islice(stream, recipe.shuffle))
        rows = []
        for document, encoding in zip(texts, tokenizer.encode_batch([d.text for d in texts]), strict=True):
            weights = _weights(encoding.offsets, document.answers, recipe.question_weight)
            rows.append(([*encoding.ids, EOS_ID], [*weights, 1.0]))
        groups = _grouped(sorted(rows, key=lambda row: len(row[0])), recipe.tokens)
        random.shuffle(groups)
        for group in groups:
            width = len(group[-1][0])
            ids = [ids + [PAD_ID] * (width - len(ids)) for ids, _ in group]
            yield torch.tensor(ids), torch.tensor([own + [0.0] * (width - len(own)) for _, own in group])


def _grouped(
    rows: list[tuple[list[int], list[float]]], tokens: int
) -> list[list[tuple[list[int], list[float]]]]:
    """Groups of rows, which are sorted by length, of at most `tokens` each with padding."""
    groups: list[list[tuple[list[int], list[float]]]] = [[]]
    for row in rows:
        if groups[-1] and (len(groups[-1]) + 1) * len(row[0]) > tokens:
            groups.append([])
        groups[-1].append(row)
    return groups


def _weights(
    offsets: list[tuple[int, int]], answers: tuple[tuple[int, int], ...], other: float
) -> list[float]:
    """Loss weights: 1 for tokens that overlap an answer, `other` for the rest."""
    return [
        1.0 if any(start < last and first < end for first, last in answers) else other
        for start, end in offsets
    ]


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

    def keep(self, path: Path, log: dict[str, Any]) -> None:
        """Save the training state, from which another process can resume."""
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(
            state | {"losses": self.losses, "tokens": self.tokens, "log": log}, path.with_suffix(".part")
        )
        path.with_suffix(".part").rename(path)

    def resume(self, path: Path) -> dict[str, Any]:
        """Restore a saved state and return its log."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.losses, self.tokens = state["losses"], state["tokens"]
        for _ in islice(self.batches, len(self.losses)):
            pass
        log: dict[str, Any] = state["log"]
        return log

    def digest(self) -> str:
        """sha256 of the losses so far and the float32 weights."""
        total = hashlib.sha256(json.dumps(self.losses).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            total.update(name.encode() + tensor.contiguous().numpy().tobytes())
        return total.hexdigest()


def pretrain(recipe: Recipe, folder: Path, *, probe_every: int = 500) -> dict[str, Any]:
    """Train the whole recipe into `folder` and return the log that is written next to the weights.

    A killed run resumes from its last probe with identical results; its state is in `FOLDER.state.pt`.
    """
    state = folder.with_name(folder.name + ".state.pt")
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
    state.unlink()
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
