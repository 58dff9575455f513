"""The processes in which cameras are decoded, found as the system lists them."""

from __future__ import annotations

import os
from pathlib import Path

from streamapp.sources.child.reader import PROGRAM


def decoding_processes(parent: int | None = None) -> list[int]:
    """Ids of those started by `parent`, by default this process; those that ended and were not reaped too."""
    parent = os.getpid() if parent is None else parent
    return [pid for pid in children(parent) if _decodes(pid)]


def children(parent: int) -> list[int]:
    """Ids of a process's children."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if int(fields[1]) == parent:
                found.append(int(folder.name))
    return found


def is_running(pid: int) -> bool:
    """Whether there is such a process, and more of it than its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _decodes(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        ended = not is_running(pid)
    except OSError:
        return False
    return ended or PROGRAM.encode() in words
