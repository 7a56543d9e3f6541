"""Laws of shapes: rows of public data sets and exports are read correctly by default, or with one key."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nait.core.dataset.examples import Example, Pool, Turn
from nait.core.errors import ConfigError, DataError
from nait.data.pools import read_pool, read_target

Row = dict[str, Any]


def write(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Pool of these rows."""

    def _read(*rows: Row, **keys: Any) -> Pool:
        return read_pool(write(tmp_path / "pool.jsonl", list(rows)), **keys)

    return _read


def only(pool: Pool) -> Example:
    assert len(pool) == 1
    return pool.examples[0]


CHAT = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
PLAIN = (Turn("q", "a"),)
TWO = (Turn("q", "a"), Turn("more?", "b"))


@pytest.mark.parametrize(
    "row",
    [
        {"data": ["q", "a"]},
        {"conversations": ["q", "a"], "source": "web"},
        {"conversation": [{"input": "q", "output": "a"}]},
        {"conversation": [{"human": "q", "assistant": "a"}]},
        {"prompt": CHAT[:1], "completion": CHAT[1:]},
        {"prompt": CHAT[:1], "completion": "a"},
        {"prompt": "q", "completion": CHAT[1:]},
        {"messages": json.dumps(CHAT)},
        {"messages": [{"role": "User", "content": "q"}, {"role": " ASSISTANT", "content": "a"}]},
        {"messages": [{"role": "prompter", "text": "q"}, {"role": "bot", "text": "a"}]},
        {"messages": [{"role": "USER", "message": "q"}, {"role": "CHATBOT", "message": "a"}]},
        {
            "contents": [
                {"role": "user", "parts": [{"text": "q"}]},
                {"role": "model", "parts": [{"text": "a"}]},
            ]
        },
        {"dialogue": [{"speaker": "human", "text": "q"}, {"speaker": "ai", "text": "a"}]},
        {"messages": [CHAT[0], {"role": "assistant", "content": [{"type": "output_text", "text": "a"}]}]},
        {"input": "q", "output": "a"},
        {"inputs": "q", "targets": "a"},
        {"Question": "q", "Answer": "a"},
        {"INSTRUCTION": "q", "RESPONSE": "a"},
        {"problem": "q", "solution": "a"},
        {"user": "q", "assistant": "a"},
        {"message_1": "q", "message_2": "a"},
        {"text": "### Human: q### Assistant: a"},
        {"text": "\n\nHuman: q\n\nAssistant: a"},
        {"text": "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n"},
        {"text": "<s>[INST] q [/INST] a </s>"},
        {"text": "<|user|>\nq</s>\n<|assistant|>\na</s>"},
        {"text": "USER: q ASSISTANT: a</s>"},
        {"text": "Below is an instruction.\n\n### Instruction:\nq\n\n### Response:\na"},
        {"text": "<start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\na<end_of_turn>\n"},
    ],
    ids=lambda row: json.dumps(row)[:60],
)
def test_one_question_and_its_answer_are_read_in_every_notation(read: Any, row: Row) -> None:
    assert only(read(row)).turns == PLAIN


@pytest.mark.parametrize(
    "row",
    [
        {"data": ["q", "a", "more?", "b"]},
        {"text": "### Human: q### Assistant: a### Human: more?### Assistant: b"},
        {"text": "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nq [/INST] a </s><s>[INST] more? [/INST] b </s>"},
        {"instruction": "more?", "output": "b", "history": [["q", "a"]]},
        {"prompt": "more?", "response": "b", "history": CHAT},
        {"conversations": [["q", "a"], ["more?", "b"]]},
    ],
    ids=lambda row: json.dumps(row)[:40],
)
def test_earlier_turns_are_turns(read: Any, row: Row) -> None:
    example = only(read(row))
    assert example.turns == TWO
    assert example.system == ("Be kind." if "<<SYS>>" in json.dumps(row) else "")


