"""One device of the cluster: the scheduler and the ledger of one process, asked from elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from streamapp.cluster.messages import Crossed, SentJob, SentReport, content_bytes
from streamapp.errors import DeviceLost, ModelError
from streamapp.hosting.machine import MachineWatch
from streamapp.scheduler.api import Done, Failed, Outcome
from streamapp.scheduler.devices import LocalDevice

LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs the jobs of one device, and the variants it knows."""

    device: LocalDevice
    variants: Iterable[str]


StartEngine = Callable[[], AbstractAsyncContextManager[Engine]]


class DeviceHost:
    """What a Ray actor is made of: all of its methods run on the one event loop of its process. Nothing is started
    before it is first asked, as Ray makes the object outside of the loop."""

    def __init__(self, name: str, node: str, machine: str, start: StartEngine) -> None:
        self._name = name
        self._node = node
        self._machine = machine
        self._watch = MachineWatch()
        self._crossed: dict[str, Crossed] = {}
        self._start = start
        self._starting: asyncio.Future[Engine] | None = None
        self._life: asyncio.Task[None] | None = None

    async def submit(self, sent: SentJob) -> Outcome[Any]:
        """Ends as a LocalScheduler's does; raises nothing but what cancels it."""
        try:
            job = sent.job(time.monotonic())
        except ModelError as error:
            return Failed(error)
        try:
            engine = await self._engine()
        except ModelError as error:
            return Failed(DeviceLost(f"{self._name} could not start: {error}"))
        outcome = await engine.device.submit(job)
        if sent.origin != self._machine:
            answered_bytes = content_bytes(outcome.values) if isinstance(outcome, Done) else 0
            before = self._crossed.get(sent.origin, Crossed(0, 0))
            self._crossed[sent.origin] = Crossed(
                before.asked_bytes + content_bytes(sent.items), before.answered_bytes + answered_bytes
            )
        return outcome

    async def report(self) -> SentReport:
        """Raises ModelError if the device could not be started."""
        engine = await self._engine()
        device = engine.device
        costs = {variant: device.cost(variant) for variant in engine.variants}
        state = device.scheduler.state()
        machine = replace(
            self._watch.look(self._machine),
            devices=(self._name,),
            analysed=sum(operation.items for operation in state.operations.values()),
            sent_bytes=sum(crossed.answered_bytes for crossed in self._crossed.values()),
            received_bytes=sum(crossed.asked_bytes for crossed in self._crossed.values()),
        )
        memory, crossed = device.residency.snapshot(), dict(self._crossed)
        return SentReport(self._node, device.report(), costs, state, memory, machine, crossed)

    async def _engine(self) -> Engine:
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_future()
            # No TaskGroup: it lives as long as the process, whose other tasks are Ray's.
            self._life = asyncio.create_task(self._live(self._starting), name="device")
        return await asyncio.shield(self._starting)

    async def _live(self, starting: asyncio.Future[Engine]) -> None:
        try:
            async with self._start() as engine:
                await _measured(engine.device)
                starting.set_result(engine)
                await asyncio.Event().wait()
        except ModelError as error:
            starting.set_exception(error)
            self._starting = None  # the next call tries again


async def _measured(device: LocalDevice) -> None:
    """Before, it seems to have no room at all."""
    while (seen := device.residency.snapshot()).total_bytes == 0 and seen.lost is None:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_EVERY_S)
