"""A user's folder, and `nait` run in it: what the tests of the command line share."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tests.app.warm import Warm
from tests.families import save

Run = Callable[..., subprocess.CompletedProcess[str]]
TASK = """\
task: toy_sums
dataset_path: json
custom_dataset: !function rows.documents
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: [" one", " two"]
doc_to_target: gold
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 1}
"""
ROWS = """\
import datasets


def documents(**_):
    rows = [{"question": f"Which is {i}?", "gold": i % 2} for i in range(6)]
    return {"test": datasets.Dataset.from_list(rows)}
"""


def make_home(folder: Path) -> Path:
    """A folder with a model, a pool, a reference set and a task of the user's own."""
    save(folder / "model")
    words = ["red", "green", "blue", "sum", "sort", "tree"]
    rows = [{"instruction": f"Do {i} {words[i % 6]}", "input": "", "output": " ".join(words[: 1 + i % 5]), "mine": i}
            for i in range(40)]  # fmt: skip
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    refs = [{"instruction": f"Add {i}", "output": f"{i} and {i * i}"} for i in range(8)]
    (folder / "refs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in refs))
    (folder / "tasks").mkdir()
    (folder / "tasks" / "toy.yaml").write_text(TASK)
    (folder / "tasks" / "rows.py").write_text(ROWS)
    return folder


@cache
def warm() -> Warm:
    return Warm(environment())


def environment() -> dict[str, str]:
    root = Path(__file__).resolve().parents[2]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **one_thread, "PYTHONPATH": str(root), "WANDB_SILENT": "true"}


def given(home: Path) -> list[str]:
    return [
        "model=local", f"model.path={home / 'model'}", "model.max_length=128", "data=file",
        f"data.path={home / 'pool.jsonl'}", "target=file", f"target.path={home / 'refs.jsonl'}", "template=plain",
        "tracking=files", "eval=gsm8k", "eval.tasks=[toy_sums]", f"eval.include=[{home / 'tasks'}]",
        "eval.trust_task_code=true", "traits=none",
    ]  # fmt: skip


def manifests(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "runs").rglob("run.json"))]
