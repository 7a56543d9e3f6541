"""A store from somewhere else is data: a leaderboard follows no link in it and writes nothing in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from nait.core.addresses import address
from nait.store import Store, signed
from nait.store.files.checksums import sums_of
from nait.sweeps.__main__ import main

from .fixtures import put

Change = Callable[[Path, Path], None]
"""Changes the store at the first path; the second is a file that belongs to the reader."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two runs of one benchmark, the second of which is the control."""
    root = tmp_path_factory.mktemp("whole") / "store"
    for name, share in (("nait", 0.7), ("random", 0.3)):
        put(Store(root), name, share={"nano_math": share}, texts=True, rows=5)
    return root


def one(root: Path, kind: str, file: str = "manifest.json") -> Path:
    """A file of the first artifact of a kind; for a run, of the one of `nait`."""
    found = sorted((root / kind).iterdir())
    if kind == "runs":
        found = [path for path in found if b'"selector": "nait"' in (path / "manifest.json").read_bytes()]
    return found[0] / file


def written(text: str | bytes, kind: str = "runs", file: str = "manifest.json") -> Change:
    """A file with this content."""

    def change(root: Path, _: Path) -> None:
        one(root, kind, file).write_bytes(text.encode() if isinstance(text, str) else text)

    return change


def set_to(place: str, value: Any, kind: str = "runs") -> Change:
    """A manifest that is right but for the entry at `place`. The artifact moves to the address of its key."""

    def change(root: Path, _: Path) -> None:
        path = one(root, kind)
        manifest = json.loads(path.read_text())
        *parents, last = place.split("/")
        inner = manifest
        for name in parents:
            inner = inner[name]
        inner[last] = value
        plain = {name: part for name, part in manifest.items() if name != "checksum"}
        if isinstance(plain["key"], dict) and not place.startswith("address"):
            plain["address"] = address(plain["key"])
        path.write_text(json.dumps(signed(plain)))
        path.parent.rename(path.parent.with_name(str(plain["address"])))

    return change


def without(*names: str, kind: str = "runs") -> Change:
    """A signed manifest that lacks entries."""

    def change(root: Path, _: Path) -> None:
        path = one(root, kind)
        manifest = json.loads(path.read_text())
        path.write_text(
            json.dumps(signed({k: v for k, v in manifest.items() if k not in (*names, "checksum")}))
        )

    return change


def linked(kind: str, file: str = "") -> Change:
    """A folder or file that is a link to a copy of itself elsewhere."""

    def change(root: Path, victim: Path) -> None:
        path = one(root, kind, file) if file else root / kind
        moved = victim.with_name("moved")
        path.rename(moved)
        path.symlink_to(moved)

    return change


def resealed(kind: str, file: str, write: Callable[[Path], None]) -> Change:
    """A file with other content, and a manifest that has its checksum."""

    def change(root: Path, _: Path) -> None:
        path = one(root, kind, file)
        write(path)
        set_to("files", sums_of(path.parent, without=["manifest.json"]), kind)(root, _)

    return change


