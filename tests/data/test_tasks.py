"""Laws of rows from data-set cards and exports: each is read right, or its error says what to type."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from nait.data.columns.hints.mappings.guesses import guess_mapping
from nait.data.columns.hints.row_hints import mapping_text
from nait.data.pools import read_pool
from tests.data.test_guesses import ANSWER, ASK, Row, refusal, write

MAPPED = [
    ({"premise": "q", "hypothesis": "h", "label": 1}, "h", "1"),
    ({"sentence1": "q", "sentence2": "h", "label": "same", "idx": 3}, "h", "same"),
    ({"question1": "q", "question2": "h", "label": 0}, "h", "0"),
    ({"repo": "r/s", "patch": "a", "test_patch": "t", "problem_statement": "q", "hints_text": "h"}, "", "a"),
    ({"message": "q", "old_contents": "h", "new_contents": "a", "subject": "s", "lang": "py"}, "h", "a"),
    ({"sql_prompt": "q", "sql_context": "h", "sql": "a", "sql_explanation": "e"}, "h", "a"),
    ({"db_id": "d", "query": "a", "question": "q", "query_toks": ["a"]}, "", "a"),
    ({"question": "q", "table": {"rows": [["x"]]}, "sql": {"human_readable": "a", "sel": 0}}, "", "a"),
    ({"source": "q", "target": "a", "rationale": "r"}, "", "a"),
    ({"intent": "q", "snippet": "a"}, "", "a"),
    ({"name": "n", "description": "q", "public_tests": {"input": ["1"], "output": ["2"]},
      "solutions": {"language": [3], "solution": ["a"]}}, "", "a"),
    ({"Pre-Revision Question": "o", "Pre-Revision Correct Answer": "p", "Question": "q", "Correct Answer": "a",
      "Incorrect Answer 1": "w"}, "", "a"),
    ({"title": "q", "selftext": "h", "document": "", "subreddit": "s", "answers": {"text": ["a"], "score": [1]}},
     "h", "a"),
    ({"question": {"dataset": "d", "full_text": "q"}, "answer_0": "a", "answer_1": "b", "score_0": 1}, "", "a"),
    ({"history": "q", "human_ref_A": "a", "human_ref_B": "b", "labels": 1}, "", "a"),
    ({"dialogue_id": "d", "services": ["s"], "turns": {"speaker": [0, 1], "utterance": ["q", "a"]}}, "", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "given", "answer"), MAPPED)
def test_columns_of_a_task_are_mapped_to_question_input_and_answer(
    tmp_path: Path, row: Row, given: str, answer: str
) -> None:
    mapping = guess_mapping(row)
    assert mapping is not None
    assert f"data.columns={mapping_text(mapping)}" in refusal(tmp_path, row)
    (turn,) = read_pool(write(tmp_path, row), columns=mapping).examples[0].turns
    assert (turn.instruction, turn.input, turn.answer) == ("q", given, answer)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"user": "U1", "text": "q", "ts": "1.1", "type": "message"}, "Each row is one message"),
        ({"from": "a@x", "to": "b@y", "subject": "s", "body": "q"}, "Each row is one message"),
        ({"conv_id": "c", "speaker_idx": 1, "utterance": "q", "prompt": "p"}, "Each row is one message"),
        ({"input": "q", "target_scores": {"x": 1, "y": 0}}, "'target_scores' has a score for each option"),
        ({"question": "q", "mc1_targets": {"choices": ["x"], "labels": [1]}}, "has a score for each option"),
        ({"tokens": ["x"], "ner_tags": [3]}, "'ner_tags' labels parts of a text"),
        ({"text": "x", "entities": [{"start": 0, "end": 1, "label": "ORG"}]}, "'entities' labels parts of a text"),
        ({"custom_id": "r", "response": {"body": {"choices": [{"message": ANSWER}]}}}, "join the two by 'custom_id'"),
        ({"text": "plain", "url": "u"}, "Each row is one text"),
        ({"key": 1, "prompt": "p", "instruction_id_list": ["x"]}, "Replace COLUMN by the names of your columns"),
        ({"a": {"x": "one"}, "b": {"y": "two"}}, "a row needs a question and an answer"),
    ],
)  # fmt: skip
def test_a_row_that_no_mapping_reads_is_described(tmp_path: Path, row: Row, said: str) -> None:
    assert said in refusal(tmp_path, row)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "q", "response_0": "x", "response_1": "y", "better_response_id": 1},
         "jq -c '. + {completion: [.response_0, .response_1][.better_response_id]}'"),
        ({"prompt": "q", "response_1": "x", "response_2": "y", "preference_strength": -2},
         "'preference_strength' may tell"),
        ({"conversation_a": [ASK, ANSWER], "conversation_b": [ASK, ANSWER], "winner": "model_b"},
         "'winner' may tell"),
        ({"instruction": "q", "responses": ["x", "y"], "reward_scores": [0.1, 0.9]},
         "Of the items in 'responses', the mapping reads the one with the highest 'reward_scores'"),
        ({"instruction": "q", "responses": ["x", "y"], "winner": 1}, "'winner' may tell"),
    ],
)  # fmt: skip
def test_the_error_names_the_column_that_tells_the_preferred_answer(
    tmp_path: Path, row: Row, said: str
) -> None:
    assert said in refusal(tmp_path, row)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [{"from": "A", "text": "q"}, {"from": "B", "text": "a"}]}, "'A' is not a role. Write the role"),
        ({"messages": [{"author": {"name": "A"}, "content": "q"}]}, "Write the role, user or assistant"),
        ({"messages": [{"role": "asistant", "content": "q"}]}, "Did you mean 'assistant'?"),
        ({"input": {"messages": [ASK]}, "output": ANSWER},
         "data.columns={prompt: input.messages, completion: output}"),
        ({"message_1": ASK, "message_2": {**ASK, "content": "a"}},
         "data.columns={prompt: message_1.content, completion: message_2.content}"),
    ],
)  # fmt: skip
def test_the_error_of_a_message_says_what_to_write(tmp_path: Path, row: Row, said: str) -> None:
    message = refusal(tmp_path, row)
    assert said in message
    assert "'ai'" not in message


def test_a_column_of_missing_answers_leaves_the_question_to_another_column(tmp_path: Path) -> None:
    row = {"passage": "p", "question": "q", "options": ["(A)x", "(B)y"], "label": "B", "answer": None}
    (turn,) = read_pool(write(tmp_path, row)).examples[0].turns
    assert (turn.instruction, turn.input, turn.answer) == ("q\nA. x\nB. y", "p", "B")


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"question": "q", "solution": "step by step, 12", "answer": "12"}, "solution"),
        ({"problem": "q", "answer": "4", "generations": ["two and two, 4", "4!"]}, "generations.0"),
        ({"question": "q", "solution": "128", "attempt": "it is 128", "thinking_trajectories": ["t"]}, "attempt"),
        ({"instruction": "q", "response": "a long draft", "corrected.responses": ["better"]},
         "corrected.responses.0"),
    ],
)  # fmt: skip
def test_a_longer_or_corrected_answer_that_is_not_read_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, row: Row, path: str
) -> None:
    pool = read_pool(write(tmp_path, row))
    (warning,) = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    field = list(pool.reading["columns"])[1]
    assert f"data.columns={{{field}: {path}}}" in warning
    held: Any = row[path.removesuffix(".0")]
    (turn,) = read_pool(write(tmp_path, row), columns={field: path}).examples[0].turns
    assert turn.answer == (held[0] if isinstance(held, list) else held)


@pytest.mark.parametrize(
    "row",
    [
        {"problem": "q", "solution": "step by step, 4", "answer": "4"},
        {"question": "q", "options": ["x", "y"], "answer": "B", "rationale": "because of y"},
        {"messages": [ASK, ANSWER], "solution": "a longer one"},
    ],
)
def test_a_shorter_answer_or_one_next_to_options_or_messages_gives_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, row: Row
) -> None:
    read_pool(write(tmp_path, row))
    assert not [one for one in caplog.records if one.levelno == logging.WARNING]
