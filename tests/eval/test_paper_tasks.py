"""The benchmarks of NAIT's paper: prompts, examples, metrics and protocols, on invented rows and on the real data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nait.core.errors import ConfigError
from nait.eval.code_execution.code_eval import CodeEval
from nait.eval.harness import LmEval
from nait.eval.suites.item_choices import chosen_items, spread
from nait.eval.suites.task_settings import shots
from nait.eval.tasks.xquad.answer_overlap import f1, scores
from nait.models.loading import LocalModel

Shared = Callable[[str], Path]
ROOT = Path(__file__).parents[2]
LANGUAGES = {
    "ar": "arabic", "bn": "bengali", "en": "english", "fi": "finnish", "id": "indonesian", "ko": "korean",
    "ru": "russian", "sw": "swahili", "te": "telugu",
}  # fmt: skip


def preset(name: str) -> dict[str, Any]:
    """The keys of an option of conf/eval that differ from the defaults of `lm_eval`."""
    keys = yaml.safe_load((ROOT / "conf" / "eval" / f"{name}.yaml").read_text())
    bases = [base for base in keys.pop("defaults") if base not in ("_self_", "lm_eval")]
    return {key: value for base in bases for key, value in preset(base).items()} | keys


def write_rows(folder: Path, **splits: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True)
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def prompt(task: Any, number: int) -> str:
    """The harness's prompt of an item."""
    doc = list(task.eval_docs)[number]
    text: str = task.fewshot_context(doc, num_fewshot=task.config.num_fewshot)
    return text


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror with invented rows of SVAMP, GSM8K (the same problem), TyDi QA, GPQA, MATH-500 and MMLU-Redux."""
    hub = tmp_path_factory.mktemp("hub")
    body, question = "Mia has 12 pears and eats 5 of them. ", "How many pears are left?"
    write_rows(hub / "ChilleD/SVAMP", test=[{"Body": body, "Question": question, "Answer": "7.0"}])
    write_rows(
        hub / "openai/gsm8k/main", test=[{"question": f"{body.strip()} {question}", "answer": "So #### 7"}]
    )
    rows = {
        split: [
            {
                "id": f"{name}-{split}-{i}", "title": name, "context": f"{name} {split} {i}.", "question": f"{i}?",
                "answers": {"text": [f"{name} {i}", "other"], "answer_start": [0, 0]},
            }
            for i in range(count)
            for name in LANGUAGES.values()
        ]
        for split, count in {"train": 6, "validation": 2}.items()
    }  # fmt: skip
    write_rows(hub / "google-research-datasets/tydiqa/secondary_task", **rows)
    gpqa = {
        "Question": "Which?",
        "Correct Answer": "right",
        **{f"Incorrect Answer {i}": f"w{i}" for i in (1, 2, 3)},
    }
    write_rows(hub / "Idavidrein/gpqa/gpqa_diamond", train=[gpqa])
    write_rows(
        hub / "HuggingFaceH4/MATH-500", test=[{"problem": "1/2 + 1/4", "solution": "\\boxed{\\frac{3}{4}}"}]
    )
    redux = {"question": "Which?", "choices": ["a", "b", "c", "d"], "answer": 2}
    write_rows(hub / "fxmarty/mmlu-redux-2.0-ok/anatomy", test=[redux])
    return hub


@pytest.fixture(scope="module")
def built(invented: Path) -> Any:
    names = [
        "svamp",
        "gsm8k_cot",
        "tydiqa",
        "gpqa_diamond_zeroshot",
        "hendrycks_math500",
        "mmlu_redux_anatomy_generative",
    ]
    with LmEval(names, mirror=str(invented))._tasks() as tasks:
        yield tasks


def test_svamp_has_the_prompt_and_the_scores_of_gsm8k_cot(built: Any) -> None:
    svamp, gsm8k = built["svamp"], built["gsm8k_cot"]
    assert prompt(svamp, 0) == prompt(gsm8k, 0)
    assert prompt(svamp, 0).count("Q: ") == 9
    doc = next(iter(svamp.eval_docs))
    assert svamp.doc_to_target(doc) == "7"
    for key in ("generation_kwargs", "filter_list", "metric_list", "num_fewshot"):
        assert svamp.dump_config()[key] == gsm8k.dump_config()[key], key
    assert svamp.process_results(doc, ["7."]) == {"exact_match": 1.0}


@pytest.mark.parametrize("language", LANGUAGES)
def test_tydiqa_shows_five_examples_of_the_same_language(language: str, built: Any) -> None:
    task, name = built[f"tydiqa_goldp_{language}"], LANGUAGES[language]
    text = prompt(task, 0)
    assert text.count(f"{name} train") == 5
    assert not any(f"{other} train" in text for other in LANGUAGES.values() if other != name)
    assert len(task.eval_docs) == 2
    scored = task.process_results(list(task.eval_docs)[1], [f" {name} 1"])
    assert scored == {"exact_match": True, "f1": 1.0}


def test_tydiqa_is_the_mean_of_nine_languages(invented: Path) -> None:
    suite = LmEval(["tydiqa"], mirror=str(invented)).suite
    (group,) = suite.groups
    assert len(group.tasks) == 9
    assert [(mean.metric, mean.weight_by_size) for mean in group.means] == [
        ("f1", False),
        ("exact_match", False),
    ]


def test_the_later_benchmarks_score_a_right_answer(built: Any) -> None:
    gpqa, math, redux = (built[name] for name in list(built)[-3:])
    doc = next(iter(gpqa.eval_docs))
    right = gpqa.doc_to_choice(doc).index(doc["answer"])
    assert doc[f"choice{right + 1}"] == "right"
    assert gpqa.process_results(doc, [(float(i == right), False) for i in range(4)])["acc"] == 1.0
    doc = next(iter(math.eval_docs))
    assert math.process_results(doc, ["It is $\\frac{3}{4}$."]) == {"exact_match": 1}
    doc = next(iter(redux.eval_docs))
    assert redux.process_results(doc, ["C"]) == {"exact_match": 1.0}


@pytest.mark.parametrize(
    ("given", "right", "value"),
    [
        ("The big, red dog!", "a dog big", 2 * 2 / (3 + 2)),
        ("cat cat", "cat", 2 * 1 / 3),
        ("blue", "red", 0.0),
        ("", "red", 0.0),
        ("the", "a", 1.0),  # no word is left on either side
        ("丹佛野马队", "丹佛 野马队", 0.0),
        ("Élan", "élan", 1.0),
    ],
)
def test_f1_has_its_hand_computed_values(given: str, right: str, value: float) -> None:
    assert f1(given, right) == pytest.approx(value)


def test_an_answer_is_compared_with_the_nearest_right_one() -> None:
    item = {"answers": {"text": ["in the year 1999", "1999."]}}
    assert scores(item, [" 1999"]) == {"f1": 1.0, "exact_match": 1.0}
    assert scores(item, ["year 1999"]) == {"f1": pytest.approx(0.8), "exact_match": 0.0}


def test_xquad_has_eleven_languages_and_never_shows_the_item_itself(shared: Shared) -> None:
    suite = LmEval(["xquad"], mirror=str(shared("data/hub"))).suite
    (group,) = suite.groups
    assert len(group.tasks) == 11
    assert "xquad_ro" not in group.tasks
    with LmEval(["xquad_de"], mirror=str(shared("data/hub")))._tasks() as tasks:
        text, doc = prompt(tasks["xquad_de"], 3), list(tasks["xquad_de"].eval_docs)[3]
    assert text.count("Frage: ") == text.count("Antwort:") == 6
    assert text.count(doc["question"]) == 1
    assert text.endswith(f"Kontext: {doc['context']}\n\nFrage: {doc['question']}\n\nAntwort:")


def test_the_code_tasks_score_their_own_solutions(shared: Shared) -> None:
    code = CodeEval()
    names = ["humaneval_pass10", "mbpp_sanitized"]
    with LmEval(names, mirror=str(shared("data/hub")), allow_code_execution=True)._tasks(code) as tasks:
        humaneval, mbpp = (tasks[name] for name in names)
        doc = next(iter(humaneval.eval_docs))
        answers = [doc["canonical_solution"], *["    return None\n"] * 19]
        (programs,) = humaneval._filters[0].filters[0]().apply([answers], [doc])
        scored = humaneval.process_results(doc, [programs])
        assert scored == {"pass@10": pytest.approx(0.5), "pass@1": pytest.approx(0.05)}
        with_imports = next(doc for doc in mbpp.eval_docs if doc["test_imports"])
        assert mbpp.process_results(with_imports, [with_imports["code"]]) == {"pass_at_1": 1.0}
        assert prompt(mbpp, 0).count("[DONE]\n\n") == 3
        assert "def similar_elements" in prompt(mbpp, 0)
        assert humaneval.config.repeats == 20
    assert len(code.outcomes) == 21


@pytest.mark.slow
def test_all_solutions_of_mbpp_sanitized_pass(shared: Shared) -> None:
    evaluator = LmEval(["mbpp_sanitized"], mirror=str(shared("data/hub")), allow_code_execution=True)
    with evaluator._tasks(CodeEval()) as tasks:
        mbpp = tasks["mbpp_sanitized"]
        passed = [mbpp.process_results(doc, [doc["code"]])["pass_at_1"] for doc in mbpp.eval_docs]
    assert sum(passed) == len(passed) == 257


def test_the_paper_preset_has_the_papers_protocols() -> None:
    suite = LmEval(**preset("paper"), online=True, allow_code_execution=True).suite
    asked = preset("paper")
    first = {
        name: next(task for task in suite.tasks if task.name in suite.requested[name])
        for name in asked["tasks"]
    }
    numbers = {name: shots(task, suite, asked["num_fewshot"]) for name, task in first.items()}
    assert numbers == {
        "mmlu": 5, "mmlu_pro": 5, "gsm8k_cot": 8, "svamp": 8, "humaneval_pass10": 0, "mbpp_sanitized": 3,
        "tydiqa": 5, "xquad": 5, "bbh_cot_fewshot": 3,
    }  # fmt: skip
    sizes = {
        name: len(suite.requested[name])
        for name in ("mmlu", "mmlu_pro", "tydiqa", "xquad", "bbh_cot_fewshot")
    }
    assert sizes == {"mmlu": 57, "mmlu_pro": 14, "tydiqa": 9, "xquad": 11, "bbh_cot_fewshot": 27}
    drawn = first["humaneval_pass10"].config
    assert drawn["repeats"] == 20
    assert (drawn["generation_kwargs"]["temperature"], drawn["generation_kwargs"]["top_p"]) == (0.8, 0.95)
    assert asked["max_gen_toks"] == {"mmlu_pro": 512}


@pytest.mark.parametrize("name", ["paper", "fast"])
def test_the_papers_benchmarks_need_permission_before_anything_runs(name: str) -> None:
    with pytest.raises(ConfigError, match=r"humaneval_pass10, mbpp_sanitized.*allow_code_execution=true"):
        LmEval(**preset(name), online=True).check()


def test_the_fast_preset_is_a_subset_of_the_paper_preset() -> None:
    fast, paper = preset("fast"), preset("paper")
    subset = fast.pop("spread")
    assert fast == paper
    assert set(subset) == set(paper["tasks"])


def test_presets_with_the_papers_benchmarks_have_its_gsm8k() -> None:
    for name in ("paper", "fast", "mmlu_gsm8k_bbh"):
        assert "gsm8k_cot" in preset(name)["tasks"]
        assert "gsm8k" not in preset(name)["tasks"]


def test_the_later_benchmarks_are_known() -> None:
    suite = LmEval(**preset("modern"), online=True).suite
    assert {name: len(tasks) for name, tasks in suite.requested.items()} == {
        "gpqa_diamond_zeroshot": 1, "hendrycks_math500": 1, "mmlu_redux_generative": 57,
    }  # fmt: skip


def test_a_subset_is_spread_over_the_items() -> None:
    assert list(spread(10, 4)) == [0, 2, 5, 7]
    assert list(spread(3, 5)) == list(spread(3, None)) == [0, 1, 2]
    assert chosen_items(10, 4, 3) == [0, 2, 5]
    assert chosen_items(10, None, 3) == [0, 1, 2]


@pytest.mark.slow
def test_the_paper_preset_runs_from_a_mirror(invented: Path, shared: Shared, tmp_path: Path) -> None:
    for root in (shared("data/hub"), invented):
        for place in root.glob("*/*"):
            made = tmp_path / "hub" / place.parent.name / place.name
            made.parent.mkdir(parents=True, exist_ok=True)
            if not made.exists():
                made.symlink_to(place)
    short = {"spread": 1, "max_gen_toks": 8, "allow_partial": True, "allow_code_execution": True}
    evaluator = LmEval(**{**preset("paper"), **short}, mirror=str(tmp_path / "hub"))
    evaluator.check()
    model = LocalModel(str(shared("models/stories260K")), device="cpu")
    done = evaluator.evaluate(model, None, folder=tmp_path)
    main = {one.task: one for one in done.results if one.primary and one.task in evaluator.tasks}
    assert {name: (one.metric, one.filter) for name, one in main.items()} == {
        "mmlu": ("acc", ""), "mmlu_pro": ("exact_match_macro", "custom-extract"),
        "gsm8k_cot": ("exact_match", "flexible-extract"), "svamp": ("exact_match", "flexible-extract"),
        "humaneval_pass10": ("pass@10", "program"), "mbpp_sanitized": ("pass_at_1", ""), "tydiqa": ("f1", ""),
        "xquad": ("f1", ""), "bbh_cot_fewshot": ("exact_match_macro", "get-answer"),
    }  # fmt: skip
    assert all(name.startswith("bbh_") for name in done.missing)
    assert {one.n for name, one in main.items() if not one.is_group} == {1}
    assert done.code_execution["programs"] == 21
