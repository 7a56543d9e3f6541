"""A store's upkeep shows what is there, finds damage, and removes only what no run and no process needs."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nait.cli.subcommands.main_app import work_of
from nait.core.errors import StoreError
from nait.core.inputs.paths import check_writable
from nait.stages.report import record_partial_run
from nait.store import Artifact, Store
from nait.store.files.locks import locked
from nait.store.store import OTHER_FOLDER
from nait.store.upkeep import inventory
from nait.store.upkeep.gc import garbage, remove
from nait.store.upkeep.inventory import orphans, over_limit, places, sizes
from nait.store.upkeep.store_sizes import by_kind, by_run, orphans_by_kind
from nait.store.upkeep.verify import verify


def put(store: Store, kind: str, number: int = 0, **facts: Any) -> Artifact:
    def write(part: Path) -> Mapping[str, Any]:
        (part / "values.bin").write_bytes(bytes(1000))
        return facts

    return store.produce(kind, {"number": number, **({"of": facts["of"]} if "of" in facts else {})}, write)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A run with everything that it needs, one pass that no run needs, and leftovers."""
    store = Store(tmp_path / "store")
    measured = put(store, "passes")
    put(store, "signals", **{"pass": measured.address})
    directions = put(store, "directions")
    scores = put(
        store,
        "scores",
        derived=[["directions", directions.address]],
        made_of=[["passes", measured.address, [0]]],
    )
    selection = put(store, "selections", of=scores.address)
    put(store, "runs", links={"selection": selection.address, "adapter": None})
    put(store, "passes", 1)
    (store.root / "passes" / ("a" * 32 + ".part")).mkdir()
    (store.root / "passes" / ("b" * 32 + ".damaged")).mkdir()
    (store.root / "passes" / ("c" * 32 + ".lock")).touch()
    return store


def test_lock_files_do_not_accumulate(tmp_path: Path) -> None:
    put(Store(tmp_path), "passes")
    assert not list(tmp_path.rglob("*.lock"))


def test_sizes_are_counted_by_kind_and_state(store: Store) -> None:
    found = sizes(places(store.root))
    assert found["passes", "artifact"][0] == 2
    assert found["passes", "artifact"][1] > 2000
    assert {state for kind, state in found if kind == "passes"} == {
        "artifact",
        "unfinished",
        "damaged",
        "lock",
    }


def test_a_store_is_listed_by_kind_by_run_and_by_what_no_run_needs(store: Store) -> None:
    first = put(store, "selections", 7)
    scores = next(one.path.name for one in places(store.root) if one.kind == "scores")
    labels = {"selector": "nait", "target": "math", "budget": "10%", "seed": 3}
    put(store, "runs", 8, labels=labels, links={"selection": first.address, "scores": scores})
    listed = by_kind(store.root).splitlines()
    assert [line.split() for line in listed if line.startswith("passes")] == [
        ["passes", "2", "0.0", "MB"],
        ["passes", "1", "0.0", "MB", "damaged"],
        ["passes", "1", "0.0", "MB", "lock"],
        ["passes", "1", "0.0", "MB", "unfinished"],
    ]
    heading, *rows = by_run(store.root).splitlines()
    assert heading.split()[:3] == ["run", "needs", "alone"]
    (row,) = [row for row in rows if row.endswith("nait math 10% 3")]
    needs, alone = (float(word) for word in row.split() if "." in word)
    assert needs >= alone >= 0.0
    assert [line.split()[:2] for line in orphans_by_kind(store.root).splitlines()] == [["passes", "1"]]


def test_a_linked_run_keeps_its_artifacts(store: Store, tmp_path: Path) -> None:
    (run,) = [one.path for one in places(store.root) if one.kind == "runs"]
    run.rename(tmp_path / run.name)
    run.symlink_to(tmp_path / run.name)
    assert [one.kind for one in orphans(store.root)] == ["passes"]
    assert by_run(store.root).count(run.name[:8]) == 1


def test_an_orphan_is_what_no_run_leads_to(store: Store) -> None:
    (one,) = orphans(store.root)
    assert one.path == store.folder("passes", {"number": 1})


def test_a_run_that_only_selected_keeps_its_selection_and_is_listed(store: Store) -> None:
    selection = put(store, "selections", 5)
    assert {one.kind for one in orphans(store.root)} == {"passes", "selections"}
    record_partial_run(store, {"selection": selection.address}, {"selector": "less", "seed": 4})
    assert {one.kind for one in orphans(store.root)} == {"passes"}
    assert any(line.endswith("less - - 4") for line in by_run(store.root).splitlines())


