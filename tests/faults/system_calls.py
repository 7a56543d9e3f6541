"""Faults in system calls: every change of files under a folder is seen, and one of them fails, is cut short or kills.

A Linux kernel filter (seccomp) stops the process at each call that changes files. A second process decides what the
call returns. So the faults reach every library, whatever language it is written in.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import re
import select
import signal
import socket
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Fault = Literal["none", "kill", "full", "error", "short", "refused"]
"""`full`: this write and all later ones find a full disk. `error`: this call alone fails. `short`: half of the data
is written, then the disk is full. `refused`: in turn a used up quota or a read-only disk from this call on, and a
missing right or a file that is too large at this call alone."""

TURNS = (errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EFBIG)
"""The errors of `refused`, one call site after another."""
LASTING = frozenset({errno.EDQUOT, errno.EROFS})
"""Those that all later calls meet too."""

SUPPORTED = sys.platform == "linux" and platform.machine() == "x86_64"
WRITES = {1: "write", 18: "write", 20: "write", 296: "write", 328: "write", 40: "write", 326: "write"}
"""write, pwrite64, writev, pwritev, pwritev2, sendfile, copy_file_range."""
ON_HANDLES = {**WRITES, 74: "sync", 75: "sync", 77: "truncate", 285: "allocate"}
ON_PATHS = {2: ("open", 0), 257: ("open", 1), 85: ("open", 0), 82: ("rename", 0), 264: ("rename", 1),
            316: ("rename", 1), 83: ("mkdir", 0), 258: ("mkdir", 1), 87: ("remove", 0), 263: ("remove", 1),
            84: ("remove", 0), 86: ("link", 0), 265: ("link", 1), 88: ("link", 0), 266: ("link", 0)}  # fmt: skip
"""System call -> its name here, and the number of the argument with the path."""
FLAGS = {2: 1, 257: 2}
"""System call that opens a file -> the number of its argument with flags."""
CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_COPY_FILE_RANGE, _SENDFILE, _WRITE, _PIDFD_OPEN, _PIDFD_GETFD = 326, 40, 1, 434, 438
PAGE = 4096
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_CALL = struct.Struct("=QIIiIQ6Q")
"""`struct seccomp_notif`: id, process, flags, number, architecture, instruction, arguments."""

VARYING = (
    (r"[0-9a-f]{32}", "ADDRESS"),
    (r"\.[0-9a-f]{8}\.part", ".TOKEN.part"),
    (r"\.tmp\w{6}$", ".tmpTOKEN"),
    (r"(?<=\.nait-)\w{8}", "TOKEN"),
    (r"\.lock-probe-.*", ".lock-probe"),
    (r"^store/[a-z_]+(?=$|/\.lock|/ADDRESS(\.\d+)?\.lock|/ADDRESS\.part($|/manifest\.json))", "store/KIND"),
    (r"\d+", "N"),
)
"""Parts of paths that vary between calls of one place in the code, and the words for them."""

libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Plan:
    """One fault under `root`: at the first call whose label is not in the file `seen`, to which it is added."""

    root: Path
    fault: Fault
    seen: Path
    armed: bool = True
    full: bool = False
    number: int = errno.ENOSPC
    labels: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.seen.exists():
            self.labels = set(self.seen.read_text().splitlines())

    def answer(
        self, name: str, path: Path, label: str
    ) -> Literal["go on", "kill", "full", "error", "short", "refused"]:
        """What happens to this call."""
        if not path.is_relative_to(self.root) or path.suffix == ".log":
            return "go on"
        if self.full:
            return "go on" if name in ("remove", "truncate") else "full"
        if not self.armed or label in self.labels or (self.fault == "short" and name != "write"):
            return "go on"
        with self.seen.open("a") as stream:
            stream.write(label + "\n")
        if self.fault == "none":
            self.labels.add(label)
            return "go on"
        self.armed = False
        self.full = self.fault in ("full", "short")
        if self.fault == "error":
            self.number = errno.EIO
        if self.fault == "refused":
            self.number = TURNS[len(self.labels) % len(TURNS)]
            self.full = self.number in LASTING
        return self.fault


def label_of(name: str, path: Path, root: Path) -> str:
    """The operation and the path under the root without addresses, numbers and random parts."""
    inside = path.relative_to(root).as_posix() if path.is_relative_to(root) else ""
    for pattern, word in VARYING:
        inside = re.sub(pattern, word, inside)
    return f"{name} {inside}"


def supervise(plan: Plan) -> None:
    """From now on, the calls of this process and its children follow the plan."""
    ours, theirs = socket.socketpair()
    supervisor = os.fork()
    if not supervisor:
        ours.close()
        _, handles, *_ = socket.recv_fds(theirs, 1, 1)
        theirs.close()
        try:
            _serve(handles[0], plan)
        finally:
            os._exit(0)
    theirs.close()
    libc.prctl(0x59616D61, supervisor, 0, 0, 0)  # PR_SET_PTRACER: it may read this process's memory
    socket.send_fds(ours, [b"x"], [_listener()])
    ours.close()


def _listener() -> int:
    """Install the filter. Returns the handle on which its notifications arrive."""
    steps = [(_LOAD, 0, 0, 0)]
    for number in {**ON_HANDLES, **ON_PATHS}:
        if number in FLAGS:
            steps += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, 16 + 8 * FLAGS[number]),
                      (_ANY_BIT, 0, 1, CHANGING), (_RETURN, 0, 0, _NOTIFY), (_RETURN, 0, 0, _ALLOW)]  # fmt: skip
        else:
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _NOTIFY)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(program)))
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    handle: int = libc.syscall(317, 1, 1 << 3, header)  # seccomp, SECCOMP_SET_MODE_FILTER, with a listener
    if handle < 0:
        raise OSError(ctypes.get_errno(), "the kernel filter cannot be installed")
    return handle


def _serve(listener: int, plan: Plan) -> None:
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    while True:
        if any(event & (select.POLLHUP | select.POLLERR) for _, event in waiting.poll()):
            return
        call = bytearray(_CALL.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, call, True)
        except OSError:  # the process was killed meanwhile
            continue
        which, process, _, number, _, _, *arguments = _CALL.unpack(call)
        try:
            answer = _answer(plan, process, number, tuple(arguments))
            fcntl.ioctl(listener, _SEND, struct.pack("=QqiI", which, *answer))
        except OSError:
            continue


def _answer(plan: Plan, process: int, number: int, arguments: tuple[int, ...]) -> tuple[int, int, int]:
    """Value, error and flags with which the call returns."""
    name, path = _place(process, number, arguments)
    what = plan.answer(name, path, label_of(name, path, plan.root))
    if what == "go on":
        return 0, 0, _CONTINUE
    if what == "kill":
        os.kill(_group(process), signal.SIGKILL)
        return 0, -errno.EINTR, 0
    if what == "short" and number == _WRITE and (written := _half(process, arguments)):
        return written, 0, 0
    return 0, -plan.number, 0


def _place(process: int, number: int, arguments: tuple[int, ...]) -> tuple[str, Path]:
    """The operation and its file."""
    if number in ON_HANDLES:
        place = {_COPY_FILE_RANGE: 2}.get(number, 0)
        return ON_HANDLES[number], _link(f"/proc/{process}/fd/{_signed(arguments[place])}")
    name, place = ON_PATHS[number]
    text = _text(process, arguments[place])
    if text.startswith("/"):
        return name, Path(text)
    handle = _signed(arguments[place - 1]) if place else -1
    return name, _link(f"/proc/{process}/" + ("cwd" if handle < 0 else f"fd/{handle}")) / text


def _signed(value: int) -> int:
    return struct.unpack("=i", struct.pack("=I", value & 0xFFFFFFFF))[0]  # type: ignore[no-any-return]


def _link(path: str) -> Path:
    try:
        return Path(path).readlink()
    except OSError:
        return Path()


def _text(process: int, address: int) -> str:
    """The text at an address of the process."""
    found = b""
    while b"\0" not in found:
        found += _memory(process, address + len(found), PAGE - (address + len(found)) % PAGE)
    return found.partition(b"\0")[0].decode(errors="replace")


def _memory(process: int, address: int, size: int) -> bytes:
    """Bytes of the process's memory. A read across pages may fail where the next page is not mapped."""
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:  # noqa: PTH123
        memory.seek(address)
        return memory.read(size)


def _half(process: int, arguments: tuple[int, ...]) -> int:
    """Write the first half of the data through the process's own handle. Returns the number of bytes."""
    handle, address, size, *_ = arguments
    pid = libc.syscall(_PIDFD_OPEN, _group(process), 0)
    copy = libc.syscall(_PIDFD_GETFD, pid, _signed(handle), 0)
    if copy < 0 or size < 2:
        return 0
    try:
        return os.write(copy, _memory(process, address, min(size // 2, PAGE)))
    finally:
        os.close(copy)
        os.close(pid)


def _group(thread: int) -> int:
    """The process of a thread."""
    lines = Path(f"/proc/{thread}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Tgid:"))
