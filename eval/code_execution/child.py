"""The process that runs one generated program. It is a script on its own: standard library only, no module of nait.

It reads a job (JSON) from its input, limits itself, reports the isolation that the system grants, runs the program in
an empty namespace, and reports the outcome with the job's secret. A process that ends without this report has failed,
whatever its exit status. The limits protect the machine; as in `code_eval`, a program that is written to deceive its
own interpreter can report a pass.
"""

from __future__ import annotations

import json
import os
import random
import resource
import socket
import sys
from typing import Any

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_NO_NEW_PRIVILEGES, _SET_FILTER, _FILTER_MODE = 38, 22, 2
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_PAIR = (socket.AF_UNIX, socket.SOCK_STREAM)

REFUSED = (
    "ctypes.", "os.chmod", "os.chown", "os.exec", "os.fork", "os.kill", "os.link", "os.mkdir", "os.mkfifo",
    "os.posix_spawn", "os.remove", "os.rename", "os.rmdir", "os.setxattr", "os.removexattr", "os.spawn", "os.symlink",
    "os.system", "os.truncate", "os.utime", "pty.spawn", "resource.", "shutil.", "signal.pthread_kill", "socket.",
    "sqlite3.connect", "subprocess.", "sys.addaudithook", "syslog.", "tempfile.",
)  # fmt: skip
"""Audit events of Python that a program must not cause, by their beginnings."""


def limit(job: dict[str, Any]) -> None:
    """Set limits on CPU time, memory, file size and, without a kernel filter, on processes and threads."""
    most = {
        resource.RLIMIT_CPU: (job["seconds"], job["seconds"] + 1),
        resource.RLIMIT_AS: (job["memory"],) * 2,
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_NOFILE: (64, 64),
    }
    if not job["filter"]:
        most[resource.RLIMIT_NPROC] = (0, 0)
    for name, values in most.items():
        try:
            resource.setrlimit(name, values)
        except (ValueError, OSError):  # macOS has no limit of the address space
            if name != resource.RLIMIT_AS:
                raise


def isolate(filter_bytes: bytes) -> dict[str, bool]:
    """Enter an empty network namespace and install the kernel filter, where the system grants them."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    namespace = hasattr(library, "unshare") and library.unshare(_NEW_USER | _NEW_NETWORK) == 0
    if not filter_bytes:
        return {"namespace": namespace, "filter": False}

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))

    zero = ctypes.c_ulong(0)
    library.prctl(_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), zero, zero, zero)
    program = Program(len(filter_bytes) // 8, filter_bytes)
    held = library.prctl(_SET_FILTER, ctypes.c_ulong(_FILTER_MODE), ctypes.byref(program), zero, zero) == 0
    return {"namespace": namespace, "filter": held}


def refuse(event: str, details: tuple[Any, ...]) -> None:
    """The audit hook. Raises: PermissionError for an event that a program must not cause."""
    writes = event == "open" and isinstance(details[2], int) and details[2] & _WRITING
    pair = event == "socket.__new__" and details[1:3] == _PAIR  # of socketpair; connect and bind are refused
    if writes or (event.startswith(REFUSED) and not pair):
        raise PermissionError(f"generated code must not cause '{event}'")


def outcome(program: str) -> str:
    """`passed`, or the failure of a program that is run in an empty namespace."""
    try:
        exec(program, {})  # noqa: S102
    except BaseException as error:  # noqa: BLE001 - SystemExit too: a program that ends early has passed no test
        text = f"failed: {type(error).__name__}: {error}"[:500]
        return text.encode("utf-8", "replace").decode()
    return "passed"


def main() -> None:
    job = json.load(sys.stdin)
    report = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8", errors="backslashreplace")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.chdir(job["folder"])
    limit(job)
    granted = isolate(bytes.fromhex(job["filter"]))
    if job["filter"] and not granted["filter"]:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    random.seed(0)
    secret, program = job["secret"], job["program"]
    job.clear()
    report.write(json.dumps(granted) + "\n")
    report.flush()
    sys.addaudithook(refuse)
    result = outcome(program)
    report.write(json.dumps([secret, result]) + "\n")
    report.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
