"""What a server's processes take of the machine they share with the one who looks: processor time and memory."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class CpuSample:
    """Processor seconds used by a process and its children so far, at a moment of `time.monotonic`."""

    at_s: float
    used_s: float

    def percent_since(self, earlier: CpuSample) -> float:
        """Use since `earlier`, in percent of one core."""
        return 100 * (self.used_s - earlier.used_s) / max(self.at_s - earlier.at_s, 1e-9)


def sample_cpu(pid: int) -> CpuSample:
    """Of a process, its living children and those it has waited for. A process that has gone counts as 0."""
    used_s = 0.0
    for process in family_of(pid):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        used_s += times.user + times.system
        if process.pid == pid:
            used_s += times.children_user + times.children_system
    return CpuSample(time.monotonic(), used_s)


def family_of(pid: int) -> list[psutil.Process]:
    """A process and all it has started; empty once it has gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def memory_bytes(pid: int) -> int | None:
    """Of a process and all it has started, what they share counted once (PSS); None where that may not be read."""
    try:
        return sum(process.memory_full_info().pss for process in family_of(pid))
    except (psutil.Error, AttributeError):  # another user's, or no Linux
        return None


def listening_pid(port: int) -> int | None:
    """The process on this machine that accepts connections at a port; None if that may not be known."""
    try:
        found = psutil.net_connections("tcp")
    except psutil.Error:
        return None
    listeners = [one.pid for one in found if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port]
    return next((pid for pid in listeners if pid is not None), None)
