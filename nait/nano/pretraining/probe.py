"""Accuracy of a nano model on held-out items, before and after LoRA on random or oracle rows.

`python -m nait.nano.pretraining.probe` prints the study's table. The probe has its own greedy decoding; a test checks
that it agrees with the lm-evaluation-harness tasks.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch

from nait.nano import world
from nait.nano.problems import Skill, deal
from nait.nano.prompt import prompt

MODEL = Path(__file__).parents[1] / "model"
MAX_NEW = 24


def load(folder: Path = MODEL) -> tuple[Any, Any]:
    """The model in float32 and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # On a CPU with rows this short, eager attention has a backward pass several times as fast as the fused kernel.
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=torch.float32, attn_implementation="eager"
    )
    return model.eval(), AutoTokenizer.from_pretrained(str(folder))


@torch.no_grad()
def answers(model: Any, tokenizer: Any, prompts: Sequence[str], *, batch: int = 100) -> list[str]:
    """The greedy continuation of each prompt, up to the end token or MAX_NEW tokens."""
    tokenizer.padding_side = "left"
    texts: list[str] = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        inputs = tokenizer([prompts[place] for place in places], return_tensors="pt", padding=True)
        inputs.pop("token_type_ids", None)
        out = model.generate(
            **inputs, max_new_tokens=MAX_NEW, do_sample=False, pad_token_id=tokenizer.pad_token_id
        )
        for place, ids in zip(places, out[:, inputs["input_ids"].shape[1] :], strict=True):
            texts[place] = tokenizer.decode(ids, skip_special_tokens=True)
    return texts


@torch.no_grad()
def choices(model: Any, tokenizer: Any, items: Sequence[world.Row], *, batch: int = 160) -> list[int]:
    """The index of the option with the highest summed log-probability, for each item."""
    pairs = [
        (prompt(item["instruction"], item["input"]), option) for item in items for option in item["options"]
    ]
    scores: list[float] = []
    for start in range(0, len(pairs), batch):
        heads = [tokenizer(head)["input_ids"] for head, _ in pairs[start : start + batch]]
        wholes = [tokenizer(head + option)["input_ids"] for head, option in pairs[start : start + batch]]
        width = max(map(len, wholes))
        ids = torch.tensor([whole + [tokenizer.pad_token_id] * (width - len(whole)) for whole in wholes])
        logp = model(input_ids=ids).logits.float().log_softmax(-1)
        for row, (head, whole) in enumerate(zip(heads, wholes, strict=True)):
            scores.append(sum(float(logp[row, at - 1, whole[at]]) for at in range(len(head), len(whole))))
    table = torch.tensor(scores).view(len(items), -1)
    return [int(best) for best in table.argmax(1)]


def right(capability: str, text: str, answer: str) -> bool:
    """Whether a continuation is correct: by the number after `####` for math, by the first line otherwise."""
    if capability == "math":
        return text.partition("#### ")[2].split("\n")[0].strip() == answer
    return text.split("\n")[0].strip() == answer


def accuracy(model: Any, tokenizer: Any, capability: str, items: Sequence[world.Row]) -> dict[str, float]:
    """{"all": accuracy, sub-skill: accuracy} on evaluation items of one capability."""
    if capability == "facts":
        hits = [
            pick == item["gold"] for pick, item in zip(choices(model, tokenizer, items), items, strict=True)
        ]
    else:
        texts = answers(model, tokenizer, [prompt(item["instruction"], item["input"]) for item in items])
        hits = [right(capability, text, item["answer"]) for text, item in zip(texts, items, strict=True)]
    by_skill: dict[str, list[bool]] = defaultdict(list)
    for hit, item in zip(hits, items, strict=True):
        by_skill["all"].append(hit)
        by_skill[item["skill"]].append(hit)
    return {name: sum(got) / len(got) for name, got in by_skill.items()}


def accuracies(model: Any, tokenizer: Any, *, n: int = 200) -> dict[str, dict[str, float]]:
    """capability -> {"all": accuracy, sub-skill: accuracy} on `n` held-out items each."""
    return {
        name: accuracy(model, tokenizer, name, world.evaluation_rows(name, n))
        for name in world.capabilities()
    }


