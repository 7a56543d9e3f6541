"""Damage is found before it is believed, named, set aside, and made again, whichever file is damaged."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nait.core.addresses import digest_file
from nait.core.errors import StoreError
from nait.signals.token_store import read_tokens
from nait.stages.artifacts.score_files import read_layers, read_ranking, read_scores, read_selection
from nait.stages.checks import detect_contamination, rendered_rows
from nait.stages.describe_pool import read_traits
from nait.store import MANIFEST, Artifact, DamagedError, Store, read_json, write_json
from nait.store.files import checksums, manifests
from nait.sweeps.stored_runs.selections import read_chosen
from tests.families import pool
from tests.older_stores import without_checksums

READERS: list[Callable[[Artifact], Any]] = [
    read_scores, read_layers, read_ranking, lambda one: read_selection(one, pool()), read_traits,
    detect_contamination.read_hits, rendered_rows._read, read_chosen, lambda one: read_tokens(one.path),
]  # fmt: skip
FILES = (
    "scores.parquet", "layers.parquet", detect_contamination.HITS, rendered_rows.FAULTS, "traits.parquet",
    "input_ids.npy", "answer.npy", "starts.npy", "truncated.npy",
)  # fmt: skip


def artifact(root: Path, content: bytes | None) -> Artifact:
    def write(part: Path) -> dict[str, Any]:
        for name in FILES if content is not None else ():
            (part / name).write_bytes(content or b"")
        return {"layer_means": {}}

    made = Store(root).produce("things", {"of": "a test"}, write)
    return replace(made, manifest=without_checksums(made.path))


@pytest.mark.parametrize("content", [b"", b"PAR1 cut off", b"\x93NUMPY\x01", b"{", b"\xff"])
@pytest.mark.parametrize("read", READERS)
def test_a_file_that_cannot_be_read_is_named_with_its_artifact(
    read: Callable[[Artifact], Any], content: bytes, tmp_path: Path
) -> None:
    made = artifact(tmp_path, content)
    with pytest.raises(DamagedError, match="cannot be read") as raised:
        read(made)
    assert str(made.path) in raised.value.where
    assert raised.value.artifact == made.path
    assert "makes it again" in raised.value.fix


@pytest.mark.parametrize("content", ["[]", "{}", "3", "null", "{", '{"key": 1}', "[" * 100_000])
def test_a_manifest_of_no_artifact_is_set_aside_by_a_job_and_an_error_for_a_reader(
    content: str, tmp_path: Path
) -> None:
    made = artifact(tmp_path, None)
    (made.path / MANIFEST).write_text(content)
    for ask in (
        lambda: Store(tmp_path, read_only=True).find("things", made.address),
        lambda: Store(tmp_path, read_only=True).artifacts("things"),
    ):
        with pytest.raises(DamagedError, match=r"manifest\.json"):
            ask()
    assert Store(tmp_path).artifacts("things") == []
    assert aside(made).is_dir()


def aside(made: Artifact) -> Path:
    return made.path.with_name(made.address + ".damaged")


def produced(root: Path) -> Artifact:
    """An artifact with a file in a folder, made if the store lacks it."""

    def write(part: Path) -> dict[str, Any]:
        (part / "inner").mkdir(exist_ok=True)
        (part / "inner" / "values.bin").write_bytes(bytes(range(256)))
        (part / "text.json").write_text('{"a": [1, 2]}')
        return {"rows": 3, "share": 0.1, "none": None, "nan": float("nan"), "names": {1: ("a", "b")}}

    return Store(root).produce("things", {"of": "bytes"}, write)


def flip(path: Path, bit: int) -> None:
    """Flip one bit, keep size and times, as a failing disk does, and forget what this process has read."""
    facts, content = path.stat(), bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    checksums._known.clear()
    manifests._read_artifact.cache_clear()


@pytest.mark.parametrize("name", ["inner/values.bin", "text.json", MANIFEST])
@pytest.mark.parametrize("bit", [3, 700, 1234])
def test_a_flipped_bit_is_logged_and_the_artifact_made_again(
    name: str, bit: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = produced(tmp_path)
    content = (made.path / "inner" / "values.bin").read_bytes()
    flip(made.path / name, bit)
    again = produced(tmp_path)
    assert again.fresh
    assert (again.path / "inner" / "values.bin").read_bytes() == content
    assert f"{name} " in caplog.text
    assert f"{made.address}.damaged and made again" in caplog.text
    assert aside(made).is_dir()
    assert not produced(tmp_path).fresh


@pytest.mark.parametrize("change", ["cut", "grown", "gone"])
def test_a_file_of_another_size_is_found(change: str, tmp_path: Path) -> None:
    made = produced(tmp_path)
    path = made.path / "text.json"
    {
        "cut": lambda: os.truncate(path, 4), "grown": lambda: os.truncate(path, 4096), "gone": path.unlink,
    }[change]()  # fmt: skip
    assert Store(tmp_path).find("things", made.address) is None


def test_a_read_only_store_is_unchanged_by_damage(tmp_path: Path) -> None:
    made = produced(tmp_path)
    flip(made.path / "text.json", 9)
    before = sorted(tmp_path.rglob("*"))
    store = Store(tmp_path, read_only=True)
    found = store.find("things", made.address)
    assert found is not None
    with pytest.raises(DamagedError, match=r"text\.json: differs from its checksum"):
        read_json(found.path / "text.json")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_is_hashed_once_while_it_is_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, hashed = produced(tmp_path), []
    monkeypatch.setattr(checksums, "_known", {})
    monkeypatch.setattr(checksums, "digest_file", lambda path: hashed.append(path) or digest_file(path))
    for _ in range(3):
        assert Store(tmp_path).find("things", made.address) is not None
    assert len(hashed) == 2


def test_an_artifact_of_an_earlier_version_is_read_unchecked_and_keeps_its_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = produced(tmp_path)
    without_checksums(made.path)
    manifests._say_unchecked.cache_clear()
    with caplog.at_level("INFO"):
        assert not produced(tmp_path).fresh
        assert produced(tmp_path).address == made.address
    assert caplog.text.count("no checksums") == 1


def test_neither_half_of_the_checksums_can_be_left_out(tmp_path: Path) -> None:
    for name in ("files", "checksum"):
        made = produced(tmp_path)
        write_json(made.path / MANIFEST, {k: v for k, v in made.manifest.items() if k != name})
        assert Store(tmp_path).find("things", made.address) is None


def test_a_file_that_may_not_be_read_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = produced(tmp_path)

    def refuse(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(checksums, "_known", {})
    monkeypatch.setattr(checksums, "digest_file", refuse)
    with pytest.raises(StoreError, match="no permission to read it") as raised:
        Store(tmp_path).find("things", made.address)
    assert not isinstance(raised.value, DamagedError)
    assert made.path.is_dir()


def test_damage_of_one_artifact_after_another_is_kept_apart(tmp_path: Path) -> None:
    for _ in range(3):
        flip(produced(tmp_path).path / "text.json", 9)
    assert produced(tmp_path).fresh
    assert len(list(tmp_path.rglob("*.damaged*"))) == 3