@pytest.mark.parametrize(
    ("row", "system", "turn"),
    [
        ({"instruction": "q", "input": "i", "response": "a"}, "", Turn("q", "a", "i")),
        ({"instruction": "q", "context": "i", "output": "a"}, "", Turn("q", "a", "i")),
        ({"question": "q", "context": "i", "answer": "a"}, "", Turn("q", "a", "i")),
        ({"system_prompt": "s", "question": "q", "response": "a"}, "s", Turn("q", "a")),
        ({"system_message": "s", "messages": CHAT}, "s", Turn("q", "a")),
        ({"systemInstruction": {"parts": [{"text": "s"}]}, "contents": CHAT}, "s", Turn("q", "a")),
        ({"definition": "q", "inputs": "i", "targets": "a"}, "", Turn("q", "a", "i")),
        (
            {"inputs": [1], "targets": [2], "inputs_pretokenized": "q", "targets_pretokenized": "a"},
            "",
            Turn("q", "a"),
        ),
        ({"Question": "q", "Complex_CoT": "t", "Response": "a"}, "", Turn("q", "<think>\nt\n</think>\n\na")),
        ({"text": "Intro.\n### Instruction:\nq\n### Input:\ni\n### Response:\na"}, "", Turn("q", "a", "i")),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else "",
)
def test_optional_parts_are_found_under_their_usual_names(
    read: Any, row: Row, system: str, turn: Turn
) -> None:
    example = only(read(row))
    assert (example.system, example.turns) == (system, (turn,))


OPTIONS = "q\nA. w\nB. x\nC. y"


@pytest.mark.parametrize(
    ("row", "turn"),
    [
        ({"question": "q", "choices": ["w", "x", "y"], "answer": 1}, Turn(OPTIONS, "B")),
        ({"question": "q", "options": ["w", "x", "y"], "answer": "C", "answer_index": 2}, Turn(OPTIONS, "C")),
        ({"question": "q", "options": ["w", "x", "y"], "answer": "x"}, Turn(OPTIONS, "x")),
        ({"question": "q", "options": {"A": "w", "B": "x", "C": "y"}, "answer_idx": "B"}, Turn(OPTIONS, "B")),
        (
            {
                "question": "q",
                "choices": {"text": ["w", "x", "y"], "label": ["A", "B", "C"]},
                "answerKey": "A",
            },
            Turn(OPTIONS, "A"),
        ),
        (
            {"question": "q", "choices": {"text": ["w", "x"], "label": ["1", "2"]}, "answerKey": "2"},
            Turn("q\n1. w\n2. x", "2"),
        ),
        (
            {"question": "q", "opa": "w", "opb": "x", "opc": "y", "opd": "z", "cop": 3},
            Turn(OPTIONS + "\nD. z", "D"),
        ),
        (
            {"Question": "q", "A": "w", "B": "x", "C": "y", "D": "z", "Answer": "A"},
            Turn(OPTIONS + "\nD. z", "A"),
        ),
        ({"sentence": "q", "option1": "w", "option2": "x", "answer": "2"}, Turn("q\n1. w\n2. x", "2")),
        ({"goal": "q", "sol1": "w", "sol2": "x", "label": 1}, Turn("q\nA. w\nB. x", "B")),
        ({"ctx": "q", "endings": ["w", "x", "y"], "label": "2"}, Turn(OPTIONS, "C")),
        (
            {"article": "i", "question": "q", "options": ["w", "x", "y"], "answer": "A"},
            Turn(OPTIONS, "A", "i"),
        ),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_a_question_shows_its_options_and_is_answered_by_a_label(read: Any, row: Row, turn: Turn) -> None:
    assert only(read(row)).turns == (turn,)


def test_a_multiple_choice_set_is_a_reference_set_too(tmp_path: Path) -> None:
    rows = [{"question": f"q{i}", "choices": ["w", "x"], "answer": i % 2} for i in range(4)]
    (target,) = read_target(write(tmp_path / "mmlu.jsonl", rows))
    assert sorted(one.turns[0].answer for one in target.examples) == ["A", "A", "B", "B"]


def test_options_that_are_one_text_are_shown_as_they_are(read: Any) -> None:
    row = {"question": "q", "options": "A) w B) x", "answer": "B"}
    assert only(read(row)).turns == (Turn("q\nA) w B) x", "B"),)
    with pytest.raises(DataError, match="field 'options': holds an unpaired surrogate"):
        read({**row, "options": "A) \ud800"})


def test_a_number_that_matches_no_option_is_a_fault(read: Any) -> None:
    with pytest.raises(DataError, match=r"field 'answer': matches none of the options"):
        read({"question": "q", "choices": ["w", "x"], "answer": -1})


def test_an_answer_of_weight_0_is_context(read: Any) -> None:
    for off, on in (
        ({"weight": 0}, {"weight": 1}),
        ({"train": False}, {"train": True}),
        ({"loss": False}, {}),
    ):
        bad = {"role": "assistant", "content": "BAD", **off}
        pool = read({"messages": [CHAT[0], bad, {"role": "user", "content": "again"}, {**CHAT[1], **on}]})
        assert only(pool).turns == (Turn("q", "BAD", trained=False), Turn("again", "a"))
        assert sum(pool.reading["counts"].values()) == 1


def test_a_turn_after_the_last_trained_answer_is_removed_and_counted(read: Any) -> None:
    bad = {"role": "assistant", "content": "BAD", "weight": 0}
    pool = read({"messages": [*CHAT, CHAT[0], bad]})
    assert only(pool).turns == PLAIN
    assert pool.reading["counts"]["turns after the last trained answer removed"] == 1


def test_an_answer_in_a_prompt_is_context(read: Any) -> None:
    row = {
        "prompt": [*CHAT, {"role": "user", "content": "more?"}],
        "completion": [{"role": "assistant", "content": "b"}],
    }
    assert only(read(row)).turns == (Turn("q", "a", trained=False), Turn("more?", "b"))


@pytest.mark.parametrize("key", ["thinking", "reasoning_content", "reasoning"])
def test_reasoning_is_kept_or_dropped_by_a_key_and_counted(read: Any, key: str) -> None:
    row = {"messages": [CHAT[0], {**CHAT[1], key: "hm"}]}
    kept, dropped = read(row), read(row, reasoning="drop")
    assert only(kept).turns == (Turn("q", "<think>\nhm\n</think>\n\na"),)
    assert kept.reading["counts"] == {"reasoning kept as <think>": 1}
    assert only(dropped).turns == PLAIN
    assert dropped.reading["counts"] == {"reasoning dropped": 1}
    inline = {"messages": [CHAT[0], {"role": "assistant", "content": "<think>\nhm\n</think>\n\na"}]}
    assert only(read(inline)).turns == only(kept).turns
    assert only(read(inline, reasoning="drop")).turns == PLAIN


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": [CHAT[0], {**CHAT[1], "tool_calls": [{"id": 1}]}]}, "tool call"),
        ({"messages": [CHAT[0], {**CHAT[1], "function_call": {"name": "f"}}]}, "tool call"),
        ({"messages": CHAT, "tools": [{"type": "function"}]}, "has tools"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, CHAT[1]]},
            "not text",
        ),
        ({"messages": [{"role": "user", "content": "<image>\nWhat?"}, CHAT[1]]}, "placeholder"),
        (
            {
                "image": "a.jpg",
                "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}],
            },
            "image",
        ),
        ({"messages": [CHAT[0], {**CHAT[1], "weight": 0.5}]}, "weight other than"),
        ({"messages": [*CHAT, CHAT[0]]}, "ends with the user"),
        ({"prompt": "q", "completion": "a", "label": False}, "undesirable"),
        ({"text": "USER: q ASSISTANT: a FUNCTION\nFUNCTION RESPONSE: b"}, "tool call"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_represented_is_refused_by_row_and_can_be_skipped(
    read: Any, row: Row, words: str
) -> None:
    good = {"messages": CHAT} if "messages" in row else {**row, "image": None}
    good |= {"label": True} if "label" in row else {"text": "USER: q ASSISTANT: a"} if "text" in row else {}
    with pytest.raises(DataError, match=f"line 2, field .*{words}.*on_bad=skip"):
        read(good, row)
    pool = read(good, row, on_bad="skip")
    assert (only(pool).turns, sum(pool.skipped.values())) == (PLAIN, 1)


def test_turns_out_of_order_are_mended_by_a_key_and_counted(read: Any) -> None:
    talk = [CHAT[1], CHAT[0], {"role": "user", "content": "q2"}, CHAT[1], CHAT[0]]
    pool = read({"messages": talk}, turns="mend")
    assert only(pool).turns == (Turn("q\n\nq2", "a"),)
    assert sum(pool.reading["counts"].values()) == 3


def test_null_ids_are_derived_from_the_content(read: Any) -> None:
    pool = read(
        {"id": None, "instruction": "q", "output": "a"}, {"id": "x", "instruction": "q", "output": "b"}
    )
    assert {one.id for one in pool.examples} == {"x", pool.examples[0].id, pool.examples[1].id}
    assert pool.reading["counts"] == {"no id, derived from the content": 1}


def test_the_layout_is_detected_from_the_first_rows_together(read: Any) -> None:
    shared = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    pool = read({"conversations": []}, {"conversations": shared}, on_bad="skip")
    assert only(pool).turns == PLAIN
    late = read({"instruction": "q", "output": "a"}, {"instruction": "q2", "output": "b", "system": "s"})
    assert sorted(one.system for one in late.examples) == ["", "s"]


def test_a_column_that_appears_after_the_first_rows_fills_its_field(read: Any) -> None:
    rows = [{"instruction": f"q{i}", "output": "a"} for i in range(250)]
    pool = read(*rows, {"instruction": "last", "output": "a", "system": "s", "note": "n"})
    assert [one.system for one in pool.examples if one.turns[0].instruction == "last"] == ["s"]
    assert pool.reading["columns"]["system"] == "system"
    assert pool.reading["unused"] == ["note"]


def test_a_label_without_booleans_is_unused_text(read: Any) -> None:
    pool = read({"prompt": "q", "completion": "a", "label": "maths"})
    assert pool.reading["columns"] == {"prompt": "prompt", "completion": "completion"}
    assert pool.reading["unused"] == ["label"]


def test_a_column_the_user_assigns_leaves_the_defaults(read: Any) -> None:
    row = {"input": "q", "output": "a"}
    assert only(read(row, columns={"instruction": "input"})).turns == PLAIN
    with pytest.raises(
        ConfigError, match=r"data.columns.input: column 'input' is already assigned to 'instruction'"
    ):
        read(row, columns={"instruction": "input", "input": "input"})


def test_a_value_inside_a_column_is_selected_by_its_path(read: Any) -> None:
    row = {"question": "q", "answers": {"text": ["a"]}, "request": {"messages": CHAT}}
    assert only(read(row, columns={"prompt": "question", "completion": "answers.text.0"})).turns == PLAIN
    assert only(read(row, columns={"messages": "request.messages"})).turns == PLAIN
    with pytest.raises(DataError, match=r"is an object, not text.*completion: answers.text.0"):
        read(row, columns={"prompt": "question", "completion": "answers"})


@pytest.mark.parametrize(
    ("row", "mapping"),
    [
        ({"prompt": "q", "chosen": CHAT, "rejected": CHAT}, {"messages": "chosen"}),
        (
            {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"},
            {"text": "chosen"},
        ),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, {"prompt": "prompt", "completion": "chosen"}),
        (
            {"prompt": CHAT[:1], "chosen": CHAT[1:], "rejected": CHAT[1:]},
            {"prompt": "prompt", "completion": "chosen"},
        ),
        ({"custom_id": "1", "body": {"messages": CHAT}}, {"messages": "body.messages"}),
        (
            {"id": "1", "question": "q", "answers": {"text": ["a"]}},
            {"prompt": "question", "completion": "answers.text.0"},
        ),
        (
            {"instruction": "q", "completions": [{"model": "m", "response": "a"}]},
            {"prompt": "instruction", "completion": "completions.0.response"},
        ),
        (
            {"translation": {"de": "q", "en": "a"}},
            {"prompt": "translation.de", "completion": "translation.en"},
        ),
        (
            {
                "name": "n",
                "chat_messages": [{"sender": "human", "text": "q"}, {"sender": "assistant", "text": "a"}],
            },
            {"messages": "chat_messages"},
        ),
        ({"topic": "t", "chat": "USER: q ASSISTANT: a"}, {"text": "chat"}),
        ({"input": "Intro.\n[|Human|] q\n[|AI|] a"}, {"text": "input"}),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_the_error_suggests_a_mapping_for_a_row_of_no_format(
    read: Any, row: Row, mapping: dict[str, str]
) -> None:
    written = ", ".join(f"{name}: {column}" for name, column in mapping.items())
    with pytest.raises(DataError, match=rf"data\.columns={{{written}}}"):
        read(row)
    assert only(read(row, columns=mapping)).turns == PLAIN


@pytest.mark.parametrize(("value", "text"), [(5, "5"), (2.5, "2.5"), (True, "true")])
def test_a_number_is_an_answer_where_the_user_has_assigned_its_column(
    read: Any, value: Any, text: str
) -> None:
    row = {"question": "q", "answer": value}
    with pytest.raises(DataError, match=r"convert it as written with data\.columns={completion: answer}"):
        read(row)
    assert only(read(row, columns={"completion": "answer"})).turns == (Turn("q", text),)


def test_rows_that_are_not_examples_are_identified(read: Any) -> None:
    with pytest.raises(DataError, match="Each row is one message"):
        read({"role": "prompter", "text": "q", "parent_id": None})
    with pytest.raises(DataError, match="Each row is one text, without the role markers"):
        read({"text": "Once upon a time."})


def test_text_that_is_not_used_is_listed_once_and_only_columns_that_exist_are_named(
    read: Any, caplog: pytest.LogCaptureFixture
) -> None:
    chat = [CHAT[0], {**CHAT[1], "comment": "c"}]
    with caplog.at_level(logging.INFO):
        pool = read(*({"messages": chat, "topic": "t", "score": 3, "n": i} for i in range(3)))
    assert pool.reading["unused"] == ["topic", "messages[].comment"]
    assert pool.reading["columns"] == {"messages": "messages"}
    lines = [record.getMessage() for record in caplog.records]
    assert sum("is not used: 'topic', 'messages[].comment'" in line for line in lines) == 1
    assert not any("system" in line for line in lines)


def test_every_bad_row_is_counted_and_the_first_20_are_named(read: Any) -> None:
    with pytest.raises(DataError) as caught:
        read({"instruction": "q", "output": "a"}, *({"instruction": "q"} for _ in range(25)))
    text = str(caught.value)
    assert "25 rows cannot be used:" in text
    assert [f"line {i}, field 'output': is missing" in text for i in (2, 21, 22)] == [True, True, False]
    assert "and 5 more" in text
    assert text.endswith("or set data.on_bad=skip.")


def test_empty_instructions_and_answers_are_counted(read: Any) -> None:
    pool = read(*({"instruction": q, "output": a} for q, a in (("q", "a"), ("q2", " "), ("", "a2"))))
    assert pool.reading["counts"] == {"empty answer": 1, "empty instruction": 1}
    with pytest.raises(DataError, match="none of its 2 rows has an answer to train on"):
        read({"instruction": "q", "output": ""}, {"instruction": "r", "output": ""})


def test_reference_rows_without_an_answer_are_not_sampled(tmp_path: Path) -> None:
    rows = [{"instruction": f"q{i}", "output": "a" if i % 2 else ""} for i in range(8)]
    (target,) = read_target(write(tmp_path / "refs.jsonl", rows), rows=4)
    assert (len(target), target.skipped) == (4, {"empty answer": 4})


def json_file(path: Path, value: Any, **options: Any) -> Path:
    path.write_text(json.dumps(value, **options))
    return path


ALPACA = [{"instruction": f"q{i}", "input": "", "output": f"a{i}"} for i in range(3)]


@pytest.mark.parametrize(
    "value",
    [
        {"version": "1", "data": ALPACA},
        {"rows": [{"row_idx": i, "row": row, "truncated_cells": []} for i, row in enumerate(ALPACA)]},
        {name: {str(i): row[name] for i, row in enumerate(ALPACA)} for name in ALPACA[0]},
        {str(i): row for i, row in enumerate(ALPACA)},
        {name: [row[name] for row in ALPACA] for name in ALPACA[0]},
        {"columns": list(ALPACA[0]), "index": [0, 1, 2], "data": [list(row.values()) for row in ALPACA]},
        {"schema": {"fields": []}, "data": ALPACA},
    ],
    ids=["data", "viewer", "columns", "index", "list", "split", "table"],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_rows_inside_one_object_are_found(tmp_path: Path, value: Any, indent: int | None) -> None:
    array = read_pool(json_file(tmp_path / "a.json", ALPACA))
    assert read_pool(json_file(tmp_path / "b.json", value, indent=indent)).fingerprint == array.fingerprint


def test_indented_objects_one_after_the_other_and_an_array_under_jsonl_are_read(tmp_path: Path) -> None:
    array = read_pool(json_file(tmp_path / "a.json", ALPACA))
    for name in ("b.json", "b.jsonl"):
        (tmp_path / name).write_text("\n".join(json.dumps(row, indent=2) for row in ALPACA))
        assert read_pool(tmp_path / name).fingerprint == array.fingerprint
        assert read_pool(json_file(tmp_path / name, ALPACA, indent=1)).fingerprint == array.fingerprint


def test_an_object_of_several_lists_names_them_and_a_key_chooses(tmp_path: Path) -> None:
    path = json_file(tmp_path / "a.json", {"train": ALPACA, "test": ALPACA[:1]})
    with pytest.raises(
        DataError, match=r"several lists of rows: 'train', 'test'. Name one: data.field=train"
    ):
        read_pool(path)
    assert len(read_pool(path, field="test")) == 1
    with pytest.raises(
        ConfigError, match=r"data.field: 'tset' is not a list of rows.* It has 'train' \(a list\)"
    ):
        read_pool(path, field="tset")
    with pytest.raises(ConfigError, match=r"data\.field: applies"):
        read_pool(json_file(tmp_path / "b.json", ALPACA), field="train")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "sep"])
def test_csv_is_read_with_any_usual_separator(tmp_path: Path, separator: str, mark: str) -> None:
    path = tmp_path / "a.csv"
    head = f"sep={separator}\r\n" if mark else ""
    lines = [separator.join(cells) for cells in (("instruction", "output"), ("q", '"a, b; c"'))]
    path.write_text("\ufeff" + head + "\r\n".join(lines))
    assert only(read_pool(path)).turns == (Turn("q", "a, b; c"),)
    path.write_text("instruction#output\nq#a\n")
    assert only(read_pool(path, separator="#")).turns == PLAIN


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig", "cp1252", "gb18030"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_other_encodings_are_detected_or_set_by_a_key(tmp_path: Path, encoding: str, name: str) -> None:
    row = {"instruction": "é?", "output": "ü"}
    text = {
        "a.jsonl": json.dumps(row, ensure_ascii=False) + "\n",
        "a.json": json.dumps([row], ensure_ascii=False),
    }
    raw = text.get(name, "instruction,output\né?,ü\n").encode(encoding)
    (tmp_path / name).write_bytes(raw)
    known = encoding in ("utf-16", "utf-8-sig") or (encoding == "utf-16-le" and name != "a.csv")
    if not known:
        with pytest.raises(DataError, match=r"data.encoding"):
            read_pool(tmp_path / name)
    pool = read_pool(tmp_path / name, encoding=None if known else encoding)
    assert only(pool).turns == (Turn("é?", "ü"),)
    assert pool.source is not None
    assert json.loads(next(pool.source.lines([0]))) == row


def test_a_gzip_file_without_its_suffix_is_read(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "a.jsonl").write_bytes(gzip.compress(json.dumps(ALPACA[0]).encode()))
    assert len(read_pool(tmp_path / "a.jsonl")) == 1


def test_a_folder_a_pattern_and_a_list_of_shards_are_one_pool(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    (folder / ".cache").mkdir(parents=True)
    for i, row in enumerate(ALPACA):
        pq.write_table(pa.Table.from_pylist([row]), folder / f"train-0000{i}-of-00003.parquet")
    (folder / "README.md").write_text("A set.")
    (folder / ".cache" / "a.parquet").write_text("none")
    whole = read_pool(write(tmp_path / "all.jsonl", ALPACA))
    pools = [
        read_pool(folder),
        read_pool(f"{folder}/*.parquet"),
        read_pool([str(path) for path in sorted(folder.glob("*.parquet"))]),
    ]
    assert [pool.fingerprint for pool in pools] == [whole.fingerprint] * 3
    assert [pool.name for pool in pools] == ["shards", "shards", "train"]
    assert sorted(example.row for example in pools[0].examples) == [0, 1, 2]


def test_a_folder_of_several_data_sets_lists_them(tmp_path: Path) -> None:
    for name in ("train.jsonl", "test.jsonl"):
        write(tmp_path / name, ALPACA)
    with pytest.raises(
        DataError, match=r"several sets or file types: test .*; train .* Name one: data.path='.*test.jsonl'"
    ):
        read_pool(tmp_path)


@pytest.mark.parametrize("name", ["../rows.jsonl", "/rows.jsonl", "sub/../../rows.jsonl", "..", ""])
def test_a_saved_data_set_names_no_file_outside_its_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    (tmp_path / "one").mkdir()
    (tmp_path / "one/state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(DataError, match=r"state\.json: lists .*not a file of its folder"):
        read_pool(tmp_path / "one")


def test_a_folder_of_save_to_disk_is_a_pool(tmp_path: Path) -> None:
    import datasets

    held = datasets.Dataset.from_list(ALPACA)
    held.save_to_disk(tmp_path / "one", num_shards=2)
    datasets.DatasetDict({"train": held, "test": held}).save_to_disk(tmp_path / "two")
    whole = read_pool(write(tmp_path / "all.jsonl", ALPACA))
    assert read_pool(tmp_path / "one").fingerprint == whole.fingerprint
    assert read_pool(tmp_path / "two" / "train").fingerprint == whole.fingerprint
    with pytest.raises(
        DataError, match=r"holds several splits: train, test. Name one: data.path=.*two/train"
    ):
        read_pool(tmp_path / "two")
