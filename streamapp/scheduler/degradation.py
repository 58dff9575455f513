"""Variants there was no memory for: loaded smaller once, then left out for a while, then tried again. Pure.

A first fault makes a variant load with its smallest batch only. A second one leaves it out. After a wait, which
doubles from fault to fault, or as soon as the budget has grown by what it needs, it climbs up again the way it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 60.0
FORGET_S = 600.0
"""A fault that long after the last one is a first one again."""


@dataclass(frozen=True, slots=True)
class MemoryFault:
    """A variant that is not run as it should be."""

    reason: str
    left_out: bool
    """Not run at all; else with its smallest batch only."""
    retry_at_s: float
    """`time.monotonic()`."""
    count: int
    """Faults so far, without a long time between them."""
    enough_bytes: int
    """The budget that is worth another try before that."""


class Degradation:
    """The faults of all variants."""

    def __init__(self) -> None:
        self._faults: dict[str, MemoryFault] = {}
        self._history: dict[str, tuple[int, float]] = {}
        """How many faults, and when the last one was."""

    @property
    def faults(self) -> Mapping[str, MemoryFault]:
        return MappingProxyType(self._faults)

    def note(self, variant: str, reason: str, *, needed_bytes: int, budget_bytes: int, now_s: float) -> None:
        """There was no memory to load or to run a variant."""
        count, last_s = self._history.get(variant, (0, now_s))
        count = 1 if now_s - last_s > FORGET_S else count + 1
        self._history[variant] = (count, now_s)
        enough_bytes = budget_bytes + max(1, needed_bytes)
        self._faults[variant] = MemoryFault(
            reason, variant in self._faults, now_s + _wait_s(count), count, enough_bytes
        )

    def left_out(self, variant: str) -> MemoryFault | None:
        """Why a variant is not run at present, if it is not."""
        fault = self._faults.get(variant)
        return fault if fault is not None and fault.left_out else None

    def buckets(self, variant: str, buckets: tuple[int, ...]) -> tuple[int, ...]:
        """Those it may be loaded with at present."""
        return buckets[:1] if variant in self._faults else buckets

    def climb(self, *, budget_bytes: int, now_s: float) -> None:
        """Lets variants up again whose time has come, or whose memory is back."""
        for variant, fault in tuple(self._faults.items()):
            if now_s < fault.retry_at_s and budget_bytes < fault.enough_bytes:
                continue
            if fault.left_out and now_s >= fault.retry_at_s:
                self._faults[variant] = replace(fault, left_out=False, retry_at_s=now_s + _wait_s(fault.count))
            else:
                del self._faults[variant]


def _wait_s(count: int) -> float:
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(count - 1, 10))
