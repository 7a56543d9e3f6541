"""Names become tasks and groups without the harness being opened."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nait.core.addresses import address
from nait.core.errors import ConfigError
from nait.eval.harness import LmEval
from nait.eval.suites.generated_code import check_code
from nait.eval.suites.requirements import data_source, task_digest
from nait.eval.suites.suite import Suite, Task, resolve
from nait.eval.suites.task_definitions import Catalogue, Entry, library
from nait.eval.suites.task_settings import setting_of, shots
from tests.eval.conftest import TEMPLATE


@pytest.fixture
def catalogue(task_folder: Path) -> Catalogue:
    return Catalogue([task_folder], shipped=library())


def test_a_group_knows_its_tasks_and_means(catalogue: Catalogue) -> None:
    suite = resolve(["toy_letters"], catalogue)
    (group,) = suite.groups
    assert group.tasks == ("toy_small", "toy_large") == tuple(task.name for task in suite.tasks)
    assert [(mean.metric, mean.weight_by_size) for mean in group.means] == [("acc", True)]


def test_stock_groups_are_whole(catalogue: Catalogue) -> None:
    suite = resolve(["gsm8k", "mmlu", "bbh_cot_fewshot"], catalogue)
    assert [len(suite.requested[name]) for name in suite.requested] == [1, 57, 27]
    assert suite.owners("mmlu_anatomy") == ["mmlu_stem", "mmlu"]


def test_the_innermost_of_nested_groups_decides_also_where_they_hold_the_same_tasks(
    task_folder: Path,
) -> None:
    (task_folder / "nested.yaml").write_text(
        "group: a_outer\ntask:\n- {group: inner, task: [toy_small, toy_large]}\n"
    )
    suite = resolve(["a_outer"], Catalogue([task_folder], shipped=library()))
    inner = "a_outer::inner"
    assert suite.owners("toy_small") == [inner, "a_outer"]
    assert [setting_of({"a_outer": 5, inner: 3}, task, suite) for task in suite.tasks] == [3, 3]
    assert [setting_of({"a_outer": 5, "toy_large": 1}, task, suite) for task in suite.tasks] == [5, 1]


def test_a_stock_task_outside_the_usual_folders_is_found(catalogue: Catalogue) -> None:
    assert data_source(resolve(["arc_easy"], catalogue).tasks[0]).repo == "allenai/ai2_arc"


def test_an_unknown_name_is_answered_with_the_nearest(catalogue: Catalogue) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'toy_small'"):
        resolve(["toy_smal"], catalogue)


def test_a_folder_of_ones_own_wins_over_the_harness(task_folder: Path) -> None:
    (task_folder / "mine.yaml").write_text("task: gsm8k\ndataset_path: my/sums\ntest_split: test\n")
    suite = resolve(["gsm8k"], Catalogue([task_folder], shipped=library()))
    assert data_source(suite.tasks[0]).repo == "my/sums"


def test_overrides_of_a_group_reach_its_tasks(task_folder: Path) -> None:
    (task_folder / "two.yaml").write_text(
        "group: outer\ntask:\n- {task: toy_small, num_fewshot: 2}\n- {group: inner, task: [toy_large]}\n"
    )
    suite = resolve(["outer"], Catalogue([task_folder], shipped=library()))
    assert suite.tasks[0].config["num_fewshot"] == 2
    assert [group.name for group in suite.groups] == ["outer::inner", "outer"]
    with pytest.raises(ConfigError, match="different settings"):
        resolve(["outer", "toy_small"], Catalogue([task_folder], shipped=library()))


def test_a_tag_names_all_its_tasks(task_folder: Path) -> None:
    for name in ("a", "b"):
        (task_folder / f"{name}.yaml").write_text(f"task: {name}\ntag: [letters]\ntest_split: test\n")
    suite = resolve(["letters"], Catalogue([task_folder], shipped=library()))
    assert suite.requested == {"letters": ("a", "b")}
    assert suite.groups == ()


def test_generated_code_is_refused(catalogue: Catalogue) -> None:
    suite = resolve(["humaneval"], catalogue)
    with pytest.raises(ConfigError, match="runs the code that the model writes: humaneval"):
        check_code(suite, allowed=False)
    check_code(suite, allowed=True)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, {"toy_sums": 1, "toy_small": 0, "toy_large": 0}),
        (2, {"toy_sums": 2, "toy_small": 2, "toy_large": 2}),
        ({"toy_letters": 4, "toy_large": 5}, {"toy_sums": 1, "toy_small": 4, "toy_large": 5}),
    ],
)
def test_few_shot_numbers_go_by_the_innermost_name(
    catalogue: Catalogue, asked: int | dict[str, int] | None, expected: dict[str, int]
) -> None:
    suite: Suite = resolve(["toy_sums", "toy_letters"], catalogue)
    assert {task.name: shots(task, suite, asked) for task in suite.tasks} == expected


def test_more_examples_than_a_task_brings_is_an_error(evaluator: Callable[..., LmEval]) -> None:
    with pytest.raises(ConfigError, match="has 3 few-shot examples, 5 are requested"):
        evaluator(tasks="bbh_cot_fewshot_snarks", mirror=None, num_fewshot=5).check()


def test_a_definition_changes_with_its_file_and_its_code(task_folder: Path) -> None:
    def digest() -> str:
        (task,) = resolve(["toy_sums"], Catalogue([task_folder], shipped=library())).tasks
        return task_digest(task)

    digests = [digest(), digest()]
    for name, old, new in (("sums.yaml", "is", "equals"), ("rows.py", "range(6)", "range(7)")):
        path = task_folder / name
        path.write_text(path.read_text().replace(old, new))
        digests.append(digest())
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_checking_opens_neither_the_harness_nor_torch() -> None:
    code = (
        "import sys; from nait.eval.harness import LmEval\n"
        "try: LmEval(tasks=['gsm8k']).check()\n"
        "except Exception as error: print(error)\n"
        "print([m for m in ('torch', 'lm_eval', 'datasets', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "no source for openai/gsm8k" in done.stdout
    assert "To select only: 'stages=[select]'." in done.stdout
    assert done.stdout.endswith("[]\n")


def test_the_files_of_a_folder_are_in_the_address(
    evaluator: Callable[..., LmEval], task_folder: Path
) -> None:
    place = task_folder / "rows"
    place.mkdir()
    (task_folder / "own.yaml").write_text(
        TEMPLATE.replace("toy/letters", "json") + f"task: own\ndataset_kwargs: {{data_dir: {place}}}\n"
    )

    def key() -> str:
        return address(dict(evaluator(tasks=["own"]).key()))

    with pytest.raises(ConfigError, match=r"own \(no file .*rows\)"):
        key()
    (place / "test.jsonl").write_text('{"question": "Is 1?", "answer": 0}\n')
    before = key()
    (place / "test.jsonl").write_text('{"question": "Is 1 odd?", "answer": 1}\n')
    assert key() != before


def test_a_folder_of_a_data_set_is_read_from_the_mirror(
    evaluator: Callable[..., LmEval], task_folder: Path, mirror: Path
) -> None:
    """The rest of the data set is another set."""
    for name in ("odd", "even"):
        (mirror / "toy/letters" / name).mkdir()
        row = {"question": f"Is it {name}?", "answer": 0}
        (mirror / "toy/letters" / name / "test.jsonl").write_text(json.dumps(row) + "\n")
        text = f"{TEMPLATE}task: {name}\ndataset_kwargs: {{data_dir: {name}}}\n"
        (task_folder / f"{name}.yaml").write_text(text)
    suite = evaluator(tasks=["odd", "even"])
    digests = {name: one["data"] for name, one in suite.key()["tasks"].items()}
    assert digests["odd"] != digests["even"]
    with suite._tasks() as tasks:
        assert [[doc["question"] for doc in tasks[name].eval_docs] for name in ("odd", "even")] == [
            ["Is it odd?"], ["Is it even?"],
        ]  # fmt: skip


def test_a_url_among_the_files_of_a_task_is_not_in_its_data_folder() -> None:
    options = {"data_dir": "rows", "data_files": ["a.csv", "https://example.org/b.csv"]}
    config = {"dataset_path": "csv", "dataset_kwargs": options}
    task = Task("toy", Entry("toy", "task", None, config), {})
    assert [str(path) for path in data_source(task).files] == ["rows/a.csv", "https:/example.org/b.csv"]
