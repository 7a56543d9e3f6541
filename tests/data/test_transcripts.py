"""Laws of transcripts: the usual role markers are read, ordinary text is never split, time is bounded."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from nait.core.errors import DataError
from nait.data.chat.marks import style_of
from nait.data.chat.media import has_media_placeholder
from nait.data.chat.reasoning import Handling
from nait.data.chat.transcripts import read_transcript
from nait.data.pools import read_pool
from nait.data.row_errors import RowError
from tests.data.test_pools import save
from tests.growth import grows_linearly


def turns(text: str) -> list[tuple[str, str, str]]:
    return [
        (one.instruction, one.input, one.answer) for one in read_transcript(text, "text", Handling()).turns
    ]


def test_a_text_before_the_first_marker_is_the_usual_one_or_counted() -> None:
    ask, unused = (
        "### Instruction:\nq\n\n### Response:\na",
        ("text before the first marker of a transcript, not used",),
    )
    for before, notes in (
        ("", ()),
        ("Below is an instruction that describes a task. Write a response.\n\n", ()),
        ("You are a pirate.\n\n", unused),
    ):
        assert read_transcript(before + ask, "text", Handling()).notes == notes
    assert (
        read_transcript("A pirate and an AI talk.\n[|Human|]q\n[|AI|]a", "text", Handling()).notes == unused
    )


def test_the_marker_of_an_input_counts_after_a_question_alone() -> None:
    """It cut the answer, or replaced the input."""
    ask, answer = "### Instruction:\nq\n\n", "### Response:\na"
    assert turns(f"{ask}### Input:\ni\n\n{answer}") == [("q", "i", "a")]
    assert turns(f"{ask}### Input:\ni\n\n### Input:\nj\n\n{answer}") == [("q", "i\n\n### Input:\nj", "a")]
    assert turns(f"{ask}{answer}\n### Input:\nj") == [("q", "", "a\n### Input:\nj")]
    with pytest.raises(RowError, match="has an input before its question"):
        turns(f"### Input:\ni\n\n{ask}{answer}")


def test_an_input_is_not_lost_where_turns_are_mended() -> None:
    text = "### Instruction:\nq\n### Input:\ni\n### Instruction:\nr\n### Response:\na"
    with pytest.raises(RowError, match="has an input, and turns to mend"):
        read_transcript(text, "text", Handling(turns="mend"))


@pytest.mark.parametrize(
    "text",
    [
        "Q: q\nA: a",
        "Q: q A: a",
        "**Q:** q\n**A:** a",
        "Question: q\nAnswer: a</s>",
        "问：q\n答：a",
        "Human: q Assistant: a",
        "Human: q\nAI: a",
        "User: q\nGPT: a",
        "user: q\nassistant: a<|endoftext|>",
        "**User:** q\n\n**Assistant:** a",
        "Instruction: q\nResponse: a",
        "Instruct: q\nOutput: a",
        "Prompt: q\nCompletion: a",
        "### User:\nq\n\n### Response:\na",
        "### Question: q\n### Answer: a",
        "### Instruction\nq\n\n### Response\na",
        "<｜begin▁of▁sentence｜><｜User｜>q<｜Assistant｜>a<｜end▁of▁sentence｜>",
        "<|User|>q<|Assistant|>a<|end_of_sentence|>",
        "<|begin_of_text|><|header_start|>user<|header_end|>\n\nq<|eot|>"
        "<|header_start|>assistant<|header_end|>\n\na<|eot|>",
        "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|>q<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>a<|END_OF_TURN_TOKEN|>",
        "[gMASK]<sop><|user|>\nq<|assistant|>\na",
    ],
)
def test_the_usual_markers_are_read_and_removed_from_the_text(text: str) -> None:
    assert turns(text) == [("q", "", "a")]
    assert read_transcript(text, "text", Handling()).system == ""


@pytest.mark.parametrize(
    "text",
    [
        "<｜begin▁of▁sentence｜>Be kind.<｜User｜>q<｜Assistant｜>a<｜end▁of▁sentence｜>",
        "<s>[SYSTEM_PROMPT]Be kind.[/SYSTEM_PROMPT][INST]q[/INST]a</s>",
        "### System:\nBe kind.\n\n### User:\nq\n\n### Assistant:\na",
        "System: Be kind.\nUser: q\nAssistant: a",
    ],
)
def test_a_system_message_is_read_without_its_markers(text: str) -> None:
    assert turns(text) == [("q", "", "a")]
    assert read_transcript(text, "text", Handling()).system == "Be kind."


def test_further_turns_and_an_input_are_read() -> None:
    assert turns("Q: q\nA: a\nQ: r\nA: b") == [("q", "", "a"), ("r", "", "b")]
    assert turns("Instruction: q\nInput: x\nResponse: a") == [("q", "x", "a")]


def test_options_are_not_answers() -> None:
    for name in ("Q", "Question"):
        assert turns(f"{name}: q\nA: 3\nB: 4\nAnswer: B") == [("q\nA: 3\nB: 4", "", "B")]
    assert style_of("Q: q\nA: 3\nB: 4\n") is None


@pytest.mark.parametrize(
    "text", ["A story. Q: who? He went. A: no.", "As he said:\nQuestion: x\nAnswer: y", "FAQ: x\nA: y"]
)
def test_ordinary_text_with_such_markers_is_not_split(text: str) -> None:
    assert style_of(text) is None


def test_a_tool_call_is_refused() -> None:
    with pytest.raises(RowError, match="tool"):
        turns("<｜User｜>q<｜Assistant｜><｜tool▁calls▁begin｜>x<｜tool▁calls▁end｜>")


def test_the_error_for_a_transcript_in_another_column_names_its_markers_and_the_key(tmp_path: Path) -> None:
    path = save(tmp_path / "pool.jsonl", [{"content": "Q: q\nA: a"}])
    with pytest.raises(
        DataError, match=r"'content' is a transcript with the markers 'Q:' and 'A:'\."
    ) as caught:
        read_pool(path)
    assert "data.columns={text: content}" in str(caught.value)
    assert read_pool(path, columns={"text": "content"}).examples[0].turns[0].answer == "a"


def test_a_prompt_that_ends_with_an_assistant_marker_is_not_a_transcript(tmp_path: Path) -> None:
    path = save(tmp_path / "pool.jsonl", [{"full_prompt": "Question: q\nAnswer:", "gold": "a"}])
    with pytest.raises(DataError, match=r"data\.columns=\{prompt: full_prompt, completion: gold\}"):
        read_pool(path)


def test_the_error_for_text_with_other_markers_lists_the_known_ones(tmp_path: Path) -> None:
    path = save(tmp_path / "pool.jsonl", [{"text": "<user>q</user><bot>a</bot>"}])
    with pytest.raises(DataError, match=r"'### Human:' '### Assistant:'.*<\|im_start\|>.*\[INST\]"):
        read_pool(path)


@pytest.mark.parametrize(
    ("before", "repeated", "after"),
    [("", "\n", "x"), ("Q: x", " A:", " B:"), ("### Human: q### Assistant: a", "</s>", "x")],
    ids=["blank lines", "answers", "ends"],
)
def test_the_time_does_not_grow_with_the_square_of_the_length(before: str, repeated: str, after: str) -> None:
    def read(count: int) -> None:
        with contextlib.suppress(RowError):
            turns(before + repeated * count + after)

    assert grows_linearly(read, 10_000)


SAMPLES = (
    "Human: x\n\nAssistant: y",
    "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\ny<|im_end|>",
    "### Instruction:\nx\n\n### Response:\ny",
    "### Human: x### Assistant: y",
    "[INST] x [/INST] y",
    "USER: x ASSISTANT: y FUNCTION RESPONSE: z\n<tool_call>",
)


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("fence", ["```", "```text", "````", "~~~"])
@pytest.mark.parametrize(
    ("before", "between", "after"),
    [
        ("### Human: ", "### Assistant: ", ""),
        ("\n\nHuman: ", "\n\nAssistant: ", ""),
        ("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"),
        ("<s>[INST] ", " [/INST] ", " </s>"),
    ],
)
def test_markers_inside_a_code_fence_are_text(
    sample: str, fence: str, before: str, between: str, after: str
) -> None:
    shown = f"Like this:\n{fence}\n{sample}\n{fence.rstrip('tex')}\nDone."
    assert turns(f"{before}q{between}{shown}{after}") == [("q", "", shown)]
    assert turns(f"{before}{shown}{between}a{after}") == [(shown, "", "a")]
    both = f"{before}q{between}{shown}{after}{before}{shown}{between}b{after}"
    assert turns(both) == [("q", "", shown), (shown, "", "b")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Human: q\nAssistant: ```\ncode\nHuman: r\nAssistant: b", [("q", "", "```\ncode"), ("r", "", "b")]),
        ("Human: q\nAssistant: ```py\ncode\nHuman: r\nAssistant: ```py\nmore\n```",
         [("q", "", "```py\ncode"), ("r", "", "```py\nmore\n```")]),
        ("[INST] ```\nx\n``` [/INST] a", [("```\nx\n```", "", "a")]),
        ("Human: a ``` b\nAssistant: c ``` d", [("a ``` b", "", "c ``` d")]),
    ],
    ids=["open", "open then closed", "closed before a marker", "inside lines"],
)  # fmt: skip
def test_a_fence_that_is_not_closed_hides_no_message(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert turns(text) == expected


def test_a_text_whose_only_markers_are_in_a_fence_is_not_a_transcript(tmp_path: Path) -> None:
    assert style_of(f"Like this:\n```\n{SAMPLES[0]}\n```") is None
    row = {"instruction": "q", "output": f"```\n{SAMPLES[1]}\n```"}
    assert read_pool(save(tmp_path / "pool.jsonl", [row])).reading["counts"] == {}


def test_the_time_of_fences_does_not_grow_with_the_square_of_the_length() -> None:
    def read(size: int) -> None:
        for text in ("```" * 3 * size, "```\nx\n" * 2 * size, "`" * 10 * size, "~~~\n" * 2 * size):
            style_of(text)
            has_media_placeholder("<image>" + text)

    assert grows_linearly(read, 2_000)
