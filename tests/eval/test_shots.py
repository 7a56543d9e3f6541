"""More few-shot examples than a task's data hold: one error, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nait.core.errors import ConfigError
from nait.eval.harness import LmEval
from nait.models.loading import LocalModel
from nait.stages.checks.prompt_mismatch import try_prompts
from nait.store import Store

Make = Callable[..., LmEval]

TOO_MANY = (
    r"eval\.num_fewshot: task 'toy_sums' has 3 few-shot examples in its split 'train'; 4 are requested\. "
    r"Set eval\.num_fewshot=3 or less, or for this task alone 'eval\.num_fewshot=\{toy_sums: 3\}'\."
)


def test_the_error_names_task_split_count_and_fix(evaluator: Make) -> None:
    with pytest.raises(ConfigError, match=TOO_MANY):
        evaluator(tasks=["toy_sums"], num_fewshot=4).items()
    assert len(evaluator(tasks=["toy_sums"], num_fewshot=3).items()["toy_sums"]) == 3


def test_it_comes_before_training_also_without_a_contamination_check(
    evaluator: Make, model_folder: Path, tmp_path: Path
) -> None:
    model, store = LocalModel(str(model_folder), device="cpu", max_length=96), Store(tmp_path / "store")
    with pytest.raises(ConfigError, match=TOO_MANY):
        try_prompts(model, evaluator(tasks=["toy_sums"], num_fewshot={"toy_sums": 4}), store)
    try_prompts(model, evaluator(tasks=["toy_sums"], num_fewshot=3), store)


def test_a_number_in_the_task_file_is_checked_before_training_too(
    evaluator: Make, task_folder: Path, model_folder: Path, tmp_path: Path
) -> None:
    task = task_folder / "sums.yaml"
    task.write_text(task.read_text().replace("num_fewshot: 1", "num_fewshot: 4"))
    model, store = LocalModel(str(model_folder), device="cpu", max_length=96), Store(tmp_path / "store")
    with pytest.raises(ConfigError, match=TOO_MANY):
        try_prompts(model, evaluator(tasks=["toy_sums"]), store)
    try_prompts(model, evaluator(tasks=["toy_letters"]), store)
    assert store.artifacts("prompts") == []  # no task with examples


def test_an_item_is_never_its_own_example(evaluator: Make, task_folder: Path) -> None:
    task = task_folder / "sums.yaml"
    task.write_text(task.read_text().replace("training_split: train\n", "fewshot_split: test\n"))
    with pytest.raises(ConfigError, match=r"'test', of which one is the item itself; 3 are.*=2 or less"):
        evaluator(tasks=["toy_sums"], num_fewshot=3).items()
    assert evaluator(tasks=["toy_sums"], num_fewshot=2).items()


@pytest.mark.parametrize(
    ("splits", "changed"),
    [
        ("test_split: test", True),
        ("test_split: test\nfewshot_split: test", False),
        ("test_split: null\nvalidation_split: test\nfewshot_split: test", True),
        ("test_split: null\nvalidation_split: test", False),
        ("test_split: test\nfewshot_config: {split: test}", False),
    ],
)
def test_no_item_shows_its_own_answer_in_its_prompt(
    splits: str, changed: bool, evaluator: Make, task_folder: Path
) -> None:
    """Where a task has no other split, examples come from the evaluated one."""
    text = f"include: _letters_yaml\ntask: toy_own\ndataset_name: large\n{splits}\n"
    (task_folder / "own.yaml").write_text(text)
    suite = evaluator(tasks=["toy_own"], num_fewshot=3)
    assert ("examples" in suite.key()["tasks"]["toy_own"]) is changed
    assert "examples" not in evaluator(tasks=["toy_own"]).key()["tasks"]["toy_own"]
    with suite._tasks() as tasks:
        task = tasks["toy_own"]
        prompts = [task.fewshot_context(doc, num_fewshot=3) for doc in task.eval_docs]
    assert [text.count("Is ") for text in prompts] == [4] * 8
    assert [text.count(f"Is {i} large?") for i, text in enumerate(prompts)] == [1] * 8


SHUFFLES = """
import random
rng = random.Random(0)
def shuffled(rows):
    def choices(row):
        found = ["yes", "no", "perhaps", "never"]
        rng.shuffle(found)
        return {"choices": found, "target": found.index("yes")}
    return rows.map(choices)
"""


@pytest.mark.parametrize("sampler", ["default", "first_n"])
def test_no_item_is_its_own_example_where_a_task_shuffles_its_choices(
    sampler: str, evaluator: Make, task_folder: Path
) -> None:
    """As GPQA: the harness compares whole items, and each reading of them has other choices."""
    (task_folder / "shuffles.py").write_text(SHUFFLES)
    (task_folder / "own.yaml").write_text(
        "include: _letters_yaml\ntask: toy_own\ndataset_name: large\ntest_split: test\nfewshot_split: test\n"
        "process_docs: !function shuffles.shuffled\ndoc_to_choice: choices\ndoc_to_target: target\n"
        f"fewshot_config: {{split: test, sampler: {sampler}}}\n"
    )
    suite = evaluator(tasks=["toy_own"], num_fewshot=3, trust_task_code=True)
    assert suite.key()["tasks"]["toy_own"]["examples"] == 3
    with suite._tasks() as tasks:
        task = tasks["toy_own"]
        prompts = [task.fewshot_context(doc, num_fewshot=3) for doc in task.eval_docs]
    assert [text.count("Is ") for text in prompts] == [4] * 8
    assert [text.count(f"Is {i} large?") for i, text in enumerate(prompts)] == [1] * 8


def test_the_split_named_by_the_advice_evaluates(evaluator: Make, model_folder: Path, tmp_path: Path) -> None:
    model = LocalModel(str(model_folder), device="cpu", max_length=96)
    suite = evaluator(tasks=["toy_sums"], num_fewshot=3, limit=1, max_gen_toks=1)
    assert suite.evaluate(model, None, folder=tmp_path).results
