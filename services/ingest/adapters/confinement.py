"""What a process that reads foreign files gives up for the rest of its life: memory, time, the network, writing.

Limits hold on every Unix. The rest is a filter of system calls (seccomp), on Linux on x86-64 and ARM alone; where the
kernel refuses it, the limits are all there is.
"""

import contextlib
import ctypes
import errno
import os
import resource
import struct
import sys
from collections.abc import Iterable

_OPEN_FILES = 64
# Mapped code and files of libraries, which take address space and hardly memory.
_MAPPED_BYTES = 2 * 1024 * 1024 * 1024

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_CALLS_FROM = 0x40000000  # a second numbering that x86-64 kernels may know
_CLONE_THREAD = 0x00010000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

# fmt: off
# Architecture as the kernel names it, then the numbers of calls by what they are for.
_CALLS: dict[str, tuple[int, dict[str, tuple[int, ...]]]] = {
    "x86_64": (0xC000003E, {
        # socket, connect, accept, sendto, bind, listen, accept4, io_uring_setup (which can do all of it)
        "network": (41, 42, 43, 44, 49, 50, 288, 425),
        # fork, vfork, execve, ptrace, execveat, process_vm_writev, clone3 (whose flags a filter cannot see)
        "processes": (57, 58, 59, 101, 322, 311, 435),
        # truncate, rename, mkdir, rmdir, creat, link, unlink, symlink, chmod, chown, lchown, mknod, mount, umount,
        # openat2, and those that take a folder besides a name
        "files": (76, 82, 83, 84, 85, 86, 87, 88, 90, 92, 94, 133, 165, 166, 437,
                  258, 259, 260, 263, 264, 265, 266, 268, 316),
        "open": (2,), "openat": (257,), "clone": (56,), "forking": (57, 58, 435),
    }),
    "aarch64": (0xC00000B7, {
        "network": (198, 200, 201, 202, 203, 206, 242, 425),
        "processes": (117, 221, 281, 271, 435),
        "files": (33, 34, 35, 36, 37, 38, 39, 40, 45, 53, 54, 276, 437),
        "open": (), "openat": (56,), "clone": (220,), "forking": (435,),
    }),
}
# fmt: on


def limit(*, memory_bytes: int, cpu_seconds: int) -> None:
    """Bind this process. Limits that are lower already stay.

    Args: memory_bytes: what it may write to: heap, stacks and private mappings, which are all that grows.
    """
    for kind, wanted in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_AS, memory_bytes + _MAPPED_BYTES),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS knows RLIMIT_AS and does not let it be set
            resource.setrlimit(kind, (allowed, allowed))


def confine(*, network_only: bool = False, may_fork: bool = False) -> bool:
    """Give up the network, and unless `network_only` other processes and changing files. Whether the kernel took it.

    With `may_fork` it may still make copies of itself, which can give that up too, and start no other program.

    Files can still be read, since parsers are loaded as they are needed. What is refused fails with EPERM.
    """
    known = _CALLS.get(os.uname().machine)
    if sys.platform != "linux" or known is None:
        return False
    architecture, calls = known
    program = _program(architecture, calls, network_only=network_only, may_fork=may_fork)
    instructions = (ctypes.c_char * len(program)).from_buffer_copy(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0) == 0)


def _program(architecture: int, calls: dict[str, tuple[int, ...]], *, network_only: bool, may_fork: bool) -> bytes:
    """The filter in the kernel's language. A foreign architecture's calls are refused: it numbers them otherwise."""
    refused = calls["network"] if network_only else (*calls["network"], *calls["processes"], *calls["files"])
    if may_fork:
        refused = tuple(number for number in refused if number not in calls["forking"])
    code = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_EQUAL, architecture, unequal=0, equal=1),
        _refuse(errno.EPERM),
        _step(_LOAD, _NUMBER_AT),
        _step(_AT_LEAST, _X32_CALLS_FROM, equal=0, unequal=1),
        _refuse(errno.EPERM),
    ]
    for number in refused:
        # clone3 is looked for first by libraries, which go on with clone only when there is no such call.
        code += _when(number, [_refuse(errno.ENOSYS if number == 435 else errno.EPERM)])
    if not network_only:
        code += _with_argument(calls["open"], 1, _WRITING, refuse_when_set=True)
        code += _with_argument(calls["openat"], 2, _WRITING, refuse_when_set=True)
        if not may_fork:
            code += _with_argument(calls["clone"], 0, _CLONE_THREAD, refuse_when_set=False)
    return b"".join([*code, _step(_RETURN, _ALLOW)])


def _with_argument(numbers: Iterable[int], place: int, bits: int, *, refuse_when_set: bool) -> list[bytes]:
    """Refuse a call by whether its argument has any of the bits. The lower half of an argument comes first."""
    skip = {"equal": 0, "unequal": 1} if refuse_when_set else {"equal": 1, "unequal": 0}
    look = [
        _step(_LOAD, _ARGUMENTS_AT + 8 * place),
        _step(_ANY_BIT, bits, **skip),
        _refuse(errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]
    return [step for number in numbers for step in _when(number, look)]


def _when(number: int, then: list[bytes]) -> list[bytes]:
    return [_step(_EQUAL, number, equal=0, unequal=len(then)), *then]


def _step(operation: int, operand: int, *, equal: int = 0, unequal: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, equal, unequal, operand)


def _refuse(error: int) -> bytes:
    return _step(_RETURN, _REFUSE | error)
