"""Plain English in code, tests and docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("nait", "baselines", "eval", "sweeps", "conf", "tests", "benchmarks", "docs", "community")
IS_NO = re.compile(r"(\w+)\s+(?:is|are|was|were|be)\s+no\s+(?!longer\b|more\b|better\b)")
OLD = {
    "mend": r"\bmend(?:s|ed|ing)?\b",
    "goes on": r"\bgo(?:es)? on(?: from| to|,|\.|$)",
    "stands for": r"\bstand(?:s|ing)? (?:in for|for|beside)\b",
    "of the like": r"\bof the like\b",
    "foretell": r"\bforet(?:ell|ells|old)\b",
    "anew": r"\banew\b",
}
"""Old word -> its pattern, for code and documents that users and contributors read."""
OLD_NAMES = re.compile(
    r"def (test_\w*(?:_(?:is|are|was|were)_no_|_alike|_anew|_said\b|_said_|_told_|goes_on|_stands_)\w*)"
)


def texts(folders: tuple[str, ...] = FOLDERS) -> list[Path]:
    inside = [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".yaml")
    ]
    return [*inside, *ROOT.glob("*.md")]


def test_no_sentence_denies_with_is_and_no() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {' '.join(match[0].split())}"
        for path in texts()
        for match in IS_NO.finditer(path.read_text(encoding="utf-8"))
        if match[1].lower() != "there"
    ]
    assert found == []


@pytest.mark.parametrize("word", OLD)
def test_code_and_documents_use_present_day_words(word: str) -> None:
    pattern = re.compile(OLD[word], re.IGNORECASE | re.MULTILINE)
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in texts(("nait", "baselines", "eval", "sweeps", "conf", "docs", "community"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if pattern.search(line) and not (word == "mend" and "turns" in line)  # the config value turns=mend
    ]
    assert found == []


def test_tests_are_named_in_present_day_words() -> None:
    found = [
        name for path in (ROOT / "tests").rglob("test_*.py") for name in OLD_NAMES.findall(path.read_text())
    ]
    assert found == []
