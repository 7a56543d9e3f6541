"""Plain English in code, tests and docs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("nait", "baselines", "eval", "sweeps", "conf", "tests", "benchmarks", "docs")
IS_NO = re.compile(r"(\w+)\s+(?:is|are|was|were|be)\s+no\s+(?!longer\b|more\b|better\b)")


def texts() -> list[Path]:
    inside = [
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".yaml")
    ]
    return [*inside, *ROOT.glob("*.md")]


def test_a_thing_is_not_another_and_never_is_no_other() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {' '.join(match[0].split())}"
        for path in texts()
        for match in IS_NO.finditer(path.read_text(encoding="utf-8"))
        if match[1].lower() != "there"
    ]
    assert found == []
