"""Laws of rows from data-set cards and of exports of tools: the context is never dropped, and each has a way on."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.examples import Turn
from nait.core.errors import DataError
from nait.data.pools import read_pool
from tests.data.test_followed import followed
from tests.data.test_guesses import Row, refusal, write

FOLLOWED: list[tuple[Row, Turn]] = [
    (
        {"ambiguous_question": "q", "qa_pairs": [{"question": "r", "short_answers": ["b"]}],
         "annotations": [{"knowledge": [{"content": "k"}], "long_answer": "a"}]},
        Turn("q", "a"),
    ),
    (
        {"title": "t", "full_text": {"section_name": ["s"], "paragraphs": [["c", "d"], ["e"]]},
         "qas": {"question": ["q"], "answers": [{"answer": [{"free_form_answer": "a", "evidence": ["c"]}]}]}},
        Turn("q", "a", "c d\n\ne"),
    ),
    ({"user_input": "q", "reference_contexts": ["c", "d"], "reference": "a"}, Turn("q", "a", "c\n\nd")),
    (
        {"query": "q", "query_by": {"model_name": "m", "type": "ai"}, "reference_contexts": ["c"],
         "reference_answer": "a", "reference_answer_by": {"model_name": "m", "type": "ai"}},
        Turn("q", "a", "c"),
    ),
    ({"question": "q", "correct_answer": "a", "distractor1": "b", "support": "c"}, Turn("q", "a", "c")),
    ({"question": "q", "evidence": "c", "SQL": "a", "db_id": "d"}, Turn("q", "a", "c")),
    ({"id": 1, "text": "q", "labels": ["a"]}, Turn("q", "a")),
    ({"id": 1, "text": "q", "label": ["a"], "Comments": []}, Turn("q", "a")),
    ({"id": 1, "data": "q", "label": ["a"]}, Turn("q", "a")),
    ({"vars": {"question": "q", "context": "c"}, "assert": [{"type": "equals", "value": "a"}]}, Turn("q", "a", "c")),
    ({"vars": {"topic": "q"}, "assert": [{"type": "equals", "value": "a"}]}, Turn("q", "a")),
    ({"text": "q", "sentiment": "a", "annotator": "1", "lead_time": "3.2"}, Turn("q", "a")),
    ({"text": "q", "intent": 61}, Turn("q", "61")),
    ({"text": "q", "labels": [27], "id": "x"}, Turn("q", "27")),
    ({"claim": "q", "evidence": "c", "label": "a"}, Turn("q", "a", "c")),
    ({"claim": "q", "main_text": "c", "explanation": "e", "label": 0}, Turn("q", "0", "c")),
    ({"text": "q", "prediction": [{"label": "b", "score": 0.9}], "annotation": "a"}, Turn("q", "a")),
    ({"knowledge": "c", "question": "q", "right_answer": "a", "hallucinated_answer": "b"}, Turn("q", "a", "c")),
    ({"question": "q", "gold": "a", "description": "JEE"}, Turn("q", "a")),
    ({"func_documentation_string": "q", "func_code_string": "a", "whole_func_string": "w"}, Turn("q", "a")),
    (
        {"flores_passage": "c", "question": "q", "mc_answer1": "w", "mc_answer2": "x", "mc_answer3": "y",
         "correct_answer_num": "2"},
        Turn("q\n1. w\n2. x\n3. y", "2", "c"),
    ),
    ({"inputs": {"question": "q", "context": "c"}, "outputs": {"answer": "a"}}, Turn("q", "a", "c")),
    ({"sentence1": "q", "sentence2": "c", "score": 3.2}, Turn("q", "3.2", "c")),
    ({"Front": "q", "Back": "a", "Tags": "t"}, Turn("q", "a")),
    ({"prompt": "q", "all_responses": ["b", "a"], "best_response": "a"}, Turn("q", "a")),
    ({"prompt": "q", "winner": "a", "loser": "b"}, Turn("q", "a")),
    ({"prompt": "q", "positive": "a", "negative": "b"}, Turn("q", "a")),
    ({"src": "q", "trg": "a"}, Turn("q", "a")),
    ({"prompt": "<extra_id_1>User\nq\n<extra_id_1>Assistant\n", "chosen_response": "a\n"}, Turn("q", "a")),
    ({"chapter": "q", "summary_text": "a", "summary_name": "n", "book_id": "b"}, Turn("q", "a")),
    ({"statement": "q", "label": 1, "table": {"header": ["h"], "rows": [["r"]]}}, Turn("q", "1")),
    ({"request": "q", "response": "a", "retrieved_context": [{"content": "c", "doc_uri": "u"}]}, Turn("q", "a", "c")),
    ({"document": "c", "questions": ["q", "r"], "answers": ["a", "b"]}, Turn("q", "a", "c")),
    ({"instruction": "q", "inputs": ["c", "d"], "outputs": ["a", "b"]}, Turn("q", "a", "c")),
    ({"transcript": [{"speaker": "x", "text": "q"}, {"speaker": "y", "text": "r"}],
      "summary": "a"}, Turn("q\n\nr", "a")),
    (
        {"title": "t", "responses": [{"response": {"message": "q", "sender": "human"}},
                                     {"response": {"message": "a", "sender": "assistant"}}]},
        Turn("q", "a"),
    ),
    (
        {"text": "q a", "utterances": [{"speaker": "A", "text": "q", "start": 0, "end": 1},
                                       {"speaker": "B", "text": "a", "start": 1, "end": 2}]},
        Turn("q", "a"),
    ),
    ({"messages": [{"sender": "User", "text": "q"}, {"sender": "GPT-4", "text": "a"}]}, Turn("q", "a")),
    ({"question": "q", "mc_answers": ["x", "y"], "correct_index": 1}, Turn("q\nA. x\nB. y", "B")),
    (
        {"context": "c", "question": "q", "answers": ["x", "y"], "correct_answer_id": 1},
        Turn("q\nA. x\nB. y", "B", "c"),
    ),
    ({"question": "q", "initial_answer": "b", "feedback": "f", "refined_answer": "a"}, Turn("q", "a")),
    ({"header": "Gemini Apps", "title": "q", "safeHtmlItem": [{"html": "a"}], "time": "t"}, Turn("q", "a")),
]  # fmt: skip


@pytest.mark.parametrize(("row", "turn"), FOLLOWED)
def test_the_mapping_of_an_error_reads_question_context_and_answer(
    tmp_path: Path, row: Row, turn: Turn
) -> None:
    assert followed(tmp_path, row) == [(turn,)]


READ: list[tuple[Row, Turn]] = [
    (
        {"story": "s", "question": "q", "answer_options": {"A": "x", "B": "y"}, "answer": "B"},
        Turn("q\nA. x\nB. y", "B", "s"),
    ),
    (
        {
            "messages": [
                {"role": "user", "parts": [{"type": "text", "text": "q"}]},
                {"role": "assistant", "parts": [{"type": "step-start"}, {"type": "text", "text": "a"}]},
            ]
        },
        Turn("q", "a"),
    ),
    (
        {"question": "q", "choices": ["x", "y"], "answer": 1, "hint": "h", "image": None},
        Turn("q\nA. x\nB. y", "B", "h"),
    ),
    (
        {"narrative": "n", "question": "q", "choices": "['x', 'y']", "answer_index": 1},
        Turn("q\nA. x\nB. y", "B", "n"),
    ),
    (
        {"question": "q", "answer": "a", "context": [["t", ["s", "r"]], ["u", ["v"]]]},
        Turn("q", "a", "t s r\n\nu v"),
    ),
    (
        {
            "instruction": "q",
            "generation": "a",
            "distilabel_metadata": {"raw_input": [{"role": "user", "content": "q"}]},
        },
        Turn("q", "a"),
    ),
]


@pytest.mark.parametrize(("row", "turn"), READ)
def test_a_row_is_read_with_its_context(tmp_path: Path, row: Row, turn: Turn) -> None:
    assert read_pool(write(tmp_path, row)).examples[0].turns == (turn,)


CONTEXTS: list[tuple[Row, str]] = [
    ({"text": "c", "question": "q", "options": ["x", "y"], "answer": 1}, "data.columns={input: text} reads it"),
    ({"code": "def f(x): return x", "input": "f(1)", "output": "1"}, "data.columns={input: code} reads it"),
    ({"question": "q", "answer": "a", "facts": ["c", "d"]}, "data.columns={input: facts} reads it"),
    ({"query": "q", "answer": "a", "evidence_list": [{"fact": "c"}]}, 'data.columns={input: "evidence_list.*.fact"}'),
    ({"prompt": [{"role": "user", "content": "q"}], "completion": "a", "knowledge": "c"},
     "data.columns={system: knowledge} reads it as the system text"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "said"), CONTEXTS)
def test_a_column_that_may_be_a_part_of_the_question_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, row: Row, said: str
) -> None:
    with caplog.at_level(logging.WARNING):
        read_pool(write(tmp_path, row))
    assert f"is not read: if it is a part of the question, {said}" in caplog.text
    field, column = said.removeprefix("data.columns={").split("}")[0].replace('"', "").split(": ")
    assert read_pool(write(tmp_path, row), columns={field: column}).reading["columns"][field] == column


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Say it.", "output": "a", "text": "### Instruction: Say it. ### Response: a"},
        {"question": "q?", "answer": "The code is f(x), and nothing else.", "code": "f(x)"},
        {
            "question": "q?",
            "answer": "A long answer of many words.",
            "report": "So: A long answer of many words.",
        },
        {"question": "q?", "answer": "a", "context": "c", "text": "t"},
    ],
    ids=["formatted", "a part of the answer", "around the answer", "beside an input"],
)
def test_other_texts_beside_a_question_give_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, row: Row
) -> None:
    with caplog.at_level(logging.WARNING):
        read_pool(write(tmp_path, row))
    assert "is not read" not in caplog.text


@pytest.mark.parametrize("name", ["expected", "ground_truth", "reference"])
def test_an_expected_answer_beside_a_models_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with caplog.at_level(logging.WARNING):
        read_pool(write(tmp_path, {"input": "q", "output": "b", name: "a"}))
    assert f"if it is the right answer, data.columns={{output: {name}}}" not in caplog.text
    assert f"data.columns={{completion: {name}}} reads it" in caplog.text
    pool = read_pool(write(tmp_path, {"input": "q", "output": "b", name: "a"}), columns={"completion": name})
    assert pool.examples[0].turns == (Turn("q", "a"),)
    caplog.clear()
    read_pool(write(tmp_path, {"problem": "q", "solution": "So it is a.", name: "a"}))
    assert "the right answer" not in caplog.text


def test_a_markdown_table_is_not_read_as_rows(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("| prompt | completion |\n|---|---|\n| q | a |\n")
    with pytest.raises(DataError, match=r"is a Markdown table\. Save it as CSV: remove the outer"):
        read_pool(path)


@pytest.mark.parametrize(
    ("name", "filter"), [("a.json", "jq -c '.[] | {messages: .}'"), ("a.jsonl", "'{messages: .}'")]
)
def test_rows_that_are_lists_have_a_filter(tmp_path: Path, name: str, filter: str) -> None:
    path = tmp_path / name
    path.write_text('[["q", "a"], ["r", "b"]]' if name == "a.json" else '["q", "a"]\n["r", "b"]\n')
    with pytest.raises(DataError) as caught:
        read_pool(path)
    assert filter in str(caught.value)


ANSWERS: list[tuple[Row, str]] = [
    ({"prompt": "q", "response": "b", "critique": "c", "revision": "a"}, "'revision' may hold a better one"),
    ({"prompt": "q", "answer": "5", "full_chosen": "So it is 5."}, "'full_chosen' may hold a better one"),
    ({"question": "q", "answer": "y", "choice": ["x", "y"]}, "data.columns={options: choice} reads them"),
]


@pytest.mark.parametrize(("row", "said"), ANSWERS)
def test_unread_answers_and_options_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, row: Row, said: str
) -> None:
    with caplog.at_level(logging.WARNING):
        read_pool(write(tmp_path, row))
    assert said in caplog.text


def test_an_answer_before_its_revision_gives_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read_pool(write(tmp_path, {"question": "q", "answer": "a", "orig_answer": "a long old one"}))
    assert "better" not in caplog.text


def test_lines_above_a_table_are_named(tmp_path: Path) -> None:
    path = tmp_path / "cards.tsv"
    path.write_text("#separator:tab\n#html:true\nq\ta\n")
    with pytest.raises(DataError, match="Lines that begin with # are not read as comments"):
        read_pool(path)


def test_a_list_of_texts_is_joined_where_its_path_says_so(tmp_path: Path) -> None:
    row = {"source": ["q", "r"], "target": ["a", "b"]}
    assert "'source.*' joins the texts of 'source'" in refusal(tmp_path, row)
    columns = {"prompt": "source.*", "completion": "target.*"}
    assert read_pool(write(tmp_path, row), columns=columns).examples[0].turns == (Turn("q\n\nr", "a\n\nb"),)
    row = {"question": "q", "answer": ["a", "b"]}
    assert "'answer.*' joins them" in refusal(tmp_path, row)


def test_the_document_of_a_conversation_can_be_its_system_text(tmp_path: Path) -> None:
    row = {
        "messages": [{"role": "user", "content": "q"}],
        "ctxs": [{"text": "c"}, {"text": "d"}],
        "answers": ["a"],
    }
    columns: dict[str, Any] = {"prompt": "messages", "completion": "answers.0", "input": "ctxs.*.text"}
    with pytest.raises(DataError, match=r'system: "ctxs.\*.text", input: null\}'):
        read_pool(write(tmp_path, row), columns=columns)
    columns |= {"system": "ctxs.*.text", "input": None}
    (example,) = read_pool(write(tmp_path, row), columns=columns).examples
    assert (example.system, example.turns) == ("c\n\nd", (Turn("q", "a"),))


@pytest.mark.parametrize("key", ["text", "utterance"])
def test_two_speakers_with_other_names_have_a_mapping(tmp_path: Path, key: str) -> None:
    row = {"dialog": [{"speaker": "0_Apprentice", key: "q"}, {"speaker": "1_Wizard", key: "a"}]}
    assert followed(tmp_path, row) == [(Turn("q", "a"),)]


@pytest.mark.parametrize(
    "messages",
    [
        [{"from": "A", "text": "q"}, {"from": "B", "text": "a"}, {"from": "C", "text": "b"}],
        [{"from": "A", "text": "q"}, {"from": "B", "text": [{"type": "link", "text": "a"}, " b"]}],
    ],
)
def test_other_speakers_have_no_mapping(tmp_path: Path, messages: list[Row]) -> None:
    message = refusal(tmp_path, {"messages": messages})
    assert "Write the role, user or assistant" in message
    assert "speakers:" not in message


def test_an_evaluation_record_is_not_an_object_of_turns(tmp_path: Path) -> None:
    row = {
        "doc": {"question": "q", "answer": "a"},
        "arguments": {"gen_args_0": {"arg_0": "q"}},
        "resps": [["b"]],
    }
    assert followed(tmp_path, row) == [(Turn("q", "a"),)]


def test_a_table_beside_a_question_has_no_mapping_to_its_header(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read_pool(
            write(tmp_path, {"question": "q", "answer": "a", "table": {"header": ["h"], "rows": [["r"]]}})
        )
    assert (
        "'table' is not read: if it is a part of the question, write it as text into 'input'" in caplog.text
    )


SAID: list[tuple[Row, str]] = [
    ({"prompt": "q", "cluster": "x"}, "'prompt' is a question without an answer"),
    ({"question": "q", "difficulty": "x", "source": "s"}, "'question' is a question without an answer"),
    ({"queries": {"a": "q"}, "corpus": {"n": "d"}, "relevant_docs": {"a": ["n"]}}, "It is retrieval data"),
    ({"query": "q", "positive": "d", "negative": "e"}, "It is retrieval data: 'positive' holds documents"),
    ({"text": "EU x", "label": [[0, 2, "ORG"]]}, "'label' labels parts of a text"),
    (
        {"text": "x", "entities": [{"id": 1, "label": "ORG", "start_offset": 0, "end_offset": 1}]},
        "labels parts",
    ),
    ({"text": "x", "label": '[{"start": 0, "end": 1, "text": "x"}]'}, "'label' labels parts of a text"),
    ({"text": "t", "title": "q", "src": "www"}, "{prompt: title, input: text, completion: COLUMN}"),
    ({"context": "q", "context/0": "p", "response": "a"}, "The columns named below omit 'context/0'"),
    ({"content": "x = 1", "max_stars_repo_path": "p", "license": "mit"}, "Each row is one text"),
    ({"Title": "t", "Poem": "p", "Poet": "x"}, "{prompt: COLUMN, completion: COLUMN}"),
    (
        {"utterances": ["q", "r"], "query": ["s", "t"], "database_id": "d"},
        "{prompt: COLUMN, completion: COLUMN}",
    ),
    (
        {"threadId": "1", "messages": [{"direction": "IN", "text": "q"}]},
        "{prompt: COLUMN, completion: COLUMN}",
    ),
    ({"Conversation": "c", "Author": "Human", "Message": "q", "Time": "t"}, "Each row is one message"),
    (
        {
            "data": {
                "chats": [
                    {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
                ]
            }
        },
        "set data.field=data.chats",
    ),
    ({"turn_1_prompt": "q", "turn_2_prompt": "r", "language": "en"}, "{prompt: COLUMN, completion: COLUMN}"),
    ({"versions": [{"role": "user", "content": []}], "currentlySelected": 0}, "Each row is one message with"),
    ({"question": "q", "final_answer": "a", "r1_solution_1": "b"}, "'r1_solution_1' may hold an answer too"),
    ({"user_input": "q", "response": "a", "reference": "b"}, "'reference' may hold an answer too"),
    (
        {"user_input": "q", "retrieved_contexts": ["c"], "response": "a"},
        "is a list with one text, which is read",
    ),
]


@pytest.mark.parametrize(("row", "said"), SAID)
def test_an_error_says_what_a_row_is(tmp_path: Path, row: Row, said: str) -> None:
    assert said in refusal(tmp_path, row)


def test_question_and_answer_of_one_item_are_read_from_the_same_item(tmp_path: Path) -> None:
    rows = [{"prompt": {"raw": f"q{i}"}, "response": {"output": f"a{i}"}, "score": i} for i in range(2)]
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"evalId": "e", "results": {"version": 3, "results": rows}}))
    with pytest.raises(DataError) as caught:
        read_pool(path)
    assert "set data.field=results.results" in str(caught.value)
    assert "max_by_score" not in str(caught.value)
    columns = {"prompt": "prompt.raw", "completion": "response.output"}
    pool = read_pool(path, field="results.results", columns=columns)
    assert {one.turns for one in pool.examples} == {(Turn("q0", "a0"),), (Turn("q1", "a1"),)}


@pytest.mark.parametrize(
    ("answer", "path"), [('[{"text":["a"]}]', "response.0.text.0"), ('{"text":["a"]}', "response.text.0")]
)
def test_an_answer_that_is_one_text_as_json_text_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: str, path: str
) -> None:
    row: dict[str, Any] = {"prompt": "q", "response": answer}
    with caplog.at_level(logging.WARNING):
        assert read_pool(write(tmp_path, row)).examples[0].turns == (Turn("q", answer),)
    mapping = {"prompt": "prompt", "completion": path}
    assert f"data.columns={{prompt: prompt, completion: {path}}} reads the text in it" in caplog.text
    assert read_pool(write(tmp_path, row), columns=mapping).examples[0].turns == (Turn("q", "a"),)


@pytest.mark.parametrize("answer", ['{"name": "x", "text": "y"}', '["a", "b"]', '{"city": "x"}', "{x}"])
def test_an_answer_that_is_json_as_such_gives_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: str
) -> None:
    with caplog.at_level(logging.WARNING):
        read_pool(write(tmp_path, {"prompt": "q", "response": answer}))
    assert "JSON text" not in caplog.text


def test_the_only_text_of_an_input_is_not_called_joined(tmp_path: Path) -> None:
    row = {"question": "q", "answer": "a", "context": {"contexts": ["c"]}}
    assert "data.columns={input: context.contexts}, which reads its text" in refusal(tmp_path, row)
