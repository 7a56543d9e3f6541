"""Laws of push and pull: whole artifacts, verified, once; nothing invalid enters a store or leaves its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from nait.cli.subcommands import store_commands
from nait.core.errors import StoreError
from nait.store import Store
from nait.store.upkeep.push_pull import pull, push


def write(part: Path) -> dict[str, Any]:
    (part / "sub").mkdir(exist_ok=True)
    (part / "a.txt").write_text("first")
    (part / "sub/b.bin").write_bytes(bytes(range(200)))
    return {"n": 3}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "mine")
    for number in range(3):
        store.produce("things", {"number": number}, write)
    store.produce("others", {"number": 0}, write)
    return store


@pytest.fixture(params=["memory", "folder"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "shared")
        return
    yield "memory://bucket/store"
    fsspec.filesystem("memory").store.clear()


def files(store: Store) -> dict[str, bytes]:
    paths = [path for path in store.root.rglob("*") if path.is_file() and path.name != "used.json"]
    return {path.relative_to(store.root).as_posix(): path.read_bytes() for path in paths}


def test_a_store_travels_whole_and_once(store: Store, url: str, tmp_path: Path) -> None:
    first = push(store, url)
    assert (first.copied, first.present, first.refused) == (4, 0, [])
    assert push(store, url).present == 4
    there = Store(tmp_path / "theirs")
    assert (pull(there, url).copied, pull(there, url).present) == (4, 4)
    assert files(there) == files(store)
    assert there.find("things", {"number": 1}) is not None


def test_only_the_kinds_that_are_asked_for_travel(store: Store, url: str, tmp_path: Path) -> None:
    assert push(store, url, kinds=["others"]).copied == 1
    there = Store(tmp_path / "theirs")
    assert pull(there, url, kinds=["others"]).copied == 1
    with pytest.raises(StoreError, match="holds no complete artifact of the kind things"):
        pull(there, url, kinds=["things"])


def test_a_damaged_artifact_is_not_pushed(store: Store, url: str) -> None:
    made = store.find("things", {"number": 0})
    assert made
    (made.path / "a.txt").write_text("other")
    done = push(store, url)
    assert done.copied == 3
    assert len(done.refused) == 1
    assert "a.txt" in done.refused[0]


def test_what_changed_at_the_url_is_not_believed(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "shared"
    push(store, str(place))
    made = store.find("things", {"number": 0})
    assert made
    (place / "things" / made.address / "a.txt").write_text("other")
    there = Store(tmp_path / "theirs")
    done = pull(there, str(place))
    assert done.copied == 3
    assert "differs from its checksum" in done.refused[0] or "bytes" in done.refused[0]
    assert there.find("things", {"number": 0}) is None
    assert not list(there.root.glob("*.part"))


@pytest.mark.parametrize("name", ["../../../victim", "/victim", "sub/../../victim", "", "manifest.json", 3])
def test_no_name_in_a_manifest_leads_out_of_the_artifact(name: Any, store: Store, tmp_path: Path) -> None:
    place = tmp_path / "shared"
    push(store, str(place), kinds=["others"])
    (path,) = place.glob("others/*/manifest.json")
    manifest = json.loads(path.read_text())
    manifest["files"] = [name]
    path.write_text(json.dumps(manifest))
    (place / "victim").write_text("theirs")
    done = pull(Store(tmp_path / "theirs"), str(place))
    assert done.copied == 0
    assert len(done.refused) == 1
    assert not list((tmp_path / "theirs").rglob("victim"))


def refused(place: Path, tmp_path: Path) -> str:
    """The refusal of the one artifact at `place`, of which nothing enters the store."""
    theirs = Store(tmp_path / "theirs")
    done = pull(theirs, str(place))
    assert (done.copied, len(done.refused)) == (0, 1)
    assert not files(theirs)
    return done.refused[0]


def test_a_folder_in_place_of_a_file_is_refused(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "shared"
    push(store, str(place), kinds=["others"])
    (file,) = place.glob("others/*/a.txt")
    file.unlink()
    file.mkdir()
    assert "a.txt is not a file" in refused(place, tmp_path)


def test_a_file_of_another_size_is_refused_before_it_is_copied(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "shared"
    push(store, str(place), kinds=["others"])
    (file,) = place.glob("others/*/a.txt")
    file.write_text("ten times as large")
    system = type(fsspec.filesystem("file"))
    copy = system.get_file
    copied: list[str] = []

    def get_file(self: Any, path: str, *rest: Any, **named: Any) -> Any:
        copied.append(Path(path).name)
        return copy(self, path, *rest, **named)

    monkeypatch.setattr(system, "get_file", get_file)
    assert "has 18 bytes instead of 5" in refused(place, tmp_path)
    assert "a.txt" not in copied


@pytest.mark.parametrize("content", ["[]", "{}", "nul", '{"files": null}', "[" * 100_000])
def test_an_invalid_manifest_is_refused(content: str, tmp_path: Path) -> None:
    folder = tmp_path / "shared/things" / ("a" * 32)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(content)
    (tmp_path / "shared/things/short").mkdir()
    (tmp_path / "shared/things/short/manifest.json").write_text("{}")
    done = pull(Store(tmp_path / "theirs"), str(tmp_path / "shared"))
    assert (done.copied, len(done.refused)) == (0, 1)


def test_an_artifact_without_checksums_is_not_pushed(store: Store, url: str) -> None:
    made = store.find("others", {"number": 0})
    assert made
    manifest = {key: value for key, value in made.manifest.items() if key not in ("files", "checksum")}
    (made.path / "manifest.json").write_text(json.dumps(manifest))
    done = push(store, url)
    assert "an earlier version made it" in str(done)
    assert done.copied == 3


def test_links_are_not_pushed(store: Store, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "manifest.json").write_text("{}")
    (store.root / "things" / ("b" * 32)).symlink_to(victim)
    assert push(store, str(tmp_path / "shared"), kinds=["things"]).copied == 3


def test_a_pull_names_what_is_wrong_with_each_artifact_and_what_mends_it(
    store: Store, tmp_path: Path
) -> None:
    place = tmp_path / "shared"
    push(store, str(place))
    changed, lacking, signed = sorted((place / "things").iterdir())
    (changed / "a.txt").write_text("other")
    (lacking / "sub/b.bin").unlink()
    manifest = json.loads((signed / "manifest.json").read_text())
    (signed / "manifest.json").write_text(json.dumps({**manifest, "seconds": 99}))
    said = str(pull(Store(tmp_path / "theirs"), str(place)))
    assert "1 artifacts copied" in said
    assert f"things/{changed.name}/a.txt differs from its checksum" in said
    assert f"things/{lacking.name}/sub/b.bin is missing" in said
    assert f"things/{signed.name}/manifest.json differs from its checksum" in said
    assert f"Remove them at {place}, and push them again" in said
    assert ".part" not in said


def test_what_is_incomplete_there_is_pushed_again(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "shared"
    push(store, str(place))
    first, second, _ = sorted((place / "things").iterdir())
    (first / "sub/b.bin").unlink()
    (second / "manifest.json").unlink()  # a push that was killed
    (second / "a.txt").write_text("half")
    done = push(store, str(place))
    assert (done.copied, done.present) == (2, 2)
    assert pull(Store(tmp_path / "theirs"), str(place)).copied == 4


def test_an_artifact_with_other_content_stays_on_both_sides_and_is_counted(
    store: Store, url: str, tmp_path: Path
) -> None:
    other = Store(tmp_path / "theirs")
    mine = other.produce(
        "things", {"number": 0}, lambda part: {"n": (part / "a.txt").write_text("longer text")}
    )
    push(store, url)
    done = pull(other, url)
    assert (done.copied, done.present, done.differing) == (3, 1, 1)
    assert "1 with files of other sizes, which stay" in str(done)
    assert (mine.path / "a.txt").read_text() == "longer text"
    assert (push(other, url).present, push(other, url).differing) == (4, 1)
    assert pull(Store(tmp_path / "third"), url).refused == []


def test_where_there_is_nothing_nothing_is_reported_as_done(store: Store, url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"mistyped: holds no complete artifact\. Check the address"):
        pull(store, f"{url}/mistyped")
    with pytest.raises(StoreError, match="holds no complete artifact"):
        push(Store(tmp_path / "mistyped"), url)
    with pytest.raises(StoreError, match="holds no complete artifact of the kind thing"):
        push(store, url, kinds=["thing"])


def test_a_refused_artifact_fails_the_command(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "shared"
    push(store, str(place))
    next(place.glob("things/*/a.txt")).write_text("other")
    with pytest.raises(SystemExit) as ended:
        store_commands.pull(str(place), store=str(tmp_path / "theirs"), kind=None)()
    assert ended.value.code == 1
    store_commands.push(str(place), store=str(store.root), kind=None)()


class NoLoginError(Exception):
    """As the clients of the services raise, outside OSError."""


def test_an_error_of_the_services_own_client_is_one_clear_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise NoLoginError("Unable to locate credentials")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "find", refused)
    for copy in (push, pull):
        with pytest.raises(
            StoreError, match=r"memory://\*\*\*@bucket: cannot be copied \(Unable to locate cred"
        ):
            copy(store, "memory://user:secret@bucket")


def test_an_unknown_protocol_is_answered_with_its_package(store: Store) -> None:
    with pytest.raises(StoreError, match=r"nowhere://bucket: cannot be opened .*pip install s3fs"):
        push(store, "nowhere://bucket")
