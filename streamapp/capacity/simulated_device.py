"""A device that runs no models but takes the time they would: the real job queue before lanes in simulated time."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

from streamapp.capacity.camera import Ask
from streamapp.capacity.costs import DeviceKind, OperationCost
from streamapp.results import DropReason
from streamapp.scheduler.api import Priority
from streamapp.scheduler.job_queue import JobQueue, Shed, Waiting
from streamapp.scheduler.local import MAX_BATCH_ITEMS
from streamapp.scheduler.placement import DeviceView, Need, VariantCost
from streamapp.zoo.buckets import BUCKETS

JITTER = 0.2
"""Standard deviation of a run's length over its mean: assumed."""

Work = Generator[simpy.Event, Any, None]
"""A process of simpy's, which resumes it with whatever its events carry."""


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedJob:
    """`ended` triggers once, with None where it was done, or why it was dropped."""

    ask: Ask
    owner: str
    priority: Priority
    deadline_s: float
    ended: simpy.Event


@dataclass(slots=True)
class Tally:
    """What became of jobs. `waits_s`: of every job that ended, from its submission to its run or its drop."""

    submitted: int = 0
    done: int = 0
    items: Counter[str] = field(default_factory=Counter)
    """Done, by operation."""
    dropped: Counter[DropReason] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    busy_s: float = 0.0
    """Of all lanes."""
    loads: int = 0
    evictions: int = 0


Batch = Sequence[Waiting[SimulatedJob]]


