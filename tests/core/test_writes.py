"""Laws of refused writes: the folder, the cause, and how to choose another."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from nait.core.errors import StoreError
from nait.core.inputs.paths import named_file, write_error
from nait.store import Store


class SafetensorError(Exception):
    """Named as the library's own, whose message has the cause."""


def failure(make: object) -> OSError:
    with pytest.raises(OSError) as caught:  # noqa: PT011  # which one is what the test is about
        make()  # type: ignore[operator]
    return caught.value


@pytest.mark.parametrize(
    ("name", "cause"),
    [("/proc/x", "no folder can be made there"), ("file/x", "a file"), ("file", "a file"), ("dangling", "a link"),
     ("circle/x", "circle"), ("x" * 300, "too long")],
)  # fmt: skip
def test_a_folder_that_cannot_be_made_is_named_with_its_cause(tmp_path: Path, name: str, cause: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "dangling").symlink_to("nowhere/at/all")
    folder = tmp_path / name
    for make in (
        lambda: folder.mkdir(parents=True, exist_ok=True),
        lambda: (folder / "a").mkdir(parents=True),
    ):
        said = str(write_error(failure(make)))
        assert cause in said
        assert str(folder).split("/x")[0][:60] in said
        assert "paths.runs=FOLDER" in said
        assert len(said) < 500


@pytest.mark.parametrize("name", ["/proc/x", "file", "file/x", "circle", "circle/x"])
def test_a_store_that_cannot_be_made_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(StoreError, match=r"paths\.store=FOLDER"):
        Store(tmp_path / name).produce("things", {"a": 1}, lambda _: {})


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),
        OSError("[Errno 28] Error writing bytes to file. Detail: No space left on device"),
    ],
)
def test_a_full_disk_is_named_whichever_library_met_it(tmp_path: Path, error: Exception) -> None:
    said = str(write_error(error, folder=tmp_path))
    assert said.startswith(f"{tmp_path}: ")
    assert re.search("the disk (is|may be) full. Free some space", said)

    def write(part: Path) -> dict[str, int]:
        raise error

    with pytest.raises(
        StoreError, match=r"things/[0-9a-f]*\.part: .*the disk (is|may be) full.*paths\.store"
    ):
        Store(tmp_path).produce("things", {"a": 1}, write)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        SafetensorError('Error while serializing: I/O error: Input/output error (os error 5) at path "x"'),
        OSError("Error writing bytes to file. Detail: [errno 5] Input/output error"),
    ],
)
def test_a_failing_disk_is_named_whichever_library_met_it(tmp_path: Path, error: Exception) -> None:
    assert "the disk reports an error" in str(write_error(error, folder=tmp_path))


def test_a_failed_copy_names_the_file_that_was_written() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "from", None, "to")
    assert named_file(error) == Path("to")
    assert str(write_error(error)).startswith("to: ")


def test_other_failures_are_not_taken_for_refused_writes(tmp_path: Path) -> None:
    assert write_error(failure((tmp_path / "missing").read_text)) is None
    assert write_error(ValueError("No space left on device")) is None
    assert write_error(RuntimeError("shapes differ")) is None


def test_a_file_outside_the_store_that_a_writer_cannot_read_is_not_blamed_on_the_store(
    tmp_path: Path,
) -> None:
    def write(part: Path) -> dict[str, int]:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "pool.jsonl"))

    with pytest.raises(PermissionError):
        Store(tmp_path / "store").produce("things", {"a": 1}, write)
