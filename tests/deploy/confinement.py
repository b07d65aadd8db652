"""What a systemd unit forbids a process by seccomp, put on this process before it becomes another one.

    python -m tests.deploy.confinement UNIT COMMAND...

There is no systemd to start a service with where tests run; the filters are the kernel's all the same.
"""

import ctypes
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.deploy.units import settings_of

_ALLOW = 0x7FFF_0000  # SCMP_ACT_ALLOW
_ERRNO = 0x0005_0000  # SCMP_ACT_ERRNO
_NOT_EQUAL, _LESS, _EQUAL, _GREATER, _MASKED = 1, 2, 4, 6, 7  # enum scmp_compare
_PROT_WRITE, _PROT_EXEC = 2, 4


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


class _Filter:
    """One seccomp filter; what no rule says, `default` says."""

    def __init__(self, default: int) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(default)))

    def rule(self, action: int, call: str, *comparisons: _Comparison) -> None:
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return  # not a call of this architecture
        rules = (_Comparison * len(comparisons))(*comparisons)
        status = self._library.seccomp_rule_add_array(self._context, ctypes.c_uint32(action), number, len(comparisons), rules)
        assert status == 0, (call, status)

    def load(self) -> None:
        assert self._library.seccomp_load(self._context) == 0, os.strerror(ctypes.get_errno())


def confine(unit: Path) -> None:
    """Forbid this process what `unit` forbids its service: system calls, writable code, families of addresses."""
    settings = settings_of(unit)["Service"]
    if settings.get("MemoryDenyWriteExecute") == ["yes"]:
        _forbid_writable_code()
    _forbid_families(settings["RestrictAddressFamilies"][0].split())
    allowed = allowed_calls(settings["SystemCallFilter"])
    calls = _Filter(_ERRNO | errno.EPERM)
    for call in sorted(allowed):
        calls.rule(_ALLOW, call)
    calls.load()


def allowed_calls(lines: Iterable[str]) -> set[str]:
    """Return the system calls that lines of `SystemCallFilter=` leave, sets written out."""
    allowed: set[str] = set()
    for line in lines:
        named = {call for word in line.removeprefix("~").split() for call in _members(word)}
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed


def _members(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    told = subprocess.run(("systemd-analyze", "syscall-filter", word), capture_output=True, text=True, check=True).stdout
    inside = [line.strip() for line in told.splitlines()[1:]]
    return {call for each in inside if each and not each.startswith("#") for call in _members(each)}


def _forbid_writable_code() -> None:
    memory = _Filter(_ALLOW)
    both = _PROT_WRITE | _PROT_EXEC
    memory.rule(_ERRNO | errno.EPERM, "mmap", _Comparison(2, _MASKED, both, both))
    for call in ("mprotect", "pkey_mprotect"):
        memory.rule(_ERRNO | errno.EPERM, call, _Comparison(2, _MASKED, _PROT_EXEC, _PROT_EXEC))
    memory.load()


def _forbid_families(names: list[str]) -> None:
    allowed = {int(getattr(socket, name)) for name in names}
    families = _Filter(_ALLOW)
    forbidden = _ERRNO | errno.EAFNOSUPPORT
    families.rule(forbidden, "socket", _Comparison(0, _GREATER, max(allowed), 0))
    for number in set(range(max(allowed))) - allowed:
        families.rule(forbidden, "socket", _Comparison(0, _EQUAL, number, 0))
    families.load()


if __name__ == "__main__":
    # No way back to more rights: the kernel wants to know that before it takes a filter of a process that is not root's.
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
    confine(Path(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