def raw_accuracies(model: Any, tokenizer: Any, skills: Sequence[Skill], *, n: int = 10) -> dict[str, float]:
    """sub-skill -> accuracy on held-out problems in the canonical raw format of pretraining."""
    asked = [
        (skill, problem)
        for skill in skills
        for problem in deal(skill, "evaluation", Random(f"nano/probe/{skill.name}"), count=n, house=False)
    ]
    heads = [f"{skill.labels[0]}: {problem.given} ->" for skill, problem in asked]
    hits: dict[str, list[bool]] = defaultdict(list)
    for (skill, problem), text in zip(asked, answers(model, tokenizer, heads), strict=True):
        hits[skill.name].append(text.split("\n")[0].strip() == problem.result)
    return {name: sum(got) / len(got) for name, got in hits.items()}


def tuned(
    model: Any, tokenizer: Any, rows: Sequence[world.Row], *, seed: int, epochs: int = 3, lr: float = 3e-3
) -> Any:
    """A copy of the model, fine-tuned on the rows' answers with LoRA (rank 16 on every linear layer) and merged."""
    from nait.training.adapters.lora import LoraRecipe, attach

    torch.manual_seed(seed)
    adapted: Any = attach(copy.deepcopy(model), LoraRecipe(r=16, alpha=32, dropout=0.0))
    encoded = [_encoded(tokenizer, row) for row in rows]
    random = Random(f"nano/tune/{seed}")
    steps = epochs * ((len(rows) + 15) // 16)
    optimizer = torch.optim.AdamW(
        [p for p in adapted.parameters() if p.requires_grad], lr=lr, weight_decay=0.0
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / max(1, steps * 0.03)) * max(0.0, 1 - step / steps)
    )
    adapted.train()
    for _ in range(epochs):
        order = list(range(len(encoded)))
        random.shuffle(order)
        for start in range(0, len(order), 16):
            ids, labels = _padded(
                [encoded[place] for place in order[start : start + 16]], tokenizer.pad_token_id
            )
            adapted(
                input_ids=ids, attention_mask=(ids != tokenizer.pad_token_id).long(), labels=labels
            ).loss.backward()
            torch.nn.utils.clip_grad_norm_(adapted.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
    return adapted.merge_and_unload().eval()


def _encoded(tokenizer: Any, row: world.Row) -> tuple[list[int], list[int]]:
    head = tokenizer(prompt(row["instruction"], row["input"]))["input_ids"]
    answer = tokenizer(row["output"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    return head + answer, [-100] * len(head) + answer


def _padded(pairs: Sequence[tuple[list[int], list[int]]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(ids) for ids, _ in pairs)
    ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in pairs])
    labels = torch.tensor([labels + [-100] * (width - len(labels)) for _, labels in pairs])
    return ids, labels


def chosen(rows: Sequence[world.Row], arm: str, *, count: int, seed: int) -> list[world.Row]:
    """`count` rows, drawn from all (`random`) or from the clean rows of the capability named `arm`."""
    random = Random(f"nano/choose/{arm}/{seed}")
    if arm == "random":
        return random.sample(list(rows), count)
    wanted = set(world.oracle_ids(rows, arm))
    return random.sample([row for row in rows if row["id"] in wanted], count)


def study(
    folder: Path, *, seeds: Sequence[int], arms: Sequence[str], size: int = 5_000, n: int = 200
) -> list[Any]:
    """One record per arm and seed: accuracies by capability after fine-tuning on 10 % of the pool."""
    model, tokenizer = load(folder)
    rows = world.pool_rows(size)
    records: list[Any] = [{"arm": "base", "seed": 0, "accuracies": accuracies(model, tokenizer, n=n)}]
    _show(records[-1], 0.0)
    for seed in seeds:
        for arm in arms:
            start = time.perf_counter()
            model_of_arm = tuned(model, tokenizer, chosen(rows, arm, count=size // 10, seed=seed), seed=seed)
            records.append({"arm": arm, "seed": seed, "accuracies": accuracies(model_of_arm, tokenizer, n=n)})
            _show(records[-1], time.perf_counter() - start)
    return records


def _show(record: Any, seconds: float) -> None:
    cells = "  ".join(f"{name} {table['all']:.3f}" for name, table in record["accuracies"].items())
    print(f"{record['arm']:<12} seed {record['seed']}  {cells}  ({seconds:.0f} s)", flush=True)


def main() -> None:
    """Print the study's table; write its records as JSON with --out."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--arms", nargs="+", default=["random", *world.capabilities()])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    records = study(options.model, seeds=range(options.seeds), arms=options.arms)
    if options.out:
        options.out.write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
