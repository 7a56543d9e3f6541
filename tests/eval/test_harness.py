"""Tasks run on a model in memory; what comes back is typed, complete and the same each time."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pyarrow.parquet as pq
import pytest

from nait.core.addresses import address
from nait.core.errors import ConfigError, ModelError
from nait.core.statistics.results import Evaluation
from nait.eval.harness import LmEval
from nait.eval.language_model.context_limits import answer_cap
from nait.models.loading import LocalModel
from nait.stages.artifacts.evaluation_files import (
    read_items,
    read_outcomes,
    read_results,
    write_evaluation,
)
from tests.eval.adapters import save_adapter

Make = Callable[..., LmEval]


@pytest.fixture
def model(model_folder: Path) -> LocalModel:
    return LocalModel(str(model_folder), device="cpu", max_length=96)


def _value(evaluation: Evaluation, task: str, metric: str) -> float:
    (value,) = [r.value for r in evaluation.results if (r.task, r.metric) == (task, metric)]
    return value


def test_a_run_is_complete_and_agrees_with_its_items(
    evaluator: Make, model: LocalModel, tmp_path: Path
) -> None:
    state = random.getstate()
    done = evaluator().evaluate(model, None, folder=tmp_path)
    assert random.getstate() == state
    write_evaluation(tmp_path, done)
    assert read_results(tmp_path) == done.results
    assert read_items(tmp_path) == done.items
    assert (tmp_path / "samples.parquet").is_file()
    tasks = {r.task for r in done.results if not r.is_group}
    assert tasks == {"toy_sums", "toy_small", "toy_large"}
    for result in done.results:
        if not result.is_group:
            values = [
                item.value
                for item in done.items
                if (item.task, item.metric, item.filter) == (result.task, result.metric, result.filter)
            ]
            assert result.n == len(values)
            assert result.value == pytest.approx(fmean(values))
    small, large = _value(done, "toy_small", "acc"), _value(done, "toy_large", "acc")
    assert _value(done, "toy_letters", "acc") == pytest.approx((4 * small + 8 * large) / 12)
    assert _value(done, "toy_letters", "acc_macro") == pytest.approx((small + large) / 2)
    assert all(item.doc_hash for item in done.items)
    assert done.versions["lm_eval"]


def test_a_second_run_gives_the_same(evaluator: Make, model: LocalModel, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    suite = evaluator(tasks=["toy_sums"], num_fewshot=2, seed=7)
    assert suite.evaluate(model, None, folder=first) == suite.evaluate(model, None, folder=second)
    assert (first / "samples.parquet").read_bytes() == (second / "samples.parquet").read_bytes()


def test_a_short_context_caps_answers_and_says_so(evaluator: Make, model: LocalModel, tmp_path: Path) -> None:
    done = evaluator(tasks=["toy_sums"], limit=2).evaluate(model, None, folder=tmp_path)
    cut = "answers end at their token limit, unfinished: toy_sums 2 of 2"
    assert done.warnings == ("answers are capped for a context of 96 tokens: toy_sums 200 to 48", cut)
    done = evaluator(tasks=["toy_sums"], limit=2, max_gen_toks=90).evaluate(model, None, folder=tmp_path)
    said, _ = done.warnings
    assert said.endswith("lost their beginnings: toy_sums 2 of 2")


@pytest.mark.parametrize(
    ("asked", "wanted", "cap"), [(40, None, 40), (200, None, 48), (200, 90, 90), (40, 90, 90), (40, 96, 48)]
)
def test_an_answer_has_half_of_the_context_unless_the_user_says_more(
    asked: int, wanted: int | None, cap: int
) -> None:
    assert answer_cap(asked, user_cap=wanted, context=96) == cap


def test_missing_data_are_named_before_anything_runs(evaluator: Make, mirror: Path) -> None:
    (mirror / "toy" / "letters" / "large.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"1 of 3 tasks: toy_large .*allow_partial=true"):
        evaluator().check()
    with pytest.raises(ConfigError, match="1 of 1 tasks"):
        evaluator(tasks=["toy_large"], allow_partial=True).check()


def test_a_relative_data_file_is_answered_with_the_folder_it_was_searched_in(
    task_folder: Path, tmp_path: Path
) -> None:
    files = "dataset_path: json\ndataset_kwargs: {data_files: {test: mine.jsonl}}\ntest_split: test\n"
    (task_folder / "mine.yaml").write_text(f"task: mine\n{files}")
    with pytest.raises(ConfigError, match=r"eval\.tasks: .*no file mine\.jsonl in .*absolute path"):
        LmEval(tasks=["mine"], include=[str(task_folder)]).check()


def test_a_task_without_items_in_its_data_is_named(
    evaluator: Make, model: LocalModel, task_folder: Path, tmp_path: Path
) -> None:
    """A small copy of a data set may lack a category that a task filters for."""
    (task_folder / "none.py").write_text("def none(rows):\n    return rows.select([])\n")
    definition = (
        "include: _letters_yaml\ntask: toy_none\ndataset_name: small\nprocess_docs: !function none.none\n"
    )
    (task_folder / "none.yaml").write_text(definition)
    with pytest.raises(ConfigError, match=r"eval\.tasks: .*'toy_none' hold no item of it\. Add items"):
        evaluator(tasks=["toy_none"]).evaluate(model, None, folder=tmp_path)


def test_a_partial_run_names_what_it_lacks(
    evaluator: Make, model: LocalModel, mirror: Path, tmp_path: Path
) -> None:
    (mirror / "toy" / "letters" / "large.jsonl").unlink()
    suite = evaluator(tasks=["toy_letters"], allow_partial=True, limit=2)
    suite.check()
    done = suite.evaluate(model, None, folder=tmp_path)
    assert done.missing == ("toy_large",)
    assert all(r.missing == ("toy_large",) for r in done.results if r.is_group)
    assert {r.task for r in done.results} == {"toy_letters", "toy_small"}


def test_the_address_is_free_of_speed_and_place(evaluator: Make, mirror: Path, tmp_path: Path) -> None:
    base = address(evaluator().key())
    moved = shutil.copytree(mirror, tmp_path / "elsewhere")
    assert (
        address(evaluator(batch_size=1, batch_tokens=9, mirror=str(moved), allow_partial=True).key()) == base
    )
    others: list[dict[str, object]] = [
        {"limit": 2},
        {"num_fewshot": 3},
        {"max_gen_toks": 8},
        {"seed": 1},
        {"backend": "hf"},
        {"apply_chat_template": True},
        {"tasks": ["toy_sums"]},
        {"primary": {"toy_sums": "exact_match/whole"}},
    ]
    addresses = {address(evaluator(**change).key()) for change in others}
    assert len(addresses | {base}) == len(others) + 1


def test_the_address_changes_with_the_data(evaluator: Make, mirror: Path) -> None:
    base = address(evaluator().key())
    rows = mirror / "toy" / "letters" / "large.jsonl"
    text = rows.read_text()
    rows.write_text(text.replace("Is 1", "Is 9"))
    assert address(evaluator().key()) != base
    rows.write_text(text)
    assert address(evaluator().key()) == base


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mirror": None}, "no source for toy/letters"),
        ({"mirror": "/nowhere/hub"}, "there is no folder"),
        ({"online": True}, "exclude each other"),
        ({"limit": 0}, "eval.limit"),
        ({"batch_size": "many"}, "eval.batch_size"),
        ({"batch_tokens": 0}, "eval.batch_tokens"),
        ({"backend": "vllm"}, "eval.backend"),
        ({"tasks": []}, "eval.tasks"),
        ({"primary": {"toy_sums": "acc"}}, "It has: exact_match/first, exact_match/whole"),
        ({"num_fewshot": {"toy_sum": 1}}, "Did you mean 'toy_sums'"),
        ({"num_fewshot": 2.5}, "2.5 is not a whole number"),
        ({"num_fewshot": -1}, "-1 is not a whole number"),
        ({"num_fewshot": True}, "True is not a whole number"),
        ({"num_fewshot": {"toy_sums": "8"}}, "eval.num_fewshot.toy_sums"),
        ({"include": ["/nowhere/tasks"]}, "eval.include"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_at_the_door(
    evaluator: Make, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluator(**settings).check()


def test_tasks_with_rows_of_their_own_need_no_source(evaluator: Make) -> None:
    evaluator(tasks=["toy_sums"], mirror=None).check()


def test_a_fresh_adapter_changes_nothing(evaluator: Make, model: LocalModel, tmp_path: Path) -> None:
    from nait.training.adapters.adapter_files import save
    from nait.training.adapters.lora import LoraRecipe, attach

    folders = [tmp_path / name for name in ("adapter", "base", "adapted")]
    for folder in folders:
        folder.mkdir()
    save(attach(model.load_network(), LoraRecipe(r=2)), folders[0], base="tiny")
    suite = evaluator(limit=2)
    base = suite.evaluate(model, None, folder=folders[1])
    assert suite.evaluate(model, folders[0], folder=folders[2]) == base


@pytest.mark.parametrize("backend", ["shared_prefix", "hf"])
def test_an_adapter_in_the_weights_gives_its_own_answers(
    backend: str, evaluator: Make, model: LocalModel, tmp_path: Path
) -> None:
    adapter = save_adapter(model, tmp_path / "adapter", std=0.3)
    found, layers = {}, {}
    for merge in (None, "auto", True, False):
        folder = tmp_path / str(merge)
        folder.mkdir()
        suite = evaluator(backend=backend, **({} if merge is None else {"merge_adapter": merge}))
        with suite._opened(model, adapter, []) as lm:
            layers[merge] = [name for name, _ in lm.model.named_parameters() if "lora_" in name]
        found[merge] = suite.evaluate(model, adapter, folder=folder).items
    assert found[None] == found["auto"] == found[True] == found[False]
    (tmp_path / "base").mkdir()
    assert found[None] != evaluator(backend=backend).evaluate(model, None, folder=tmp_path / "base").items
    assert layers[None] == layers["auto"] == layers[True] == []
    assert layers[False]
    keys = [address(dict(evaluator(merge_adapter=merge).key())) for merge in ("auto", True, False)]
    assert len(set(keys)) == 3


def test_a_chat_template_is_put_around_the_prompt(
    evaluator: Make, model_folder: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    folder = Path(shutil.copytree(model_folder, tmp_path / "chat"))
    template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
    (folder / "chat_template.jinja").write_text(template)
    suite = evaluator(tasks=["toy_small"], apply_chat_template=True, limit=1)
    suite.evaluate(LocalModel(str(folder), device="cpu", max_length=96), None, folder=tmp_path)
    (prompt,) = pq.read_table(tmp_path / "samples.parquet")["prompt"].to_pylist()
    assert prompt == "[user]Is 0 small?[assistant]"


def test_a_model_without_a_chat_template_is_refused_one(
    evaluator: Make, model: LocalModel, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no chat template"):
        evaluator(tasks=["toy_sums"], apply_chat_template=True).evaluate(model, None, folder=tmp_path)


def test_a_task_that_cannot_be_built_is_named(evaluator: Make, task_folder: Path, tmp_path: Path) -> None:
    (task_folder / "broken.yaml").write_text(
        "task: broken\ncustom_dataset: !function rows.nothing\ntest_split: test\n"
    )

    class Unopened:
        name, fingerprint, max_length = "unopened", "", 1

        def load(self) -> tuple[object, object]:
            raise AssertionError("the model was opened")

    with pytest.raises(ConfigError, match="task 'broken' cannot be built"):
        evaluator(tasks=["broken"]).evaluate(Unopened(), None, folder=tmp_path)


def test_the_items_of_a_suite_are_what_its_prompts_say() -> None:
    items = LmEval(tasks=["nano_logic"]).items()["nano_logic"]
    assert [item.id for item in items] == [str(i) for i in range(200)]
    assert all(item.texts[0].startswith("### Instruction:") for item in items)


CHAT = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture
def chat_folder(model_folder: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(model_folder, tmp_path / "chat"))
    (folder / "chat_template.jinja").write_text(CHAT)
    return folder


def prompts(folder: Path) -> list[str]:
    import pyarrow.parquet as pq

    found: list[str] = pq.read_table(folder / "samples.parquet")["prompt"].to_pylist()
    return found


def test_examples_in_a_chat_template_are_turns_unless_the_user_says_otherwise(
    evaluator: Make, chat_folder: Path, tmp_path: Path
) -> None:
    model = LocalModel(str(chat_folder), device="cpu", max_length=96)
    suite = {"tasks": ["toy_sums"], "num_fewshot": 1, "limit": 1, "max_gen_toks": 1}
    evaluator(**suite, apply_chat_template=True).evaluate(model, None, folder=tmp_path)
    (turns,) = set(prompts(tmp_path))
    assert turns.count("[user]") == 2
    assert turns.count("[assistant]") == 2
    one = evaluator(**suite, apply_chat_template=True, fewshot_as_multiturn=False)
    one.evaluate(model, None, folder=tmp_path)
    (single,) = set(prompts(tmp_path))
    assert single.count("[user]") == 1
    assert turns != single


def test_prompts_are_those_of_the_harnesss_own_entry(
    evaluator: Make, chat_folder: Path, task_folder: Path, tmp_path: Path
) -> None:
    """`simple_evaluate` is what the command line calls; both make examples turns by default."""
    from lm_eval.config.evaluate_config import EvaluatorConfig
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = LocalModel(str(chat_folder), device="cpu", max_length=96)
    network, tokenizer = model.load()
    theirs = simple_evaluate(
        HFLM(pretrained=network, tokenizer=tokenizer, batch_size=8),
        tasks=["toy_sums"],
        num_fewshot=2,
        apply_chat_template=True,
        gen_kwargs={"max_gen_toks": 4},
        task_manager=TaskManager(include_defaults=False, include_path=str(task_folder)),
    )
    evaluator(tasks=["toy_sums"], num_fewshot=2, apply_chat_template=True).evaluate(
        model, None, folder=tmp_path
    )
    asked = [sample["arguments"][0][0] for sample in theirs["samples"]["toy_sums"]]
    assert set(prompts(tmp_path)) == set(asked)
    config = EvaluatorConfig(model="hf", tasks=["toy_sums"], apply_chat_template=True)
    config._validate_arguments()
    assert config.fewshot_as_multiturn is True


@pytest.mark.slow
def test_prompts_are_those_of_the_harnesss_command_line(
    evaluator: Make, chat_folder: Path, task_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "theirs"
    subprocess.run(
        [
            sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={chat_folder}",
            "--tasks", "toy_sums", "--include_path", str(task_folder), "--num_fewshot", "2", "--apply_chat_template",
            "--gen_kwargs", "max_gen_toks=4",
            "--log_samples", "--output_path", str(out), "--device", "cpu", "--batch_size", "8",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    (samples,) = out.rglob("samples_toy_sums*.jsonl")
    asked = [
        json.loads(line)["arguments"]["gen_args_0"]["arg_0"] for line in samples.read_text().splitlines()
    ]
    model = LocalModel(str(chat_folder), device="cpu", max_length=96)
    evaluator(tasks=["toy_sums"], num_fewshot=2, apply_chat_template=True).evaluate(
        model, None, folder=tmp_path
    )
    assert set(prompts(tmp_path)) == set(asked)


def test_turns_without_a_chat_template_are_refused(evaluator: Make) -> None:
    with pytest.raises(ConfigError, match="apply_chat_template=true"):
        evaluator(fewshot_as_multiturn=True)


def test_turns_are_in_the_address_where_they_decide_the_prompt(evaluator: Make) -> None:
    chat = evaluator(apply_chat_template=True)
    said = evaluator(apply_chat_template=True, fewshot_as_multiturn=True)
    single = evaluator(apply_chat_template=True, fewshot_as_multiturn=False)
    assert address(chat.key()) == address(said.key()) != address(single.key())
    assert address(evaluator().key()) == address(evaluator(fewshot_as_multiturn=False).key())


def test_pythons_random_starts_as_in_the_harness(evaluator: Make, task_folder: Path) -> None:
    """A task that shuffles with the global generator has the order that the command line gives it."""
    (task_folder / "rows.py").write_text(
        "import random\nimport datasets\n\n\ndef sums(**_):\n"
        "    rows = [{'question': str(i), 'answer': '1'} for i in range(9)]\n"
        "    random.shuffle(rows)\n    return {'train': datasets.Dataset.from_list(rows), 'test': "
        "datasets.Dataset.from_list(rows)}\n"
    )
    drawn = list(range(9))
    random.Random(0).shuffle(drawn)
    items = evaluator(tasks=["toy_sums"], num_fewshot=0, seed=7).items()["toy_sums"]
    assert [item.texts[0] for item in items] == [f"{i} is" for i in drawn]


def test_a_task_that_keeps_no_examples_is_named(
    evaluator: Make, task_folder: Path, model: LocalModel, tmp_path: Path
) -> None:
    path = task_folder / "sums.yaml"
    path.write_text(path.read_text().replace("num_fewshot: 1", "num_fewshot: 0"))
    done = evaluator(tasks=["toy_sums"], num_fewshot=2, limit=1).evaluate(model, None, folder=tmp_path)
    assert {result.num_fewshot for result in done.results} == {0}
    assert any("fix 0 examples: toy_sums" in said for said in done.warnings)
    asked = evaluator(tasks=["toy_sums"], num_fewshot=0, limit=1).evaluate(model, None, folder=tmp_path)
    assert not any("fix 0 examples" in said for said in asked.warnings)


PERPLEXITY = """
task: toy_words
custom_dataset: !function rows.sums
output_type: loglikelihood
test_split: test
doc_to_text: "{{question}}"
doc_to_target: " {{answer}}"
metric_list: [{metric: perplexity, aggregation: perplexity, higher_is_better: false}]
"""


def test_a_resampled_error_forks_no_process(
    evaluator: Make, task_folder: Path, model: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISABLE_MULTIPROC", raising=False)
    monkeypatch.setattr(multiprocessing, "Pool", lambda *_: pytest.fail("a process is forked beside threads"))
    (task_folder / "words.yaml").write_text(PERPLEXITY)
    done = evaluator(tasks=["toy_words"]).evaluate(model, None, folder=tmp_path)
    (result,) = done.results
    assert result.stderr is not None
    assert result.value == pytest.approx(math.exp(-fmean(item.value for item in done.items)))
    assert "DISABLE_MULTIPROC" not in os.environ


def test_a_metric_that_is_not_a_mean_over_items_has_no_outcomes(
    evaluator: Make, task_folder: Path, model: LocalModel, tmp_path: Path
) -> None:
    (task_folder / "words.yaml").write_text(PERPLEXITY)
    done = evaluator(tasks=["toy_words", "toy_sums"]).evaluate(model, None, folder=tmp_path)
    write_evaluation(tmp_path, done)
    assert {item.task for item in read_items(tmp_path)} == {"toy_words", "toy_sums"}
    assert {item.task for item in read_outcomes(tmp_path)} == {"toy_sums"}


def test_an_answer_is_counted_at_its_limit_if_a_higher_limit_continues_it(
    evaluator: Make, model: LocalModel, tmp_path: Path
) -> None:
    def run(limit: int) -> tuple[Evaluation, list[str]]:
        folder = tmp_path / str(limit)
        folder.mkdir()
        done = evaluator(tasks=["toy_letters", "toy_sums"], max_gen_toks=limit).evaluate(
            model, None, folder=folder
        )
        samples = pq.read_table(folder / "samples.parquet").to_pylist()
        return done, [row["responses"][0] for row in samples if row["filter"] == "whole"]

    done, answers = run(4)
    _, longer = run(40)
    cut = sum(one != other for one, other in zip(answers, longer, strict=True))
    assert cut
    assert done.answers_at_limit == {"toy_sums": (cut, 3)}
    assert f"answers end at their token limit, unfinished: toy_sums {cut} of 3" in done.warnings


def test_an_answer_that_stops_is_not_counted_at_its_limit(
    evaluator: Make, model: LocalModel, task_folder: Path, tmp_path: Path
) -> None:
    stops = [chr(letter) for letter in range(32, 127)]
    definition = task_folder / "sums.yaml"
    definition.write_text(definition.read_text().replace('["\\n"]', json.dumps(stops)))
    done = evaluator(tasks=["toy_sums"], max_gen_toks=40).evaluate(model, None, folder=tmp_path)
    assert done.answers_at_limit == {"toy_sums": (0, 3)}
    assert not done.warnings


@pytest.mark.parametrize("backend", ["shared_prefix", "hf"])
def test_answers_drawn_at_random_repeat_under_one_address(
    backend: str, evaluator: Make, model: LocalModel, task_folder: Path, tmp_path: Path
) -> None:
    definition = task_folder / "sums.yaml"
    definition.write_text(
        definition.read_text().replace("do_sample: false", "do_sample: true, temperature: 0.9")
    )

    def run(name: str, **settings: int) -> tuple[str, list[list[str]]]:
        (tmp_path / name).mkdir()
        suite = evaluator(tasks=["toy_sums"], max_gen_toks=12, backend=backend, **settings)
        suite.evaluate(model, None, folder=tmp_path / name)
        samples = pq.read_table(tmp_path / name / "samples.parquet").to_pylist()
        return address(suite.key()), [row["responses"] for row in samples]

    once = run("once")
    assert run("again") == once
    for name, settings in (("seed", {"seed": 5}), ("batches", {"batch_size": 1})):
        other = run(name, **settings)
        assert other[0] != once[0]
        batches_decide = backend == "hf" or name == "seed"
        assert (other[1] != once[1]) == batches_decide


def test_a_subset_is_the_items_that_it_says(evaluator: Make, model: LocalModel, tmp_path: Path) -> None:
    whole = evaluator(tasks=["toy_letters"]).evaluate(model, None, folder=tmp_path)
    settings = {"tasks": ["toy_letters"], "spread": {"toy_large": 3, "toy_letters": 2}}
    some = evaluator(**settings)
    done = some.evaluate(model, None, folder=tmp_path)
    numbers = {"toy_small": {0, 2}, "toy_large": {0, 2, 5}}
    assert {(one.task, one.doc_id) for one in done.items} == {(t, i) for t, n in numbers.items() for i in n}
    assert set(done.items) <= set(whole.items)
    evaluated = {
        task: {i for i, one in enumerate(texts) if one.evaluated} for task, texts in some.items().items()
    }
    assert evaluated == numbers
    first = evaluator(**settings, limit=1).evaluate(model, None, folder=tmp_path)
    assert {(one.task, one.doc_id) for one in first.items} == {("toy_small", 0), ("toy_large", 0)}
    assert address(some.key()) != address(evaluator(tasks=["toy_letters"]).key())


def test_answers_are_capped_by_task_or_group(evaluator: Make, model: LocalModel, tmp_path: Path) -> None:
    caps = {"toy_sums": 7, "gsm8k": 3}
    done = evaluator(tasks=["toy_sums"], max_gen_toks=caps, limit=2).evaluate(model, None, folder=tmp_path)
    alike = evaluator(tasks=["toy_sums"], max_gen_toks=7, limit=2).evaluate(model, None, folder=tmp_path)
    assert done.items == alike.items
    assert evaluator(tasks=["toy_sums"], max_gen_toks=caps).key()["max_gen_toks"] == {"toy_sums": 7}
    assert evaluator(tasks=["toy_sums"], max_gen_toks={"gsm8k": 3}).key()["max_gen_toks"] is None
    with pytest.raises(ConfigError, match=r"eval\.spread: unknown task 'toy_lettres'"):
        evaluator(spread={"toy_lettres": 2}).check()
    with pytest.raises(ConfigError, match=r"eval\.max_gen_toks\.toy_sums"):
        evaluator(max_gen_toks={"toy_sums": 0})


def test_a_task_without_its_package_is_refused_before_training(
    evaluator: Make, model: LocalModel, task_folder: Path
) -> None:
    (task_folder / "broken.py").write_text(
        "import a_package_that_is_absent\n\n\ndef text(doc):\n    return ''\n"
    )
    (task_folder / "broken.yaml").write_text(
        "task: broken\ndataset_path: toy/letters\ndataset_name: small\ntest_split: test\n"
        "output_type: generate_until\ndoc_to_text: !function broken.text\ndoc_to_target: ''\n"
    )
    suite = evaluator(tasks=["broken"])
    suite.check()
    assert suite.imports_functions
    assert not evaluator(tasks=["nano_math"]).imports_functions
    with pytest.raises(ConfigError, match=r"a_package_that_is_absent.*Install the package"):
        suite.check_prompts(model)


def test_a_task_that_a_group_and_its_own_name_request_is_counted_once(evaluator: Make) -> None:
    both = evaluator(tasks=["toy_letters", "toy_small", "toy_sums"])
    found = [task for tasks in both.counts().values() for task in tasks]
    assert sorted(found) == ["toy_large", "toy_small", "toy_sums"]
    assert list(both.counts()) == ["toy_letters", "toy_sums"]
    assert list(evaluator(tasks=["toy_small", "toy_letters"]).counts()["toy_letters"]) == ["toy_large"]
