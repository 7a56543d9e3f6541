"""Laws of exports: the output of tools and services is read correctly or refused, never partly without notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.examples import Turn
from nait.core.errors import DataError
from nait.data.pools import read_pool

Row = dict[str, Any]
CHAT = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
PLAIN = (Turn("q", "a"),)


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Pool of these rows."""

    def _read(*rows: Row, **keys: Any) -> Any:
        path = tmp_path / "pool.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return read_pool(path, **keys)

    return _read


def test_the_pandas_index_column_is_not_part_of_an_example(tmp_path: Path) -> None:
    path = tmp_path / "pool.csv"
    path.write_text(",instruction,output\n0,q,a\n1,r,b\n")
    turns = {example.turns for example in read_pool(path).examples}
    assert turns == {(Turn("q", "a"),), (Turn("r", "b"),)}


@pytest.mark.parametrize("said", ["off", "on", "Low", False])
def test_a_reasoning_column_that_is_only_a_setting_is_not_reasoning(read: Any, said: Any) -> None:
    pool = read(
        {"input": "q", "output": "a", "reasoning": said}, {"input": "q", "output": "b", "reasoning": "since"}
    )
    assert [one.turns[0].answer for one in pool.examples if one.turns[0].answer.endswith("a")] == ["a"]
    assert pool.reading["counts"]["reasoning that is only a setting, not used"] == 1


@pytest.mark.parametrize(
    "row",
    [
        {"messages": CHAT, "label": False},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "kto_tag": False},
        {"messages": CHAT, "weight": 0},
        {"instruction": "q", "output": "a", "weight": 0.0},
        {"text": "### Human: q### Assistant: a", "train": False},
    ],
)
def test_a_row_excluded_from_training_by_label_or_weight_is_refused(read: Any, row: Row) -> None:
    name = next(key for key in ("label", "kto_tag", "weight", "train") if key in row)
    field = {"kto_tag": "label", "train": "weight"}.get(name, name)
    with pytest.raises(DataError, match=rf"data.columns={{{field}: null}}"):
        read(row)
    assert read(row, columns={field: None}).examples[0].turns == PLAIN
    assert len(read(row, row | {name: True}, on_bad="skip")) == 1


def test_a_weight_of_a_row_that_is_neither_0_nor_1_is_counted(read: Any) -> None:
    pool = read(
        {"instruction": "q", "output": "a", "weight": 0.3}, {"instruction": "r", "output": "b", "weight": 1}
    )
    assert pool.reading["counts"] == {"a row weight, not used": 1}


@pytest.mark.parametrize(
    "row",
    [
        {"message": "q", "response": "a"},
        {"question": "q", "generated_solution": "a", "expected_answer": "5"},
        {"prompt": CHAT[0], "completion": CHAT[1]},
        {"messages": {"role": ["user", "assistant"], "content": ["q", "a"]}},
        {"conversations": {"from": ["human", "gpt"], "value": ["q", "a"]}},
        {"messages": [{"type": "human", "content": "q"}, {"type": "ai", "content": "a"}]},
        {"messages": [{"type": "human", "data": {"content": "q"}}, {"type": "ai", "data": {"content": "a"}}]},
        {"text": "<｜begin▁of▁sentence｜><｜User｜>q<｜Assistant｜>a<｜end▁of▁sentence｜>"},
        {"text": "<|header_start|>user<|header_end|>\n\nq<|eot|><|header_start|>assistant<|header_end|>\n\na<|eot|>"},
        {"text": "<|start|>user<|message|>q<|end|><|start|>assistant<|channel|>final<|message|>a<|return|>"},
        {"text": "<|start_of_role|>user<|end_of_role|>q<|end_of_text|>\n"
                 "<|start_of_role|>assistant<|end_of_role|>a<|end_of_text|>"},
        {"text": "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|>q<|END_OF_TURN_TOKEN|>"
                 "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>a<|END_OF_TURN_TOKEN|>"},
        {"text": "<human>: q\n<bot>: a"},
    ],
)  # fmt: skip
def test_an_export_is_read_by_default(read: Any, row: Row) -> None:
    example = read(row).examples[0]
    assert (example.turns, example.system) == (PLAIN, "")


