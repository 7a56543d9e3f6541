"""Laws of the store: complete or absent, shared, resumable, confined to its root."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest

from nait.core.errors import StoreError
from nait.store import Store, write_json

KEY = {"what": "a test"}


def test_an_artifact_is_made_once(tmp_path: Path) -> None:
    store, calls = Store(tmp_path), []

    def write(part: Path) -> dict[str, int]:
        calls.append(1)
        (part / "x").write_text("1")
        return {"rows": 3}

    first, second = store.produce("things", KEY, write), store.produce("things", KEY, write)
    assert calls == [1]
    assert first.fresh
    assert not second.fresh
    assert second.manifest["rows"] == 3
    assert second.manifest["key"] == KEY


def test_a_failed_writer_leaves_its_part_to_the_next(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail(part: Path) -> dict[str, int]:
        (part / "half").write_text("1")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.produce("things", KEY, fail)
    assert store.find("things", KEY) is None

    def finish(part: Path) -> dict[str, int]:
        assert (part / "half").read_text() == "1"
        return {}

    assert store.produce("things", KEY, finish).path.name == store.folder("things", KEY).name


def _slow(part: Path) -> dict[str, int]:
    time.sleep(0.3)
    (part / "writer").write_text("x")
    return {}


def _produce(root: str, queue: multiprocessing.Queue) -> None:
    queue.put(Store(root).produce("things", KEY, _slow).fresh)


def test_two_jobs_share_a_store_and_one_writes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    jobs = [context.Process(target=_produce, args=(str(tmp_path), queue)) for _ in range(3)]
    for job in jobs:
        job.start()
    fresh = [queue.get(timeout=300) for _ in jobs]
    for job in jobs:
        job.join()
    assert sorted(fresh) == [False, False, True]


def test_no_kind_or_address_escapes_the_root(tmp_path: Path) -> None:
    for kind, name in (("../x", "ab"), ("things", "../../etc"), ("things", "")):
        with pytest.raises(StoreError):
            Store(tmp_path).folder(kind, name)


def test_a_folder_without_a_manifest_is_not_an_artifact(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.folder("things", KEY).mkdir(parents=True)
    assert store.find("things", KEY) is None
    assert store.produce("things", KEY, lambda part: {}).fresh


def test_an_adopted_artifact_is_the_one_that_was_made_elsewhere(tmp_path: Path) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    made = there.produce("things", KEY, lambda part: {"said": (part / "x").write_text("elsewhere")})
    adopted = here.adopt(made.path)
    assert (adopted, here.find("things", KEY)) == (adopted, adopted)
    assert (adopted.path / "x").read_text() == "elsewhere"
    assert adopted.manifest == made.manifest
    assert there.find("things", KEY) is None
    assert not list(here.root.rglob("*.part"))


def test_an_artifact_that_is_there_is_not_replaced_by_an_adopted_one(tmp_path: Path) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    here.produce("things", KEY, lambda part: {"said": "here"})
    made = there.produce("things", KEY, lambda part: {"said": "there"})
    assert here.adopt(made.path).manifest["said"] == "here"


@pytest.mark.parametrize(
    "change", [{"key": {"of": "another"}}, {"address": "ab"}, {"kind": "other"}, {"key": None}]
)
def test_an_artifact_whose_manifest_is_anothers_is_not_adopted(
    change: dict[str, Any], tmp_path: Path
) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    made = there.produce("things", KEY, lambda part: {})
    write_json(made.path / "manifest.json", {**made.manifest, **change})
    with pytest.raises(StoreError, match="is the manifest of another artifact"):
        here.adopt(made.path)
    assert not here.root.exists()


def test_a_store_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file: .* where a folder is needed.*paths\.store=FOLDER"):
        Store(tmp_path / "file").produce("things", KEY, lambda part: {})


def test_json_is_written_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
