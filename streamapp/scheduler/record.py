"""What the scheduler counts, and how it is shown."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
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


def merged_states(states: Sequence[SchedulerState], dropped: Mapping[DropReason, int]) -> SchedulerState:
    """Several schedulers as one. dropped: what none of them had."""
    names = dict.fromkeys(name for state in states for name in state.operations)
    return SchedulerState(
        {priority: sum(state.queued[priority] for state in states) for priority in Priority},
        {priority: max(state.oldest_s[priority] for state in states) for priority in Priority},
        sum(state.running for state in states),
        sum(state.lanes for state in states),
        sum(state.lanes_replaced for state in states),
        dict(sum((Counter(state.dropped) for state in states), Counter(dropped))),
        {name: _merged([state.operations[name] for state in states if name in state.operations]) for name in names},
    )


def _merged(operations: Sequence[OperationState]) -> OperationState:
    """The circuit is that of the device that is best off: it is where jobs go."""
    circuits = {operation.circuit for operation in operations}
    circuit = next(circuit for circuit in (Circuit.CLOSED, Circuit.HALF_OPEN, Circuit.OPEN) if circuit in circuits)
    return OperationState(
        sum(operation.done for operation in operations),
        sum(operation.failed for operation in operations),
        circuit,
        tuple(run_s for operation in operations for run_s in operation.run_s),
        sum(operation.items for operation in operations),
        sum(operation.batches for operation in operations),
    )


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