@pytest.mark.parametrize(
    "row",
    [
        {"preamble": "s", "message": "q", "response": "a"},
        {"conversation": [{"system": "s", "input": "q", "output": "a"}]},
        {"text": "<s>[SYSTEM_PROMPT]s[/SYSTEM_PROMPT][INST]q[/INST]a</s>"},
    ],
)
def test_the_system_text_of_an_export_reaches_the_example(read: Any, row: Row) -> None:
    example = read(row).examples[0]
    assert (example.turns, example.system) == (PLAIN, "s")


def test_earlier_turns_of_a_chat_history_come_before_the_message(read: Any) -> None:
    history = [{"role": "USER", "message": "p"}, {"role": "CHATBOT", "message": "o"}]
    pool = read({"chat_history": history, "message": "q", "response": "a"})
    assert pool.examples[0].turns == (Turn("p", "o"), *PLAIN)


@pytest.mark.parametrize(
    "answer",
    [
        "<|begin_of_thought|>\n\nt\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\na\n\n<|end_of_solution|>",
        "[THINK]t[/THINK]a",
        "<thinking>\nt\n</thinking>\na",
        "<think>\nt\n</think>\n\na",
        "t, which a template opened\n</think>\n\na",
    ],
)
def test_reasoning_is_dropped_with_any_markers(read: Any, answer: str) -> None:
    row = {"prompt": "q", "response": answer}
    assert read(row, reasoning="drop").examples[0].turns == PLAIN
    assert read(row).examples[0].turns == (Turn("q", answer),)


def test_truncated_reasoning_leaves_an_empty_answer(read: Any) -> None:
    pool = read({"prompt": "q", "response": "<think>t"}, {"prompt": "r", "response": "b"}, reasoning="drop")
    assert pool.reading["counts"] == {"reasoning dropped": 1, "empty answer": 1}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "\n\nHuman: q\n\nAssistant: a\n\nAssistant:", "completion": " a"},
        {"instruction": "q", "output": "a</s>"},
        {"messages": [CHAT[0], {"role": "assistant", "content": "a<|endoftext|>"}]},
    ],
)
def test_chat_template_markers_inside_a_text_are_counted(read: Any, row: Row) -> None:
    assert read(row).reading["counts"] == {"chat-template markers, read as text": 1}


PROMPTS = [
    ("\n\nHuman: q\n\nAssistant:", " a"),
    ("\n\nHuman: q \n\nAssistant: ", "a"),
    ("<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n", "a<|im_end|>"),
    ("Below is an instruction.\n\n### Instruction:\nq\n\n### Response:\n", "a"),
    ("[INST] q [/INST]", " a </s>"),
    ("<start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\n", "a<end_of_turn>"),
]


@pytest.mark.parametrize(("prompt", "answer"), PROMPTS)
def test_a_prompt_that_is_a_transcript_is_read_as_its_turns(read: Any, prompt: str, answer: str) -> None:
    row = {"prompt": prompt, "completion": answer}
    pool = read(row)
    assert pool.examples[0].turns == PLAIN
    assert pool.reading["counts"] == {"a prompt that is a transcript, read as its turns": 1}
    literal = read(row, format="prompt_completion")
    assert literal.examples[0].turns == (Turn(prompt, answer),)
    assert "chat-template markers, read as text" in literal.reading["counts"]


def test_earlier_answers_of_a_prompt_are_context(read: Any) -> None:
    row = {
        "prompt": "\n\nHuman: r\n\nAssistant: b\n\nHuman: q\n\nAssistant:",
        "answers": [{"answer": "a", "rank": 1.0}],
    }
    (example,) = read(row, columns={"prompt": "prompt", "completion": "answers.min_by_rank.answer"}).examples
    assert example.turns == (Turn("r", "b", trained=False), Turn("q", "a"))


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Q: 1+1?\nA: 2\n\nQ: 2+2?\nA:", "completion": "4"},
        {"prompt": "Q: 2+2?\nA:", "completion": "4"},
        {"prompt": "Why does my log say\n\nHuman: x\n\nHuman: y\n\nAssistant:", "completion": "4"},
    ],
    ids=["few_shot", "one_shot", "quoted"],
)
def test_other_prompts_with_markers_are_texts(read: Any, row: Row) -> None:
    assert read(row).examples[0].turns == (Turn(row["prompt"], "4"),)


def test_a_tool_call_inside_an_answer_is_counted(read: Any) -> None:
    row = {"messages": [CHAT[0], {"role": "assistant", "content": '<tool_call>{"name": "f"}</tool_call>'}]}
    assert read(row).reading["counts"] == {"a tool call in an answer, read as text": 1}