def table(**columns: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        parquet.write_table(pa.table({**parquet.read_table(path).to_pydict(), **columns}), path)

    return write


def results(**changes: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        found = json.loads(path.read_text())
        found["results"] = [{**row, **changes} for row in found["results"]]
        path.write_text(json.dumps(found))

    return write


def pipe(root: Path, _: Path) -> None:
    path = one(root, "evaluations", "results.json")
    path.unlink()
    os.mkfifo(path)


def exchanged(root: Path, _: Path) -> None:
    a, b = sorted((root / "runs").iterdir())
    for path, other in ((a, root / "x"), (b, a), (root / "x", b)):
        path.rename(other)


def other_kind(root: Path, _: Path) -> None:
    found = one(root, "evaluations").parent
    shutil.copytree(found, root / "runs" / found.name)


REFUSED: dict[str, Change] = {
    "a list": written("[]"),
    "an empty object": written("{}"),
    "null": written("null"),
    "a number": written("3"),
    "an empty file": written(""),
    "half a file": written('{"kind": "runs", '),
    "bytes": written(b"\xff\xfe\x00\x01"),
    "a nesting that no parser takes": written("[" * 200_000),
    "a nesting of objects": written('{"key":' * 5000 + "1" + "}" * 5000),
    "a number of 6000 digits": written('{"key": {"run": ' + "9" * 6000 + "}}"),
    "half a character": written('{"key": {"run": "\\ud800"}}'),
    "NaN without more": written('{"key": NaN}'),
    "another kind": set_to("kind", "scores"),
    "another address": set_to("address", "0" * 32),
    "a key that is a list": set_to("key", []),
    "a deep entry": set_to("settings", json.loads("[" * 80 + "]" * 80)),
    "a huge whole number": set_to("selected_rows", 10**400),
    "exchanged places": exchanged,
    "an evaluation among the runs": other_kind,
    "files elsewhere": set_to("files", {"../../../victim": {"bytes": 6, "sha256": "0"}}),
    "files without sizes": set_to("files", {"results.json": {}}),
    "no labels": without("labels"),
    "no links": without("links"),
    "no seconds": without("phase_seconds"),
    "labels of another type": set_to("labels/seed", "zero"),
    "a label that is a list": set_to("labels/target", ["math"]),
    "links that are a list": set_to("links", ["a"]),
    "a link to a number": set_to("links/evaluation", 7),
    "a link that leads elsewhere": set_to("links/evaluation", "../../victim"),
    "a link to another kind": set_to("links/evaluation", "0" * 32),
    "seconds that are infinite": set_to("phase_seconds", {"select": float("inf")}),
    "seconds that are text": set_to("phase_seconds", {"select": "many"}),
    "hours that overflow": set_to("device_hours", 1e308),
    "hours that are not a number": set_to("device_hours", float("nan")),
    "money in words": set_to("money", "much"),
    "truth in words": set_to("truth", {"precision": "high"}),
    "warnings that are an object": set_to("warnings", {"a": 1}),
    "a recipe that is a list": set_to("training", {"recipe": [1]}),
    "a suite that is a list": set_to("key/suite", [], kind="evaluations"),
    "a score's targets that are a number": set_to("targets", 3, kind="scores"),
    "an order that is a text": set_to("key/order", "x", kind="selections"),
    "a linked kind": linked("runs"),
    "a linked manifest": linked("runs", "manifest.json"),
    "a linked evaluation": linked("evaluations", "results.json"),
    "linked items": linked("evaluations", "items.parquet"),
    "linked texts": linked("selections", "selected.jsonl"),
    "a pipe": pipe,
    "results that are a list": resealed("evaluations", "results.json", lambda path: path.write_text("[]")),
    "a result in words": resealed("evaluations", "results.json", results(value="good")),
    "members of another type": resealed("evaluations", "results.json", results(members=[3])),
    "items of another type": resealed("evaluations", "items.parquet", table(value=["x"] * 60)),
    "items that cannot be read": resealed("evaluations", "items.parquet", lambda path: path.write_bytes(b"PAR1")),
}  # fmt: skip

DANGEROUS = (
    "=cmd|'/c calc'!A1\x1b]0;owned\x07\x1b[2J\u202e<script>alert(1)</script>[x](javascript:y)$x^{\r\x00"
)
HARMLESS: dict[str, Change] = {
    "a dangerous target": set_to("labels/target", DANGEROUS),
    "a dangerous selector": set_to("labels/selector", DANGEROUS),
    "a dangerous model": set_to("labels/model", DANGEROUS),
    "a dangerous setting": set_to("settings", {DANGEROUS: DANGEROUS}),
    "a dangerous warning": set_to("warnings", [DANGEROUS]),
    "a dangerous command": set_to("command", DANGEROUS),
    "a dangerous task": resealed("evaluations", "results.json", results(task=DANGEROUS, is_group=False)),
    "a key that names another folder": set_to("key", {"run": "../../../etc"}),
    "a further entry": set_to("further", {"a": [1, None, "x"]}),
    "a file that no one reads": lambda root, _: (root / "runs" / "note.txt").write_text("x") and None,
    "a planted report": lambda root, victim: (root / "leaderboard").symlink_to(victim.parent),
}  # fmt: skip


def snapshot(root: Path) -> list[tuple[str, int, int]]:
    """Every name under a folder, with its size and time, links not followed."""
    return sorted((str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in root.rglob("*"))


def called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """Exit code, output and errors of a leaderboard."""
    monkeypatch.setattr(sys, "argv", ["nait-leaderboard", *words])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("mine\n\n")
    return path


def is_safe(text: str) -> bool:
    """Whether a terminal shows all of a text as it is."""
    return all(letter in "\n\t" or (letter.isprintable() and letter != "\u202e") for letter in text)


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_store_is_refused_in_one_message(
    name: str, whole: Path, tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root = tmp_path / "store"
    shutil.copytree(whole, root)
    REFUSED[name](root, victim)
    before = snapshot(root)
    code, out, err = called(monkeypatch, capsys, str(root), "--out", str(tmp_path / "out"))
    assert (code, out) == (2, ""), err
    assert err.count("\n") == 1
    assert err.startswith("nait-leaderboard: ")
    assert is_safe(err)
    assert snapshot(root) == before
    assert victim.read_text() == "mine\n\n"


@pytest.mark.parametrize("name", HARMLESS)
def test_dangerous_texts_have_no_effect(
    name: str, whole: Path, tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root, out = tmp_path / "store", tmp_path / "out"
    shutil.copytree(whole, root)
    HARMLESS[name](root, victim)
    before = snapshot(root)
    code, printed, err = called(monkeypatch, capsys, str(root), "--out", str(out))
    assert code == 0, err
    assert is_safe(printed + err)
    page = (out / "leaderboard.md").read_text()
    assert is_safe(page)
    assert "<script" not in page
    assert "](javascript" not in page
    cells = (out / "leaderboard.csv").read_text()
    assert ",=cmd" not in cells
    assert '"=cmd' not in cells
    assert snapshot(root) == before
    assert victim.read_text() == "mine\n\n"


def test_a_dangerous_text_breaks_no_report(
    whole: Path, tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root, out = tmp_path / "store", tmp_path / "out"
    shutil.copytree(whole, root)
    for name in ("a dangerous target", "a dangerous setting", "a dangerous warning", "a dangerous command"):
        HARMLESS[name](root, victim)
    code, printed, err = called(monkeypatch, capsys, str(root), "--out", str(out), "--report")
    assert code == 0, err
    assert is_safe(printed)
    for file in out.iterdir():
        text = file.read_text()
        if file.suffix not in (".json", ".csv"):  # data for programs
            assert "<script" not in re.sub(r"`[^`\n]*`", "", text), file  # code in Markdown is shown as it is
            assert is_safe(text), file
    assert "$x^{" not in (out / "tables.tex").read_text()


def test_planted_links_do_not_lead_out_of_the_output_folder(
    whole: Path, tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    out.mkdir()
    for name in ("leaderboard.json.part", "leaderboard.json", "leaderboard.md.part", "leaderboard.md"):
        (out / name).symlink_to(victim)
    code, _, err = called(monkeypatch, capsys, str(whole), "--out", str(out))
    assert code == 0, err
    assert victim.read_text() == "mine\n\n"
    assert not (out / "leaderboard.md").is_symlink()


@pytest.mark.parametrize("words", [["--out", "leaderboard"], ["--out", "runs/x"], []])
def test_the_output_folder_is_not_in_the_store(
    words: list[str], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shutil.copytree(whole, tmp_path / "store")
    monkeypatch.chdir(tmp_path / "store")
    before = snapshot(tmp_path / "store")
    code, _, err = called(monkeypatch, capsys, ".", *words)
    assert code == 2
    assert "is only read" in err
    assert snapshot(tmp_path / "store") == before
