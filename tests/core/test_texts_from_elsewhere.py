"""Texts from elsewhere: none controls a terminal, is a formula in a spreadsheet, or shows a secret."""

from __future__ import annotations

import logging
import re
import sys

import pytest

from nait.cli.config.log_lines import LogLines, TerminalLines
from nait.core.errors import NaitError, show_bug
from nait.core.inputs.secrets import masked, masked_parts, masked_words, without_login
from nait.core.inputs.spreadsheets import inert
from nait.core.inputs.visible_text import plain_markdown, visible, visible_line, visible_parts, visible_record

CONTROLS = [
    "\x00",
    "\x07",
    "\x08",
    "\r",
    "\x1b[2J",
    "\x1b]0;x\x07",
    "\x7f",
    "\x9b",
    "\u202e",
    "\u2066",
    "\u2028",
    "\ud800",
]


@pytest.mark.parametrize("control", CONTROLS)
def test_control_characters_are_shown_as_escapes(control: str) -> None:
    shown = visible(f"a{control}b")
    assert shown.isprintable()
    assert shown.isascii()
    assert shown.startswith("a\\")
    assert str(NaitError(f"a{control}b", where=control, fix=control)).isprintable()


@pytest.mark.parametrize("text", ["plain", "数据集", "é ü", "👩\u200d🔬", "a\tb\nc", "می\u200cخواهم"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert visible(text) == text


def test_a_line_has_no_line_breaks_and_a_value_no_controls_in_its_names() -> None:
    assert visible_line(" a\n b\tc ") == "a b c"
    assert visible_parts({"a\x1b": ["b\r", 1, None]}) == {"a\\x1b": ["b\\r", 1, None]}


def test_a_log_line_shows_neither_controls_nor_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "s3cret-value")
    texts = ("\x1b[2J", "s3cret-value")
    record = logging.LogRecord(
        "nait", logging.INFO, "", 0, "row %s of s3://me:pw@host/x?token=abc and %s", texts, None
    )
    line = LogLines("%(levelname).1s %(message)s", "%H").format(record)
    assert line == "I row \\x1b[2J of s3://***@host/x?token=*** and ***"


@pytest.mark.parametrize(
    ("level", "terminal", "no_color", "expected"),
    [
        (logging.WARNING, True, "", "\x1b[33mW x\x1b[0m"),
        (logging.ERROR, True, "", "\x1b[31mE x\x1b[0m"),
        (logging.INFO, True, "", "I x"),
        (logging.WARNING, False, "", "W x"),
        (logging.WARNING, True, "1", "W x"),
    ],
)
def test_warnings_and_errors_are_coloured_on_a_terminal_unless_no_color_is_set(
    level: int, terminal: bool, no_color: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    record = logging.LogRecord("nait", level, "", 0, "x", (), None)
    assert TerminalLines("%(levelname).1s %(message)s", "%H").format(record) == expected


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+cmd|'/c calc'!A1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"]
)
def test_a_formula_becomes_text(text: str) -> None:
    assert inert(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["-0.5", "+3", "-1e5", "a=b", "10%", "", -0.5, 3, None, True])
def test_numbers_and_words_stay_as_they_are(cell: object) -> None:
    assert inert(cell) == cell


SECRET = "abcdefgh12345678"


@pytest.mark.parametrize(
    "text",
    [
        f"nait hydra.job.env_set.ANY={SECRET} seed=1",
        f"nait 'hydra.job.env_set={{A: {SECRET}}}'",
        f"+hydra.job.env_set.ANY='{SECRET}'",
        f"s3://{SECRET}@bucket/x",
        f"https://user:{SECRET}@host/v1",
        f"https://host/x?a=1&access_token={SECRET}&b=2",
        f"https://host/x?X-Amz-Signature={SECRET}",
        f"https://host/x?sig={SECRET}",
        f"hf_{SECRET}{SECRET}",
        f"the key {SECRET} of the environment",
    ],
)
def test_secrets_are_masked(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "environment" in text:
        monkeypatch.setenv("WANDB_API_KEY", SECRET)
    assert SECRET not in masked(text)
    assert "***" in masked(text)
    assert SECRET not in str(masked_parts({"a": [text, {"b": text}]}))


@pytest.mark.parametrize(
    "text",
    ["nait seed=1 data.path=me@x.jsonl", "https://host/x?page=2", "user@host", "tokens=5", "a/b?key", "hf_x"],
)
def test_what_is_not_secret_is_not_masked(text: str) -> None:
    assert masked(text) == text
    assert without_login("http://localhost:8000/v1") == "http://localhost:8000/v1"


def test_a_value_with_spaces_is_masked_as_a_whole() -> None:
    words = ["nait", "+hydra.job.env_set.A=two words", "seed=1"]
    assert masked_words(words) == ["nait", "+hydra.job.env_set.A=***", "seed=1"]


def test_the_default_encoding_prints_every_visible_text() -> None:
    visible("".join(map(chr, range(0x3000)))).encode(sys.getfilesystemencoding())


FORGED = "a\n10:00:00 W nothing is wrong\n\n  b\n\x1b[2Jc.jsonl"


def test_a_name_with_line_breaks_forges_no_record_of_the_log() -> None:
    record = logging.LogRecord("nait", logging.INFO, "", 0, "Pool '%s'.", (FORGED,), None)
    text = LogLines("%(asctime)s %(levelname).1s %(message)s", "%H:%M:%S").format(record)
    assert [line for line in text.split("\n") if re.match(r"\S", line)] == [text.split("\n")[0]]
    assert "\n  10:00:00 W nothing is wrong\n\n  b\n  \\x1b[2Jc.jsonl'." in text
    assert visible_record("one\n  two\nthree") == "one\n  two\n  three"


def test_the_place_of_an_error_is_on_one_line() -> None:
    text = str(NaitError("is damaged", where=FORGED, fix="Write it again."))
    assert text.startswith("a\\n10:00:00 W nothing is wrong\\n\\n  b\\n\\x1b[2Jc.jsonl: is damaged.")
    assert "\n" not in text


def test_the_traceback_of_a_bug_shows_neither_controls_nor_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_API_KEY", "s3cret-value")
    try:
        raise KeyError("\x1b[2J", "s3cret-value")
    except KeyError as error:
        bug = ValueError(f"\x1b]0;x\x07 s3cret-value {error}")
        show_bug(type(bug), bug, error.__traceback__)
    text = capsys.readouterr().err
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("\n")
    assert "\x1b" not in text
    assert "s3cret-value" not in text


@pytest.mark.parametrize(
    "text", ["![x](http://evil/x.png)", "[x](javascript:y)", "<img src=x>", "a|b", "*a* ~~b~~ `c`", "a\n# b"]
)
def test_a_name_has_no_effect_in_markdown(text: str) -> None:
    shown = plain_markdown(text)
    assert not re.search(r"(?<!\\)[*\[\]|~`<>\n]", shown)
