"""The scheduler of one process: queue > lease > batch > lane > outcome.

One dispatcher takes batches off the queue; each batch is a task of its own that leases its models, waits for a free
lane and runs. While models load, the lanes go on with what is loaded.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from streamapp.errors import ModelError, ModelHung, ModelInputInvalid, ModelSuspended, OverBudget
from streamapp.results import DropReason
from streamapp.scheduler.api import (
    Done,
    Dropped,
    Failed,
    Item,
    Job,
    Lease,
    ModelRun,
    Outcome,
    Priority,
    Residency,
    Value,
)
from streamapp.scheduler.job_queue import JobQueue, Shed, Waiting
from streamapp.scheduler.lane import Lane
from streamapp.scheduler.record import Record, SchedulerState

MAX_BATCH_ITEMS = 8
"""The largest batch bucket."""
LOADING_BATCHES = 2
"""Batches that may wait for their models beside those that run."""
RUN_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)

# The queue holds jobs of every kind of item and value; a batch is of one operation, so they fit each other again.
_AnyJob = Job[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    job: _AnyJob
    outcome: asyncio.Future[Outcome[Any]]


_Batch = Sequence[Waiting[_Entry]]


class LocalScheduler:
    """Used on the event loop's thread."""

    def __init__(
        self,
        residency: Residency,
        *,
        lanes: int,
        capacity: int,
        run_timeout_s: float = RUN_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._residency = residency
        self._clock = clock
        self._run_timeout_s = run_timeout_s
        self._queue: JobQueue[_Entry] = JobQueue(capacity)
        self._work = asyncio.Event()
        self._lanes = tuple(Lane(f"lane-{number}") for number in range(lanes))
        self._free_lanes: asyncio.Queue[Lane] = asyncio.Queue()
        for lane in self._lanes:
            self._free_lanes.put_nowait(lane)
        self._in_hand = asyncio.Semaphore(lanes + LOADING_BATCHES)
        self._loading: set[str] = set()
        """Operations whose models a batch is waiting for."""
        self._batches: set[asyncio.Task[None]] = set()
        self._running = 0
        self._closed = False
        self._dropped: Counter[DropReason] = Counter()
        self._records: dict[str, Record] = {}

    @classmethod
    @asynccontextmanager
    async def start(
        cls, residency: Residency, *, lanes: int, capacity: int, run_timeout_s: float = RUN_TIMEOUT_S
    ) -> AsyncIterator[LocalScheduler]:
        """Runs jobs for the length of the block. Then what waits is dropped, and what runs is given CLOSE_TIMEOUT_S."""
        scheduler = cls(residency, lanes=lanes, capacity=capacity, run_timeout_s=run_timeout_s)
        async with asyncio.TaskGroup() as group:
            dispatcher = group.create_task(scheduler._dispatch(group), name="scheduler")
            try:
                yield scheduler
            finally:
                dispatcher.cancel()
                await scheduler._close()
        for lane in scheduler._lanes:
            lane.close()

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        if not job.items:
            return Done((), (), 0.0, 0.0)
        if self._closed:
            return self._drop(DropReason.CLOSED, "the app is ending")
        now_s = self._clock()
        entry = _Entry(job, asyncio.get_running_loop().create_future())
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
            queued, oldest_s, self._running, len(self._lanes), replaced, dict(self._dropped), operations
        )

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._in_hand.acquire()
            try:
                batch = await self._next_batch()
            except asyncio.CancelledError:
                self._in_hand.release()
                raise
            task = group.create_task(self._run(batch), name=f"batch:{batch[0].kind}")
            self._batches.add(task)
            task.add_done_callback(self._batches.discard)

    async def _next_batch(self) -> _Batch:
        while True:
            self._work.clear()
            now_s = self._clock()
            self._settle_shed(self._queue.expire(now_s))
            batch = self._queue.pop_batch(now_s, MAX_BATCH_ITEMS, lambda kind: kind not in self._loading)
            if batch:
                return batch
            deadlines = [waiting.deadline_s for waiting in self._queue.waiting]
            timeout_s = max(0.0, min(deadlines) - now_s) if deadlines else None
            await asyncio.wait((waiter := asyncio.ensure_future(self._work.wait()),), timeout=timeout_s)
            waiter.cancel()

    async def _run(self, batch: _Batch) -> None:
        operation = batch[0].job.job.operation
        record = self._records.setdefault(operation.name, Record())
        try:
            if not record.breaker.admits(self._clock()):
                retry_s = record.breaker.retry_in_s(self._clock())
                message = f"{operation.name} failed too often and is tried again in {retry_s:.0f} s"
                _settle(batch, Failed(ModelSuspended(message)))
                return
            await self._lease_and_run(batch, record)
        finally:
            record.breaker.told_nothing()
            self._in_hand.release()
            self._work.set()
            for waiting in batch:  # cut off at the end of the app
                if not waiting.job.outcome.done():
                    waiting.job.outcome.set_result(self._drop(DropReason.CLOSED, "the app is ending"))

    async def _lease_and_run(self, batch: _Batch, record: Record) -> None:
        operation = batch[0].job.job.operation
        deadline_s = max(waiting.deadline_s for waiting in batch)
        self._loading.add(operation.name)
        try:
            lease = await self._residency.lease(operation.variants, deadline_s=deadline_s)
        except OverBudget as error:
            _settle(batch, self._drop(DropReason.NO_MEMORY, str(error), len(batch)))
            return
        except ModelError as error:
            self._failed(batch, record, error)
            return
        finally:
            self._loading.discard(operation.name)
            self._work.set()
        lane = await self._take_lane(lease)
        self._running += 1
        try:
            await self._run_on(lane, lease, batch, record)
        finally:
            self._running -= 1
            self._free_lanes.put_nowait(lane)

    async def _take_lane(self, lease: Lease) -> Lane:
        try:
            return await self._free_lanes.get()
        except asyncio.CancelledError:
            lease.release()
            raise

    async def _run_on(self, lane: Lane, lease: Lease, batch: _Batch, record: Record) -> None:
        """Runs a batch, and if it fails and is of several jobs, each of them alone: one must not spoil the others."""
        batch = self._without_late(batch)
        parts: list[_Batch] = [batch] if batch else []
        is_hung = False
        try:
            while parts:
                part = parts.pop(0)
                try:
                    await self._run_part(lane, lease, part, record)
                except ModelHung as error:
                    is_hung = True
                    self._failed([*part, *(waiting for other in parts for waiting in other)], record, error)
                    parts = []
                except ModelError as error:
                    if len(part) > 1:
                        parts = [*([waiting] for waiting in part), *parts]
                    else:
                        self._failed(part, record, error)
        finally:
            if not is_hung:
                lease.release()

    async def _run_part(self, lane: Lane, lease: Lease, batch: _Batch, record: Record) -> None:
        operation = batch[0].job.job.operation
        items = [item for waiting in batch for item in waiting.job.job.items]
        start_s = self._clock()
        work = partial(operation.run, lease.sessions, items)
        try:
            values = await lane.run(work, timeout_s=self._run_timeout_s, on_late_return=lease.release)
        except ModelError:
            raise
        except Exception as error:
            _log.exception("%s failed unexpectedly", operation.name)
            raise ModelError(f"{operation.name} failed unexpectedly: {error}") from error
        run_s = self._clock() - start_s
        if len(values) != len(items):
            raise ModelError(f"{operation.name} gave {len(values)} answers for {len(items)} items")
        record.breaker.succeeded()
        record.done += len(batch)
        record.items += len(items)
        record.batches += 1
        record.run_s.append(run_s)
        models = tuple(ModelRun(name, lease.sessions[name].providers[0]) for name in operation.variants)
        at = 0
        for waiting in batch:
            part = values[at : at + waiting.weight]
            at += waiting.weight
            _settle([waiting], Done(part, models, start_s - waiting.queued_s, run_s))

    def _without_late(self, batch: _Batch) -> _Batch:
        """Those of a batch that are still wanted now that its models are there."""
        now_s = self._clock()
        late = [waiting for waiting in batch if waiting.deadline_s <= now_s]
        self._settle_shed([Shed(waiting, DropReason.STALE) for waiting in late])
        return [waiting for waiting in batch if waiting.deadline_s > now_s and not waiting.job.outcome.cancelled()]

    def _failed(self, batch: _Batch, record: Record, error: ModelError) -> None:
        if not isinstance(error, ModelInputInvalid):  # that is the asker's fault
            record.breaker.failed(self._clock())
        record.failed += len(batch)
        _settle(batch, Failed(error))

    def _settle_shed(self, shed: Sequence[Shed[_Entry]]) -> None:
        details = {DropReason.STALE: "its deadline passed before its turn", DropReason.QUEUE_FULL: "the queue is full"}
        for item in shed:
            _settle([item.waiting], self._drop(item.reason, details[item.reason]))

    def _drop(self, reason: DropReason, detail: str, count: int = 1) -> Dropped:
        self._dropped[reason] += count
        return Dropped(reason, detail)

    async def _close(self) -> None:
        self._closed = True
        waiting = self._queue.remove(lambda _: True)
        if waiting:
            _settle(waiting, self._drop(DropReason.CLOSED, "the app is ending", len(waiting)))
        if self._batches:
            _, late = await asyncio.wait(self._batches, timeout=CLOSE_TIMEOUT_S)
            for task in late:
                task.cancel()


def _settle(batch: _Batch, outcome: Outcome[Any]) -> None:
    for waiting in batch:
        if not waiting.job.outcome.done():
            waiting.job.outcome.set_result(outcome)
