"""A Linux kernel filter (seccomp) for generated code.

It refuses new processes, sockets, signals, and every change of files, of other processes and of the machine. The one
exception is a pair of connected local stream sockets, which `asyncio` opens: they lead nowhere else. What the filter
does not list is allowed, so that Python itself works as usual. A filter can be tightened but not removed. A refused
call fails with EPERM (`PermissionError` in Python).
"""

from __future__ import annotations

import errno
import platform
import struct
import sys

# Instructions of classic BPF (linux/bpf_common.h): load a word, compare, return, keep some bits.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in `struct seccomp_data`; each argument has 8 bytes, the low word first."""
_X32 = 0x40000000
"""System calls of the x32 ABI have this bit: the same calls under other numbers."""
_CLONE_THREAD = 0x00010000
_WRITING = 0o1 | 0o2 | 0o100 | 0o1000
"""Flags of open: O_WRONLY, O_RDWR, O_CREAT, O_TRUNC."""

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_REFUSED = {
    "x86_64": (
        *(41, 57, 58, 59, 322),  # socket, fork, vfork, execve, execveat
        *(42, 43, 49, 50, 288),  # connect, accept, bind, listen, accept4
        *(
            62,
            200,
            234,
            129,
            297,
            424,
        ),  # kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal
        *(
            101,
            310,
            311,
            438,
            321,
            298,
            323,
            250,
            248,
            249,
        ),  # ptrace, process_vm_*, pidfd_getfd, bpf, perf, keys
        *(425, 426, 427),  # io_uring
        *(165, 166, 155, 161, 272, 308, 428, 429, 430, 431, 432, 433, 442),  # mounts, roots, namespaces
        *(
            85,
            76,
            82,
            264,
            316,
            83,
            258,
            84,
            86,
            265,
            87,
            263,
            88,
            266,
            133,
            259,
        ),  # creat, truncate ... mknodat
        *(90, 91, 268, 452, 92, 93, 94, 260),  # chmod, chown and their kin
        *(132, 235, 261, 280, 188, 189, 190, 197, 198, 199),  # times, extended attributes
        *(29, 68, 64, 240, 319, 304),  # shared memory, message queues, semaphores, memfd, open_by_handle_at
        *(141, 142, 144, 203, 251, 314),  # priorities and scheduling
        *(164, 227, 305, 159, 167, 168, 169, 170, 171, 175, 176, 246, 313, 320, 163, 179),  # the machine
    ),
    "aarch64": (
        *(198, 221, 281),
        *(203, 202, 200, 201, 242),
        *(129, 130, 131, 138, 240, 424),
        *(117, 270, 271, 438, 280, 241, 282, 219, 217, 218),
        *(425, 426, 427),
        *(40, 39, 41, 51, 97, 268, 428, 429, 430, 431, 432, 433, 442),
        *(45, 38, 276, 34, 37, 35, 36, 33),
        *(52, 53, 452, 55, 54),
        *(88, 5, 6, 7, 14, 15, 16),
        *(194, 186, 190, 180, 279, 265),
        *(140, 118, 119, 122, 30, 274),
        *(170, 112, 266, 171, 224, 225, 142, 161, 162, 105, 106, 104, 273, 294, 89, 60),
    ),
}
_CLONE = {"x86_64": 56, "aarch64": 220}
_PAIR = {"x86_64": 53, "aarch64": 199}
"""socketpair, whose arguments are the family and the type of its sockets."""
_LOCAL, _STREAM, _KIND = 1, 1, 0xF
"""AF_UNIX, SOCK_STREAM, and the bits of a type without its flags."""
_CLONE3, _OPENAT2 = 435, 437
_OPEN = {"x86_64": {2: 1, 257: 2}, "aarch64": {56: 2}}
"""System call that opens a file -> the number of its argument with flags."""
_LIMITS = {"x86_64": 302, "aarch64": 261}
"""prlimit64, whose first argument is the process: 0 is the caller."""


def kernel_filter(machine: str | None = None) -> bytes:
    """The filter as an array of `struct sock_filter`; empty where there is none: not Linux, or another processor."""
    name = machine or platform.machine()
    if machine is None and (sys.platform != "linux" or struct.calcsize("P") != 8):
        return b""
    if name not in ARCHITECTURES:
        return b""
    return b"".join(struct.pack("=HBBI", *step) for step in _steps(name))


Step = tuple[int, int, int, int]
"""Operation, steps to skip if true, steps to skip if false, operand."""


def _steps(name: str) -> list[Step]:
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    absent = (
        _RETURN,
        0,
        0,
        _ERRNO | errno.ENOSYS,
    )  # the C library then uses an older call, which is examined
    allow = (_RETURN, 0, 0, _ALLOW)
    steps: list[Step] = [
        (_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, ARCHITECTURES[name]), refuse,
        (_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), refuse,
    ]  # fmt: skip
    for number in _REFUSED[name]:
        steps += [(_EQUAL, 0, 1, number), refuse]
    for number in (_CLONE3, _OPENAT2):
        steps += [(_EQUAL, 0, 1, number), absent]
    for number, argument in _OPEN[name].items():
        steps += [(_EQUAL, 0, 4, number), _argument(argument), (_ANY_BIT, 0, 1, _WRITING), refuse, allow]
    steps += [(_EQUAL, 0, 4, _CLONE[name]), _argument(0), (_ANY_BIT, 1, 0, _CLONE_THREAD), refuse, allow]
    steps += [
        (_EQUAL, 0, 7, _PAIR[name]), _argument(0), (_EQUAL, 0, 3, _LOCAL), _argument(1), (_AND, 0, 0, _KIND),
        (_EQUAL, 1, 0, _STREAM), refuse, allow,
    ]  # fmt: skip
    steps += [(_EQUAL, 0, 4, _LIMITS[name]), _argument(0), (_EQUAL, 1, 0, 0), refuse, allow]
    return [*steps, allow]


def _argument(number: int) -> Step:
    """Load the low word of an argument."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * number)