def test_results_without_a_record_are_listed_with_what_their_removal_breaks(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "nait explain" not in orphans_by_kind(store.root)
    put(store, "selections", 5)
    assert "nait explain" in orphans_by_kind(store.root)
    work_of(["store", "gc", "--orphans", "--store", str(store.root)])()
    assert "Without them, nait explain" in capsys.readouterr().out


def test_garbage_is_removed_and_what_a_run_needs_stays(store: Store) -> None:
    kept = [one.path for one in places(store.root) if one.state == "artifact"]
    remove([one for one in garbage(store.root) if one.state != "scratch"])
    assert [one.path for one in places(store.root)] == kept
    remove([one for one in garbage(store.root, with_orphans=True) if one.state != "scratch"])
    assert {one.path for one in places(store.root)} == {*kept} - {store.folder("passes", {"number": 1})}
    assert store.find("runs", {"number": 0}) is not None


def test_what_a_process_writes_is_not_garbage(store: Store) -> None:
    part = store.root / "passes" / ("a" * 32 + ".part")
    with locked(part.with_suffix(".lock")):
        assert part not in [one.path for one in garbage(store.root)]
    assert part in [one.path for one in garbage(store.root)]


def test_verification_finds_other_sizes_and_deep_verification_other_bytes(store: Store) -> None:
    assert verify(store.root, deep=True) == (7, 0, [])
    (store.folder("scores", store.artifacts("scores")[0].address) / "values.bin").write_bytes(bytes(999))
    assert len(verify(store.root)[2]) == 1
    path = store.folder("passes", {"number": 1}) / "values.bin"
    path.write_bytes(bytes(999) + b"x")
    assert len(verify(store.root)[2]) == 1
    assert len(verify(store.root, deep=True)[2]) == 2


def test_the_commands_show_verify_and_remove(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(store.root)
    for words in (
        ["ls", "--store", folder],
        ["verify", "--store", folder, "--deep"],
        ["gc", "--store", folder],
    ):
        work_of(["store", *words])()
    shown = capsys.readouterr().out
    assert "7 artifacts, 0 damaged." in shown
    assert "Add --yes to do it." in shown
    assert (store.root / "passes" / ("b" * 32 + ".damaged")).is_dir()
    with pytest.raises(StoreError, match="there is no store"):
        work_of(["store", "verify", "--store", str(store.root / "none")])()


def test_a_process_that_waits_too_long_names_the_holder(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with (
        locked(lock),
        pytest.raises(
            StoreError, match=r"is written by process \d+ on .* \(since .*raise store\.wait_seconds"
        ),
        locked(lock, limit=0.1),
    ):
        pass


def test_a_store_above_its_limit_gives_a_warning(store: Store) -> None:
    assert over_limit(store.root, None) == []
    assert over_limit(store.root, 1.0) == []
    (line,) = over_limit(store.root, 1e-6)
    assert "more than store.limit_gb=1e-06" in line


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EFBIG])
def test_a_folder_that_cannot_be_written_is_refused_before_any_work(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    check_writable(tmp_path / "new" / "store", fix="x")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=r"cannot be written or opened: .*Set another folder"):
        check_writable(tmp_path / "new" / "store", fix=OTHER_FOLDER)
    assert not list(tmp_path.iterdir())


def test_a_scratch_folder_that_vanishes_meanwhile_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nait-eval-gone").mkdir()
    monkeypatch.setattr(inventory, "gettempdir", lambda: str(tmp_path))
    assert inventory.scratch() == []  # young
    monkeypatch.setattr(inventory, "DAY_SECONDS", -1.0)
    assert len(inventory.scratch()) == 1

    def vanished(self: Path, _: str) -> list[Path]:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "rglob", vanished)
    assert inventory.scratch() == []


def test_nothing_behind_a_link_is_garbage(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    kept = put(other, "adapters").path
    for name in ("d" * 32 + ".lock", "e" * 32 + ".part", "f" * 32 + ".damaged"):
        (other.root / "adapters" / name).touch()
    (store.root / "adapters").symlink_to(other.root / "adapters")
    before = sorted(other.root.rglob("*"))
    found = garbage(store.root, with_orphans=True)
    assert {one.kind for one in found} == {"passes"}
    assert sorted(other.root.rglob("*")) == before
    assert [one.path.name for one in places(store.root) if one.kind == "adapters"] == [kept.name]
