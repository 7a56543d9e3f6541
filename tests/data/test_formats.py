"""Laws of formats: equal content in every notation, and faults with their field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nait.core.dataset.examples import Turn
from nait.core.errors import ConfigError
from nait.data.chat.marks import has_template_markers, has_tool_call
from nait.data.columns.formats import FORMATS, SHAPES, find_layout
from nait.data.columns.layouts import Content
from nait.data.row_errors import Row, RowError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(
    lambda one: not (has_template_markers(one) or has_tool_call(one))
)
turns = st.lists(st.builds(Turn, instruction=texts, answer=texts), min_size=1, max_size=3)
QUESTION = {"role": "user", "content": "Sum?"}
ANSWER = {"role": "assistant", "content": "5"}


def conversation(said: list[Turn], system: str, names: tuple[str, ...]) -> list[dict[str, str]]:
    role, text, head, user, assistant = names
    messages = [{role: head, text: system}] if system else []
    for turn in said:
        messages += [{role: user, text: turn.instruction}, {role: assistant, text: turn.answer}]
    return messages


def fault(row: Row, **options: Any) -> RowError:
    with pytest.raises(RowError) as caught:
        find_layout(row, **options).read(row)
    return caught.value


@settings(deadline=None)  # a layout is found once a file, and here 12 times an example
@given(said=turns, system=texts, subtask=texts)
def test_chat_and_sharegpt_give_the_same_turns(said: list[Turn], system: str, subtask: str) -> None:
    chat = conversation(said, system, ("role", "content", "system", "user", "assistant"))
    shared = conversation(said, system, ("from", "value", "system", "human", "gpt"))
    content = Content(tuple(said), system, subtask)
    for column in ("messages", "conversation", "conversations"):
        for messages, format in ((chat, "messages"), (shared, "sharegpt")):
            row = {column: messages, "subtask": subtask, "prompt": "p", "completion": "c"}
            layout = find_layout(row)
            assert layout.format == format
            assert layout.read(row) == content


@settings(max_examples=25, deadline=None)
@given(question=texts, answer=texts, system=texts)
def test_pairs_of_columns_and_a_conversation_of_one_turn_are_equal(
    question: str, answer: str, system: str
) -> None:
    content = Content((Turn(question, answer),), system, "")
    for shape in SHAPES:
        if shape.format in ("messages", "sharegpt", "text") or shape.needs_options:
            continue
        row = {**dict(zip(shape.required.values(), (question, answer), strict=True)), "system": system}
        assert find_layout(row).read(row) == content
        assert find_layout(row, format=shape.format).read(row) == content
    chat = {
        "messages": conversation(
            list(content.turns), system, ("role", "content", "system", "user", "assistant")
        )
    }
    assert find_layout(chat).read(chat) == content


@given(instruction=texts, given_input=st.none() | texts, output=texts)
def test_alpaca_rows_have_an_optional_input(instruction: str, given_input: str | None, output: str) -> None:
    row = {"instruction": instruction, "input": given_input, "output": output}
    assert find_layout(row).read(row).turns == (Turn(instruction, output, given_input or ""),)


def test_dolly_columns_are_alpaca_with_other_names() -> None:
    row = {"instruction": "a", "context": "b", "response": "c", "category": "open_qa"}
    assert find_layout(row, columns={"subtask": "category"}).read(row) == Content(
        (Turn("a", "c", "b"),), "", "open_qa"
    )


def test_an_empty_answer_is_an_answer() -> None:
    row = {"instruction": "a", "output": ""}
    assert find_layout(row).read(row).turns == (Turn("a", ""),)


def test_parts_of_text_are_joined() -> None:
    parts = [{"type": "text", "text": "5"}, {"type": "text", "text": " apples"}]
    row = {"messages": [QUESTION, {"role": "assistant", "content": parts}]}
    assert find_layout(row).read(row).turns == (Turn("Sum?", "5 apples"),)


def test_columns_may_be_renamed_in_any_format() -> None:
    row = {"q": "a", "a": "b", "more": "c", "topic": 7, "talk": [QUESTION, ANSWER]}
    alpaca = find_layout(
        row, columns={"instruction": "q", "output": "a", "input": "more", "subtask": "topic"}
    )
    assert alpaca.read(row) == Content((Turn("a", "b", "c"),), "", "7")
    assert find_layout(row, columns={"prompt": "q", "completion": "a"}).format == "prompt_completion"
    assert find_layout(row, columns={"messages": "talk"}).read(row).turns == (Turn("Sum?", "5"),)


def test_the_requested_format_takes_precedence() -> None:
    row = {
        "messages": [QUESTION, ANSWER],
        "prompt": "p",
        "completion": "c",
        "instruction": "i",
        "output": "o",
    }
    answers = {
        format: find_layout(row, format=format).read(row).turns[0].answer
        for format in FORMATS
        if format not in ("sharegpt", "text")
    }
    assert answers == {"messages": "5", "alpaca": "o", "prompt_completion": "c"}


def test_an_optional_column_can_be_switched_off() -> None:
    row = {"instruction": "a", "output": "b", "subtask": ["not", "text"], "system": 3}
    assert fault(row).column == "system"
    assert find_layout(row, columns={"subtask": None, "system": None}).read(row) == Content(
        (Turn("a", "b"),), "", ""
    )


@pytest.mark.parametrize(
    ("row", "column", "at", "what", "fix"),
    [
        ({"instruction": "a", "output": None}, "output", "", "is missing", "Give every row a text"),
        ({"instruction": None, "output": "b"}, "instruction", "", "is missing", "Give every row a text"),
        ({"instruction": "a", "output": 5}, "output", "", "is a number, not text", "Write it as text"),
        ({"instruction": "a", "output": "b", "input": [5]}, "input", "", "is a list, not text", "Write it"),
        ({"prompt": "a", "completion": {}}, "completion", "", "is an object, not text", "Write it"),
        (
            {"prompt": "a\ud83d", "completion": "b"},
            "prompt",
            "",
            "holds an unpaired surrogate",
            "at character 1",
        ),
        (
            {"prompt": "a", "completion": "b", "subtask": True},
            "subtask",
            "",
            "is true or false",
            "subtask: null",
        ),
        ({"messages": []}, "messages", "", "has no user message", "ending with an answer"),
        (
            {"messages": [{"role": "system", "content": "s"}]},
            "messages",
            "",
            "has no user message",
            "ending with an answer",
        ),
        ({"messages": [QUESTION]}, "messages", "", "ends with the user", "ending with an answer"),
        ({"messages": [ANSWER]}, "messages", "[0]", "begins with the assistant", "ending with an answer"),
        ({"messages": [QUESTION, ANSWER, QUESTION]}, "messages", "", "ends with the user", "turns=mend"),
        (
            {"messages": [ANSWER, QUESTION, ANSWER]},
            "messages",
            "[0]",
            "begins with the assistant",
            "turns=mend",
        ),
        (
            {"messages": [QUESTION, QUESTION, ANSWER]},
            "messages",
            "[1]",
            "two user messages",
            "turns=mend",
        ),
        (
            {"messages": [QUESTION, ANSWER, ANSWER]},
            "messages",
            "[2]",
            "two assistant messages",
            "turns",
        ),
        (
            {"messages": [QUESTION, {"role": "system", "content": ""}]},
            "messages",
            "[1]",
            "system message",
            "system message first",
        ),
        (
            {"messages": [QUESTION, {"role": "tool", "content": "x"}]},
            "messages",
            "[1]",
            "a tool call",
            "remove",
        ),
        (
            {"messages": [QUESTION, {**ANSWER, "tool_calls": [{}]}]},
            "messages",
            "[1]",
            "a tool call",
            "remove",
        ),
        (
            {"messages": [QUESTION, {"role": "assistent"}]},
            "messages",
            "[1].role",
            "unknown role",
            "'assistant'?",
        ),
        ({"messages": [QUESTION, {"role": "assistant"}]}, "messages", "[1].content", "is missing", "Give"),
        (
            {"messages": [QUESTION, {"role": "assistant", "content": 5}]},
            "messages",
            "[1].content",
            "number",
            "text",
        ),
        (
            {"messages": [QUESTION, "5"]},
            "messages",
            "[1]",
            "holds text instead of a message",
            "{role: ..., content: ...}",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "messages",
            "[0].content[0]",
            "not text",
            "parts",
        ),
        (
            {"conversations": [{"from": "human", "value": "a"}]},
            "conversations",
            "",
            "ends with the user",
            "ending with an answer",
        ),
        (
            {"messages": [{"role": "system", "content": "s"}, QUESTION, ANSWER], "system": "t"},
            "system",
            "",
            "differs",
            "Keep one",
        ),
    ],
)
def test_a_fault_names_its_field_and_the_mend(row: Row, column: str, at: str, what: str, fix: str) -> None:
    error = fault(row)
    assert (error.column, error.at) == (column, at)
    assert what in error.what
    assert fix in error.fix


def test_a_row_that_lacks_its_conversation_is_at_fault() -> None:
    row: Row = {"messages": [QUESTION, ANSWER]}
    layout = find_layout(row)
    with pytest.raises(RowError, match="is missing"):
        layout.read({})
    assert fault({"messages": "a chat"}, format="messages").what == "is text, not a list"


def test_columns_that_fit_no_format_are_shown_with_the_formats() -> None:
    error = fault({"q": "a", "n": 1})
    assert error.what == "fits no format"
    assert "It has 'q' (text), 'n' (a number). Formats: messages (" in error.fix
    assert "prompt_completion (prompt+completion or question+answer" in error.fix
    assert "data.columns={prompt: COLUMN, completion: COLUMN}" in error.fix
    assert fault({"q": "a"}, format="alpaca").what == "does not fit the format alpaca"
    assert "target.columns={messages: COLUMN}" in fault({"q": "a"}, format="messages", group="target").fix


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "alpacca"}, r"data.format: Unknown format 'alpacca'. Did you mean 'alpaca'\?"),
        (
            {"columns": {"instuction": "q"}},
            r"data.columns: Unknown field 'instuction'. Did you mean 'instruction'\?",
        ),
        (
            {"columns": {"instruction": "qq"}},
            r"data.columns.instruction: there is no column 'qq' in the first row",
        ),
        ({"columns": {"output": None}}, r"required field 'output' is null. Give it a column"),
        ({"format": "alpaca", "columns": {"prompt": "q"}}, r"Unknown field 'prompt'"),
    ],
)
def test_a_misspelt_key_is_a_config_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_layout({"q": "a", "a": "b"}, **options)


@pytest.mark.parametrize(
    ("row", "possible"),
    [
        ({"question": "Sum?", "choices": ["3", "4"], "answer": 1}, ("A", "B")),
        (
            {"question": "Sum?", "choices": {"text": ["3", "4"], "label": ["1", "2"]}, "answerKey": "2"},
            ("1", "2"),
        ),
        ({"question": "Sum?", "options": ["three", "four"], "answer": "four"}, ("three", "four")),
        ({"question": "Sum?", "options": ["three", "four"], "answer": "It is four."}, ()),
        ({"question": "Sum?", "options": "A. 3\nB. 4", "answer": "B"}, ()),
        ({"question": "Sum?", "options": ["four", "four"], "answer": "four"}, ()),
        ({"question": "Sum?", "options": [" ", "4"], "answer": "B"}, ("A", "B")),
        ({"question": "Sum?", "answer": "4"}, ()),
    ],
)
def test_a_turn_has_the_answers_to_choose_from_as_its_answer_is_written(
    row: Row, possible: tuple[str, ...]
) -> None:
    (turn,) = find_layout(row).read(row).turns
    assert turn.options == possible
    assert not possible or turn.answer in possible


def test_a_rows_id_does_not_depend_on_its_options() -> None:
    from nait.core.dataset.examples import content_id

    assert content_id("", [Turn("q", "A", options=("A", "B"))]) == content_id("", [Turn("q", "A")])
    assert Turn("q", "A", options=("A", "B")) == Turn("q", "A")
