"""Laws of silence: a part of a row that is not read is listed, counted or refused, never dropped unseen."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nait.core.dataset.examples import Turn
from nait.core.errors import DataError
from nait.data.pools import read_pool

Row = dict[str, Any]
ASK, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
PAIR = {"instruction": "q", "output": "a"}
MARK = "an image, video or audio placeholder, read as text"


def write(folder: Path, *rows: Row) -> Path:
    path = folder / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refusal(path: Path, **keys: Any) -> str:
    with pytest.raises(DataError) as caught:
        read_pool(path, **keys)
    return str(caught.value)


def turns(path: Path, **keys: Any) -> list[tuple[Turn, ...]]:
    """Turns of each row, in the order of the file."""
    return [one.turns for one in sorted(read_pool(path, **keys).examples, key=lambda one: one.row)]


@pytest.mark.parametrize(
    "value",
    [
        [{"title": "t", "text": "d"}],
        [{"id": 1, "n": 2, "score": 3.5, "rank": 4, "text": "d"}],
        {"title": ["t"], "sentences": [["s"]]},
        {"header": ["h"], "rows": [["1"]]},
        [["t", ["s"]]],
        ["", "d"],
        {"0": {"facts": [{"text": "d"}]}},
    ],
    ids=json.dumps,
)
def test_lists_and_objects_of_texts_that_are_not_used_are_listed(tmp_path: Path, value: Any) -> None:
    assert read_pool(write(tmp_path, {**PAIR, "evidence": value})).reading["unused"] == ["evidence"]
    chat = read_pool(write(tmp_path, {"messages": [ASK, {**ANSWER, "citations": value}]}))
    assert chat.reading["unused"] == ["messages[].citations"]


def test_values_without_text_are_not_listed_as_text(tmp_path: Path) -> None:
    row = {
        **PAIR,
        "vector": [0.5] * 9,
        "spans": [{"start": 1}],
        "empty": [],
        "blank": [" "],
        "deep": [[[[1]]]],
    }
    assert read_pool(write(tmp_path, row)).reading["unused"] == []


@pytest.mark.parametrize("key", ["attachments", "audio", "images", "image", "files", "videos", "image_url"])
@pytest.mark.parametrize(
    "value", ["a.png", [{"name": "a"}], {"array": [0.1]}], ids=["path", "list", "object"]
)
def test_a_message_with_an_image_audio_or_file_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    path = write(tmp_path, {"messages": [ASK, ANSWER]}, {"messages": [{**ASK, key: value}, ANSWER]})
    assert f"line 2, field 'messages[0].{key}': holds an image, video, audio or file" in refusal(path)
    assert read_pool(path, on_bad="skip").skipped == {"'messages' holds an image, video, audio or file": 1}
    path = write(tmp_path, {"messages": [{**ASK, key: None}, {**ANSWER, key: []}]})
    assert turns(path) == [(Turn("q", "a"),)]
    path = write(tmp_path, {"conversation": [{"input": "q", "output": "a", key: value}]})
    assert f"field 'conversation[0].{key}'" in refusal(path)


def test_a_text_of_a_message_next_to_the_one_that_is_read_is_listed(tmp_path: Path) -> None:
    chat = [{**ASK, "text": "other"}, {**ANSWER, "value": "a", "parts": [{"type": "text", "text": "more"}]}]
    expected = ["messages[].text", "messages[].parts"]
    assert read_pool(write(tmp_path, {"messages": chat})).reading["unused"] == expected


@pytest.mark.parametrize("empty", ["", " ", [], None])
def test_an_empty_text_of_a_message_gives_way_to_the_one_that_is_there(tmp_path: Path, empty: Any) -> None:
    chat = [{**ASK, "content": empty, "text": "q"}, {**ANSWER, "content": empty, "value": "a"}]
    pool = read_pool(write(tmp_path, {"messages": chat}))
    assert (pool.examples[0].turns, pool.reading["unused"]) == ((Turn("q", "a"),), [])


@pytest.mark.parametrize(
    "messages",
    [
        json.dumps([{**ASK, "note": "n"}, ANSWER]),
        {"role": ["user", "assistant"], "content": ["q", "a"], "note": ["n", "m"]},
    ],
    ids=["json", "lists"],
)
def test_unread_keys_are_listed_for_conversations_in_any_notation(tmp_path: Path, messages: Any) -> None:
    pool = read_pool(write(tmp_path, {"messages": messages}))
    assert (pool.examples[0].turns, pool.reading["unused"]) == ((Turn("q", "a"),), ["messages[].note"])


def test_unread_keys_of_a_prompt_and_a_completion_of_messages_are_listed(tmp_path: Path) -> None:
    row = {"prompt": [{**ASK, "note": "n"}], "completion": [{**ANSWER, "note": "m"}]}
    assert read_pool(write(tmp_path, row)).reading["unused"] == ["prompt[].note", "completion[].note"]


@pytest.mark.parametrize("name", ["prompt", "question", "query"])
def test_an_input_next_to_a_question_is_its_input(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, {name: "Translate.", "input": "i", "output": "a"})
    assert turns(path) == [(Turn("Translate.", "a", "i"),)]


def test_an_instruction_that_is_not_used_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_pool(write(tmp_path, {"instruction": "Be brief.", "question": "q", "answer": "a"}))
    read_pool(write(tmp_path, {"topic": "t", "question": "q", "answer": "a"}))
    warned = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "text that is not used: 'instruction'" in warned[0]
    caplog.clear()
    turn = {"instruction": "Translate.", "input": "q", "output": "a"}
    read_pool(write(tmp_path, {"conversation": [turn]}))
    read_pool(write(tmp_path, {"conversation": [{**PAIR, "input": "q", "topic": "t"}], "instruction": "i"}))
    warned = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert ["conversation[].instruction" in one for one in warned] == [True, True]


@pytest.mark.parametrize("text", ["<noinput>", "nan", "None", "N/A"])
def test_an_input_that_spells_a_missing_value_is_counted(tmp_path: Path, text: str) -> None:
    counts = read_pool(write(tmp_path, {**PAIR, "input": text})).reading["counts"]
    assert counts == {"an input that spells a missing value (nan, None, <noinput>), read as text": 1}


def test_a_label_in_lower_case_is_the_label_that_is_shown(tmp_path: Path) -> None:
    row = {"question": "q", "options": ["w", "x"], "answer": "b"}
    assert turns(write(tmp_path, row)) == [(Turn("q\nA. w\nB. x", "B"),)]
    row = {"question": "q", "options": ["a", "b"], "answer": "b"}
    assert turns(write(tmp_path, row)) == [(Turn("q\nA. a\nB. b", "b"),)]


def test_a_developer_message_of_a_transcript_is_its_system_message(tmp_path: Path) -> None:
    said = "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>"
    (example,) = read_pool(write(tmp_path, {"text": f"<|im_start|>developer\ns<|im_end|>\n{said}"})).examples
    assert (example.system, example.turns) == ("s", (Turn("q", "a"),))
    pool = read_pool(write(tmp_path, {"text": f"<|im_start|>memory\ns<|im_end|>\n{said}"}))
    assert pool.reading["counts"] == {"chat-template markers, read as text": 1}


def test_an_image_object_without_any_part_is_not_an_image(tmp_path: Path) -> None:
    empty = {"bytes": None, "path": None}
    rows = {**PAIR, "image": empty}, {**PAIR, "instruction": "r", "image": None, "images": [empty]}
    assert len(read_pool(write(tmp_path, *rows))) == 2
    assert turns(write(tmp_path, {"messages": [{**ASK, "images": [empty]}, ANSWER]})) == [(Turn("q", "a"),)]


def test_every_column_that_may_exclude_a_row_is_checked(tmp_path: Path) -> None:
    held = {**PAIR, "image": None, "video": "a.mp4"}
    assert "field 'video': holds an image, video or audio" in refusal(write(tmp_path, held))
    assert "field 'image_3': holds" in refusal(write(tmp_path, {**PAIR, "image_1": None, "image_3": "x.png"}))
    assert "field 'train': marks the row as not trained" in refusal(
        write(tmp_path, {**PAIR, "weight": 1, "train": False})
    )
    rows = [{**PAIR, "instruction": f"q{i}"} for i in range(250)]
    late = refusal(write(tmp_path, *rows, {**PAIR, "image": "", "videos": ["a.mp4"]}))
    assert "line 251, field 'videos': holds an image, video or audio" in late
    assert read_pool(write(tmp_path, held), columns={"media": None}).reading["unused"] == ["video"]


def test_an_encoded_image_is_refused_whatever_the_name_of_its_column(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    pq.write_table(pa.Table.from_pylist([{**PAIR, "scan": {"bytes": b"\x89PNG", "path": None}}]), path)
    assert "field 'scan': holds an image, video or audio" in refusal(path)
    assert turns(path, columns={"media": None}) == [(Turn("q", "a"),)]


def test_an_encoded_image_in_a_late_row_is_refused(tmp_path: Path) -> None:
    """The columns of the first rows alone decided which columns hold images."""
    path = tmp_path / "pool.parquet"
    rows = [{**PAIR, "instruction": f"q{i}", "scan": None} for i in range(250)]
    pq.write_table(pa.Table.from_pylist([*rows, {**PAIR, "scan": {"bytes": b"\x89PNG", "path": None}}]), path)
    assert "row 250 (counted from 0), field 'scan': holds an image, video or audio" in refusal(path)
    assert len(read_pool(path, on_bad="skip")) == 250
    assert len(read_pool(path, columns={"media": None})) == 251


def test_a_label_whose_first_values_are_missing_excludes_later_rows(tmp_path: Path) -> None:
    rows = [{**PAIR, "instruction": f"q{i}", "is_correct": None} for i in range(250)]
    path = write(tmp_path, *rows, {**PAIR, "is_correct": False})
    assert "line 251, field 'is_correct': marks the answer as undesirable" in refusal(path)
    path = write(tmp_path, *rows, {**PAIR, "is_correct": "perhaps"})
    assert "field 'is_correct': is text, which is not a label" in refusal(path)


def test_a_late_column_leaves_the_others_as_the_first_rows_have_them(tmp_path: Path) -> None:
    """A column of classes was read as a label from the first row on that has another column."""
    rows = [{**PAIR, "instruction": f"q{i}", "label": i % 3} for i in range(250)]
    path = write(
        tmp_path, *rows, *({**PAIR, "output": str(i), "label": i % 3, "system": "s"} for i in range(6))
    )
    pool = read_pool(path, on_bad="skip")
    assert (len(pool), dict(pool.skipped)) == (256, {})
    assert pool.reading["columns"] == {"instruction": "instruction", "output": "output", "system": "system"}


@pytest.mark.parametrize("row", [["q", "a", "more"], ["q"]])
def test_a_row_of_a_table_in_json_with_other_cells_is_refused(tmp_path: Path, row: list[str]) -> None:
    path = tmp_path / "pool.json"
    path.write_text(json.dumps({"columns": ["instruction", "output"], "data": [["r", "b"], row]}))
    assert "row 1 (counted from 0): has more or fewer cells than the header" in refusal(path)
    assert turns(path, on_bad="skip") == [(Turn("r", "b"),)]


FLAGS = ("weight", "train", "training", "trainable", "loss", "loss_mask", "mask", "output_with_loss")


@pytest.mark.parametrize("key", FLAGS)
@pytest.mark.parametrize("off", [0, 0.0, False, "0", "false", "No"], ids=repr)
def test_an_answer_whose_flag_is_off_is_context(tmp_path: Path, key: str, off: Any) -> None:
    bad, good = {**ANSWER, "content": "bad", key: off}, {**ANSWER, key: 1}
    expected = [(Turn("q", "bad", trained=False), Turn("q", "a"))]
    assert turns(write(tmp_path, {"messages": [ASK, bad, ASK, good]})) == expected
    pair = {"input": "q", "output": "bad", key: off}
    path = write(tmp_path, {"conversation": [pair, {"input": "q", "output": "a", key: True}]})
    assert turns(path) == expected


@pytest.mark.parametrize("value", [0.5, 2, -1, "maybe", [0, 1], {"a": 1}], ids=repr)
def test_a_flag_that_is_neither_on_nor_off_is_refused(tmp_path: Path, value: Any) -> None:
    path = write(tmp_path, {"messages": [ASK, {**ANSWER, "loss_mask": value}]})
    assert "field 'messages[1].loss_mask': holds a weight other than 0 and 1" in refusal(path)


def test_any_flag_that_is_off_makes_an_answer_context(tmp_path: Path) -> None:
    bad = {**ANSWER, "content": "bad", "weight": 1, "train": False}
    path = write(tmp_path, {"messages": [ASK, bad, ASK, ANSWER]})
    assert turns(path)[0][0] == Turn("q", "bad", trained=False)


def test_spans_of_a_message_with_weights_are_refused(tmp_path: Path) -> None:
    spans = [{"begin_offset": 0, "end_offset": 1, "train": False}]
    path = write(tmp_path, {"messages": [ASK, {**ANSWER, "train_detail": spans}]})
    assert "weights spans of a message" in refusal(path)


def test_a_prompt_that_is_marked_as_trained_is_counted(tmp_path: Path) -> None:
    note = "a user or system message marked as trained, which is not trained"
    on = write(tmp_path, {"messages": [{**ASK, "loss_mask": 1}, {**ANSWER, "loss_mask": 1}]})
    assert read_pool(on).reading["counts"] == {note: 1}
    off = write(tmp_path, {"messages": [{**ASK, "loss_mask": 0}, {**ANSWER, "loss_mask": 1}]})
    assert read_pool(off).reading["counts"] == {}


@pytest.mark.parametrize(
    ("column", "words"),
    [("weight", "not trained"), ("train", "not trained"), ("trainable", "not trained"), ("label", "undesirable"),
     ("kto_tag", "undesirable"), ("is_correct", "undesirable"), ("is_safe", "undesirable")],
)  # fmt: skip
@pytest.mark.parametrize("text", ["0", "False", "no", "n", "0.0", " FALSE "])
def test_a_row_whose_flag_is_off_in_text_is_refused(
    tmp_path: Path, column: str, words: str, text: str
) -> None:
    path = tmp_path / "pool.csv"
    on = {"0": "1", "0.0": "1.0"}.get(text, "yes" if text.startswith("n") else "True")
    path.write_text(f"instruction,output,{column}\nq,a,{on}\nr,b,{text}\ns,c,\n")
    message = refusal(path)
    assert (
        f"line 3, field '{column}': marks the {'answer' if words == 'undesirable' else 'row'} as" in message
    )
    assert words in message
    assert turns(path, on_bad="skip") == [(Turn("q", "a"),), (Turn("s", "c"),)]
    field = "label" if words == "undesirable" else "weight"
    assert len(read_pool(path, columns={field: None})) == 3


def test_a_weight_that_is_not_understood_is_refused_and_another_weight_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "pool.csv"
    path.write_text("instruction,output,weight\nq,a,heavy\n")
    assert "field 'weight': is text, which is not a weight" in refusal(path)
    assert "field 'loss_mask': is a list, which is not a weight" in refusal(
        write(tmp_path, {**PAIR, "loss_mask": [0, 1]})
    )
    path.write_text("instruction,output,weight\nq,a,2.5\nr,b,1.0\n")
    assert read_pool(path).reading["counts"] == {"a row weight, not used": 1}


def test_a_label_that_is_a_class_is_not_a_judgement(tmp_path: Path) -> None:
    rows = [{**PAIR, "instruction": f"q{i}", "label": i} for i in range(3)]
    assert len(read_pool(write(tmp_path, *rows))) == 3
    choice = {"question": "q", "options": ["w", "x"], "answer": "B", "label": 0}
    assert turns(write(tmp_path, choice)) == [(Turn("q\nA. w\nB. x", "B"),)]
    rows = [{**PAIR, "label": 0}, {**PAIR, "instruction": "r", "label": 1}]
    assert "line 1, field 'label': marks the answer as undesirable" in refusal(write(tmp_path, *rows))


@pytest.mark.parametrize("name", ["data", "conversations", "pairs"])
def test_lists_of_texts_in_one_object_are_a_conversation_each(tmp_path: Path, name: str) -> None:
    path = tmp_path / "pool.json"
    held = {"categories": ["greetings"], name: [["q", "a"], ["r", "b", "s", "c"]]}
    path.write_text(json.dumps(held))
    assert turns(path) == [(Turn("q", "a"),), (Turn("r", "b"), Turn("s", "c"))]
    assert turns(path, field=name) == turns(path)
    path.write_text(json.dumps({name: [[ASK, ANSWER], [ASK, {**ANSWER, "content": "b"}]]}, indent=1))
    assert turns(path) == [(Turn("q", "a"),), (Turn("q", "b"),)]
    path.write_text(json.dumps({name: held[name], "test": held[name]}))
    assert "holds several lists of rows" in refusal(path)


def test_one_conversation_in_one_object_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    path.write_text(json.dumps({"messages": ["q", "a", "r", "b"]}))
    assert turns(path) == [(Turn("q", "a"), Turn("r", "b"))]
    path = write(tmp_path, {"conversations": [["q", "a"], ["r", "b"]]})
    assert turns(path) == [(Turn("q", "a"), Turn("r", "b"))]


@pytest.mark.parametrize("names", ["columns", "header", "fields"])
@pytest.mark.parametrize("rows", ["data", "rows", "values"])
def test_a_table_of_names_and_rows_is_not_a_list_of_conversations(
    tmp_path: Path, names: str, rows: str
) -> None:
    path = tmp_path / "pool.json"
    path.write_text(json.dumps({names: ["instruction", "output"], rows: [["q", "a"], ["r", "b"]]}))
    assert turns(path) == [(Turn("q", "a"),), (Turn("r", "b"),)]


SAID = ["q", "a", "r", "b"]


def test_a_list_of_speakers_gives_the_roles(tmp_path: Path) -> None:
    talk = {"dialogue": SAID, "speakers": ["Amy", "Ben", "Amy", "Ben"], "narrative": "n"}
    pool = read_pool(write(tmp_path, talk))
    assert pool.examples[0].turns == (Turn("q", "a"), Turn("r", "b"))
    assert (pool.reading["columns"]["speakers"], pool.reading["unused"]) == ("speakers", ["narrative"])
    repeated = write(tmp_path, {**talk, "speakers": ["Amy", "Amy", "Ben", "Ben"]})
    assert "has two user messages in a row" in refusal(repeated)
    assert turns(repeated, turns="mend") == [(Turn("q\n\na", "r\n\nb"),)]
    led = write(tmp_path, {"messages": SAID[:3], "roles": ["system", "user", "assistant"]})
    (example,) = read_pool(led).examples
    assert (example.system, example.turns) == ("q", (Turn("a", "r"),))
    first = write(tmp_path, {"dialog": SAID, "speaker": ["gpt", "human", "gpt", "human"]})
    assert "begins with the assistant" in refusal(first)


@pytest.mark.parametrize(
    ("speakers", "words"),
    [(["A", "B", "C", "A"], "more than two speakers"), (["A", "B"], "another length"), ("A, B", "not a list"),
     ([0, 1, None, 1], "a speaker without a name")],
)  # fmt: skip
def test_speakers_that_give_no_roles_are_refused(tmp_path: Path, speakers: Any, words: str) -> None:
    path = write(tmp_path, {"dialogue": SAID, "speakers": speakers})
    message = refusal(path)
    assert words in message
    assert "data.columns={speakers: null}" in message
    assert turns(path, columns={"speakers": None}) == [(Turn("q", "a"), Turn("r", "b"))]


def test_speakers_written_before_each_text_give_the_roles_or_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path, {"dialogue": ["User: q", "Assistant: a", "**User:** r", "**Assistant:** b"]})
    assert turns(path) == [(Turn("q", "a"), Turn("r", "b"))]
    path = write(tmp_path, {"dialogue": ["Amy: q", "Ben: a", "Ben: r", "Amy: b"]})
    assert "holds texts of speakers who do not alternate" in refusal(path)
    for said in (["Amy: q", "Ben: a"], ["Note: q", "Note: a"], ["http://q", "http://a"]):
        assert turns(write(tmp_path, {"dialogue": said})) == [(Turn(*said),)]


@pytest.mark.parametrize(
    "text",
    [
        "![scan](data:image/png;base64,AAAA) q", "Picture 1: <img>a.jpg</img>\nq", "<Img>https://a/b.png</Img> q",
        "<image>q", "Before <image> after", "q\n<image>\nr", "<|image|> q", "<|image_1|>\nq", "<audio>\nq",
        "<|AUDIO|>q", "<|audio_bos|>q", "<audio>a.wav</audio>q", "<video>\nq", "<|video_pad|>q",
        "<|vision_start|><|image_pad|><|vision_end|>q", "<image_placeholder>q", "<ImageHere>q", "See <image 1>.",
        "<__media__>q", "<start_of_image>q", "<speech>q", "[IMG]\nq",
    ],
)  # fmt: skip
def test_a_placeholder_is_refused_in_a_message_and_counted_in_a_column(tmp_path: Path, text: str) -> None:
    for row in (
        {"messages": [{**ASK, "content": text}, ANSWER]},
        {"messages": [ASK, {**ANSWER, "content": [{"type": "text", "text": text}]}]},
        {"conversation": [{"input": text, "output": "a"}]},
        {"conversation": [[text, "a"]]},
        {"dialogue": ["q", text]},
        {"prompt": text, "completion": [ANSWER]},
    ):
        assert "holds an image, video or audio placeholder" in refusal(write(tmp_path, row))
    for row in (
        {**PAIR, "instruction": text},
        {**PAIR, "input": text},
        {**PAIR, "output": text},
        {"text": f"Human: {text}\n\nAssistant: a"},
        {"text": f"Human: q\n\nAssistant: {text}"},
    ):
        assert read_pool(write(tmp_path, row)).reading["counts"] == {MARK: 1}


@pytest.mark.parametrize(
    "text",
    [
        "What does the <image> tag do?", "Add an <audio> and a <video> tag.", "`<image>` is a component",
        "```html\n<video>\n<img>a.png</img>\n```", "<video>\n<source src='a.mp4'>\n</video>",
        "<rss><image><url>u</url></image></rss>", '<img src="a.png">', "![logo](https://a/b.png)",
        "[IMG]https://a/b.png[/IMG]", "1 < 2 ![x]",
    ],
)  # fmt: skip
def test_markup_and_code_about_images_is_text(tmp_path: Path, text: str) -> None:
    for row in ({"messages": [{**ASK, "content": text}, ANSWER]}, {**PAIR, "instruction": text}):
        pool = read_pool(write(tmp_path, row))
        assert (pool.examples[0].turns, pool.reading["counts"]) == ((Turn(text, "a"),), {})
