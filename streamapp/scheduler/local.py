"""The scheduler of one process: queue > lease > batch > lane > outcome.

One dispatcher takes a batch off the queue for every lane that is free; each batch is a task of its own that leases its
models, waits for a lane and runs. While models load, the lanes go on with what is loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence

from streamapp.errors import ModelError, OverBudget
from streamapp.results import DropReason
from streamapp.scheduler.api import (
    Done,
    Dropped,
    Item,
    Job,
    Lease,
    Outcome,
    Priority,
    Residency,
    Value,
)
from streamapp.scheduler.batch_run import BatchRun, model_errors
from streamapp.scheduler.breaker import Circuit
from streamapp.scheduler.job_queue import JobQueue, Shed, Waiting
from streamapp.scheduler.lane import Lane
from streamapp.scheduler.record import Record, SchedulerState
from streamapp.scheduler.settlement import CROWDED_OUT, ENDING, LATE, Batch, Entry, Settlement

MAX_BATCH_ITEMS = 8
"""The largest batch bucket."""
LOADING_AFTER_S = 0.01
"""A batch that waits longer for its models keeps no lane from others."""
REFUSAL_GRACE_S = 0.05
"""Whoever has the models refuses them at the deadline, and knows better why there is no result."""
RUN_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 2.0


class LocalScheduler:
    """Used on the event loop's thread."""

    def __init__(
        self,
        residency: Residency,
        *,
        lanes: int,
        capacity: int,
        run_timeout_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._residency = residency
        self._clock = clock
        self._run_timeout_s = run_timeout_s
        self._queue: JobQueue[Entry] = JobQueue(capacity)
        self._work = asyncio.Event()
        self._lanes = tuple(Lane(f"lane-{number}") for number in range(lanes))
        self._free_lanes: asyncio.Queue[Lane] = asyncio.Queue()
        for lane in self._lanes:
            self._free_lanes.put_nowait(lane)
        self._held: dict[str, Batch] = {}
        """Batches that wait for their models, then for a lane: of each operation one at a time."""
        self._loading: set[str] = set()
        """Operations of those whose models are not there at once."""
        self._batches: set[asyncio.Task[None]] = set()
        self._running = 0
        self._closed = False
        self._settlement = Settlement()
        self._records: dict[str, Record] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        residency: Residency,
        *,
        lanes: int,
        capacity: int,
        run_timeout_s: float = RUN_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> AsyncIterator[LocalScheduler]:
        """Runs jobs for the length of the block. Then what waits is dropped, and what runs is given CLOSE_TIMEOUT_S."""
        scheduler = cls(residency, lanes=lanes, capacity=capacity, run_timeout_s=run_timeout_s, clock=clock)
        try:
            async with asyncio.TaskGroup() as group:
                dispatcher = group.create_task(scheduler._dispatch(group), name="scheduler")
                try:
                    yield scheduler
                finally:
                    dispatcher.cancel()
                    await scheduler._close()
        finally:
            for lane in scheduler._lanes:
                lane.close()

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        if not job.items:
            return Done((), (), 0.0, 0.0)
        if self._closed:
            self._settlement.dropped[DropReason.CLOSED] += 1
            return ENDING
        now_s = self._clock()
        entry = Entry(job, asyncio.get_running_loop().create_future())
        waiting = Waiting(entry, job.operation.name, job.owner, job.priority, len(job.items), now_s, job.deadline_s)
        self._settle_shed(self._queue.push(waiting, now_s))
        self._work.set()
        try:
            return await entry.outcome
        except asyncio.CancelledError:
            self._queue.remove(lambda other: other.job is entry)
            raise

    def state(self) -> SchedulerState:
        now_s = self._clock()
        queued = dict.fromkeys(Priority, 0)
        oldest_s = dict.fromkeys(Priority, 0.0)
        for waiting in self._queue.waiting:
            queued[waiting.priority] += 1
            oldest_s[waiting.priority] = max(oldest_s[waiting.priority], now_s - waiting.queued_s)
        operations = {name: record.state(now_s) for name, record in self._records.items()}
        replaced = sum(lane.replaced for lane in self._lanes)
        return SchedulerState(
            queued, oldest_s, self._running, len(self._lanes), replaced, dict(self._settlement.dropped), operations
        )

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        while True:
            self._work.clear()
            now_s = self._clock()
            self._drop_late(now_s)
            while len(self._held) - len(self._loading) + self._running < len(self._lanes):
                if not self._start_next(group, now_s):
                    break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_late_s(now_s)):
                    await self._work.wait()

    def _start_next(self, group: asyncio.TaskGroup, now_s: float) -> bool:
        """Whether there is a batch that may go. Nothing of it stays here: the pictures are to go with it."""
        batch = self._queue.pop_batch(now_s, MAX_BATCH_ITEMS, lambda kind: kind not in self._held)
        if batch:
            self._start_batch(batch, group, now_s)
        return bool(batch)

    def _start_batch(self, batch: Batch, group: asyncio.TaskGroup, now_s: float) -> None:
        name = batch[0].kind
        record = self._records.setdefault(name, Record())
        is_trial = record.breaker.state(now_s) is Circuit.HALF_OPEN
        if not record.breaker.admits(now_s):
            self._settlement.suspend(batch, record, now_s)
            return
        self._held[name] = batch
        task = group.create_task(self._run(batch, record, is_trial), name=f"batch:{name}")
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def _run(self, batch: Batch, record: Record, is_trial: bool) -> None:
        try:
            await self._lease_and_run(batch, record)
        finally:
            if is_trial:
                record.breaker.told_nothing()
            self._settlement.drop(batch, ENDING)  # what was cut off at the end of the app
            self._work.set()

    async def _lease_and_run(self, batch: Batch, record: Record) -> None:
        try:
            lease = await self._lease(batch)
            lane = await self._take_lane(lease)
        except OverBudget as error:
            self._settlement.drop(batch, Dropped(DropReason.NO_MEMORY, str(error)))
            return
        except ModelError as error:
            self._settlement.fail(batch, record, error, self._clock())
            return
        finally:
            del self._held[batch[0].kind]
        self._running += 1
        self._work.set()
        try:
            await BatchRun(lane, lease, record, self._settlement, self._run_timeout_s, self._clock).run(batch)
        finally:
            self._running -= 1
            self._free_lanes.put_nowait(lane)

    async def _lease(self, batch: Batch) -> Lease:
        name = batch[0].kind
        deadline_s = max(waiting.deadline_s for waiting in batch)
        slow = asyncio.get_running_loop().call_later(LOADING_AFTER_S, self._set_aside, name)
        try:
            with model_errors(name):
                return await self._residency.lease(batch[0].job.job.operation.variants, deadline_s=deadline_s)
        finally:
            slow.cancel()
            self._loading.discard(name)

    def _set_aside(self, name: str) -> None:
        self._loading.add(name)
        self._work.set()

    async def _take_lane(self, lease: Lease) -> Lane:
        try:
            return await self._free_lanes.get()
        except asyncio.CancelledError:
            lease.release()
            raise

    def _until_late_s(self, now_s: float) -> float | None:
        """Until `_drop_late` has something to do."""
        left = [waiting.deadline_s - now_s for waiting in self._queue.waiting]
        for batch in self._held.values():
            left += [w.deadline_s - (now_s - REFUSAL_GRACE_S) for w in batch if not w.job.outcome.done()]
        return max(0.0, min(left)) if left else None

    def _drop_late(self, now_s: float) -> None:
        """What is past its deadline and waits: for its turn, for its models or for a lane."""
        self._settle_shed(self._queue.expire(now_s))
        for batch in self._held.values():
            self._settlement.drop_late(batch, now_s - REFUSAL_GRACE_S)

    def _settle_shed(self, shed: Sequence[Shed[Entry]]) -> None:
        for item in shed:
            self._settlement.drop([item.waiting], LATE if item.reason is DropReason.STALE else CROWDED_OUT)

    async def _close(self) -> None:
        self._closed = True
        self._settlement.drop(self._queue.remove(lambda _: True), ENDING)
        if self._batches:
            _, late = await asyncio.wait(self._batches, timeout=CLOSE_TIMEOUT_S)
            for task in late:
                task.cancel()
