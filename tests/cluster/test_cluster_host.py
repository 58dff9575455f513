"""Jobs for devices elsewhere: deadlines that cross as seconds, devices that are lost on the way, and come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from streamapp.cluster.cluster_host import ClusterScheduler, cluster_host
from streamapp.cluster.messages import SentJob, SentReport
from streamapp.cluster.remote_device import DeviceHandle
from streamapp.errors import DeviceLost
from streamapp.results import DropReason
from streamapp.scheduler.api import Done, Outcome, Priority
from streamapp.scheduler.placement import VariantCost
from streamapp.scheduler.record import SchedulerState
from streamapp.scheduler.residency_view import ResidencySnapshot
from streamapp.scheduler.router import DeviceReport
from tests.fakes import ScriptedOperation
from tests.scheduling import error, job, reason, values
from tests.waiting import until


class FakeHandle:
    """A DeviceHandle in this process: answers at once, when the gate opens, or never again."""

    def __init__(self, *resident: str, gate: asyncio.Event | None = None, way_s: float = 0.0) -> None:
        self.resident = resident
        self.gate = gate
        self.way_s = way_s
        self.lost: str | None = None
        self.sent: list[SentJob] = []
        self.cancelled = 0

    async def submit(self, sent: SentJob) -> Outcome[Any]:
        self.sent.append(sent)
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.lost is not None:
            raise DeviceLost(self.lost)
        return Done([10 * item for item in sent.items], (), 0.0, 0.0)

    async def report(self) -> SentReport:
        if self.lost is not None:
            raise DeviceLost(self.lost)
        await asyncio.sleep(self.way_s)
        report = DeviceReport(None, self.resident, 1000, 0, 0, 1, {})
        nothing = dict.fromkeys(Priority, 0)
        state = SchedulerState(nothing, dict.fromkeys(Priority, 0.0), 0, 1, 0, {}, {})
        memory = ResidencySnapshot("fake", None, 1000, 0, 0, 0, 1000, 0, 0, (), (), None, 0, 0, 0, {})
        return SentReport("node", report, {"tens": VariantCost(100, 1.0)}, state, memory)


class FakeDirectory:
    def __init__(self, **found: FakeHandle) -> None:
        self.found = found
        self.answers = True

    async def devices(self) -> Mapping[str, DeviceHandle]:
        if not self.answers:
            raise DeviceLost("the cluster does not answer")
        return dict(self.found)


async def looked(**found: FakeHandle) -> ClusterScheduler:
    scheduler = ClusterScheduler(FakeDirectory(**found), max_in_flight=8)
    await scheduler.look()
    return scheduler


async def test_a_job_goes_where_its_model_is() -> None:
    a, b = FakeHandle(), FakeHandle("tens")
    scheduler = await looked(a=a, b=b)
    assert values(await scheduler.submit(job(ScriptedOperation(), 1, 2))) == [10, 20]
    assert (len(a.sent), len(b.sent)) == (0, 1)


async def test_of_two_devices_that_have_the_model_the_nearer_one_is_asked() -> None:
    a, b = FakeHandle("tens", way_s=0.05), FakeHandle("tens", way_s=0.001)
    scheduler = await looked(a=a, b=b)
    assert values(await scheduler.submit(job(ScriptedOperation(), 1))) == [10]
    assert (len(a.sent), len(b.sent)) == (0, 1)


async def test_what_a_device_had_that_is_gone_is_tried_once_elsewhere_and_it_comes_back() -> None:
    a, b = FakeHandle("tens"), FakeHandle()
    scheduler = await looked(a=a, b=b)
    a.lost = "unplugged"
    assert values(await scheduler.submit(job(ScriptedOperation(), 1))) == [10]
    assert (scheduler.retried, scheduler.known["a"].report().lost) == (1, "unplugged")
    assert [part.lost for part in scheduler.snapshot().parts] == ["unplugged", None]
    assert values(await scheduler.submit(job(ScriptedOperation(), 2))) == [20]
    assert len(a.sent) == 1, "who is lost is not asked before it answers again"
    a.lost = None
    await scheduler.look()
    assert values(await scheduler.submit(job(ScriptedOperation(), 3))) == [30]
    assert len(a.sent) == 2


async def test_a_device_that_has_not_answered_yet_gets_no_jobs() -> None:
    a = FakeHandle()
    a.lost = "starting"
    scheduler = await looked(a=a)
    assert "starting" in str(error(await scheduler.submit(job(ScriptedOperation(), 1))))
    assert not a.sent


async def test_a_job_ends_at_its_deadline_and_is_called_off() -> None:
    a = FakeHandle(gate=asyncio.Event())
    scheduler = await looked(a=a)
    assert reason(await scheduler.submit(job(ScriptedOperation(), 1, within_s=0.05))) is DropReason.STALE
    assert a.cancelled == 1


async def test_cancelling_a_call_cancels_the_job() -> None:
    a = FakeHandle(gate=asyncio.Event())
    scheduler = await looked(a=a)
    call = asyncio.create_task(scheduler.submit(job(ScriptedOperation(), 1)))
    await until(lambda: len(a.sent) == 1)
    call.cancel()
    await asyncio.wait([call])
    assert a.cancelled == 1


async def test_devices_come_and_go_with_the_directory() -> None:
    directory = FakeDirectory(a=FakeHandle("tens"))
    async with cluster_host(directory, max_in_flight=8) as host:
        directory.found["b"] = FakeHandle()
        await until(lambda: len(host.residency.snapshot().parts) == 2)
        del directory.found["a"]
        await until(lambda: len(host.residency.snapshot().parts) == 1)
        directory.answers = False
        assert values(await host.scheduler.submit(job(ScriptedOperation(), 1))) == [10]


async def test_a_cluster_that_does_not_answer_at_the_start_is_an_error() -> None:
    directory = FakeDirectory()
    directory.answers = False
    with pytest.raises(DeviceLost):
        async with cluster_host(directory, max_in_flight=8):
            pass


def test_a_sent_job_has_the_way_taken_off_its_time() -> None:
    now_s = time.monotonic()
    sent = SentJob.of(job(ScriptedOperation(), 1, within_s=2.0, now_s=now_s), now_s=now_s, way_s=0.5)
    assert abs(sent.job(50.0).deadline_s - 51.5) < 1e-6
