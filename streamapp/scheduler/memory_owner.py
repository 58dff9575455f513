"""The one task that owns what is in memory. What others want, and how its own orders went, reaches it as messages.

One change of the device's memory happens at a time, beside this task, which goes on granting what is loaded. So there
is no state in which a model is loaded twice, unloaded while it is leased, or unloaded twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from streamapp.errors import OverBudget
from streamapp.scheduler.device_memory import DeviceMemory
from streamapp.scheduler.lease_queue import LeaseQueue, Request
from streamapp.scheduler.leases import HeldLease
from streamapp.scheduler.loader import Loader
from streamapp.scheduler.memory_changes import Change, MemoryChanges, Message
from streamapp.scheduler.residency_view import DegradedModel, EvictionReason, ResidencySnapshot
from streamapp.scheduler.residents import Residents

WATCH_S, FRESH_S = 1.0, 0.2
"""How often the device is read, and how old a reading may be by which a model is loaded."""
TICK_S = 0.1
"""How often it is looked whether somebody who waits can be served."""
CLOSE_LOAD_TIMEOUT_S = 1.0
"""How long the end waits for a load that nobody wants any more."""
CLOSE_TIMEOUT_S = 10.0
"""A lease that is not given back by then is of a call that hangs: its models are left to the end of the process."""

UNLOADING = "all models are being unloaded"


class MemoryOwner:
    """Used on the event loop's thread."""

    def __init__(
        self,
        device: DeviceMemory,
        residents: Residents,
        loader: Loader,
        *,
        keep_alive_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._device = device.name
        self._residents = residents
        self._ledger = residents.ledger
        self._degradation = residents.degradation
        self._loader = loader
        self._keep_alive_s = keep_alive_s
        self._clock = clock
        self._queue = LeaseQueue(residents, lambda lease: self._post(partial(self._take_back, lease)))
        self._changes = MemoryChanges(
            residents,
            loader,
            context_provider=device.context_provider,
            clock=clock,
            post=self._post,
            refuse=self._queue.refuse_all,
        )
        self._inbox: deque[Message] = deque()
        """Bounded by what is out: requests, leases, one change."""
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self._closing_since_s: float | None = None

    # -- what others call ----------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Requests, those included that this task has not seen yet."""
        return len(self._queue) + len(self._inbox)

    @property
    def is_closing(self) -> bool:
        return self._closing_since_s is not None

    def ask(self, request: Request) -> None:
        self._post(partial(self._queue.add, request))

    def condemn(self, variant: str, reason: str) -> None:
        """Lets nobody lease a model any more that there was no memory to run."""
        resident = self._residents.loaded.get(variant)
        if resident is not None:
            self._post(partial(self._changes.condemn, variant, resident.session, reason))

    async def close(self) -> None:
        """Refuses who waits, waits CLOSE_LOAD_TIMEOUT_S for a load under way and CLOSE_TIMEOUT_S for the leases, and
        unloads everything."""
        if self._closing_since_s is None:
            self._closing_since_s = self._clock()
        self._wake.set()
        try:
            async with asyncio.timeout(CLOSE_LOAD_TIMEOUT_S):
                await self._closed.wait()
        except TimeoutError:
            self._loader.abandon()
            await self._closed.wait()

    def snapshot(self) -> ResidencySnapshot:
        now_s, books, changes = self._clock(), self._ledger, self._changes
        return ResidencySnapshot(
            device=self._device,
            lost=changes.lost,
            total_bytes=books.total_bytes,
            others_bytes=books.others_bytes,
            reserve_bytes=books.reserve_bytes,
            unaccounted_bytes=books.unaccounted_bytes,
            budget_bytes=books.budget_bytes,
            committed_bytes=books.committed_bytes,
            context_bytes=books.context_bytes,
            resident=tuple(self._residents.shown(now_s)),
            degraded=tuple(
                DegradedModel(variant, fault.reason, fault.left_out, max(0.0, fault.retry_at_s - now_s))
                for variant, fault in self._degradation.faults.items()
            ),
            changing=changes.running,
            waiting=len(self._queue),
            loads=changes.loads,
            load_failures=changes.load_failures,
            evictions=dict(changes.evictions),
        )

    # -- the task ------------------------------------------------------------------------------------------------------

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Returns after `close`. Changes run in `group`."""
        while True:
            self._wake.clear()
            while self._inbox:
                self._inbox.popleft()()
            now_s = self._clock()
            self._degradation.climb(budget_bytes=self._ledger.budget_bytes, now_s=now_s)
            self._serve(now_s)
            if self._changes.running is None:
                change = self._next_change(now_s)
                if change is not None:
                    group.create_task(self._changes.carry_out(change), name=f"residency: {self._changes.running}")
                elif self._is_over(now_s):
                    break
            await self._pause(now_s)
        self._loader.shut_down()
        self._closed.set()

    def _is_over(self, now_s: float) -> bool:
        since_s = self._closing_since_s
        return since_s is not None and (not self._residents.loaded or now_s - since_s >= CLOSE_TIMEOUT_S)

    def _post(self, message: Message) -> None:
        self._inbox.append(message)
        self._wake.set()

    def _take_back(self, lease: HeldLease) -> None:
        self._residents.give_back(lease.sessions, self._clock())

    def _serve(self, now_s: float) -> None:
        if self.is_closing:
            self._queue.refuse_all(OverBudget(UNLOADING))
        if self._changes.lost is not None:
            self._queue.refuse_lacking(OverBudget(f"no model can be loaded: {self._changes.lost}"))
        if self._changes.observed_s is not None:
            self._queue.serve(now_s)

    def _next_change(self, now_s: float) -> Change | None:
        """What is to be done on the device, if anything."""
        residents, changes = self._residents, self._changes
        if self.is_closing:
            names = tuple(variant for variant, resident in residents.loaded.items() if not resident.leases)
            if names:
                return changes.unload(names, EvictionReason.CLOSED)
            return changes.keep_costs() if changes.unsaved else None
        if self._is_reading_due(now_s):
            return changes.observe()
        if names := residents.condemned():
            return changes.unload(names, EvictionReason.OUT_OF_MEMORY)
        if changes.make_room:
            changes.make_room = False
            if names := residents.idle(spare=self._queue.wanted):
                return changes.unload(names, EvictionReason.OUT_OF_MEMORY)
        if names := residents.excess(now_s):
            return changes.unload(names, EvictionReason.SHRUNK)
        if (change := self._towards_leases(now_s)) is not None:
            return change
        if names := residents.unused_for(self._keep_alive_s, now_s):
            return changes.unload(names, EvictionReason.IDLE)
        if names := residents.to_regrow():
            return changes.unload(names, EvictionReason.REGROWN)
        return changes.keep_costs() if changes.unsaved else None

    def _towards_leases(self, now_s: float) -> Change | None:
        """A load for the first request for which there is room, or the evictions that make it."""
        for request, need in self._queue.needs():
            shortage = need.total_bytes - self._ledger.free_bytes
            if shortage <= 0:
                variant = next(iter(need.buckets))
                return self._changes.load(variant, need.buckets[variant], need.holdings[variant])
            if names := self._residents.evictable(shortage, now_s, wanted=request.variants):
                return self._changes.unload(names, EvictionReason.ROOM)
        return None

    def _is_reading_due(self, now_s: float) -> bool:
        changes = self._changes
        if changes.observed_s is None:
            return True
        if not self._is_at_work():
            return False
        hurry = len(self._queue) > 0 and changes.lost is None
        return changes.is_stale or now_s - changes.observed_s >= (FRESH_S if hurry else WATCH_S)

    def _is_at_work(self) -> bool:
        """Whether what the device shows is of any interest."""
        lost = self._changes.lost is not None
        return bool(self._residents.loaded or self._degradation.faults or len(self._queue) or lost)

    async def _pause(self, now_s: float) -> None:
        """Until there is a message, or it is time to look again."""
        pause_s: float | None = None
        observed_s = self._changes.observed_s
        if self._changes.running is None and self._is_at_work() and observed_s is not None:
            pause_s = max(0.001, observed_s + WATCH_S - now_s)
        deadline_s = self._queue.next_deadline_s
        if deadline_s is not None:
            pause_s = min(TICK_S, max(0.0, deadline_s - now_s))
        try:
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        except TimeoutError:
            return
