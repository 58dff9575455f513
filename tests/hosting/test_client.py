"""Jobs through the socket: each ends once, its pixels are let go, and the other side may go and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamapp.errors import DeviceLost, ModelError
from streamapp.hosting import client
from streamapp.results import DropReason
from streamapp.scheduler.api import Done, Dropped, Failed, ModelRun
from tests.hosting.asking import GATES, SNAPSHOT, WHY, gate, job, linked, nothing_held, open_files
from tests.waiting import until


@pytest.fixture(autouse=True)
def gates() -> Iterator[None]:
    yield
    for _, opened in GATES.values():
        opened.set()
    GATES.clear()


async def test_a_job_gets_its_values_and_who_ran_it(tmp_path: Path) -> None:
    async with linked(tmp_path) as (scheduler, _):
        outcome = await scheduler.submit(job(10, 20))
        assert isinstance(outcome, Done)
        assert list(outcome.values) == [10.0, 20.0]
        assert outcome.models == (ModelRun("brightness", "CPUExecutionProvider"),)
        await nothing_held(scheduler)


async def test_many_jobs_get_their_own_values_and_leave_nothing(tmp_path: Path) -> None:
    async with linked(tmp_path) as (scheduler, _):
        for _ in range(3):
            outcomes = await asyncio.gather(*(scheduler.submit(job(value, value + 1)) for value in range(8)))
            assert [list(done.values) for done in outcomes if isinstance(done, Done)] == [
                [value, value + 1] for value in range(8)
            ]
        await nothing_held(scheduler)


async def test_a_job_without_items_is_done_without_being_sent(tmp_path: Path) -> None:
    async with linked(tmp_path) as (scheduler, elsewhere):
        outcome = await scheduler.submit(job())
        assert isinstance(outcome, Done)
        assert list(outcome.values) == []
        assert elsewhere.residency.asked == []


async def test_an_error_of_a_model_comes_back_as_it_is(tmp_path: Path) -> None:
    async with linked(tmp_path) as (scheduler, _):
        outcome = await scheduler.submit(job(1, name="broken"))
        assert isinstance(outcome, Failed)
        assert type(outcome.error) is ModelError
        assert "it is broken" in str(outcome.error)
        await nothing_held(scheduler)


async def test_what_the_other_side_drops_says_why(tmp_path: Path) -> None:
    begun, opened = gate("slow")
    async with linked(tmp_path) as (scheduler, _):
        slow = asyncio.create_task(scheduler.submit(job(1, name="slow")))
        await until(begun.is_set)
        late = await scheduler.submit(job(2, within_s=0.05))
        assert isinstance(late, Dropped)
        assert late.reason is DropReason.STALE
        opened.set()
        assert isinstance(await slow, Done)
        await nothing_held(scheduler)
        await until(lambda: scheduler.state().dropped.get(DropReason.STALE) == 1)


async def test_a_cancelled_job_ends_there_too_and_its_pixels_stay_until_nobody_looks(tmp_path: Path) -> None:
    begun, opened = gate("slow")
    async with linked(tmp_path) as (scheduler, elsewhere):
        running = asyncio.create_task(scheduler.submit(job(1, name="slow")))
        await until(begun.is_set)
        waiting = asyncio.create_task(scheduler.submit(job(2)))
        await until(lambda: scheduler.state().queued and sum(scheduler.state().queued.values()) == 1)
        for task in (running, waiting):
            task.cancel()
        await asyncio.wait((running, waiting))
        assert running.cancelled()
        assert waiting.cancelled()
        await until(lambda: scheduler.waiting == 1)  # the one that runs still looks
        assert scheduler.free_bytes < scheduler.arena_bytes
        opened.set()
        await nothing_held(scheduler)
        assert elsewhere.residency.asked.count(("brightness",)) == 0


async def test_beyond_what_may_wait_jobs_are_dropped(tmp_path: Path) -> None:
    begun, opened = gate("slow")
    async with linked(tmp_path, max_jobs=2) as (scheduler, _):
        tasks = [asyncio.create_task(scheduler.submit(job(value, name="slow"))) for value in range(2)]
        await until(begun.is_set)
        refused = await scheduler.submit(job(3))
        assert isinstance(refused, Dropped)
        assert refused.reason is DropReason.QUEUE_FULL
        assert scheduler.state().dropped[DropReason.QUEUE_FULL] == 1
        opened.set()
        assert all(isinstance(outcome, Done) for outcome in await asyncio.gather(*tasks))


async def test_without_room_for_its_pixels_a_job_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ARENA_BYTES", 1 << 20)
    async with linked(tmp_path) as (scheduler, _):
        refused = await scheduler.submit(job(1, side=1024))
        assert refused is client.NO_ROOM
        assert isinstance(await scheduler.submit(job(1, side=256)), Done)


async def test_a_job_under_way_when_the_other_side_goes_is_tried_again(tmp_path: Path) -> None:
    begun, opened = gate("slow")
    async with linked(tmp_path) as (scheduler, elsewhere):
        asked = asyncio.create_task(scheduler.submit(job(5, name="slow")))
        await until(begun.is_set)
        going = asyncio.create_task(elsewhere.go())
        await until(lambda: scheduler.snapshot().lost == WHY)
        assert scheduler.snapshot().unaccounted_bytes == 0
        opened.set()
        await going
        await elsewhere.come()
        outcome = await asked
        assert isinstance(outcome, Done)
        assert list(outcome.values) == [5.0]
        await nothing_held(scheduler)
        await until(lambda: scheduler.snapshot() == SNAPSHOT)


async def test_a_job_that_the_other_side_went_with_twice_has_failed(tmp_path: Path) -> None:
    begun, opened = gate("slow")
    async with linked(tmp_path) as (scheduler, elsewhere):
        asked = asyncio.create_task(scheduler.submit(job(5, name="slow")))
        for _ in range(client.MAX_ATTEMPTS):
            await until(begun.is_set)
            begun.clear()
            losses = elsewhere.why_calls
            going = asyncio.create_task(elsewhere.go())
            await until(lambda losses=losses: elsewhere.why_calls > losses)  # type: ignore[misc]  # mypy knows no default
            opened.set()
            await going
            opened.clear()
            await elsewhere.come()
        outcome = await asked
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, DeviceLost)
        assert "twice" in str(outcome.error)
        await nothing_held(scheduler)
        assert isinstance(await scheduler.submit(job(1)), Done)


async def test_while_nobody_is_there_jobs_wait_until_their_deadline(tmp_path: Path) -> None:
    async with linked(tmp_path) as (scheduler, elsewhere):
        await elsewhere.go()
        await until(lambda: scheduler.snapshot().lost is not None)
        assert await scheduler.submit(job(1, within_s=0.05)) is client.AWAY
        given_up = asyncio.create_task(scheduler.submit(job(2)))
        patient = asyncio.create_task(scheduler.submit(job(3)))
        await until(lambda: scheduler.waiting == 2)
        given_up.cancel()
        await asyncio.wait((given_up,))
        assert scheduler.waiting == 1
        await elsewhere.come()
        outcome = await patient
        assert isinstance(outcome, Done)
        assert list(outcome.values) == [3.0]
        assert elsewhere.residency.asked == [("brightness",)]
        await nothing_held(scheduler)


async def test_a_job_asked_for_before_it_is_known_why_waits_once_and_runs_past_its_deadline(tmp_path: Path) -> None:
    """As one here would: what has begun in time comes to its end."""
    begun, opened = gate("slow")
    async with linked(tmp_path) as (scheduler, elsewhere):
        elsewhere.may_tell.clear()
        await elsewhere.go()
        await until(lambda: elsewhere.why_calls == 1)
        asked = asyncio.create_task(scheduler.submit(job(4, name="slow", within_s=1.0)))
        await until(lambda: scheduler.waiting == 1)
        elsewhere.may_tell.set()
        await elsewhere.come()
        await until(begun.is_set)
        deadline = asyncio.get_running_loop().create_task(asyncio.sleep(1.1))
        await asyncio.wait((deadline, asked), return_when=asyncio.FIRST_COMPLETED)
        assert not asked.done()
        opened.set()
        outcome = await asked
        assert isinstance(outcome, Done)
        assert list(outcome.values) == [4.0]
        await nothing_held(scheduler)


async def test_a_job_given_up_and_cancelled_at_once_ends_once(tmp_path: Path) -> None:
    async with linked(tmp_path) as (scheduler, elsewhere):
        await elsewhere.go()
        await until(lambda: scheduler.snapshot().lost is not None)
        task = asyncio.create_task(scheduler.submit(job(1)))
        await until(lambda: scheduler.waiting == 1)
        (asked,) = scheduler._asked.values()
        scheduler._give_up(asked)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()
        await nothing_held(scheduler)
        await elsewhere.come()


async def test_another_side_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with linked(tmp_path) as (scheduler, elsewhere):
        monkeypatch.setattr(client, "SILENT_S", 0.0)
        await until(lambda: elsewhere.silenced > 0)
        monkeypatch.undo()
        assert isinstance(await scheduler.submit(job(1)), Done)


async def test_at_the_end_what_waits_is_dropped_and_nothing_stays_open(tmp_path: Path) -> None:
    begun, opened = gate("slow")
    before = open_files()
    async with linked(tmp_path) as (scheduler, _):
        asked = asyncio.create_task(scheduler.submit(job(1, name="slow")))
        await until(begun.is_set)
        opened.set()
    outcome = await asked
    assert isinstance(outcome, Done | Dropped)
    closed = await scheduler.submit(job(1))
    assert isinstance(closed, Dropped)
    assert closed.reason is DropReason.CLOSED
    await until(lambda: open_files() <= before)
