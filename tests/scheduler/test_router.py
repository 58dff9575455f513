"""Jobs on several devices: where they go, and what becomes of them when a device is lost, full or slow."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from streamapp.errors import DeviceLost, ModelMissing
from streamapp.results import DropReason
from streamapp.scheduler.api import Done, Failed, Item, Job, Outcome, Value
from streamapp.scheduler.placement import VariantCost
from streamapp.scheduler.router import DeviceReport, DeviceRouter
from tests.fakes import ScriptedOperation
from tests.scheduling import error, job, reason, values
from tests.waiting import until

LOAD_S = 1.0


class FakeDevice:
    """Answers at once, when its gate opens, or never again. A model is resident from its first job on."""

    def __init__(self, name: str, *resident: str, gate: asyncio.Event | None = None, free_bytes: int = 1000) -> None:
        self.name = name
        self.resident: Collection[str] = set(resident)
        self.gate = gate
        self.free_bytes = free_bytes
        self.lost: str | None = None
        self.dies_with_next = False
        self.sent: list[Job[Any, Any]] = []
        self.waiting = 0
        self.cancelled = 0
        self.far_s = 0.0

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        self.sent.append(job)
        self.waiting += 1
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.dies_with_next:
                self.lost = "unplugged"
            if self.lost is not None:
                return Failed(DeviceLost(self.lost))
            self.resident = {*self.resident, *job.operation.variants}
            tenfold: Any = [10 * item for item in job.items]  # type: ignore[operator]  # items are numbers here
            return Done(tenfold, (), 0.0, 0.0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1

    def report(self) -> DeviceReport:
        return DeviceReport(self.lost, self.resident, self.free_bytes, 0, self.waiting, 1, {"tens": 0.1})

    def cost(self, variant: str) -> VariantCost:
        if variant == "nobody's":
            raise ModelMissing(f"{variant} is not known")
        return VariantCost(100, LOAD_S)

    def way_s(self, job: Job[Item, Value]) -> float:
        return self.far_s


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def routing(*devices: FakeDevice, max_in_flight: int = 64, clock: Clock | None = None) -> DeviceRouter:
    if clock is None:
        return DeviceRouter(lambda: devices, max_in_flight=max_in_flight)
    return DeviceRouter(lambda: devices, max_in_flight=max_in_flight, clock=clock)


async def test_a_job_goes_where_its_model_is() -> None:
    a, b = FakeDevice("a"), FakeDevice("b", "tens")
    assert values(await routing(a, b).submit(job(ScriptedOperation(), 1, 2))) == [10, 20]
    assert (len(a.sent), len(b.sent)) == (0, 1)


async def test_a_job_goes_where_there_is_room() -> None:
    a, b = FakeDevice("a", free_bytes=10), FakeDevice("b")
    assert values(await routing(a, b).submit(job(ScriptedOperation(), 1))) == [10]
    assert (len(a.sent), len(b.sent)) == (0, 1)


async def test_a_model_that_is_on_its_way_to_a_device_counts_as_there() -> None:
    gate = asyncio.Event()
    a, b = FakeDevice("a", gate=gate), FakeDevice("b", gate=gate)
    router = routing(a, b)
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(router.submit(job(ScriptedOperation(), 1)))
            await asyncio.sleep(0)
        assert sorted((len(a.sent), len(b.sent))) == [0, 4]
        gate.set()


async def test_a_model_that_is_always_waited_for_gets_a_copy_and_one_burst_is_not_enough() -> None:
    gate, clock = asyncio.Event(), Clock()
    a, b = FakeDevice("a", "tens", gate=gate), FakeDevice("b", gate=gate)
    router = routing(a, b, clock=clock)
    async with asyncio.TaskGroup() as group:

        async def send(count: int) -> None:
            for _ in range(count):
                group.create_task(router.submit(job(ScriptedOperation(), 1, now_s=clock())))
                await asyncio.sleep(0)

        await send(14)  # the last few would wait for less by loading it elsewhere
        assert not b.sent
        await send(20)
        assert b.sent, "waiting for the one device has cost more than a copy"
        gate.set()


async def test_bursts_far_apart_load_nothing_elsewhere() -> None:
    clock = Clock()
    a, b = FakeDevice("a", "tens"), FakeDevice("b")
    router = routing(a, b, clock=clock)
    for _ in range(20):
        a.gate = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(14):
                group.create_task(router.submit(job(ScriptedOperation(), 1, now_s=clock())))
                await asyncio.sleep(0)
            a.gate.set()
        clock.now_s += 60
    assert not b.sent


async def test_with_copies_on_both_jobs_are_shared_evenly() -> None:
    gate = asyncio.Event()
    a, b = FakeDevice("a", "tens", gate=gate), FakeDevice("b", "tens", gate=gate)
    router = routing(a, b)
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(router.submit(job(ScriptedOperation(), 1)))
            await asyncio.sleep(0)
        assert (len(a.sent), len(b.sent)) == (5, 5)
        gate.set()


async def test_what_a_lost_device_had_is_tried_once_elsewhere() -> None:
    a, b = FakeDevice("a", "tens"), FakeDevice("b")
    router = routing(a, b)
    a.dies_with_next = True
    assert values(await router.submit(job(ScriptedOperation(), 1))) == [10]
    assert router.retried == 1
    assert values(await router.submit(job(ScriptedOperation(), 2))) == [20]
    assert (len(a.sent), len(b.sent)) == (1, 2)


async def test_what_was_lost_twice_has_failed() -> None:
    a, b, c = FakeDevice("a"), FakeDevice("b"), FakeDevice("c")
    for device in (a, b, c):
        device.dies_with_next = True
    router = routing(a, b, c)
    assert isinstance(error(await router.submit(job(ScriptedOperation(), 1))), DeviceLost)
    assert len(a.sent) + len(b.sent) + len(c.sent) == 2


async def test_with_every_device_lost_jobs_fail_at_once_and_say_why() -> None:
    a, b = FakeDevice("a"), FakeDevice("b")
    a.lost, b.lost = "unplugged", "fell off the bus"
    told = str(error(await routing(a, b).submit(job(ScriptedOperation(), 1))))
    assert "a: unplugged" in told
    assert "b: fell off the bus" in told
    assert not a.sent + b.sent


async def test_a_device_that_is_back_takes_jobs_again() -> None:
    a = FakeDevice("a")
    router = routing(a)
    a.lost = "unplugged"
    error(await router.submit(job(ScriptedOperation(), 1)))
    a.lost = None
    assert values(await router.submit(job(ScriptedOperation(), 2))) == [20]


async def test_what_is_beyond_the_jobs_in_flight_is_dropped() -> None:
    gate = asyncio.Event()
    a, b = FakeDevice("a", gate=gate), FakeDevice("b", gate=gate)
    router = routing(a, b, max_in_flight=1)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(router.submit(job(ScriptedOperation(), number))) for number in (1, 2)]
        await until(lambda: len(a.sent) + len(b.sent) == 2)
        assert reason(await router.submit(job(ScriptedOperation(), 3))) is DropReason.QUEUE_FULL
        assert router.dropped == {DropReason.QUEUE_FULL: 1}
        gate.set()
        assert sorted([values(await task) for task in waiting]) == [[10], [20]]
    assert router.in_flight("a") == router.in_flight("b") == 0


async def test_what_no_device_knows_is_a_devices_to_refuse() -> None:
    a = FakeDevice("a")
    assert values(await routing(a).submit(job(ScriptedOperation("nobody's"), 1))) == [10]


async def test_a_job_past_its_deadline_goes_nowhere() -> None:
    a = FakeDevice("a")
    assert reason(await routing(a).submit(job(ScriptedOperation(), 1, within_s=-1))) is DropReason.STALE
    assert not a.sent


async def test_cancelling_a_call_cancels_the_job() -> None:
    a = FakeDevice("a", gate=asyncio.Event())
    router = routing(a)
    call = asyncio.create_task(router.submit(job(ScriptedOperation(), 1)))
    await until(lambda: len(a.sent) == 1)
    call.cancel()
    await asyncio.wait([call])
    assert a.cancelled == 1
    assert router.in_flight("a") == 0


async def test_what_a_device_was_sent_takes_room_before_its_report_knows_of_it() -> None:
    gate = asyncio.Event()
    small = [FakeDevice(name, gate=gate, free_bytes=150) for name in "ab"]
    router = routing(*small)
    async with asyncio.TaskGroup() as group:
        for name in ("one", "two"):
            group.create_task(router.submit(job(ScriptedOperation(name), 1)))
        await until(lambda: router.in_flight("a") + router.in_flight("b") == 2)
        assert [len(device.sent) for device in small] == [1, 1], "both on one would have 50 bytes too few"
        gate.set()
