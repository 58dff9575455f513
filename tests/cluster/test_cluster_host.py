"""Jobs for devices elsewhere: deadlines that cross as seconds, devices that are lost on the way, and come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from streamapp.cluster.cluster_host import ClusterScheduler, cluster_host
from streamapp.cluster.messages import CodedCrop, Crossed, SentJob, SentReport, content_bytes
from streamapp.cluster.remote_device import DeviceHandle, Ways
from streamapp.errors import DeviceLost, ModelInputInvalid
from streamapp.hosting.machine import MachineFigures
from streamapp.results import DropReason
from streamapp.scheduler.api import Done, Job, Outcome, Priority
from streamapp.scheduler.placement import VariantCost
from streamapp.scheduler.record import SchedulerState
from streamapp.scheduler.residency_view import ResidencySnapshot
from streamapp.scheduler.router import DeviceReport
from streamapp.zoo.base import Crop
from tests.fakes import ScriptedOperation
from tests.scheduling import error, job, reason, values
from tests.waiting import until


class FakeHandle:
    """A DeviceHandle in this process: answers at once, when the gate opens, or never again."""

    def __init__(self, *resident: str, gate: asyncio.Event | None = None, way_s: float = 0.0) -> None:
        self.resident: tuple[str, ...] = resident
        self.gate = gate
        self.way_s = way_s
        self.lost: str | None = None
        self.sent: list[SentJob] = []
        self.cancelled = 0
        self.machine = "there"
        self.free_bytes = 1000
        self.crossed: Mapping[str, Crossed] = {}

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
        report = DeviceReport(None, self.resident, self.free_bytes, 0, 0, 1, {})
        nothing = dict.fromkeys(Priority, 0)
        state = SchedulerState(nothing, dict.fromkeys(Priority, 0.0), 0, 1, 0, {}, {})
        memory = ResidencySnapshot("fake", None, 1000, 0, 0, 0, 1000, 0, 0, (), (), None, 0, 0, 0, {})
        costs = {"tens": VariantCost(100, 1.0)}
        return SentReport("node", report, costs, state, memory, MachineFigures(self.machine), self.crossed)


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


def picture(side: int = 112) -> Crop:
    ramp = np.linspace(0, 255, side, dtype=np.uint8)
    return Crop(np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], np.uint8(90)), axis=-1))


def test_crops_cross_as_jpeg_where_that_is_wanted_and_are_nearly_as_they_were() -> None:
    operation: Any = ScriptedOperation()
    whole = Job(operation, [picture()], "cam", Priority.REFRESH, 9.0, "asked for")
    exact, coded = (SentJob.of(whole, now_s=0.0, way_s=0.0, quality=quality) for quality in (None, 95))
    assert exact.job(0.0).items[0] is whole.items[0]
    assert content_bytes(coded.items) < content_bytes(exact.items) / 5
    found = coded.job(0.0).items[0].pixels
    assert (found.dtype, found.shape) == (np.uint8, (112, 112, 3))
    assert np.abs(found.astype(int) - whole.items[0].pixels.astype(int)).max() <= 8, "colours in their right order"


def test_a_crop_that_is_no_jpeg_is_refused() -> None:
    with pytest.raises(ModelInputInvalid, match="no JPEG"):
        CodedCrop(b"nothing").crop()


def test_only_contents_count() -> None:
    assert content_bytes(picture(10)) == 300
    assert content_bytes((CodedCrop(b"abc"), [1, 2.0], {"ab": None})) == 3 + 16 + 10


async def test_what_a_stream_shows_models_stays_on_its_machine_as_long_as_that_has_room() -> None:
    near, far = FakeHandle(), FakeHandle("tens")
    near.machine = "here"
    scheduler = ClusterScheduler(
        FakeDirectory(near=near, far=far), max_in_flight=8, ways=Ways("here", stream_bytes_per_s=1000.0)
    )
    await scheduler.look()
    picture_job = replace(job(ScriptedOperation(), *range(2000)), priority=Priority.REFRESH)
    await scheduler.submit(picture_job)
    assert (len(near.sent), len(far.sent)) == (1, 0), "loading takes 1 s, the way 16"
    await scheduler.submit(replace(picture_job, priority=Priority.IMAGE))
    assert (len(near.sent), len(far.sent)) == (1, 1), "somebody waits for it"
    near.free_bytes = 0
    near.resident = ()
    await scheduler.look()
    await scheduler.submit(picture_job)
    assert (len(near.sent), len(far.sent)) == (1, 2), "there is no room here"


async def test_what_crossed_counts_for_both_machines() -> None:
    device = FakeHandle("tens")
    device.crossed = {"asker": Crossed(1000, 20)}
    scheduler = await looked(device=device)
    machines = {one.name: one for one in scheduler.machines()}
    assert machines["asker"].sent_bytes == 1000
    assert machines["asker"].received_bytes == 20
    assert machines.keys() == {"asker", "there"}
