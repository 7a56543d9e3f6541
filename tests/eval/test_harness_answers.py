"""Whole evaluations give the answers of the harness's own command line, item by item, on its stock tasks."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from nait.core.contracts import Model
from nait.eval.code_execution.code_eval import CodeEval, providing
from nait.eval.harness import LmEval
from nait.eval.isolation import quiet_lm_eval
from nait.eval.local_data import air_gap
from nait.eval.suites.task_definitions import OWN, library
from nait.models.loading import LocalModel
from nait.nano.pools import nano_model
from nait.training.adapters.adapted_models import load_adapted
from tests.eval.adapters import save_adapter

Shared = Callable[[str], Path]
STOCK = {
    "gsm8k": "gsm8k", "gsm8k_cot": "gsm8k", "mmlu_anatomy": "mmlu/default", "mmlu_virology": "mmlu/default",
    "bbh_cot_fewshot_boolean_expressions": "bbh/cot_fewshot", "bbh_cot_fewshot_navigate": "bbh/cot_fewshot",
}  # fmt: skip
"""Stock tasks and the harness's folders of their files."""
PAPER = {
    **{f"mmlu_pro_{name}": "mmlu_pro" for name in ("biology", "computer_science", "law", "math", "other")},
    "gsm8k_cot": "gsm8k", "humaneval": "humaneval", "mbpp": "mbpp",
    "mbpp_sanitized": OWN / "mbpp", **{f"xquad_{name}": OWN / "xquad" for name in ("ar", "de", "en", "th", "zh")},
}  # fmt: skip
"""Tasks of eval=paper, and stock tasks behind them, whose answers are not drawn at random; folders of their files."""
MOST = 12
"""Tokens of a generated answer."""


def harness_samples(
    model: Model, adapter: Path | None, hub: Path, tasks: list[str], *, limit: int, scratch: Path
) -> Mapping[str, list[Any]]:
    """Samples of `simple_evaluate` with the harness's HF model, one row a batch."""
    import lm_eval.api.task
    import lm_eval.utils
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    network, tokenizer = load_adapted(model, adapter)
    folders = sorted({str(library() / {**STOCK, **PAPER}[task]) for task in tasks})
    files = [
        path
        for folder in folders
        if {"mbpp", "humaneval"} & {Path(folder).name}
        for path in Path(folder).glob("*.py")
    ]
    with (
        quiet_lm_eval(lm_eval.api.task, lm_eval.utils.env),
        air_gap(hub, online=False, scratch=scratch),
        providing(CodeEval(), files) if files else nullcontext(),
    ):
        done = simple_evaluate(
            model=HFLM(pretrained=network, tokenizer=tokenizer, batch_size=1), tasks=tasks, limit=limit,
            task_manager=TaskManager(include_defaults=False, include_path=folders), bootstrap_iters=0,
            gen_kwargs={"max_gen_toks": MOST}, confirm_run_unsafe_code=True,
        )  # fmt: skip
    samples: Mapping[str, list[Any]] = done["samples"]
    return samples


def our_samples(
    model: Model, adapter: Path | None, folder: Path, tasks: list[str], **settings: Any
) -> dict[str, list[Any]]:
    """Rows of samples.parquet by task."""
    import pyarrow.parquet as pq

    folder.mkdir()
    LmEval(tasks, max_gen_toks=MOST, **settings).evaluate(model, adapter, folder=folder)
    found: dict[str, list[Any]] = {}
    for row in pq.read_table(folder / "samples.parquet").to_pylist():
        found.setdefault(row["task"], []).append(row)
    return found


def assert_the_harness_answers(
    model: Model, adapter: Path | None, hub: Path, folder: Path, tasks: list[str], limit: int, **settings: Any
) -> None:
    wanted = harness_samples(model, adapter, hub, tasks, limit=limit, scratch=folder)
    ours = our_samples(model, adapter, folder / "ours", tasks, limit=limit, mirror=str(hub), **settings)
    assert list(wanted) == list(ours) == tasks
    for task, samples in wanted.items():
        rows = {(row["doc_id"], row["filter"]): row for row in ours[task]}
        assert len(rows) == len(samples)
        for sample in samples:
            row = rows[sample["doc_id"], sample["filter"].replace("none", "")]
            assert row["prompt"] == sample["arguments"][0][0]
            assert json.loads(row["metrics"]) == {name: sample[name] for name in sample["metrics"]}
            for answer, answer_wanted in zip(row["filtered"], sample["filtered_resps"], strict=True):
                if isinstance(answer_wanted, (str, list)):
                    assert answer == str(answer_wanted)
                    continue
                nats, first = ast.literal_eval(answer)
                assert float(nats) == pytest.approx(float(answer_wanted[0]), abs=1e-4)
                assert str(first) == str(answer_wanted[1])


