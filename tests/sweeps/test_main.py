"""`nait-leaderboard`: several stores, one table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nait.store import Store
from nait.sweeps.__main__ import main

from .fixtures import put


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["nait-leaderboard", *words])
    main()


def test_several_stores_are_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, out = tmp_path / "a", tmp_path / "b", tmp_path / "out"
    put(Store(a), "nait", share=0.7)
    put(Store(b), "random", share=0.3)
    call(monkeypatch, str(a), str(b), "--out", str(out))
    text = capsys.readouterr().out
    assert text.count("Leaderboard:") == 1
    assert "minus random" in text
    assert not (out / "report.html").exists()
    call(monkeypatch, str(a), str(b), "--out", str(out), "--report", "--against", "nait", "--all")
    assert "minus nait" in capsys.readouterr().out
    assert (out / "report.html").exists()


def test_the_first_store_holds_the_files_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(Store(tmp_path / "a"), "nait")
    call(monkeypatch, str(tmp_path / "a"))
    assert (tmp_path / "a" / "leaderboard" / "leaderboard.md").is_file()


def test_a_store_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call(monkeypatch, str(tmp_path / "nothing"))
    assert "no such store" in capsys.readouterr().err
