"""What the decoding process takes from itself before it looks at what a stranger sends. Linux.

Limits (setrlimit(2)): memory, files, no core dumps, nothing written. It dies with the app (prctl(2)) and can gain no
rights. Where the kernel has Landlock (landlock(7), Linux 5.13 and later): no writing, no programs, reading only of the
system's and Python's own files, TCP only to the camera's port, no signals to other processes, no look into them.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from pathlib import Path

MAX_OPEN_FILES = 64
READABLE = ("/etc", "/usr", "/lib", "/lib64", "/nix", "/run/systemd/resolve", "/run/resolvconf", "/dev/urandom")
"""For resolving names, certificates and libraries."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System calls, the same numbers on every architecture."""
_VERSION_FLAG = 1
_RULE_PATH, _RULE_PORT = 1, 2
_EXECUTE, _READ_FILE, _READ_DIR = 1, 1 << 2, 1 << 3
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_FILE_RIGHTS_NEWEST = (1 << 16) - 1
"""By version of Landlock: all rights it knows about files."""
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPES = 3
"""Abstract Unix sockets and signals."""


def die_with(parent: int) -> None:
    """Has the kernel kill this process when the thread that started it ends. Ends it at once if that is too late."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def confine(memory_bytes: int, port: int, readable: tuple[Path, ...] = ()) -> None:
    """Takes effect at once and for ever. memory_bytes: beyond what the process has. port: the only one it may connect
    to. readable: files and folders beside `READABLE`. What must still be imported lies in these."""
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_AS, _address_space_bytes() + memory_bytes),
    ):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    libc = _libc()
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    if version > 0:
        python = (Path(sys.prefix), Path(sys.base_prefix))
        _landlock(libc, version, port, (*map(Path, READABLE), *python, *readable))


def _landlock(libc: ctypes.CDLL, version: int, port: int, readable: tuple[Path, ...]) -> None:
    files = _FILE_RIGHTS.get(version, _FILE_RIGHTS_NEWEST)
    network = _BIND_TCP | _CONNECT_TCP if version >= 4 else 0
    attributes = struct.pack("=QQQ", files, network, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return
    for path in readable:
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # not on this system
            continue
        rights = _READ_FILE | (_READ_DIR if path.is_dir() else 0)
        libc.syscall(_ADD_RULE, ruleset, _RULE_PATH, struct.pack("=Qi", rights, opened), ctypes.c_uint32(0))
        os.close(opened)
    if network:
        libc.syscall(_ADD_RULE, ruleset, _RULE_PORT, struct.pack("=QQ", _CONNECT_TCP, port), ctypes.c_uint32(0))
    libc.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0))
    os.close(ruleset)


def _address_space_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
