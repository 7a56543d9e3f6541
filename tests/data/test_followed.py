"""Laws of advice that is followed literally: the mapping in an error is typed as written, and reads the right row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from nait.core.dataset.examples import Turn
from nait.core.errors import ConfigError, DataError
from nait.data.pools import read_pool, read_target
from tests.data.test_guesses import ANSWER, ASK, Row, refusal, write


def typed(message: str) -> dict[str, Any]:
    """Keys of the overrides that a message names, as the command line parses them."""
    found = re.findall(r"data\.columns=\{[^{}]*\}", message)
    parsed = OverridesParser.create().parse_overrides(found[:1])
    return {str(one.key_or_group).removeprefix("data."): one.value() for one in parsed}


def followed(folder: Path, *rows: Row) -> list[tuple[Turn, ...]]:
    """Turns of the rows, read with the keys that their refusal names."""
    path = write(folder, *rows)
    with pytest.raises(DataError) as caught:
        read_pool(path)
    return [one.turns for one in read_pool(path, **typed(str(caught.value)), id_column=None).examples]


NECTAR = {"prompt": "q", "answers": [{"answer": "b", "rank": 2.0}, {"answer": "a", "rank": 1.0}], "turns": 1}
ULTRA = {
    "instruction": "q", "models": ["m", "n"], "correct_answers": ["None"],
    "completions": [
        {"response": "b", "model": "m", "fine-grained_score": 5.0, "overall_score": 6.5},
        {"response": "a", "model": "n", "fine-grained_score": 4.0, "overall_score": 8.5},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        NECTAR,
        ULTRA,
        {"title": "q", "answers": {"text": ["b", "a"], "score": [1, 7]}, "question": "q"},
        {"question": "q", "answers": [{"text": "b", "pm_score": 1}, {"text": "a", "pm_score": 4}]},
        {"question": "q", "answer": [{"text": "b", "score": "1"}, {"text": "a", "score": "2"}]},
        {"instruction": "q", "responses": ["b", "a"], "reward_scores": [0.1, 0.9]},
    ],
    ids=["nectar", "ultrafeedback", "lists", "stack_exchange", "texts", "columns"],
)
def test_of_several_scored_answers_the_best_is_read(tmp_path: Path, row: Row) -> None:
    assert followed(tmp_path, row) == [(Turn("q", "a"),)]


def test_the_key_of_a_score_is_named(tmp_path: Path) -> None:
    assert "Of the items in 'answers', the mapping reads the one with the lowest 'rank'" in refusal(
        tmp_path, NECTAR
    )
    assert "'completions', the mapping reads the one with the highest 'overall_score'" in refusal(
        tmp_path, ULTRA
    )


def test_a_best_item_is_the_first_of_equal_ones_and_needs_a_number(tmp_path: Path) -> None:
    row = {"q": "q", "a": [{"t": "x"}, {"t": "a", "s": 2}, {"t": "c", "s": 2}, {"t": "d", "s": float("nan")}]}
    columns = {"prompt": "q", "completion": "a.max_by_s.t"}
    assert read_pool(write(tmp_path, row), columns=columns).examples[0].turns == (Turn("q", "a"),)
    row["a"] = [{"t": "x", "s": "high"}]
    with pytest.raises(ConfigError, match=r"there is no column 'a.max_by_s.t'"):
        read_pool(write(tmp_path, row), columns=columns)


@pytest.mark.parametrize(
    "row",
    [
        {"personality": ["i ski"], "candidates": ["no", "a"], "history": ["p", "b", "q"], "conv_id": 0},
        {"personality": ["i ski"], "utterances": [
            {"candidates": ["x"], "history": ["p"]}, {"candidates": ["no", "a"], "history": ["p", "b", "q"]}]},
        {"context": ["p", "b", "q"], "response": "a", "situation": "s"},
        {"dialog_history": ["p", "b", "q"], "response": "a"},
    ],
    ids=["personachat", "utterances", "context", "history"],
)  # fmt: skip
def test_texts_before_an_answer_are_its_conversation(tmp_path: Path, row: Row) -> None:
    assert followed(tmp_path, row) == [(Turn("p", "b", trained=False), Turn("q", "a"))]


@pytest.mark.parametrize(
    ("row", "given"),
    [
        ({"question": "q", "context": {"contexts": ["c", "d"], "labels": ["L", "M"]}, "long_answer": "a"}, "c\n\nd"),
        ({"question": "q", "answer": "a", "context": {"title": ["t"], "sentences": [["c.", " d."], ["e."]]}},
         "c. d.\n\ne."),
        ({"question": "q", "answer": "a", "context": [{"title": "t", "text": "c"}, {"title": "u", "text": "d"}]},
         "c\n\nd"),
        ({"question": "q", "answer": "a", "paragraphs": [{"idx": 0, "paragraph_text": "c"}, {"paragraph_text": "d"}]},
         "c\n\nd"),
    ],
    ids=["pubmedqa", "hotpotqa", "passages", "musique"],
)  # fmt: skip
def test_the_texts_of_an_input_are_joined(tmp_path: Path, row: Row, given: str) -> None:
    assert followed(tmp_path, row) == [(Turn("q", "a", given),)]


def test_an_input_that_is_a_list_of_texts_is_joined_and_counted(tmp_path: Path) -> None:
    pool = read_pool(write(tmp_path, {"question": "q", "context": ["c", "d"], "answer": "a"}))
    assert pool.examples[0].turns == (Turn("q", "a", "c\n\nd"),)
    assert pool.reading["counts"] == {"an input that is a list of texts, joined by blank lines": 1}


def test_the_number_of_joined_texts_is_named(tmp_path: Path) -> None:
    row = {"question": "q", "context": {"contexts": ["c", "d"]}, "long_answer": "a"}
    assert "'context.contexts' is a list: all 2 texts are joined by blank lines" in refusal(tmp_path, row)


def choices(*answers: Any) -> list[Row]:
    return [{"question": f"q{i}", "choices": ["x", "y", "z"], "answer": one} for i, one in enumerate(answers)]


@pytest.mark.parametrize("answers", [(1, 2, 3), ("1", "3", "2"), (3.0, 1.0, 2.0)])
def test_indices_that_count_from_1_are_refused_with_the_key_that_reads_them(
    tmp_path: Path, answers: tuple[Any, ...]
) -> None:
    path = write(tmp_path, *choices(*answers))
    for keys in ({}, {"on_bad": "skip"}):
        with pytest.raises(DataError, match=r"they count from 1: set data\.first_index=1"):
            read_pool(path, **keys)
    with pytest.raises(DataError, match=r"set target\.first_index=1"):
        read_target(path)
    read = {
        one.turns[0].instruction[:2]: one.turns[0].answer for one in read_pool(path, first_index=1).examples
    }
    assert read == {f"q{i}": "xABC"[int(float(answer))] for i, answer in enumerate(answers)}


def test_an_index_0_shows_that_indices_count_from_0(tmp_path: Path) -> None:
    path = write(tmp_path, *choices(0, 3, 1))
    assert [one.turns[0].answer for one in read_pool(path, on_bad="skip", id_column=None).examples].count(
        "A"
    ) == 1
    with pytest.raises(DataError, match=r"If they count from 1, set data\.first_index=1"):
        read_pool(path)
    with pytest.raises(DataError, match="its index from 1"):
        read_pool(path, first_index=1)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "completions": ["s", "t"], "labels": [True, False]},
        {"question": "q", "steps": ["s", "t"], "ratings": [1, -1]},
    ],
)
def test_rated_steps_are_named(tmp_path: Path, row: Row) -> None:
    said = refusal(tmp_path, row)
    assert f"'{list(row)[-1]}' marks the steps of a solution as right or wrong" in said
    assert "columns=" not in said


@pytest.mark.parametrize(
    "row",
    [
        {"message_1": "q", "message_2": "a", "message_3": "r", "message_4": "b"},
        {"user_1": "q", "assistant_1": "a", "user_2": "r", "assistant_2": "b"},
        {"turn1": "q", "turn2": "a", "turn3": "r", "turn4": "b", "topic": "t"},
    ],
)
def test_numbered_columns_are_one_message_each(tmp_path: Path, row: Row) -> None:
    said = refusal(tmp_path, row)
    assert "are one message each: write them as one list" in said
    stems = re.search(r'test\("(.*?)"\)', said)
    assert stems
    kept = [value for name, value in row.items() if re.search(stems[1], name)]
    assert [one.turns for one in read_pool(write(tmp_path, {"messages": kept})).examples] == [
        (Turn("q", "a"), Turn("r", "b"))
    ]


def test_two_numbered_messages_are_a_question_and_its_answer(tmp_path: Path) -> None:
    row = {"message_1": "q", "message_2": "a", "message_3": None}
    assert read_pool(write(tmp_path, row)).examples[0].turns == (Turn("q", "a"),)


def test_an_every_step_reads_all_items(tmp_path: Path) -> None:
    row = {
        "question": "q",
        "answer": "a",
        "ctxs": [{"text": "c"}, {"other": 1}, {"text": "d"}],
        "chat": [ASK, ANSWER],
    }
    pool = read_pool(
        write(tmp_path, row), columns={"prompt": "question", "completion": "answer", "input": "ctxs.*.text"}
    )
    assert pool.examples[0].turns == (Turn("q", "a", "c\n\nd"),)


@pytest.mark.parametrize(
    ("row", "turn"),
    [
        ({"query": "q", "answers": '[{"name": "f"}]', "tools": '[{"name": "f"}]'}, Turn("q", '[{"name": "f"}]')),
        ({"user_input": "q", "retrieved_contexts": ["c", "d"], "response": "a"}, Turn("q", "a", "c\n\nd")),
        ({"citing_prompt": "q", "holding_0": "x", "holding_1": "y", "holding_2": "z", "label": "2"},
         Turn("q\n0. x\n1. y\n2. z", "2")),
        ({"prompt": '["q", "r"]', "response_a": '["a"]', "response_b": '["b"]', "winner_model_a": 1}, Turn("q", "a")),
        ({"id": 1, "data": {"text": "q"}, "annotations": [
            {"result": [{"value": {"choices": ["a"]}, "from_name": "s", "type": "choices"}]}]}, Turn("q", "a")),
        ({"question": "q", "distractor1": "x", "distractor2": "y", "distractor3": "z", "correct_answer": "a"},
         Turn("q", "a")),
        ({"description": "d", "utterances": ["q", "a"]}, Turn("q", "a")),
        ({"instruction": "q", "generations": ["b", "a"], "ratings": [3.0, 5.0]}, Turn("q", "a")),
        ({"name": "n", "instruction": "q", "instances": [{"input": "i", "output": "a"}]}, Turn("q", "a", "i")),
        ({"Ticket ID": "1", "Subject": "s", "Description": "q", "Resolution": "a"}, Turn("q", "a")),
        ({"q_text": "q", "a_text": "a", "context": {"contexts": ["c"]}, "image": "x.png", "weight": 0},
         Turn("q", "a", "c")),
    ],
    ids=["xlam", "ragas", "casehold", "arena", "label_studio", "sciq", "utterances",
         "generations", "instances", "tickets", "several"],
)  # fmt: skip
def test_each_refusal_is_followed_by_the_next_until_the_row_is_read(
    tmp_path: Path, row: Row, turn: Turn
) -> None:
    keys: dict[str, Any] = (
        {"columns": {"prompt": "q_text", "completion": "a_text"}} if "q_text" in row else {}
    )
    path = write(tmp_path, row)
    for _ in range(5):
        try:
            assert [one.turns for one in read_pool(path, **keys).examples] == [(turn,)]
            return
        except DataError as error:
            keys = {**keys, **typed(str(error))}
    pytest.fail(f"no way on from {keys}")


def test_passages_are_the_input_of_a_question(tmp_path: Path) -> None:
    for name in ("contexts", "passages", "documents", "retrieved_documents"):
        row = {"question": "q", name: ["c", "d"], "answer": "a"}
        assert read_pool(write(tmp_path, row)).examples[0].turns == (Turn("q", "a", "c\n\nd"),)


def test_a_request_without_its_answer_is_named(tmp_path: Path) -> None:
    said = refusal(tmp_path, {"custom_id": "r", "method": "POST", "body": {"model": "m", "messages": [ASK]}})
    assert "It is a request without its answer" in said
    assert "columns=" not in said


def test_a_file_type_is_not_a_format(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not the type of a file, which its suffix tells"):
        read_pool(write(tmp_path, {"question": "q", "answer": "a"}), format="json")


def test_reasoning_in_a_column_of_its_own_belongs_to_the_suggested_answer(tmp_path: Path) -> None:
    row = {"problem": "q", "deepseek_reasoning": "t", "deepseek_solution": "a", "domain": "math"}
    assert followed(tmp_path, row) == [(Turn("q", "<think>\nt\n</think>\n\na"),)]


def test_a_better_answer_is_suggested_with_its_reasoning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = {"question": "q", "solution": "a", "b_thinking_trajectory": "t", "b_attempt": "a longer answer"}
    read_pool(write(tmp_path, row))
    assert "data.columns={completion: b_attempt, reasoning: b_thinking_trajectory} reads it" in caplog.text


def test_the_steps_of_a_right_solution_are_joined_by_the_filter_of_the_message(tmp_path: Path) -> None:
    said = refusal(tmp_path, {"prompt": "q", "completions": ["s", "t"], "labels": [True, True]})
    joined = r'{prompt: .prompt, completion: (.completions | join("\n"))}'
    assert f"jq -c 'select(.labels | all) | {joined}'" in said


def test_an_annotated_text_is_the_answer_and_not_the_draft(tmp_path: Path) -> None:
    item = {"result": [{"value": {"text": ["a"]}, "type": "textarea"}]}
    row = {"id": 1, "data": {"prompt": "q", "answer": "draft"}, "annotations": [item]}
    assert followed(tmp_path, row) == [(Turn("q", "a"),)]


def test_a_sharegpt_message_is_an_answer_of_its_own(tmp_path: Path) -> None:
    row = {
        "conversations": [{"from": "human", "value": "q"}],
        "chosen": {"from": "gpt", "value": "a"},
        "rejected": {"from": "gpt", "value": "b"},
    }
    assert followed(tmp_path, row) == [(Turn("q", "a"),)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"custom_id": "1", "params": {"messages": [{"role": "user", "content": "q"}]}}, "is a request"),
        ({"custom_id": "1", "result": {"message": {"content": "a"}}}, "the response to a request"),
        ({"segments": [{"label": False, "text": "q"}, {"label": True, "text": "a"}]}, "select(.label | not).text"),
        ({"prompt": "q", "answers": '[{"id": "1", "html": "a"}]'}, "'answers.0.html' is its first item"),
    ],
    ids=["request", "response", "segments", "json"],
)  # fmt: skip
def test_rows_of_other_tools_are_named(tmp_path: Path, row: Row, said: str) -> None:
    assert said in refusal(tmp_path, row)


def test_an_edited_answer_in_a_list_is_suggested(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    row = {"prompt": "q", "response": "a draft", "new-response": [{"user_id": "u", "value": "a"}]}
    read_pool(write(tmp_path, row))
    assert "data.columns={completion: new-response.0.value} reads it" in caplog.text


def test_text_beside_a_conversation_is_a_warning_with_the_mapping(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messages = [{"author": "user", "content": "q"}, {"author": "bot", "content": "a"}]
    path = write(tmp_path, {"context": "c", "messages": messages})
    read_pool(path)
    assert "data.columns={system: context} reads it as the system text" in caplog.text
    assert read_pool(path, columns={"system": "context"}).examples[0].system == "c"


def test_a_text_before_a_reply_is_the_suggested_prompt(tmp_path: Path) -> None:
    row = {"context": "q", "response": "a", "rots": ["r"], "dialogue_id": 1}
    assert followed(tmp_path, row) == [(Turn("q", "a"),)]
