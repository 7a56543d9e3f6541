"""Laws of Hub targets: texts made of columns, joined splits and subsets, and the refusal of evaluated splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nait.core.errors import ConfigError, DataError, NaitError
from nait.data.references.field_texts import FieldText, read_texts
from nait.data.references.harness_exemplars import read_exemplars
from nait.data.references.hub_targets import check_split, chosen_targets, read_hub_target
from tests.hub_mirror import save_mirror

TEXTS = {"instruction": "{question}", "output": "{answer}"}
ROW = {
    "n": 3.0, "half": 0.5, "i": 2, "s": "a-b-c", "list": ["red", 7], "deep": {"text": ["x", "y"]},
    "long": "12.50",
}  # fmt: skip


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_mirror(tmp_path_factory.mktemp("hub"))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("{n} {half} {i}", "3 0.5 2"),
        ("{deep.text.1}", "y"),
        ("{i:letter}", "C"),
        ("{list:options}", "A. red\nB. 7"),
        ("{list:lines}", "red\n7"),
        ("{s:before -}|{s:after -}|{s:before x}", "a|b-c|a-b-c"),
        ("{long:number} {n:number}", "12.5 3"),
        ("{{{s}}}", "{a-b-c}"),
    ],
)
def test_a_text_writes_columns_in_their_forms(text: str, written: str) -> None:
    assert FieldText("target.texts.input", text).of(ROW) == written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{s", "cannot be read"),
        ("{s!r}", "cannot be read"),
        ("{s:upper}", r"cannot be read: '\{s:upper\}'. Write \{column\}"),
        ("{s:before }", "cannot be read"),
        ("{}", "cannot be read"),
        ("plain", "has no column"),
    ],
)
def test_a_text_that_cannot_be_read_names_its_key(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"target\.texts\.input: {message}"):
        FieldText("target.texts.input", text)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"instruction": "{a}"}, "has no output"),
        ({"instruction": "{a}", "ouput": "{b}"}, "Unknown field 'ouput'. Did you mean 'output'"),
    ],
)
def test_texts_have_an_instruction_and_an_output(texts: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_texts(texts, "target.texts")


@pytest.mark.parametrize(
    ("repo", "split"),
    [
        ("openai/gsm8k", "test"),
        ("openai/gsm8k", "train+test[:5]"),
        ("openai/gsm8k", "all"),
        ("a/b", "translate_test"),
        ("a/b", "Test-clean"),
        ("google/xquad", "validation"),
        ("rajpurkar/squad", "validation[:10%]"),
        ("google-research-datasets/tydiqa", "validation"),
        ("google/IFEval", "train"),
        ("HuggingFaceH4/ifeval", "train"),
        ("squad", "validation"),
        ("rajpurkar/squad_v2", "Validation"),
        ("Google/XQuAD", "validation"),
        ("google/xtreme", "validation[:5]"),
        ("a/b", "testing"),
        ("a/b", "testmini"),
        ("a/b", "eval"),
        ("a/b", "evaluation"),
    ],
)
def test_a_split_that_is_evaluated_is_refused(repo: str, split: str) -> None:
    with pytest.raises(ConfigError, match=r"target\.split: .* holds items that benchmarks evaluate"):
        read_hub_target(repo, split=split, mirror="nowhere", texts=TEXTS)


@pytest.mark.parametrize(
    ("repo", "split"),
    [
        ("a/b", "train"),
        ("a/b", "validation"),
        ("a/b", "dev"),
        ("a/b", "latest"),
        ("a/b", "evaluated_train"),
        ("a/b", "contest"),
    ],
)
def test_a_split_that_no_benchmark_evaluates_is_allowed(repo: str, split: str) -> None:
    check_split(repo, split)


def test_splits_and_subsets_are_joined_and_a_subset_is_a_subtask(mirror: Path) -> None:
    texts = {"instruction": "{text}", "output": "{code}"}
    (both,) = read_hub_target(
        "google-research-datasets/mbpp", subset="full", split=["train", "prompt"], mirror=mirror, texts=texts
    )
    assert len(both) == 14
    assert sorted(example.row for example in both.examples) == list(range(14))
    (subjects,) = read_hub_target(
        "cais/mmlu", subset=["anatomy", "virology"], split="dev", mirror=mirror,
        texts={"instruction": "{question}", "output": "{answer:letter}"},
    )  # fmt: skip
    assert {example.subtask for example in subjects.examples} == {"anatomy", "virology"}
    (first,) = read_hub_target(
        "google-research-datasets/mbpp", subset="full", split=["train", "prompt"], mirror=mirror, texts=texts,
        limit=11,
    )  # fmt: skip
    assert sorted(example.row for example in first.examples) == list(range(11))


def test_columns_are_read_like_a_file_without_texts(mirror: Path) -> None:
    (made,) = read_hub_target("openai/gsm8k", subset="main", mirror=mirror)
    assert made.name == "gsm8k"
    assert made.examples[0].turns[0].instruction.startswith("Ann has")
    (options,) = read_hub_target("cais/mmlu", subset="all", split="dev", mirror=mirror, subtask="subject")
    assert {example.subtask for example in options.examples} == {"anatomy", "virology"}
    assert {example.turns[0].answer for example in options.examples} <= {"A", "B", "C", "D"}


def test_a_smaller_sample_is_part_of_a_larger_and_another_seed_draws_others(mirror: Path) -> None:
    def ids(rows: int, seed: int = 0) -> set[str]:
        (made,) = read_hub_target(
            "openai/gsm8k", subset="main", mirror=mirror, texts=TEXTS, rows=rows, seed=seed
        )
        return {example.id for example in made.examples}

    assert ids(3) < ids(6) < ids(12)
    assert ids(3) == ids(3)
    assert len({frozenset(ids(6, seed)) for seed in range(4)}) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"texts": {"instruction": "{qestion}", "output": "{answer}"}},
         r"target\.texts\.instruction: there is no column 'qestion'.*Did you mean 'question'"),
        ({"texts": TEXTS, "columns": {"prompt": "question"}}, r"target\.texts: cannot be combined"),
        ({"texts": TEXTS, "subtask": "topic"}, r"target\.subtask: there is no column 'topic'"),
        ({"texts": {**TEXTS, "output": "{answer:letter}"}}, r"'answer'.*not an index with a letter"),
        ({"texts": TEXTS, "rows": 99}, r"target\.rows: 99 rows are requested, but gsm8k has 12"),
        ({"texts": TEXTS, "split": "tarin"}, r"there is no split 'tarin'. Did you mean 'train'"),
        ({"texts": TEXTS, "revision": "v1"}, r"target\.revision: cannot be combined with target\.mirror"),
        ({"texts": TEXTS, "mirror": "nowhere"}, r"Correct target\.mirror"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_one_error_that_names_it(mirror: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(NaitError, match=message):
        read_hub_target("openai/gsm8k", **{"subset": "main", "mirror": mirror, **options})


def test_without_the_hub_the_error_names_the_targets_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match=r"^target\.path=a/b: .*Set target\.mirror=FOLDER .* or target=file"):
        read_hub_target("a/b", texts=TEXTS)


def test_the_options_of_several_sets_reach_the_sets_that_have_them(mirror: Path) -> None:
    from functools import partial

    sets = {
        "maths": partial(read_hub_target, "openai/gsm8k", subset="main", texts=TEXTS, rows=5),
        "hard": partial(read_exemplars, "bbh/cot_fewshot", name="other"),
    }
    found = chosen_targets(sets, mirror=mirror)
    assert [(one.name, len(one)) for one in found] == [("maths", 5), ("hard", 81)]
    assert [len(one) for one in chosen_targets(sets, mirror=mirror, rows=4)] == [4, 4]
    assert [one.name for one in chosen_targets(sets, capabilities="hard")] == ["hard"]


def test_a_folder_without_exemplars_is_refused() -> None:
    with pytest.raises(ConfigError, match="the harness has no task folder 'bbh/none'"):
        read_exemplars("bbh/none", name="a")
    with pytest.raises(DataError, match="its task files have no exemplars"):
        read_exemplars("bbh/cot_zeroshot", name="a")
    with pytest.raises(DataError, match=r"has no text 'question' and 'target'. Name its keys: input, target"):
        read_exemplars("bbh/cot_fewshot", name="a", question="question")