def test_a_stock_task_of_each_kind_has_the_harness_answers(shared: Shared, tmp_path: Path) -> None:
    model = LocalModel(str(shared("models/stories260K-fp32")), device="cpu", max_length=256)
    tasks = ["gsm8k_cot", "mmlu_anatomy"]
    assert_the_harness_answers(model, None, shared("data/hub"), tmp_path, tasks, 1)


@pytest.mark.slow
@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("name", ["stories260K-fp32", "babyllama-105-fp32"])
def test_stock_tasks_have_the_harness_answers(
    name: str, adapted: bool, shared: Shared, tmp_path: Path
) -> None:
    model = LocalModel(str(shared(f"models/{name}")), device="cpu", max_length=256)
    adapter = save_adapter(model, tmp_path / "adapter", std=0.02, r=4) if adapted else None
    assert_the_harness_answers(model, adapter, shared("data/hub"), tmp_path, list(STOCK), 5)


def test_the_embedded_tasks_have_the_answers_of_the_other_backend(tmp_path: Path) -> None:
    tasks = ["nano_facts", "nano_math", "nano_logic", "nano_code", "nano_translation"]
    ours, wanted = (
        our_samples(nano_model(), None, tmp_path / backend, tasks, limit=4, backend=backend, batch_size=1)
        for backend in ("shared_prefix", "hf")
    )
    assert ours.keys() == wanted.keys()
    for task, rows in wanted.items():
        assert [row["metrics"] for row in ours[task]] == [row["metrics"] for row in rows]
        if task != "nano_facts":
            assert [row["responses"] for row in ours[task]] == [row["responses"] for row in rows]


@pytest.mark.slow
def test_the_papers_tasks_have_the_harness_answers(shared: Shared, tmp_path: Path) -> None:
    model = LocalModel(str(shared("models/stories260K-fp32")), device="cpu", max_length=512)
    hub = shared("data/hub")
    assert_the_harness_answers(model, None, hub, tmp_path, list(PAPER), 3, allow_code_execution=True)


@pytest.mark.slow
def test_both_backends_give_the_same_answers_on_all_of_mmlu_and_bbh(shared: Shared, tmp_path: Path) -> None:
    model = LocalModel(str(shared("models/stories260K-fp32")), device="cpu", max_length=512)
    suite = {"mirror": str(shared("data/hub")), "allow_partial": True, "num_fewshot": {"mmlu": 5}, "limit": 2}
    ours, wanted = (
        our_samples(
            model,
            None,
            tmp_path / backend,
            ["mmlu", "bbh_cot_fewshot"],
            backend=backend,
            batch_size=1,
            **suite,
        )
        for backend in ("shared_prefix", "hf")
    )
    assert ours.keys() == wanted.keys()
    assert sum(task.startswith("mmlu_") for task in ours) == 57
    assert sum(task.startswith("bbh_") for task in ours) >= 22
    compared = 0
    for task, rows in wanted.items():
        for row, other in zip(ours[task], rows, strict=True):
            same = ("doc_id", "doc_hash", "filter", "prompt", "target", "metrics")
            assert [row[name] for name in same] == [other[name] for name in same]
            for answer, answer_wanted in zip(row["responses"], other["responses"], strict=True):
                if not task.startswith("mmlu_"):
                    assert answer == answer_wanted
                    continue
                mine, theirs = json.loads(answer), json.loads(answer_wanted)
                assert mine["answer"] == theirs["answer"]
                assert mine["nats"] == pytest.approx(theirs["nats"], abs=1e-4)
            compared += 1
    assert compared == 2 * len(wanted)
