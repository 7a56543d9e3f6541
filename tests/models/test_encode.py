"""Encoding: answer masks, truncation, and data that cannot become control tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.examples import Example, Turn
from nait.core.errors import ConfigError, DataError
from nait.models.prompts.chat_template import ChatTemplate
from nait.models.prompts.templates import TextTemplate, read_template
from nait.models.tokens.encoding import beginning, encode
from tests.families import tokenizer

PLAIN = TextTemplate(prompt="Q: {instruction}\nA: ", prompt_with_input="Q: {instruction} ({input})\nA: ")
CHAT = (
    "{% for m in messages %}{{ '</s>' + m['role'] + ': ' + m['content'] + '\n' }}"
    "{% if m['role'] == 'assistant' %}{{ '</s>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '</s>assistant: ' }}{% endif %}"
)


def example(*turns: tuple[str, str], extra: str = "", system: str = "") -> Example:
    return Example("x", tuple(Turn(q, a, extra) for q, a in turns), system)


def shown(
    one: Example, template: Any, *, purpose: Any = "score", max_length: int = 500, tok: Any = None
) -> tuple[str, str]:
    """The whole text and the answer's text, decoded from the ids."""
    tok = tok or tokenizer()
    table = encode([one], template, tok, max_length=max_length, purpose=purpose)
    ids, answer = table.row(0)
    return tok.decode(ids), tok.decode(ids[answer])


def test_scoring_ends_at_the_answers_last_token_and_training_at_the_end_token() -> None:
    one = example(("Name a colour.", "Red."))
    assert shown(one, PLAIN) == ("<s>Q: Name a colour.\nA: Red.", "Red.")
    assert shown(one, PLAIN, purpose="train") == ("<s>Q: Name a colour.\nA: Red.</s>", "Red.</s>")


def test_an_input_changes_the_prompt() -> None:
    assert shown(example(("Sort.", "a b"), extra="b a"), PLAIN)[0] == "<s>Q: Sort. (b a)\nA: a b"


def test_eos_decides_where_the_end_token_is_added() -> None:
    one = example(("q", "a"))
    always = TextTemplate(prompt="{user}:", eos="always")
    never = TextTemplate(prompt="{user}:", eos="never", bos=False)
    assert shown(one, always)[0] == "<s>q:a</s>"
    assert shown(one, never, purpose="train")[0] == "q:a"


def test_every_turn_of_a_conversation_is_an_answer() -> None:
    one = example(("one?", "1"), ("two?", "2"), system="Count.")
    text, answers = shown(one, TextTemplate(prompt="{user}|"))
    assert text == "<s>Count.\n\none?|1\n\ntwo?|2"
    assert answers == "12"
    assert shown(one, TextTemplate(prompt="{user}|"), purpose="train")[1] == "1</s>2</s>"


@pytest.mark.parametrize(
    "template", [PLAIN, TextTemplate(prompt="{user}|", boundary="offsets"), ChatTemplate()]
)
def test_special_token_text_inside_data_stays_text(template: Any) -> None:
    tok = tokenizer()
    tok.chat_template = CHAT
    ids, _ = encode([example(("say </s> or <s>", "no </s> end"))], template, tok, max_length=500).row(0)
    plain = encode([example(("say x or y", "no z end"))], template, tok, max_length=500).row(0)[0].tolist()
    assert ids.tolist().count(2) == plain.count(2), "text of a row became an end token"
    assert "say </s> or <s>" in tok.decode(ids)
    assert "no </s> end" in tok.decode(ids)


def test_braces_in_data_are_not_fields() -> None:
    assert shown(example(("{input} {user}", "{answer}")), PLAIN)[0] == "<s>Q: {input} {user}\nA: {answer}"


def test_truncated_rows_are_marked_and_may_lose_their_answer() -> None:
    table = encode(
        [example(("a long question", "short")), example(("q", "a"))], PLAIN, tokenizer(), max_length=12
    )
    assert table.lengths.tolist() == [12, 10]
    assert table.truncated.tolist() == [True, False]
    assert table.answer_tokens.tolist() == [0, 1]


def test_the_beginning_token_is_the_tokenizers_own() -> None:
    assert beginning(tokenizer()) == [1]
    assert beginning(tokenizer(bos=False)) == []


@pytest.mark.parametrize("boundary", ["prefix", "offsets"])
def test_both_boundaries_agree_where_nothing_merges(boundary: Any) -> None:
    template = TextTemplate(prompt="{user}|", suffix="</s>\n", boundary=boundary)
    assert shown(example(("question", "answer")), template)[1] == "answer</s>\n"


def test_separate_tokenisation_can_differ_from_one_string() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")]))
    bare.pre_tokenizer = pre_tokenizers.Split("\n", "removed")
    tok = PreTrainedTokenizerFast(tokenizer_object=bare)
    one = example(("a", "b"))
    text = encode([one], TextTemplate(prompt="{user}", eos="never"), tok, max_length=9)
    apart = encode([one], TextTemplate(prompt="{user}", eos="never", join="tokens"), tok, max_length=9)
    assert text.input_ids.tolist() == [2]
    assert apart.input_ids.tolist() == [0, 1]
    assert apart.answer.tolist() == [False, True]


