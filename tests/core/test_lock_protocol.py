"""Laws of the lock protocol: leases where locks have no effect, taken over from the dead and the silent only."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nait.core.errors import StoreError
from nait.store import Store
from nait.store.files import lock_protocol, locks
from nait.store.files.lock_protocol import OVERRIDE, protocol
from nait.store.files.locks import holder, if_free, locked

HOLDER = """
import sys, time
from pathlib import Path
from nait.store.files.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def leases(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(OVERRIDE, "lease")
    monkeypatch.setattr(locks, "LEASE_SECONDS", 0.6)
    return


def mounts(folder: Path, options: str) -> Path:
    """A list of mounts in which `folder` is an NFS mount with these options."""
    path = folder / "mountinfo"
    path.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"23 22 0:45 / {folder}/nfs rw,relatime shared:2 - nfs4 host:/export rw,vers=4.2,{options}\n"
    )
    return path


def test_a_local_file_system_has_the_systems_locks(tmp_path: Path) -> None:
    assert protocol(tmp_path) == "flock"
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.parametrize("options", ["nolock", "local_lock=all", "local_lock=flock,hard"])
def test_locks_that_stay_on_one_machine_are_seen_in_the_mount(options: str, tmp_path: Path) -> None:
    listed = mounts(tmp_path, options)
    assert lock_protocol._local_only(tmp_path / "nfs/store", listed)
    assert not lock_protocol._local_only(tmp_path / "nfs-other", listed)
    assert not lock_protocol._local_only(tmp_path / "nfs/store", mounts(tmp_path, "local_lock=none"))


@pytest.mark.parametrize("kind", ["no effect", "refused"])
def test_where_locks_have_no_effect_files_are_used(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import fcntl

    def flock(*_: object) -> None:
        if kind == "refused":
            raise OSError("no locks available")

    lock_protocol._probed.cache_clear()
    monkeypatch.setattr(fcntl, "flock", flock)
    assert protocol(tmp_path) == "lease"
    assert "Locks have no effect on the file system of" in caplog.text
    lock_protocol._probed.cache_clear()


def test_an_unknown_protocol_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OVERRIDE, "hope")
    with pytest.raises(StoreError, match="'hope' is neither flock nor lease"):
        protocol(tmp_path)


@pytest.mark.usefixtures("leases")
def test_leases_let_one_process_write_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with locked(tmp_path / "a.lock"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.05)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("leases")
def test_a_lease_that_is_refreshed_is_not_taken_over(tmp_path: Path) -> None:
    with locked(tmp_path / "a.lock"):
        time.sleep(1.0)  # longer than a lease
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from pathlib import Path; from nait.store.files import locks\n"
             "locks.LEASE_SECONDS = 0.6\nwith locks.if_free(Path(sys.argv[1])) as free: sys.exit(10 + free)",
             str(tmp_path / "a.lock")],
            check=False, env=os.environ,
        )  # fmt: skip
        assert done.returncode == 10
        assert str(os.getpid()) in holder(tmp_path / "a.lock")


@pytest.mark.usefixtures("leases")
def test_the_lease_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    script = "import nait.store.files.locks as l; l.LEASE_SECONDS = 0.6\n" + HOLDER
    command = [sys.executable, "-c", script, str(tmp_path / "a.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        with if_free(tmp_path / "a.lock") as free:
            assert not free
        process.kill()
    with locked(tmp_path / "a.lock", limit=10):
        pass


def of_a_dead_machine(path: Path) -> str:
    """The content of a lease of a process on another machine."""
    with locked(path):
        return path.read_text().replace(socket.gethostname(), "another-machine")


@pytest.mark.usefixtures("leases")
@pytest.mark.parametrize("content", ["lease", "empty"])
@pytest.mark.parametrize("swaps", [True, False])
def test_the_lease_of_a_silent_machine_is_taken_over(
    content: str,
    swaps: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if not swaps:  # as NFS
        monkeypatch.setattr("filelock._soft.exchange_names", lambda *_: False)
    monkeypatch.setattr(locks, "NOTICE_SECONDS", 0.1)
    left = tmp_path / "a.lock"
    left.write_text(of_a_dead_machine(left) if content == "lease" else "")
    with locked(left, limit=100) as check_held:
        check_held()
    left.write_text(of_a_dead_machine(left) if content == "lease" else "")
    started = time.monotonic()
    while time.monotonic() < started + 100:
        with if_free(left) as free:  # each attempt makes a lock
            if free:
                break
        time.sleep(0.05)
    assert time.monotonic() - started > 0.5
    assert "gave no sign of life" in caplog.text
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("leases")
def test_a_lease_that_is_refreshed_stays_however_often_another_asks(tmp_path: Path) -> None:
    with locked(tmp_path / "a.lock") as check_held:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            with if_free(tmp_path / "a.lock") as free:
                assert not free
            time.sleep(0.05)
        check_held()


@pytest.mark.usefixtures("leases")
def test_a_suspended_process_completes_nothing_that_another_has_taken_over(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def write(part: Path) -> dict[str, str]:
        lock = part.with_suffix(".lock")
        other = of_a_dead_machine(lock.with_name("other.lock"))
        lock.unlink()
        lock.write_text(other)
        return {}

    with pytest.raises(StoreError, match=r"was taken over by another process.* Run the same command again"):
        store.produce("things", {"a": 1}, write)
    assert store.find("things", {"a": 1}) is None
    assert not list(tmp_path.glob("things/*/manifest.json"))
    assert list(tmp_path.glob("things/*.lock")), "the other process's lock is removed"


@pytest.mark.usefixtures("leases")
def test_a_store_works_with_leases(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = store.produce("things", {"a": 1}, lambda part: {"by": str(part.name)})
    assert store.produce("things", {"a": 1}, lambda part: {}).manifest == made.manifest
    assert not list(tmp_path.rglob("*.lock"))
