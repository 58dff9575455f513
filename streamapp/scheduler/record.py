"""What the scheduler counts, and how it is shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from streamapp.results import DropReason
from streamapp.scheduler.api import Priority
from streamapp.scheduler.breaker import Breaker, Circuit

LATENCY_WINDOW = 200


@dataclass(frozen=True, slots=True)
class OperationState:
    """One operation so far."""

    done: int
    failed: int
    circuit: Circuit
    run_s: tuple[float, ...]
    """Of its last batches."""
    items: int
    batches: int


@dataclass(frozen=True, slots=True)
class SchedulerState:
    """How the scheduler is."""

    queued: Mapping[Priority, int]
    oldest_s: Mapping[Priority, float]
    """Age of the oldest job that waits, by class."""
    running: int
    lanes: int
    lanes_replaced: int
    dropped: Mapping[DropReason, int]
    operations: Mapping[str, OperationState]


class Record:
    """What is counted for one operation."""

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.done = self.failed = self.items = self.batches = 0
        self.run_s: deque[float] = deque(maxlen=LATENCY_WINDOW)

    def succeeded(self, jobs: int, items: int, run_s: float) -> None:
        """One run of the operation went well."""
        self.breaker.succeeded()
        self.done += jobs
        self.items += items
        self.batches += 1
        self.run_s.append(run_s)

    def state(self, now_s: float) -> OperationState:
        circuit = self.breaker.state(now_s)
        return OperationState(self.done, self.failed, circuit, tuple(self.run_s), self.items, self.batches)
