"""`nait-leaderboard`: several stores, one table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nait.store import Store
from nait.sweeps.__main__ import main
from tests.tracking.fakes import Api, Run, record, serve

from .fixtures import put


@pytest.fixture(autouse=True)
def working_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Default output goes to a folder of its own."""
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))


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


def test_files_are_written_to_the_working_folder_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(Store(tmp_path / "a"), "nait")
    monkeypatch.chdir(tmp_path)
    call(monkeypatch, "a")
    assert (tmp_path / "leaderboard" / "leaderboard.md").is_file()
    assert not (tmp_path / "a" / "leaderboard").exists()


def test_a_store_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call(monkeypatch, str(tmp_path / "nothing"))
    assert "no such store" in capsys.readouterr().err
    put(Store(tmp_path / "store"), "nait", share=0.7)
    with pytest.raises(SystemExit):
        call(monkeypatch, str(tmp_path))
    assert f"{tmp_path}: is not a store, but has one. Give {tmp_path / 'store'}." in capsys.readouterr().err


def test_a_pulled_project_is_one_more_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, theirs = Store(tmp_path / "mine"), Store(tmp_path / "theirs")
    runs = [put(theirs, "nait", share=0.7), put(theirs, "random", share=0.3)]
    put(mine, "length", share=0.4)
    call(monkeypatch, str(mine.root), str(theirs.root), "--out", str(tmp_path / "direct"))
    expected = capsys.readouterr().out.replace("direct", "pulled")
    serve(monkeypatch, Api("team/nait", [Run(name, [record(theirs, name)]) for name in runs]))
    call(monkeypatch, str(mine.root), "--wandb", "team/nait", "--out", str(tmp_path / "pulled"))
    said = capsys.readouterr().out
    assert "2 records fetched" in said
    assert "minus random" in expected
    assert said.endswith(expected)
    assert (tmp_path / "pulled" / "store" / "runs" / runs[0]).is_dir()


def test_a_pulled_project_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = Store(tmp_path / "theirs")
    sent = record(theirs, put(theirs, "nait"))
    monkeypatch.chdir(tmp_path)
    serve(monkeypatch, Api("team/nait", [Run("a", [sent])]))
    call(monkeypatch, "--wandb", "team/nait")
    assert (tmp_path / "team" / "nait" / "leaderboard.md").is_file()
    call(monkeypatch, "--wandb", "team/nait")
    assert sent.downloads == 1


@pytest.mark.parametrize("words", [[], ["--group", "study", "here"]])
def test_without_anything_to_read_the_usage_is_shown(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call(monkeypatch, *words)
    assert "error: " in capsys.readouterr().err


def test_without_its_flags_the_network_is_never_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wandb.Api", lambda: pytest.fail("asked"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("connected"))
    put(Store(tmp_path / "a"), "nait")
    call(monkeypatch, str(tmp_path / "a"))


@pytest.mark.parametrize("words", [[], ["--report"], ["--costs"]])
def test_a_store_without_runs_is_reported_as_empty(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, str(tmp_path), *words)
    assert "No run is recorded here." in capsys.readouterr().out


def test_a_control_that_no_line_is_called_is_answered_with_the_names_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("nait", "random"):
        put(Store(tmp_path), name)
    call(monkeypatch, str(tmp_path), "--against", "nayt")
    printed = capsys.readouterr().out
    assert (
        "No line of this table is called nayt, so no difference is shown. Its lines: nait, random." in printed
    )
    assert "selector=nayt" not in printed
