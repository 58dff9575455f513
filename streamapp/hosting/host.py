"""Models at work: who runs jobs, which models are in memory, and how both are.

host.py      what others see, and the host in this process
process.py   the host in a process of its own: started, watched and started again      child.py   any process of ours
client.py    the scheduler that sends jobs there      arena.py      the memory in which their pixels cross
program.py   that process                             messages.py   what both say
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from streamapp.hosting.machine import THIS_MACHINE, MachineFigures
from streamapp.scheduler.api import Scheduler
from streamapp.scheduler.costs import CostBook
from streamapp.scheduler.device_memory import open_device_memory, runtime_version
from streamapp.scheduler.devices import DevicesScheduler, LocalDevice
from streamapp.scheduler.local import LocalScheduler
from streamapp.scheduler.plan import TASK_WEIGHTS
from streamapp.scheduler.record import SchedulerState
from streamapp.scheduler.residency import ModelResidency
from streamapp.scheduler.residency_view import ResidencySnapshot
from streamapp.settings import Settings
from streamapp.zoo import catalogue
from streamapp.zoo.base import ModelSession
from streamapp.zoo.buckets import buckets_on
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import Device, SessionOptions


class WatchedScheduler(Scheduler, Protocol):
    """A scheduler that says how it is."""

    def state(self) -> SchedulerState:
        """As of now, or of a moment ago if it is elsewhere."""


class WatchedResidency(Protocol):
    """What is in memory, to be looked at."""

    def snapshot(self) -> ResidencySnapshot:
        """As of now, or of a moment ago if it is elsewhere."""


@dataclass(frozen=True, slots=True)
class ModelHost:
    """Used on the event loop's thread."""

    scheduler: WatchedScheduler
    residency: WatchedResidency
    path: Path | None = None
    """Of the socket at which other processes reach it."""
    machine: str = THIS_MACHINE
    """The name of the one this process runs on."""
    machines: Callable[[], Iterable[MachineFigures]] = tuple
    """Where the devices are, if elsewhere too."""


def load_model(
    settings: Settings, registry: Registry, device: Device, name: str, buckets: Sequence[int], *, device_id: int = 0
) -> ModelSession:
    """Loads a variant and warms it up for batches of these sizes. Blocks. Raises what `catalogue.load` does."""
    options = SessionOptions(
        backend=settings.models.backend,
        device=device,
        device_id=device_id,
        precision=settings.models.precision,
        graph_cache=settings.models.graph_cache,
        warm_up=buckets,
    )
    return catalogue.load(registry, registry.manifest.named(name), options)


@asynccontextmanager
async def local_host(settings: Settings, registry: Registry, device: Device) -> AsyncIterator[ModelHost]:
    """Runs models in this process for the length of the block, on every device of the settings. Raises ModelInvalid,
    DeviceLost."""
    chosen = settings.scheduler
    ids = chosen.gpus if device is Device.CUDA else (0,)
    books: dict[str, CostBook] = {}
    async with AsyncExitStack() as stack:
        devices = [
            await stack.enter_async_context(local_device(settings, registry, device, device_id, books))
            for device_id in ids
        ]
        if len(devices) == 1:
            yield ModelHost(devices[0].scheduler, devices[0].residency)
        else:
            together = DevicesScheduler(devices, max_in_flight=chosen.queue_size)
            yield ModelHost(together, together)


@asynccontextmanager
async def local_device(
    settings: Settings, registry: Registry, device: Device, device_id: int, books: dict[str, CostBook]
) -> AsyncIterator[LocalDevice]:
    """Runs models on one device for the length of the block. books: what was measured, by name of the device: equal
    ones have one. Raises ModelInvalid, DeviceLost."""
    chosen = settings.scheduler
    memory = open_device_memory(device, device_id)
    costs = books.get(memory.name) or CostBook.of_registry(
        registry, device=memory.name, load_overhead=memory.load_overhead, runtime=runtime_version()
    )
    books[memory.name] = costs
    lanes = chosen.lanes or (1 if device is Device.CUDA else len(os.sched_getaffinity(0)))
    async with (
        ModelResidency.start(
            memory,
            partial(load_model, settings, registry, device, device_id=device_id),
            costs,
            budget_bytes=None if chosen.budget_mb is None else chosen.budget_mb * 1_000_000,
            reserve_bytes=chosen.reserve_mb * 1_000_000,
            keep_alive_s=chosen.keep_alive_s,
            buckets=buckets_on(device),
            weights={v.name: TASK_WEIGHTS[v.task] for v in registry.manifest.variants if v.task in TASK_WEIGHTS},
        ) as residency,
        LocalScheduler.start(residency, lanes=lanes, capacity=chosen.queue_size) as scheduler,
    ):
        yield LocalDevice(f"{device}:{device_id}", scheduler, residency, costs)
