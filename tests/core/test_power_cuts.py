"""A power cut at any sync leaves each artifact complete or absent, and nothing that was finished is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nait.store import Artifact, Store, write_json
from nait.store.files import checksums
from tests.power_cuts import CUTS, Cut, Disk, PowerCut

CONTENT = {"a.bin": bytes(range(200)), "inner/b.txt": b"some text", "c.json": b'{"rows": 1}\n'}


def write(part: Path) -> dict[str, Any]:
    (part / "inner").mkdir(exist_ok=True)
    for name in ("a.bin", "inner/b.txt"):
        (part / name).write_bytes(CONTENT[name])
    write_json(part / "c.json", {"rows": 1})
    (part / "c.json").write_bytes(CONTENT["c.json"])
    return {"rows": 1}


def job(root: Path) -> list[Artifact]:
    """Two artifacts of different kinds."""
    return [Store(root).produce(kind, {"of": kind}, write) for kind in ("scores", "selections")]


def cut(root: Path, monkeypatch: pytest.MonkeyPatch, *, at: int | None, kind: Cut) -> int:
    """Run the job until a cut at this sync, or to its end, and restore what the disk holds. Returns the syncs."""
    root.mkdir(exist_ok=True)
    disk = Disk(root, cut_at=at)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", disk.synced)
        patch.setattr(checksums, "_known", {})
        try:
            job(root)
        except PowerCut:
            assert at is not None
    disk.restore(kind)
    return disk.syncs


def files(artifact: Artifact) -> dict[str, bytes]:
    return {name: (artifact.path / name).read_bytes() for name in CONTENT}


@pytest.mark.parametrize("kind", CUTS)
def test_what_was_finished_before_a_power_cut_is_there_after_it(
    kind: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(tmp_path / "store", monkeypatch, at=None, kind=kind)
    for made in job(tmp_path / "store"):
        assert not made.fresh
        assert files(made) == CONTENT


@pytest.mark.parametrize("kind", CUTS)
def test_after_a_power_cut_at_any_sync_an_artifact_is_complete_or_absent(
    kind: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = cut(tmp_path / "whole", monkeypatch, at=None, kind=kind)
    assert syncs > 20
    for at in range(1, syncs + 1):
        root = tmp_path / str(at)
        cut(root, monkeypatch, at=at, kind=kind)
        assert not list(root.rglob("*.damaged"))
        for made in job(root):
            assert files(made) == CONTENT, f"a cut at sync {at}"
        assert not list(root.rglob("*.damaged")), "an artifact that was not whole had its name"


def test_a_new_folder_with_the_inode_of_a_removed_file_is_a_folder_after_a_cut(tmp_path: Path) -> None:
    """File systems use the inodes of removed files again."""
    root = tmp_path / "store"
    root.mkdir()
    disk = Disk(root)

    def synced(path: Path) -> None:
        handle = os.open(path, os.O_RDONLY)
        disk.synced(handle)
        os.close(handle)

    (root / "new").mkdir()
    disk.content[(root / "new").stat().st_ino] = b"of a removed file"
    synced(root)
    disk.restore("names are lost")
    assert (root / "new").is_dir()