class SimulatedDevice:
    """`slowdown`: how many times longer everything takes because the machine does something else besides."""

    def __init__(
        self,
        env: simpy.Environment,
        name: str,
        kind: DeviceKind,
        operations: Mapping[str, OperationCost],
        *,
        lanes: int,
        capacity: int,
        slowdown: Callable[[], float],
        seed: str,
    ) -> None:
        self.name = name
        self.tally = Tally()
        self.resident: OrderedDict[str, float] = OrderedDict()
        """MB by operation, the one used longest ago first."""
        self._env = env
        self._kind = kind
        self._operations = operations
        self.lanes = lanes
        self._slowdown = slowdown
        self._random = random.Random(seed)  # noqa: S311 - for a simulation
        self._queue: JobQueue[SimulatedJob] = JobQueue(capacity)
        self._loaded: deque[Batch] = deque()
        """Batches whose models have come, which go first."""
        self._loading: dict[str, Batch] = {}
        self._loader = simpy.Resource(env)
        self._running: Counter[str] = Counter()
        self._busy_until_s: dict[int, float] = dict.fromkeys(range(lanes), 0.0)
        self._waiting_s = 0.0
        """What all that waits would take, each job alone."""
        self._work = env.event()
        self._released = env.event()
        for name_, cost in operations.items():
            if self.free_mb >= cost.resident_mb:
                self.resident[name_] = cost.resident_mb
        for lane in range(lanes):
            env.process(self._serve(lane))

    @property
    def free_mb(self) -> float:
        return self._kind.memory_mb - sum(self.resident.values())

    @property
    def evictable_mb(self) -> float:
        return sum(size for name, size in self.resident.items() if not self._running[name])

    def queue_delay_s(self) -> float:
        """Until a job that came now would run, if all before it run alone."""
        now_s = self._env.now
        at_work_s = sum(max(0.0, until_s - now_s) for until_s in self._busy_until_s.values())
        return (at_work_s + self._waiting_s) / self.lanes

    def view(self) -> DeviceView:
        """As placement sees it."""
        free, evictable = round(1e6 * self.free_mb), round(1e6 * self.evictable_mb)
        return DeviceView(self.name, frozenset(self.resident), self.queue_delay_s(), free, evictable)

    def need(self, ask: Ask) -> Need:
        cost = self._operations[ask.operation]
        variant = VariantCost(round(1e6 * cost.resident_mb), cost.load_s)
        return Need({ask.operation: variant}, self.run_s(ask.operation, ask.items))

    def run_s(self, operation: str, items: int) -> float:
        """Expected of a batch."""
        if self._kind.speed > 1:  # a GPU: filled up to a bucket
            items = next(size for size in BUCKETS if size >= min(items, BUCKETS[-1]))
        cost = self._operations[operation]
        return 1e-3 * (self._kind.launch_ms + items * cost.item_ms / self._kind.speed) * self._slowdown()

    def submit(self, job: SimulatedJob) -> None:
        now_s = self._env.now
        ask = job.ask
        self.tally.submitted += 1
        self._waiting_s += self.run_s(ask.operation, ask.items)
        waiting = Waiting(job, ask.operation, job.owner, job.priority, ask.items, now_s, job.deadline_s)
        self._drop_shed(self._queue.push(waiting, now_s))
        late = self._env.timeout(max(0.0, job.deadline_s - now_s))
        assert late.callbacks is not None
        late.callbacks.append(lambda _: self._drop_shed(self._queue.expire(self._env.now)))
        self._wake()

    def close(self) -> None:
        """Drops what waits."""
        self._drop(self._queue.remove(lambda _: True), DropReason.CLOSED)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _serve(self, lane: int) -> Work:
        while True:
            batch = self._next()
            if not batch:
                yield self._work
                continue
            operation = batch[0].kind
            if operation not in self.resident:
                self._loading[operation] = batch
                self._env.process(self._load(operation, batch))
                continue
            self.resident.move_to_end(operation)
            run_s = self.run_s(operation, sum(waiting.weight for waiting in batch))
            run_s *= max(0.1, self._random.gauss(1.0, JITTER))
            self._running[operation] += 1
            self._busy_until_s[lane] = self._env.now + run_s
            self.tally.busy_s += run_s
            for waiting in batch:
                self._leaves(waiting)
            yield self._env.timeout(run_s)
            self._running[operation] -= 1
            self._released.succeed()
            self._released = self._env.event()
            for waiting in batch:
                self.tally.done += 1
                self.tally.items[operation] += waiting.weight
                waiting.job.ended.succeed(None)

    def _next(self) -> Batch:
        now_s = self._env.now
        self._drop_shed(self._queue.expire(now_s))
        while self._loaded:
            batch = self._loaded.popleft()
            self._drop([waiting for waiting in batch if waiting.deadline_s <= now_s], DropReason.STALE)
            if left := [waiting for waiting in batch if waiting.deadline_s > now_s]:
                return left
        return self._queue.pop_batch(now_s, MAX_BATCH_ITEMS, lambda kind: kind not in self._loading)

    def _load(self, operation: str, batch: Batch) -> Work:
        cost, deadline_s = self._operations[operation], max(waiting.deadline_s for waiting in batch)
        with self._loader.request() as turn:
            yield turn
            while not self._makes_room(cost.resident_mb):
                left_s = deadline_s - self._env.now
                if left_s <= 0 or cost.resident_mb > self._kind.memory_mb:
                    self._drop(batch, DropReason.NO_MEMORY)
                    del self._loading[operation]
                    return
                yield self._released | self._env.timeout(left_s)
            self.resident[operation] = cost.resident_mb
            self._running[operation] += 1  # not evicted before it has run
            yield self._env.timeout(cost.load_s)
            self._running[operation] -= 1
        self.tally.loads += 1
        del self._loading[operation]
        self._loaded.append(batch)
        self._wake()

    def _makes_room(self, needed_mb: float) -> bool:
        if needed_mb > self.free_mb + self.evictable_mb:
            return False
        for name in tuple(self.resident):
            if self.free_mb >= needed_mb:
                break
            if not self._running[name]:
                del self.resident[name]
                self.tally.evictions += 1
        return True

    def _wake(self) -> None:
        self._work.succeed()
        self._work = self._env.event()

    def _drop_shed(self, shed: Sequence[Shed[SimulatedJob]]) -> None:
        for item in shed:
            self._drop([item.waiting], item.reason)

    def _drop(self, batch: Batch, reason: DropReason) -> None:
        for waiting in batch:
            self.tally.dropped[reason] += 1
            self._leaves(waiting)
            waiting.job.ended.succeed(reason)

    def _leaves(self, waiting: Waiting[SimulatedJob]) -> None:
        """It waits no longer."""
        self.tally.waits_s.append(self._env.now - waiting.queued_s)
        self._waiting_s -= self.run_s(waiting.kind, waiting.weight)
