"""The devices of a cluster as a ModelHost: who asks it does not know that they are elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from streamapp.cluster.remote_device import DeviceHandle, RemoteDevice, Ways
from streamapp.errors import DeviceLost
from streamapp.hosting.host import ModelHost
from streamapp.hosting.machine import MachineFigures
from streamapp.scheduler.record import SchedulerState, merged_states
from streamapp.scheduler.residency_view import ResidencySnapshot, merged_snapshots
from streamapp.scheduler.router import DeviceRouter

LOOK_EVERY_S = 0.5


class Directory(Protocol):
    """Which devices there are now, by name. Raises DeviceLost if the cluster does not answer."""

    async def devices(self) -> Mapping[str, DeviceHandle]: ...


class ClusterScheduler(DeviceRouter):
    """A Scheduler over devices of other machines, and how all of them are together. Used on the event loop's thread."""

    def __init__(self, directory: Directory, *, max_in_flight: int, ways: Ways | None = None) -> None:
        self._directory = directory
        self._ways = ways or Ways()
        self.known: dict[str, RemoteDevice] = {}
        super().__init__(lambda: tuple(self.known.values()), max_in_flight=max_in_flight)

    @property
    def machine(self) -> str:
        """This one."""
        return self._ways.machine

    async def look(self) -> None:
        """Asks every device how it is. Raises DeviceLost if the cluster itself does not answer."""
        handles = await self._directory.devices()
        for name, handle in handles.items():
            self.known.setdefault(name, RemoteDevice(name, handle, self._ways)).handle = handle
        for name in self.known.keys() - handles.keys():
            if not self.in_flight(name):
                del self.known[name]
        async with asyncio.TaskGroup() as group:
            for device in self.known.values():
                group.create_task(device.look())

    def state(self) -> SchedulerState:
        return merged_states([known.last.state for known in self.known.values() if known.last], self.dropped)

    def snapshot(self) -> ResidencySnapshot:
        """Of all of them together, each in its `parts`, once it has answered."""
        return merged_snapshots([memory for known in self.known.values() if (memory := known.memory()) is not None])

    def machines(self) -> Iterator[MachineFigures]:
        """Where the devices are, and who asked them."""
        for known in self.known.values():
            yield from known.machines()

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with contextlib.suppress(DeviceLost):  # the devices are known still, and asked for themselves
                await self.look()


@asynccontextmanager
async def cluster_host(
    directory: Directory, *, max_in_flight: int, ways: Ways | None = None
) -> AsyncIterator[ModelHost]:
    """Sends jobs to the cluster for the length of the block. max_in_flight: of each device. Raises DeviceLost if the
    cluster does not answer."""
    scheduler = ClusterScheduler(directory, max_in_flight=max_in_flight, ways=ways)
    await scheduler.look()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(scheduler.watch(), name="cluster")
        try:
            yield ModelHost(scheduler, scheduler, machine=scheduler.machine, machines=scheduler.machines)
        finally:
            watching.cancel()
