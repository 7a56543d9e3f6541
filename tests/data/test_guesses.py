"""Laws of mapping guesses: the error for a row that no layout fits suggests a correct mapping, or none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.examples import Turn
from nait.core.errors import ConfigError, DataError
from nait.data.columns.hints.mappings.guesses import guess_mapping
from nait.data.columns.hints.omissions import mapping_caveats
from nait.data.columns.hints.row_hints import mapping_text
from nait.data.pools import read_pool

Row = dict[str, Any]
ASK, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}


def write(folder: Path, *rows: Row) -> Path:
    path = folder / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refusal(folder: Path, row: Row, **keys: Any) -> str:
    with pytest.raises(DataError) as caught:
        read_pool(write(folder, row), **keys)
    return str(caught.value)


@pytest.mark.parametrize(
    ("row", "mapping"),
    [
        ({"source": "wiki", "story": "s", "questions": ["q"], "answers": {"input_text": ["a"]}},
         {"prompt": "questions.0", "completion": "answers.input_text.0"}),
        ({"dialogue_id": "d", "background": "b", "questions": ["q"], "answers": {"texts": [["a"]]}},
         {"prompt": "questions.0", "completion": "answers.texts.0.0"}),
        ({"question_id": 81, "category": "writing", "turns": ["q"], "reference": ["a"]},
         {"prompt": "turns.0", "completion": "reference.0"}),
        ({"id": 1, "annotations": [{"result": [{"value": {"text": ["a"]}, "from_name": "n", "type": "t"}]}],
          "data": {"prompt": "q"}, "created_at": "2024"},
         {"prompt": "data.prompt", "completion": "annotations.0.result.0.value.text.0"}),
        ({"title": "t", "paragraphs": [{"context": "c", "qas": [{"question": "q", "answers": [{"text": "a"}]}]}]},
         {"prompt": "paragraphs.0.qas.0.question", "completion": "paragraphs.0.qas.0.answers.0.text",
          "input": "paragraphs.0.context"}),
        ({"input": {"messages": [ASK]}, "preferred_output": [ANSWER], "non_preferred_output": [ANSWER]},
         {"prompt": "input.messages", "completion": "preferred_output"}),
        ({"problem_text": "q", "answer_number": "5", "unit": "m", "source": "s", "solution": "a"},
         {"prompt": "problem_text", "completion": "solution"}),
        ({"prefix": "MOSS is", "plain_text": "[Human]: q<eoh> [MOSS]: a<eoa>"}, {"text": "plain_text"}),
        ({"id": 1, "sentence_eng_Latn": "q", "sentence_deu_Latn": "a"},
         {"prompt": "sentence_eng_Latn", "completion": "sentence_deu_Latn"}),
        ({"inputs": {"messages": [ASK]}, "outputs": {"message": ANSWER}},
         {"prompt": "inputs.messages", "completion": "outputs.message"}),
        ({"request": {"messages": [ASK]}, "choices": [{"message": ANSWER}]},
         {"prompt": "request.messages", "completion": "choices.0.message"}),
        ({"inputs": {"input": [{"type": "human", "data": {"content": "q"}}]},
          "outputs": {"output": {"type": "ai", "data": {"content": "a"}}}},
         {"prompt": "inputs.input", "completion": "outputs.output"}),
        ({"context": [ASK], "response1": "a", "response2": "b"}, {"prompt": "context", "completion": "response1"}),
        ({"prompt": "q", "chosen": [ANSWER], "rejected": [ANSWER]}, {"prompt": "prompt", "completion": "chosen"}),
        ({"messages": [ASK], "answer": "a", "model": "m"}, {"prompt": "messages", "completion": "answer"}),
        ({"messages": [ASK], "ground_truth": "a"}, {"prompt": "messages", "completion": "ground_truth"}),
        ({"prompt": [ASK], "solution": "a"}, {"prompt": "prompt", "completion": "solution"}),
        ({"question": "q", "input_output": "{}", "solutions": "a"},
         {"prompt": "question", "completion": "solutions"}),
        ({"input": "q", "content": "a", "repo_name": "r"}, {"prompt": "input", "completion": "content"}),
        ({"prompt": "q", "text": "a", "seed_data": "s"}, {"prompt": "prompt", "completion": "text"}),
        ({"post": "q", "name": "n", "label": "a"}, {"prompt": "post", "completion": "label"}),
    ],
    ids=["coqa", "quac", "mt_bench", "label_studio", "squad", "openai_dpo", "scibench", "moss_002", "flores",
         "langsmith", "stored_completion", "langchain", "helpsteer3", "chosen_message", "dolphin_r1", "rlvr",
         "prompt_only", "apps", "r1_distill", "cosmopedia", "class"],
)  # fmt: skip
def test_the_suggested_mapping_reads_question_and_answer(
    tmp_path: Path, row: Row, mapping: dict[str, str]
) -> None:
    assert f"data.columns={mapping_text(mapping)}" in refusal(tmp_path, row)
    turns = read_pool(write(tmp_path, row), columns=mapping).examples[0].turns
    assert [(turn.instruction, turn.answer) for turn in turns] == [("q", "a")]


@pytest.mark.parametrize(
    "row",
    [
        {"question_id": 81, "category": "writing", "turns": ["q", "more"]},
        {"answer_id": "x", "model_id": "m", "choices": [{"index": 0, "turns": ["a"]}]},
        {"title": "t", "created_at": "2024", "url": "u"},
        {"id": "b", "response": {"body": {"choices": [{"message": ANSWER}]}}},
    ],
)
def test_labels_and_dates_are_never_suggested_as_question_or_answer(tmp_path: Path, row: Row) -> None:
    assert guess_mapping(row) is None
    assert "data.columns={prompt: COLUMN, completion: COLUMN}" in refusal(tmp_path, row)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"message_tree_id": "t", "prompt": {"text": "q", "role": "prompter", "replies": [ANSWER]}},
         "Each row is a tree of messages"),
        ({"title": "t", "mapping": {"x": {"message": None, "parent": None, "children": ["y"]}}},
         "Each row is a tree of messages"),
        ({"meta_instruction": "m", "chat": {"turn_1": {"Human": "q", "MOSS": "a"}}}, "The turns are an object"),
        ({"role": "prompter", "text": "q", "parent_id": None}, "Each row is one message"),
        ({"What is 1+1?": "2", "What is 2+2?": "4"}, "jq 'to_entries | map({question: .key, answer: .value})'"),
    ],
    ids=["oasst", "chatgpt_export", "moss", "one_message", "question_keys"],
)  # fmt: skip
def test_rows_that_no_mapping_reads_get_no_suggestion(tmp_path: Path, row: Row, said: str) -> None:
    message = refusal(tmp_path, row)
    assert said in message
    assert "columns=" not in message


def test_the_error_states_what_its_mapping_omits(tmp_path: Path) -> None:
    row = {"prompt": "q", "response_0": "a", "response_1": "b", "safer_response_id": 1}
    assert "omit 'response_1'" in refusal(tmp_path, row)
    assert "Only the first item of each list" in mapping_caveats({"q": ["a", "b"]}, {"prompt": "q.0"})
    assert mapping_caveats({"q": ["a"]}, {"prompt": "q.0"}) == ""
    assert "as JSON text" in mapping_caveats({"q": '["a"]'}, {"prompt": "q"})


def test_a_column_with_special_characters_is_quoted() -> None:
    assert mapping_text({"prompt": "Correct Answer"}) == "{prompt: Correct Answer}"
    assert mapping_text({"prompt": 'it\'s "a": (b)'}) == '{prompt: "it\'s \\"a\\": (b)"}'


def test_tools_of_a_row_are_reported_with_the_mapping(tmp_path: Path) -> None:
    assert "has tools" in refusal(tmp_path, {"query": "q", "answers": "[]", "tools": '[{"name": "f"}]'})


@pytest.mark.parametrize(
    "part",
    [
        {"type": "tool_use", "name": "f", "input": {}},
        {"type": "tool_result", "content": "x"},
        {"functionCall": {"name": "f", "args": {}}},
        {"functionResponse": {"name": "f"}},
    ],
)
def test_a_tool_call_part_is_identified(tmp_path: Path, part: Row) -> None:
    row = {"messages": [ASK, {"role": "assistant", "content": [part]}]}
    assert "holds a tool call or a tool result" in refusal(tmp_path, row)


def test_nan_is_a_missing_value(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text('{"instruction": "q", "input": NaN, "system": NaN, "output": "a", "subtask": NaN}\n')
    (example,) = read_pool(path).examples
    assert (example.turns, example.system, example.subtask) == ((Turn("q", "a"),), "", "")
    path.write_text('{"instruction": "q", "output": NaN}\n')
    with pytest.raises(DataError, match="field 'output': is missing"):
        read_pool(path, columns={"output": "output"})


def test_a_comma_after_a_line_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text('{"instruction": "q", "output": "a"},\n' * 2)
    with pytest.raises(DataError, match="Remove the comma after the object"):
        read_pool(path)


@pytest.mark.parametrize(
    ("row", "question", "answer"),
    [
        ({"question": "q", "options": ["A)21", "B)22"], "correct": "B"}, "q\nA. 21\nB. 22", "B"),
        ({"question": "q", "options": ["(A) x", "(B) y"], "answer": "A"}, "q\nA. x\nB. y", "A"),
        ({"question": "q", "options": ["A.5", "B.5"], "answer": "A"}, "q\nA. A.5\nB. B.5", "A"),
        ({"query": "q Choices: (A) x (B)y", "choices": ["(A)x", "(B)y"], "gold": [1]},
         "q Choices: (A) x (B)y", "B"),
    ],
    ids=["aqua", "parentheses", "decimals", "agieval"],
)  # fmt: skip
def test_options_are_listed_once_with_one_label(tmp_path: Path, row: Row, question: str, answer: str) -> None:
    assert read_pool(write(tmp_path, row)).examples[0].turns == (Turn(question, answer),)


def test_a_text_before_the_question_is_its_input(tmp_path: Path) -> None:
    rows = [{"Body": f"There are {n}.", "Question": "How many?", "Answer": str(n)} for n in range(3)]
    pool = read_pool(write(tmp_path, *rows))
    assert {example.turns[0].input for example in pool.examples} == {f"There are {n}." for n in range(3)}


def test_the_end_marker_of_a_transcript_is_not_part_of_an_answer(tmp_path: Path) -> None:
    text = (
        "SYSTEM: s\nUSER: q\n\n\nASSISTANT: a <|endoftext|>\n\n\nUSER: more\n\n\nASSISTANT: b <|endoftext|>"
    )
    (example,) = read_pool(write(tmp_path, {"text": text})).examples
    assert example.turns == (Turn("q", "a"), Turn("more", "b"))
    assert example.system == "s"


def test_a_part_of_a_column_is_not_read_again_as_an_optional_field(tmp_path: Path) -> None:
    row = {"input": {"messages": [ASK]}, "preferred_output": [ANSWER]}
    columns = {"prompt": "input.messages", "completion": "preferred_output"}
    assert "input" not in read_pool(write(tmp_path, row), columns=columns).reading["columns"]


def test_every_mapping_in_an_error_can_be_typed_unchanged(tmp_path: Path) -> None:
    message = refusal(tmp_path, {"question": "q", "best (answer)": "a"})
    (typed,) = re.findall(r"data\.columns=\{[^}]*\}", message)
    from hydra.core.override_parser.overrides_parser import OverridesParser

    value = OverridesParser.create().parse_override(typed).value()
    assert value == {"prompt": "question", "completion": "best (answer)"}


def test_an_input_that_is_not_text_can_be_mapped_or_disabled(tmp_path: Path) -> None:
    row = {"question": "q", "answer": "a", "context": {"contexts": ["c", "d"]}}
    message = refusal(tmp_path, row)
    assert "data.columns={input: context.contexts}, which joins its texts" in message
    assert "data.columns={input: null}" in message
    path = write(tmp_path, row)
    assert read_pool(path, columns={"input": "context.contexts"}).examples[0].turns == (
        Turn("q", "a", "c\n\nd"),
    )
    assert read_pool(path, columns={"input": None}).examples[0].turns == (Turn("q", "a"),)


def test_turns_mend_is_not_suggested_for_a_second_system_message(tmp_path: Path) -> None:
    system = {"role": "system", "content": "s"}
    said = refusal(tmp_path, {"messages": [system, ASK, system, ANSWER]})
    assert "Write one system message" in said
    assert "turns=mend" not in said


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "<image>\nq", "response": "a"},
        {"instruction": "q", "input": "<image>", "output": "a"},
        {"text": "USER: <image>\nq ASSISTANT: a"},
    ],
)
def test_an_image_placeholder_outside_of_messages_is_text_and_counted(tmp_path: Path, row: Row) -> None:
    counts = read_pool(write(tmp_path, row)).reading["counts"]
    assert counts == {"an image, video or audio placeholder, read as text": 1}


@pytest.mark.parametrize(
    "text",
    [
        "<bos><start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\na<end_of_turn>",
        "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n<|endoftext|>",
    ],
)
def test_markers_around_a_transcript_are_stripped(tmp_path: Path, text: str) -> None:
    (example,) = read_pool(write(tmp_path, {"text": text})).examples
    assert (example.system, example.turns) == ("", (Turn("q", "a"),))


def test_a_python_literal_and_an_unusual_separator_are_identified(tmp_path: Path) -> None:
    assert "write it with json.dumps" in refusal(tmp_path, {"messages": "[{'role': 'user', 'content': 'q'}]"})
    path = tmp_path / "pool.csv"
    path.write_text("instruction#output\nq#a\n")
    with pytest.raises(DataError, match=r"set data\.separator='#'"):
        read_pool(path)


def test_the_error_of_a_reversed_mapping_shows_the_right_order(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"before its column: {prompt: ask}"):
        read_pool(write(tmp_path, {"ask": "q", "say": "a"}), columns={"ask": "prompt", "say": "completion"})


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"aliases": ["x"], "value": "a"}, "answer.value"),
        ([{"user_id": "u", "value": "a", "status": "submitted"}], "answer.0.value"),
        ({"messages": [ANSWER]}, "answer.messages"),
        ({"type": "t", "body": "a"}, "answer.body"),
    ],
)
def test_the_suggested_path_of_an_answer_leads_to_its_content(tmp_path: Path, value: Any, path: str) -> None:
    row = {"question": "q", "answer": value}
    assert f"with data.columns={{prompt: question, completion: {path}}}" in refusal(tmp_path, row)
    turns = read_pool(write(tmp_path, row), columns={"completion": path}).examples[0].turns
    assert turns == (Turn("q", "a"),)


def test_the_error_states_that_a_path_reads_only_the_first_item_of_a_list(tmp_path: Path) -> None:
    row = {"question": "q", "answer": ["a", "b"]}
    said = refusal(tmp_path, row)
    assert "{prompt: question, completion: answer.0}, which reads only the first of 2 items" in said


def test_a_list_of_objects_without_roles_is_described(tmp_path: Path) -> None:
    said = refusal(tmp_path, {"interactions": [{"is_user": True, "text": "q"}]})
    assert "'interactions' holds objects with 'is_user', 'text': if they are messages, write" in said


def test_rows_inside_one_object_get_the_field_key_suggested(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    rows = [{"instruction": f"q{i}", "output": "a"} for i in range(3)]
    path.write_text(json.dumps({"result": {"data": rows}}))
    with pytest.raises(DataError, match=r"set data\.field=result\.data\."):
        read_pool(path)
    assert len(read_pool(path, field="result.data")) == 3


def test_a_key_that_is_already_set_is_not_suggested(tmp_path: Path) -> None:
    row = {
        "messages": [{"role": "system", "content": "s"}, ASK, ASK, {"role": "system", "content": "s"}, ANSWER]
    }
    assert "turns=mend" in refusal(tmp_path, {"messages": [ASK, ASK, ANSWER]})
    assert "turns=mend" not in refusal(tmp_path, row, turns="mend")


@pytest.mark.parametrize("messages", [[], [ASK], [ASK, ASK], [ANSWER], [ANSWER, ASK]])
def test_turns_mend_is_suggested_only_where_it_reads_the_row(tmp_path: Path, messages: list[Row]) -> None:
    assert "turns=mend" not in refusal(tmp_path, {"messages": messages})


def test_reasoning_next_to_a_prompt_of_messages_is_part_of_its_answer(tmp_path: Path) -> None:
    path = write(tmp_path, {"prompt": [ASK], "completion": "a", "reasoning": "since"})
    assert read_pool(path).examples[0].turns == (Turn("q", "<think>\nsince\n</think>\n\na"),)
    assert read_pool(path, reasoning="drop").examples[0].turns == (Turn("q", "a"),)


@pytest.mark.parametrize("part", [{"context": "c"}, {"choices": ["x", "y"]}, {"history": [["p", "o"]]}])
def test_a_part_of_a_question_next_to_a_prompt_of_messages_is_refused(tmp_path: Path, part: Row) -> None:
    row = {"prompt": [ASK], "completion": [ANSWER], **part}
    field = {"context": "input", "choices": "options", "history": "history"}[next(iter(part))]
    assert f"or set data.columns={{{field}: null}}" in refusal(tmp_path, row)
    assert read_pool(write(tmp_path, row), columns={field: None}).examples[0].turns == (Turn("q", "a"),)


def test_a_name_that_looks_like_a_number_is_quoted() -> None:
    assert mapping_text({"prompt": "2", "completion": "true"}) == '{prompt: "2", completion: "true"}'


def test_the_marker_before_a_system_text_in_a_separate_column_is_stripped(tmp_path: Path) -> None:
    path = write(tmp_path, {"system": "SYSTEM: s", "chat": "USER: q\n\n\nASSISTANT: a <|endoftext|>"})
    (example,) = read_pool(path, columns={"text": "chat"}).examples
    assert (example.system, example.turns) == ("s", (Turn("q", "a"),))
