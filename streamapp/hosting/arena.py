"""Memory that two processes see, in which the pixels of jobs cross: written once, looked at where they lie.

It has no name, so that nothing is left of it when both processes are gone. The side that asks says what lies where; a
place is free again when the other side says that nobody looks at it any more.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import weakref
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ALIGNMENT = 64
"""Of every buffer, so that vector instructions find what they like."""


@dataclass(frozen=True, slots=True, order=True)
class Region:
    """Where something lies, in bytes from the start."""

    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


class Arena:
    """The asking side: allots, first fit. Not for several threads."""

    def __init__(self, size: int) -> None:
        """size: in bytes; memory is taken as it is first used. Raises OSError."""
        self.descriptor = os.memfd_create("streamapp-jobs", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        """To be handed to the other process."""
        try:
            os.ftruncate(self.descriptor, size)
            # Were it made smaller, reading it would be SIGBUS.
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self._memory = mmap.mmap(self.descriptor, size)
        except OSError:
            os.close(self.descriptor)
            raise
        self._free = [Region(0, size)]

    @property
    def free_bytes(self) -> int:
        return sum(region.length for region in self._free)

    def put(self, buffers: Sequence[memoryview]) -> tuple[Region, tuple[Region, ...]] | None:
        """Copies buffers in, one after the other: the place of them all, which is to be given to `release`, and of
        each. None if there is no room in one piece."""
        lengths = [buffer.nbytes for buffer in buffers]
        whole = self._allot(sum(_aligned(length) for length in lengths))
        if whole is None:
            return None
        start, parts = whole.start, []
        for buffer, length in zip(buffers, lengths, strict=True):
            self._memory[start : start + length] = buffer
            parts.append(Region(start, length))
            start += _aligned(length)
        return whole, tuple(parts)

    def release(self, whole: Region) -> None:
        """Has a place that `put` gave free again."""
        if not whole.length:
            return
        at = bisect(self._free, whole)
        first, last = whole, whole
        if at < len(self._free) and whole.end == self._free[at].start:
            last = self._free.pop(at)
        if at and self._free[at - 1].end == whole.start:
            at -= 1
            first = self._free.pop(at)
        self._free.insert(at, Region(first.start, last.end - first.start))

    def close(self) -> None:
        os.close(self.descriptor)
        self._memory.close()

    def _allot(self, length: int) -> Region | None:
        if not length:
            return Region(0, 0)
        for at, region in enumerate(self._free):
            if region.length >= length:
                rest = Region(region.start + length, region.length - length)
                self._free[at : at + 1] = [rest] if rest.length else []
                return Region(region.start, length)
        return None


class ArenaView:
    """The side that looks."""

    def __init__(self, descriptor: int) -> None:
        """Takes the descriptor over. Raises OSError."""
        try:
            self._memory = mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)

    def look(self, parts: Sequence[Region], on_free: Callable[[], None]) -> list[memoryview]:
        """What lies there, read-only and where it lies. `on_free` is called, on any thread, once nobody has any of it
        any more; never if there is nothing to look at. Raises ValueError for a place outside."""
        if not any(part.length for part in parts):
            return [memoryview(b"") for _ in parts]
        start, end = min(part.start for part in parts), max(part.end for part in parts)
        if start < 0 or end > len(self._memory):
            raise ValueError("a place outside the arena")
        # Views keep the object they were made from: its end is theirs.
        span = (ctypes.c_ubyte * (end - start)).from_buffer(self._memory, start)
        weakref.finalize(span, on_free).atexit = False
        view = memoryview(span).cast("B").toreadonly()
        return [view[part.start - start : part.end - start] for part in parts]


def _aligned(length: int) -> int:
    return -(-length // ALIGNMENT) * ALIGNMENT