def test_a_chat_template_gives_text_answers_and_its_own_end() -> None:
    tok = tokenizer()
    tok.chat_template = CHAT
    one = example(("hi", "hello"), ("bye", "ciao"), system="Be kind.")
    text, answers = shown(one, ChatTemplate(), tok=tok)
    assert text == (
        "</s>system: Be kind.\n</s>user: hi\n</s>assistant: hello\n</s>\n</s>user: bye\n</s>assistant: ciao"
    )
    assert answers == "hellociao"
    trained = shown(one, ChatTemplate(), purpose="train", tok=tok)
    assert trained[0].endswith("ciao\n</s>")
    assert trained[1] == "hello\n</s>ciao\n</s>"


def test_a_chat_template_that_rewrites_history_is_refused() -> None:
    tok = tokenizer()
    tok.chat_template = "{% for m in messages[-2:] %}{{ m['role'] + m['content'] }}{% endfor %}"
    with pytest.raises(DataError, match="rewrites earlier turns"):
        encode([example(("a", "b"), ("c", "d"))], ChatTemplate(), tok, max_length=99)


def test_a_model_without_a_chat_template_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no chat template"):
        encode([example(("a", "b"))], ChatTemplate(), tokenizer(), max_length=99)


def test_a_template_file_is_read_and_a_wrong_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text('prompt: "<|user|>\\n{user}\\n<|assistant|>\\n"\nsuffix: "</s>\\n"\nstrip: true\n')
    assert (
        shown(example((" hi ", " yo ")), read_template(str(file)))[0]
        == "<s><|user|>\nhi\n<|assistant|>\nyo</s>\n"
    )
    file.write_text('promt: "{user}"\n')
    with pytest.raises(ConfigError, match="Did you mean 'prompt'"):
        read_template(str(file))
    with pytest.raises(ConfigError, match="no such file"):
        read_template(str(tmp_path / "none.yaml"))


def test_a_prompt_without_an_instruction_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"template\.prompt"):
        TextTemplate(prompt="Answer: ")


THINKS = (
    "{% for m in messages %}[{{ m['role'] }}]{% if m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'] }}[end]{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
MASKED = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}[assistant]{% generation %}<say>{{ m['content'] }}"
    "[end]{% endgeneration %}{% else %}[{{ m['role'] }}]{{ m['content'] }}[end]{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.mark.parametrize("answer", ["k", "think", "n", "A long answer that thinks.", "</think>"])
def test_an_answer_is_scored_where_the_chat_template_puts_it_and_never_in_its_header(answer: str) -> None:
    tok = tokenizer()
    tok.chat_template = THINKS
    text, scored = shown(example(("Which letter?", answer)), ChatTemplate(), tok=tok)
    assert text == f"[user]Which letter?[end][assistant]<think>\n\n</think>\n\n{answer}"
    assert scored == answer
    trained = shown(example(("Which letter?", answer)), ChatTemplate(), purpose="train", tok=tok)
    assert trained[1] == f"{answer}[end]"


def test_a_chat_templates_generation_mask_marks_the_answer() -> None:
    tok = tokenizer()
    tok.chat_template = MASKED
    one = example(("say?", "say"), ("a?", "a"))
    assert shown(one, ChatTemplate(), tok=tok)[1] == "<say>say<say>a"
    assert shown(one, ChatTemplate(), purpose="train", tok=tok)[1] == "<say>say[end]<say>a[end]"


@pytest.mark.parametrize("answer", ["end", "n", "]", "d", " end ", "[end]", "the end"])
def test_words_of_the_masks_closing_text_are_an_answer_like_others(answer: str) -> None:
    tok = tokenizer()
    tok.chat_template = MASKED
    one = example(("say?", "yes"), ("a?", answer))
    assert shown(one, ChatTemplate(), tok=tok)[1] == f"<say>yes<say>{answer}"
    assert shown(one, ChatTemplate(), purpose="train", tok=tok)[1] == f"<say>yes[end]<say>{answer}[end]"


def test_a_blank_answer_in_a_mask_has_no_closing_text() -> None:
    tok = tokenizer()
    tok.chat_template = MASKED
    assert shown(example(("say?", "yes"), ("a?", "\n")), ChatTemplate(), tok=tok)[1] == "<say>yes<say>\n"


def test_a_chat_template_that_depends_on_answers_is_matched_at_the_last_place() -> None:
    tok = tokenizer()
    tok.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}]{% if m['role'] == 'assistant' and '#' in m['content'] %}#-#"
        "{% endif %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    text, scored = shown(example(("q", "#")), ChatTemplate(), tok=tok)
    assert (text, scored) == ("[user]q[assistant]#-##", "#")


def test_a_chat_template_without_the_assistants_text_is_refused() -> None:
    tok = tokenizer()
    tok.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}{% endfor %}"
    )
    with pytest.raises(ConfigError, match="does not show the assistant's text"):
        encode([example(("q", "q"))], ChatTemplate(), tok, max_length=99)


@pytest.mark.parametrize("template", [PLAIN, TextTemplate(prompt="{user}|", eos="always"), ChatTemplate()])
def test_an_answer_that_is_context_is_shown_but_never_scored_nor_trained(template: Any) -> None:
    tok = tokenizer()
    tok.chat_template = CHAT
    turns = (Turn("one?", "WRONG", trained=False), Turn("again?", "right"))
    context, whole = Example("x", turns), Example("x", (Turn("one?", "WRONG"), turns[1]))
    for purpose in ("score", "train"):
        text, answers = shown(context, template, purpose=purpose, tok=tok)
        assert text == shown(whole, template, purpose=purpose, tok=tok)[0]
        assert "WRONG" in text
        assert "WRONG" not in answers
        assert answers.startswith("right")
    assert not Example("x", turns[:1]).answered
