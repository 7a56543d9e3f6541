"""Laws of an error's advice: what it suggests reads the right answer, or it says why nothing can be suggested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.examples import Turn
from nait.core.errors import ConfigError
from nait.data.columns.hints.mappings.choices import guess_choices
from nait.data.columns.hints.mappings.guesses import guess_mapping
from nait.data.columns.hints.row_hints import mapping_text
from nait.data.pools import read_pool
from tests.data.test_guesses import ANSWER, ASK, Row, refusal, write

CHOICES = [
    ({"context": "c", "question": "q", "answers": ["x", "y", "z"], "label": 1}, "q\nA. x\nB. y\nC. z", "B"),
    ({"question": "q", "answer0": "x", "answer1": "y", "label": 1}, "q\n0. x\n1. y", "1"),
    ({"question": "q", "answerA": "x", "answerB": "y", "label": "1"}, "q\nA. x\nB. y", "B"),
    ({"startphrase": "q", "ending0": "x", "ending1": "y", "label": 0}, "q\n0. x\n1. y", "0"),
    ({"premise": "q", "choice1": "x", "choice2": "y", "label": 1}, "q\n1. x\n2. y", "2"),
    ({"question": "q", "choices": ["x", "y"], "gold_index": 1}, "q\nA. x\nB. y", "B"),
    ({"problem": "q", "candidates": ["x", "y"], "answer_key": "A"}, "q\nA. x\nB. y", "A"),
]


@pytest.mark.parametrize(("row", "question", "answer"), CHOICES)
def test_a_label_chooses_the_answer_and_the_first_option_never_is_one(
    tmp_path: Path, row: Row, question: str, answer: str
) -> None:
    mapping = guess_mapping(row)
    assert mapping is not None
    said = refusal(tmp_path, row)
    assert f"data.columns={mapping_text(mapping)}" in said
    assert "chooses the option: its number counts from 0" in said
    turns = read_pool(write(tmp_path, row), columns=mapping).examples[0].turns
    assert [(turn.instruction, turn.answer) for turn in turns] == [(question, answer)]


@pytest.mark.parametrize(
    "row",
    [
        {"question": "q", "answers": ["x", "y"], "label": 7},
        {"question": "q", "answers": ["x", "y"], "label": True},
        {"question": "q", "answers": ["x", "y"], "label": "positive"},
        {"question": "q", "answers": ["x"], "label": 0},
        {"answers": ["x", "y"], "label": 0},
    ],
)
def test_a_value_that_matches_no_option_does_not_choose_one(row: Row) -> None:
    assert guess_choices(row) is None


def test_options_without_a_chosen_one_are_not_an_answer(tmp_path: Path) -> None:
    said = refusal(tmp_path, {"question": "q", "choices": ["x", "y"], "origin": "o"})
    assert "'choices' holds options: as completion, name the column that chooses one." in said
    assert "choices.0" not in said
    assert "choices.0" not in refusal(tmp_path, {"question": "q", "mc": {"choices": ["x"], "labels": [1]}})


def test_options_in_one_text_are_part_of_the_question(tmp_path: Path) -> None:
    row = {"Problem": "q", "Rationale": "r", "options": "a ) 38 , b ) 27", "correct": "a"}
    assert "data.columns={prompt: Problem, completion: correct}" in refusal(tmp_path, row)
    columns = {"prompt": "Problem", "completion": "correct"}
    assert read_pool(write(tmp_path, row), columns=columns).examples[0].turns == (
        Turn("q\na ) 38 , b ) 27", "a"),
    )


@pytest.mark.parametrize(
    ("row", "mapping"),
    [
        ({"question": "q", "context": {"contexts": ["c"], "labels": ["L"]}, "long_answer": "a"},
         {"prompt": "question", "completion": "long_answer", "input": "context.contexts"}),
        ({"title": "t", "selftext": "b", "answers": {"text": ["a"], "score": [1]}},
         {"prompt": "title", "input": "selftext", "completion": "answers.max_by_score.text"}),
        ({"qid": 1, "title": "t", "body": "b", "answers": [{"text": "a", "pm_score": 2}]},
         {"prompt": "title", "input": "body", "completion": "answers.max_by_pm_score.text"}),
        ({"title": "t", "body": "b", "summary": "a"}, {"prompt": "title", "input": "body", "completion": "summary"}),
        ({"title": "t", "selftext": "b", "score": 3},
         {"prompt": "title", "input": "selftext", "completion": "COLUMN"}),
        ({"info": {"post": "b", "id": "t"}, "summaries": [{"text": "a"}, {"text": "c"}], "choice": 1},
         {"prompt": "info.post", "completion": "summaries.0.text"}),
        ({"history": [{"user": "q", "bot": "a"}]}, {"messages": "history"}),
    ],
    ids=["pubmedqa", "eli5", "stackexchange", "tldr", "reddit", "summaries", "history"],
)  # fmt: skip
def test_labels_are_not_answers_and_a_title_is_the_prompt(
    tmp_path: Path, row: Row, mapping: dict[str, str]
) -> None:
    assert f"data.columns={mapping_text(mapping)}" in refusal(tmp_path, row)


def test_a_title_and_its_body_are_read_together(tmp_path: Path) -> None:
    columns = {"prompt": "title", "input": "selftext", "completion": "answers.text.0"}
    row = {"title": "t", "selftext": "b", "answers": {"text": ["a", "c"]}}
    assert read_pool(write(tmp_path, row), columns=columns).examples[0].turns == (Turn("t", "a", "b"),)


def test_the_other_languages_of_a_column_are_named(tmp_path: Path) -> None:
    row = {"instruction_en": "q", "instruction_fr": "qf", "instruction_zh-CN": "qz", "response": "a"}
    assert "omit 'instruction_fr', 'instruction_zh-CN'" in refusal(tmp_path, row)


def test_an_annotators_verdict_is_not_an_answer(tmp_path: Path) -> None:
    said = refusal(tmp_path, {"text": "t", "answer": "accept", "_input_hash": 1})
    assert "'answer' is an annotator's verdict (accept), not an answer" in said
    assert "completion: answer" not in said


@pytest.mark.parametrize("value", [[], {}, None, 1, True, [[]], [{}], ["accept"]])
def test_values_of_any_type_have_advice(tmp_path: Path, value: Any) -> None:
    for name in ("answer", "choices", "data_row", "history", "title"):
        assert "fits no format" in refusal(tmp_path, {name: value, "selftext": value})


def test_items_of_an_api_response_are_named_with_the_answer_among_them(tmp_path: Path) -> None:
    row: dict[str, Any] = {
        "input": [{"type": "message", **ASK}],
        "output": [{"type": "reasoning", "summary": []}, {"type": "message", **ANSWER}],
    }
    said = refusal(tmp_path, row)
    assert "holds items of an API response other than messages. Keep only its items of type message" in said
    assert "data.columns={prompt: input, completion: output.1}" in said
    turns = (
        read_pool(write(tmp_path, row), columns={"prompt": "input", "completion": "output.1"})
        .examples[0]
        .turns
    )
    assert turns == (Turn("q", "a"),)
    row["output"] = [{"type": "function_call", "name": "f"}]
    assert "Remove such rows: it has no message" in refusal(tmp_path, row)


def test_an_annotated_item_is_named(tmp_path: Path) -> None:
    row = {"data_row": {"row_data": "t"}, "projects": {"p": {"labels": [{"value": "x"}]}}}
    assert "It is an annotated item with the labels of its projects" in refusal(tmp_path, row)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<|start|>user<|message|>q<|end|><|start|>assistant<|channel|>analysis<|message|>t<|end|>"
         "<|start|>assistant<|channel|>final<|message|>a<|return|>", "Its analysis channel is reasoning"),
        ("User: q\nAssistant: a\nAssistant: b\n```\nx\n```", "Role markers inside a code fence"),
    ],
    ids=["channels", "fence"],
)  # fmt: skip
def test_turns_mend_is_not_offered_where_it_joins_reasoning_or_quoted_text(
    tmp_path: Path, text: str, said: str
) -> None:
    message = refusal(tmp_path, {"text": text})
    assert said in message
    assert "turns=mend" not in message


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [], "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
        {"messages": [], "prompt": "q", "completion": "a"},
        {"conversations": [], "messages": [ASK, ANSWER]},
    ],
)
def test_a_filled_column_comes_before_an_empty_conversation(tmp_path: Path, row: Row) -> None:
    assert read_pool(write(tmp_path, row)).examples[0].turns == (Turn("q", "a"),)
    full = {
        "messages": [ASK, ANSWER],
        "conversations": [{"from": "human", "value": "other"}],
        "prompt": "other",
    }
    assert read_pool(write(tmp_path, full)).examples[0].turns == (Turn("q", "a"),)


def test_a_history_of_user_and_bot_is_read(tmp_path: Path) -> None:
    row = {"history": [{"user": "p", "bot": "o"}], "prompt": "q", "response": "a"}
    assert read_pool(write(tmp_path, row)).examples[0].turns == (Turn("p", "o"), Turn("q", "a"))


@pytest.mark.parametrize("name", ["x.txt", "x.yaml", "x"])
def test_a_text_file_is_answered_with_the_form_to_write(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("Q: q\nA: a\n")
    with pytest.raises(ConfigError, match=r"NAME\.json") as caught:
        read_pool(path)
    if name == "x.txt":
        assert '{"question": "...", "answer": "..."}' in str(caught.value)
        assert r'{"text": "Q: ...\nA: ..."}' in str(caught.value)
    assert read_pool(write(tmp_path, {"text": "Q: q\nA: a"})).examples[0].turns == (Turn("q", "a"),)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"question": "ask", "answer": "say"}, "Type {prompt: ask, completion: say}."),
        ({"prompt": "ask", "response": "say"}, "Type {prompt: ask, completion: say}."),
        ({"conversation": "ask"}, "Type {messages: ask}."),
        ({"propmt": "ask"}, "Did you mean 'prompt'?"),
    ],
)
def test_an_unknown_field_is_answered_with_the_mapping_to_type(
    tmp_path: Path, columns: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_pool(write(tmp_path, {"ask": "q", "say": "a"}), columns=columns)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "label", ["Q? Step 1: a +\nStep 2: b -", {"steps": [{"completions": [{"text": "a"}]}]}]
)
def test_steps_with_marks_are_named_and_no_mapping_is_suggested(tmp_path: Path, label: object) -> None:
    row = {"input": "Q? Step 1: a ки\nStep 2: b ки", "question": {"problem": "Q?"}, "label": label}
    said = refusal(tmp_path, row)
    assert "'label' marks the steps of a solution" in said
    assert "data.columns" not in said


@pytest.mark.parametrize(
    ("row", "columns", "question", "answer"),
    [
        (
            {"question": {"stem": "q", "choices": [{"text": "x", "label": "A"}, {"text": "y", "label": "B"}]}}
            | {"answerKey": "B"},
            {"prompt": "question.stem", "completion": "answerKey", "options": "question.choices"},
            "q\nA. x\nB. y",
            "B",
        ),
        (
            {"input": [{"role": "user", "content": "q"}], "ideal": "a"},
            {"prompt": "input", "completion": "ideal"},
            "q",
            "a",
        ),
        (
            {"trajectory": [{"from": "user", "value": "q"}], "response": "a"},
            {"prompt": "trajectory", "completion": "response"},
            "q",
            "a",
        ),
    ],
)
def test_the_mapping_for_a_nested_question_reads_question_and_answer(
    tmp_path: Path, row: Row, columns: dict[str, str], question: str, answer: str
) -> None:
    assert guess_mapping(row) == columns
    turn = read_pool(write(tmp_path, row), columns=columns).examples[0].turns[0]
    assert (turn.instruction, turn.answer) == (question, answer)


def test_a_mapping_with_option_columns_can_be_typed_unchanged() -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    mapping = {"prompt": "q", "completion": "label", "options": ["answer0", "answer 1"]}
    word = f"data.columns={mapping_text(mapping)}"
    assert json.dumps(OverridesParser.create().parse_override(word).value()) == json.dumps(mapping)
