"""Which models are in memory: leases of them, and what is shown of it.

residency.py      what others call
memory_owner.py   the one task that owns all of the state
residents.py      what is loaded and what may go      lease_queue.py   who waits
ledger.py         whose every byte is                 degradation.py   what there was no memory for
loader.py         loads, unloads and measures, on a thread of its own
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from streamapp.errors import OverBudget
from streamapp.scheduler.costs import CostBook
from streamapp.scheduler.device_memory import DeviceMemory
from streamapp.scheduler.lease_queue import Request
from streamapp.scheduler.leases import HeldLease
from streamapp.scheduler.ledger import Ledger
from streamapp.scheduler.loader import Load, Loader, RunBlocking
from streamapp.scheduler.memory_owner import UNLOADING, MemoryOwner
from streamapp.scheduler.residency_view import ResidencySnapshot
from streamapp.scheduler.residents import Residents
from streamapp.zoo.buckets import BUCKETS

MAX_WAITING = 256


class ModelResidency:
    """A Residency. Made by `start`; used on the event loop's thread."""

    def __init__(self, owner: MemoryOwner, clock: Callable[[], float]) -> None:
        self._owner = owner
        self._clock = clock
        self._loop = asyncio.get_running_loop()

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        device: DeviceMemory,
        load: Load,
        costs: CostBook,
        *,
        budget_bytes: int | None,
        reserve_bytes: int,
        keep_alive_s: float,
        buckets: Sequence[int] = BUCKETS,
        weights: Mapping[str, float] | None = None,
        pinned: Collection[str] = (),
        clock: Callable[[], float] = time.monotonic,
        run_blocking: RunBlocking | None = None,
    ) -> AsyncIterator[ModelResidency]:
        """For the length of the block; unloads everything at its end. `buckets`, `weights`, `pinned`: see Residents;
        `run_blocking`: see Loader."""
        residents = Residents(
            Ledger(configured_bytes=budget_bytes, reserve_bytes=reserve_bytes),
            costs,
            buckets=buckets,
            context_bytes=device.context_bytes,
            weights=weights or {},
            pinned=pinned,
        )
        loader = Loader(device, load, costs, run_blocking=run_blocking, clock=clock)
        owner = MemoryOwner(device, residents, loader, keep_alive_s=keep_alive_s, clock=clock)
        async with asyncio.TaskGroup() as group:
            group.create_task(owner.run(group), name="residency")
            residency = cls(owner, clock)
            try:
                yield residency
            finally:
                await residency.close()

    async def lease(self, variants: Sequence[str], *, deadline_s: float) -> HeldLease:
        if self._owner.is_closing or self._owner.waiting >= MAX_WAITING:
            raise OverBudget(UNLOADING if self._owner.is_closing else "too many wait for models already")
        wanted = tuple(dict.fromkeys(variants))
        granted: asyncio.Future[HeldLease] = self._loop.create_future()
        self._owner.ask(Request(wanted, self._clock(), deadline_s, granted))
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                granted.result().release()  # it came while the call was being cancelled
            raise

    def report_out_of_memory(self, variant: str, reason: str = "no memory to run it") -> None:
        """The device had no room to run a leased model: it is loaded anew with less, once nobody uses it. The sessions
        of a lease report this by themselves; to report the same loaded model again changes nothing."""
        self._owner.condemn(variant, reason)

    async def close(self) -> None:
        await self._owner.close()

    def snapshot(self) -> ResidencySnapshot:
        return self._owner.snapshot()
