"""The contract tests of a store."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nait.core.errors import StoreError
from nait.store import MANIFEST, Store

KIND = "things"
KEY: Mapping[str, Any] = {"what": "a test", "rows": 3}
SECONDS = 180
TICK_SECONDS = 0.05
"""More than the resolution of the clock of a file system."""


class StoreContract:
    """Subclass it, return a store from `store`, and pytest runs the laws."""

    def store(self, root: Path) -> Store:
        """The store under test, opened on `root`, which may hold artifacts of an earlier one."""
        raise NotImplementedError("Return a store.")

    # The laws.

    def test_an_artifact_is_made_once(self, tmp_path: Path) -> None:
        """The second `produce` finds the first one's artifact and does not call the writer."""
        calls: list[int] = []

        def write(part: Path) -> Mapping[str, Any]:
            calls.append(1)
            (part / "x").write_text("1", encoding="utf-8")
            return {"rows": 3}

        store = self.store(tmp_path)
        first, second = store.produce(KIND, KEY, write), store.produce(KIND, KEY, write)
        assert len(calls) == 1, f"the writer is called {len(calls)} times"
        assert (first.fresh, second.fresh) == (True, False), "`fresh` does not mark the new artifact"
        assert second.manifest["rows"] == 3, "what the writer returns is not in the manifest"
        assert (second.path / "x").read_text(encoding="utf-8") == "1", (
            "the writer's file is not in the artifact"
        )

    def test_a_reopened_store_finds_what_was_made(self, tmp_path: Path) -> None:
        """Another store on the same root finds the artifact, with the same manifest."""
        made = self.store(tmp_path).produce(KIND, KEY, _one_file)
        found = self.store(tmp_path).find(KIND, KEY)
        assert found is not None, "a reopened store does not find the artifact"
        assert found.manifest == made.manifest, "a reopened store finds another manifest"
        assert [one.address for one in self.store(tmp_path).artifacts(KIND)] == [made.address]

    def test_a_key_is_its_content(self, tmp_path: Path) -> None:
        """The order of a key's entries is irrelevant; another value gives another artifact."""
        store = self.store(tmp_path)
        made = store.produce(KIND, KEY, _one_file)
        same = store.find(KIND, dict(reversed(list(KEY.items()))))
        assert same is not None, "the order of a key's entries matters"
        assert same.address == made.address, "equal keys have different addresses"
        for other in ({**KEY, "rows": 4}, {**KEY, "more": None}, {"what": "a test"}):
            assert store.find(KIND, other) is None, f"{other} finds the artifact of {dict(KEY)}"
        assert store.find("others", KEY) is None, "another kind finds the artifact"

    def test_a_failed_writer_leaves_no_artifact(self, tmp_path: Path) -> None:
        """After an error there is no artifact; the next writer gets the files written so far."""

        def fail(part: Path) -> Mapping[str, Any]:
            (part / "half").write_text("1", encoding="utf-8")
            raise RuntimeError("a writer that fails")

        store = self.store(tmp_path)
        try:
            store.produce(KIND, KEY, fail)
        except RuntimeError:
            pass
        else:
            raise AssertionError("the writer's error is lost")
        self._resumes(tmp_path)

    def test_a_killed_writer_leaves_no_artifact(self, tmp_path: Path) -> None:
        """The same holds after the process is killed while writing."""

        def die(part: Path) -> Mapping[str, Any]:
            (part / "half").write_text("1", encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)
            return {}

        _in_processes(1, lambda: self.store(tmp_path).produce(KIND, KEY, die))
        self._resumes(tmp_path)

    def test_one_of_several_processes_writes(self, tmp_path: Path) -> None:
        """Concurrent processes that produce the same artifact call the writer once, and all find it."""

        def write(part: Path) -> Mapping[str, Any]:
            with (tmp_path / "calls").open("a", encoding="utf-8") as stream:
                stream.write("1\n")
            time.sleep(0.2)
            return _one_file(part)

        codes = _in_processes(3, lambda: self.store(tmp_path / "root").produce(KIND, KEY, write))
        calls = (tmp_path / "calls").read_text(encoding="utf-8").split()
        assert len(calls) == 1, f"{len(calls)} processes write one artifact"
        assert codes == [0, 0, 0], f"a process fails: {codes}"

    def test_a_folder_without_a_manifest_is_not_an_artifact(self, tmp_path: Path) -> None:
        """It is neither found nor listed, and `produce` writes it again."""
        store = self.store(tmp_path)
        folder = store.folder(KIND, KEY)
        folder.mkdir(parents=True)
        (folder / "x").write_text("half", encoding="utf-8")
        assert store.find(KIND, KEY) is None, "a folder without a manifest is found"
        assert store.artifacts(KIND) == [], "a folder without a manifest is listed"
        made = store.produce(KIND, KEY, _one_file)
        assert (made.path / "x").read_text(encoding="utf-8") == "whole", "the old folder's file is kept"

    def test_damage_is_found_and_made_again(self, tmp_path: Path) -> None:
        """A damaged file or manifest is not read: the artifact is absent, and `produce` writes it again."""
        for name in ("x", MANIFEST):
            made = self.store(tmp_path).produce(KIND, KEY, _one_file)
            content = (made.path / name).read_bytes()
            time.sleep(TICK_SECONDS)
            (made.path / name).write_bytes(content.replace(b"whole", b"whale").replace(b"rows", b"lows"))
            assert self.store(tmp_path).find(KIND, KEY) is None, f"a damaged {name} is read as an artifact"
            again = self.store(tmp_path).produce(KIND, KEY, _one_file)
            assert again.fresh, f"an artifact with a damaged {name} is not made again"
            assert (again.path / name).is_file(), f"{name} is missing after it was made again"

    def test_every_artifact_is_inside_the_root(self, tmp_path: Path) -> None:
        """A kind or an address that leads outside the root is a StoreError."""
        store = self.store(tmp_path / "root")
        assert store.folder(KIND, KEY).is_relative_to(store.root), "an artifact is outside the root"
        for kind, name in (("../x", "ab"), (KIND, "../../etc"), (KIND, ""), ("", "ab"), ("a/b", "ab")):
            try:
                folder = store.folder(kind, name)
            except StoreError:
                continue
            raise AssertionError(f"'{kind}' and '{name}' give the folder {folder}")

    def _resumes(self, root: Path) -> None:
        """There is no artifact, and the next writer finds the first one's file and completes it."""
        assert self.store(root).find(KIND, KEY) is None, "half an artifact is found"
        assert self.store(root).artifacts(KIND) == [], "half an artifact is listed"
        seen: list[bool] = []

        def finish(part: Path) -> Mapping[str, Any]:
            seen.append((part / "half").is_file())
            return {}

        made = self.store(root).produce(KIND, KEY, finish)
        assert seen == [True], "what the first writer left is lost"
        assert (made.path / "half").is_file(), "what the first writer left is not in the artifact"


def _one_file(part: Path) -> Mapping[str, Any]:
    (part / "x").write_text("whole", encoding="utf-8")
    return {"rows": 1}


def _in_processes(count: int, work: Callable[[], object]) -> list[int | None]:
    """The exit codes of `count` forked processes that run `work`."""
    context = multiprocessing.get_context("fork")
    forks = [context.Process(target=work) for _ in range(count)]
    for fork in forks:
        fork.start()
    for fork in forks:
        fork.join(SECONDS)
    return [fork.exitcode for fork in forks]
