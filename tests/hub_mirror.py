"""A small mirror in the Hub's layout: a few rows of each data set that the presets name, with its columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]

WORDS = ("apples", "pears", "plums", "figs", "nuts", "eggs", "pens", "cups")


def problems(rows: int, first: int = 0) -> Rows:
    return [
        {
            "question": f"Ann has {i} {WORDS[i % 8]} and gets {i} more. How many?",
            "answer": f"{i}+{i}={2 * i}\n#### {2 * i}",
        }
        for i in range(first, first + rows)
    ]


def mmlu(rows: int, first: int = 0) -> Rows:
    return [
        {"question": f"Which is {WORDS[i % 8]} {i}?", "subject": ("anatomy", "virology")[i % 2],
         "choices": [f"{WORDS[(i + j) % 8]} {i}" for j in range(4)], "answer": i % 4}
        for i in range(first, first + rows)
    ]  # fmt: skip


def mmlu_pro(rows: int, first: int = 0) -> Rows:
    return [
        {"question_id": i, "question": f"What is {i} of {WORDS[i % 8]}?",
         "options": [f"{j} {WORDS[i % 8]}" for j in range(10)],
         "answer": "BC"[i % 2], "answer_index": 1 + i % 2, "category": ("math", "law")[i % 2], "src": "ours",
         "cot_content": f"A: Let's think step by step. It is {i}. The answer is ({'BC'[i % 2]})."}
        for i in range(first, first + rows)
    ]  # fmt: skip


def svamp(rows: int, first: int = 0) -> Rows:
    return [
        {"ID": f"chal-{i}", "Body": f"Bo has {i}.0 {WORDS[i % 8]} and eats 1.", "Question": "How many are left?",
         "Equation": f"( {i}.0 - 1.0 )", "Answer": f"{i - 1}.0", "Type": "Subtraction",
         "question_concat": f"Bo has {i}.0 {WORDS[i % 8]} and eats 1. How many are left?"}
        for i in range(first, first + rows)
    ]  # fmt: skip


def mbpp(rows: int, text: str, first: int = 0) -> Rows:
    return [
        {"task_id": i, text: f"Write a function to add {i} to {WORDS[i % 8]}.",
         "code": f"def add_{i}(x):\n    return x + {i}",
         "test_list": [f"assert add_{i}(1) == {i + 1}", f"assert add_{i}(0) == {i}"]}
        for i in range(first, first + rows)
    ]  # fmt: skip


def passages(rows: int, key: str, first: int = 0) -> Rows:
    return [
        {"id": key.format(i), "title": "Rivers", "question": f"How long is river {i}?",
         "context": f"River {i} is {i} km long and rich in {WORDS[i % 8]}.",
         "answers": {"text": [f"{i} km"], "answer_start": [9]}}
        for i in range(first, first + rows)
    ]  # fmt: skip


def alpaca(rows: int, **more: Any) -> Rows:
    return [
        {"instruction": f"Name {i} {WORDS[i % 8]}.", "input": "Briefly." if i % 3 else "",
         "output": f"Here are {i} {WORDS[(3 * i) % 8]}.", **more}
        for i in range(rows)
    ]  # fmt: skip


def dolly(rows: int) -> Rows:
    return [
        {
            "instruction": row["instruction"],
            "context": row["input"],
            "response": row["output"],
            "category": "open_qa",
        }
        for row in alpaca(rows)
    ]


def chats(rows: int, column: str, keys: tuple[str, str], names: tuple[str, str], **more: Any) -> Rows:
    role, text = keys
    return [
        {**more, column: [{role: names[0], text: row["instruction"]}, {role: names[1], text: row["output"]}]}
        for row in alpaca(rows)
    ]


TEST = 1000
"""The first number of the rows of test splits, which differ from all others."""
POOL_ROWS = 40
SETS: dict[tuple[str, str], dict[str, Rows]] = {
    ("openai/gsm8k", "main"): {"train": problems(12, 2), "test": problems(6, TEST)},
    ("cais/mmlu", "all"): {"dev": mmlu(10), "validation": mmlu(4, 100), "test": mmlu(8, TEST)},
    ("cais/mmlu", "anatomy"): {"dev": mmlu(10)[::2], "validation": mmlu(4, 100)[::2], "test": mmlu(8, TEST)[::2]},
    ("cais/mmlu", "virology"): {"dev": mmlu(10)[1::2], "validation": mmlu(4, 100)[1::2], "test": mmlu(8, TEST)[1::2]},
    ("TIGER-Lab/MMLU-Pro", "default"): {"validation": mmlu_pro(12), "test": mmlu_pro(6, TEST)},
    ("ChilleD/SVAMP", "default"): {"train": svamp(12, 3), "test": svamp(6, TEST)},
    ("google-research-datasets/mbpp", "full"): {
        "train": mbpp(10, "text", 20), "prompt": mbpp(4, "text"), "test": mbpp(6, "text", TEST),
    },
    ("google-research-datasets/mbpp", "sanitized"): {
        "train": mbpp(8, "prompt", 20), "prompt": mbpp(4, "prompt"), "test": mbpp(6, "prompt", TEST),
    },
    ("google-research-datasets/tydiqa", "secondary_task"): {
        "train": [*passages(6, "arabic-{}"), *passages(6, "finnish-{}", 50)],
        "validation": passages(6, "finnish-{}", TEST),
    },
    ("rajpurkar/squad", "plain_text"): {"train": passages(12, "{}", 200), "validation": passages(6, "{}", TEST)},
    ("tatsu-lab/alpaca", "default"): {"train": alpaca(POOL_ROWS, text="### Instruction: unused")},
    ("vicgalle/alpaca-gpt4", "default"): {"train": alpaca(POOL_ROWS, text="### Instruction: unused")},
    ("yahma/alpaca-cleaned", "default"): {"train": alpaca(POOL_ROWS)},
    ("databricks/databricks-dolly-15k", "default"): {"train": dolly(POOL_ROWS)},
    ("WizardLMTeam/WizardLM_evol_instruct_70k", "default"): {"train": alpaca(POOL_ROWS)},
    ("Open-Orca/SlimOrca", "default"): {
        "train": chats(POOL_ROWS, "conversations", ("from", "value"), ("human", "gpt")),
    },
    ("allenai/tulu-3-sft-mixture", "default"): {
        "train": chats(POOL_ROWS, "messages", ("role", "content"), ("user", "assistant"), id="a", source="b"),
    },
    ("teknium/OpenHermes-2.5", "default"): {
        "train": chats(
            POOL_ROWS, "conversations", ("from", "value"), ("human", "gpt"), id=None, source="c", system_prompt=None
        ),
    },
    ("ai2-adapt-dev/flan_v2_converted", "default"): {
        "train": chats(POOL_ROWS, "messages", ("role", "content"), ("user", "assistant"), id="a", dataset="flan"),
    },
}  # fmt: skip
"""Data set and subset -> its splits."""


def save_mirror(folder: Path) -> Path:
    """The mirror, written as JSONL files with a README that lists them."""
    cards: dict[str, list[str]] = {}
    for (repo, subset), splits in SETS.items():
        place = folder / repo / subset
        place.mkdir(parents=True)
        lines = cards.setdefault(repo, [])
        lines += [f"- config_name: {subset}", "  data_files:"]
        for split, rows in splits.items():
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (place / f"{split}.jsonl").write_text(text)
            lines += [f"  - split: {split}", f'    path: "{subset}/{split}.jsonl"']
    for repo, lines in cards.items():
        (folder / repo / "README.md").write_text("\n".join(["---", "configs:", *lines, "---", ""]))
    return folder
