"""The machines the app is at work on: how busy they are, and what crosses between them."""

from __future__ import annotations

import functools
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import psutil

MIN_INTERVAL_S = 0.5
"""Of two looks at the processors: what is between is noise."""
THIS_MACHINE = platform.node()


@dataclass(frozen=True, slots=True)
class MachineFigures:
    """One machine as one process knows it. What is counted is counted since the start of the processes that count."""

    name: str
    cores: int = 0
    """0: it was not looked at, only heard of."""
    busy_cores: float = 0.0
    memory_bytes: int = 0
    used_bytes: int = 0
    devices: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    workers: int = 0
    gallery_version: int | None = None
    """Of the copy that is searched there; of several the oldest."""
    analysed: int = 0
    """Pictures and crops that models were shown there."""
    sent_bytes: int = 0
    """To other machines: what jobs and answers are about, and what streams and the server say to each other."""
    received_bytes: int = 0


@functools.cache
def _machine() -> tuple[int, int]:
    return os.cpu_count() or 1, psutil.virtual_memory().total


class MachineWatch:
    """Looks at the machine this process runs on."""

    def __init__(self) -> None:
        psutil.cpu_percent(None)  # the first is of no use
        self._looked_s = time.monotonic()
        self._busy = 0.0

    def look(self, name: str) -> MachineFigures:
        cores, memory_bytes = _machine()
        if time.monotonic() - self._looked_s >= MIN_INTERVAL_S:
            self._looked_s, self._busy = time.monotonic(), psutil.cpu_percent(None) / 100
        used_bytes = memory_bytes - psutil.virtual_memory().available
        return MachineFigures(name, cores, round(self._busy * cores, 2), memory_bytes, used_bytes)


def merged_machines(found: Iterable[MachineFigures]) -> tuple[MachineFigures, ...]:
    """Each machine once, by name, with all that several processes know of it."""
    total: dict[str, MachineFigures] = {}
    for one in found:
        known = total.get(one.name)
        total[one.name] = one if known is None else _both(known, one)
    return tuple(total[name] for name in sorted(total))


def _both(known: MachineFigures, one: MachineFigures) -> MachineFigures:
    looked_at = one if one.cores else known
    versions = [each.gallery_version for each in (known, one) if each.gallery_version is not None]
    return replace(
        looked_at,
        devices=tuple(dict.fromkeys((*known.devices, *one.devices))),
        streams=known.streams + one.streams,
        workers=known.workers + one.workers,
        gallery_version=min(versions, default=None),
        analysed=known.analysed + one.analysed,
        sent_bytes=known.sent_bytes + one.sent_bytes,
        received_bytes=known.received_bytes + one.received_bytes,
    )
