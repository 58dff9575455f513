from __future__ import annotations

import asyncio
import threading

import pytest

from streamapp.results import DropReason
from streamapp.scheduler import local
from streamapp.scheduler.local import LocalScheduler
from tests.fakes import ScriptedOperation, ScriptedResidency
from tests.scheduling import Ending, Gate, job, reason, scheduling, submitted, values
from tests.waiting import until

# -- the end ---------------------------------------------------------------------------------------------------------


async def test_at_the_end_what_waits_is_dropped_and_what_runs_is_waited_for(residency: ScriptedResidency) -> None:
    gate, operation = Gate(), ScriptedOperation()
    async with scheduling(residency) as scheduler:
        (running,) = await submitted(scheduler, job(ScriptedOperation("busy", gate), 1))
        await until(gate.begun.is_set)
        (waiting,) = await submitted(scheduler, job(operation, 1))
        waiting.add_done_callback(lambda _: gate.open.set())
    assert reason(await waiting) is DropReason.CLOSED
    assert values(await running) == [10]
    assert reason(await scheduler.submit(job(operation, 1))) is DropReason.CLOSED
    assert scheduler.state().dropped == {DropReason.CLOSED: 2}
    assert operation.batches == []


async def test_at_the_end_what_loads_is_given_up(residency: ScriptedResidency, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "CLOSE_TIMEOUT_S", 0.05)
    residency.gates["cold"] = asyncio.Event()
    async with scheduling(residency) as scheduler:
        tasks = await submitted(scheduler, *(job(ScriptedOperation("cold"), item) for item in range(12)))
        await until(lambda: residency.loading)
    assert {reason(await task) for task in tasks} == {DropReason.CLOSED}
    assert scheduler.state().dropped == {DropReason.CLOSED: 12}
    assert residency.loading == 0


async def test_at_the_end_a_call_that_goes_on_keeps_its_lease_until_it_is_over(
    residency: ScriptedResidency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "CLOSE_TIMEOUT_S", 0.05)
    gate = Gate()
    started = LocalScheduler.start(residency, lanes=1, capacity=8)
    async with started as scheduler:
        (running,) = await submitted(scheduler, job(ScriptedOperation("busy", gate), 1))
        await until(gate.begun.is_set)
    assert reason(await running) is DropReason.CLOSED
    assert residency.held == 1
    gate.open.set()
    await until(lambda: residency.held == 0)


async def test_at_the_end_a_batch_that_waits_for_a_lane_gives_its_lease_back(
    residency: ScriptedResidency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "CLOSE_TIMEOUT_S", 0.05)
    gate = Gate()
    residency.gates["cold"] = asyncio.Event()
    async with scheduling(residency) as scheduler:
        (waiting,) = await submitted(scheduler, job(ScriptedOperation("cold"), 1))
        await until(lambda: residency.loading)
        await submitted(scheduler, job(ScriptedOperation("busy", gate), 1))
        await until(gate.begun.is_set)
        residency.gates["cold"].set()
        await until(lambda: residency.held == 2)
        asyncio.get_running_loop().call_later(0.2, gate.open.set)
    assert reason(await waiting) is DropReason.CLOSED


async def test_an_error_of_the_block_ends_all_threads(residency: ScriptedResidency) -> None:
    before = threading.active_count()
    with pytest.raises(ExceptionGroup, match="unhandled"):
        async with LocalScheduler.start(residency, lanes=3, capacity=8):
            raise ValueError("of the block")
    await until(lambda: threading.active_count() == before)


async def test_cancelling_the_block_tells_everybody(residency: ScriptedResidency) -> None:
    gate, tasks = Gate(), list[Ending]()

    async def block() -> None:
        async with LocalScheduler.start(residency, lanes=1, capacity=8) as scheduler:
            tasks.extend(await submitted(scheduler, job(ScriptedOperation("busy", gate), 1)))
            await until(gate.begun.is_set)
            tasks.extend(await submitted(scheduler, job(ScriptedOperation(), 1)))
            await asyncio.Event().wait()

    running = asyncio.create_task(block())
    await until(lambda: len(tasks) == 2)
    running.cancel()
    assert reason(await tasks[1]) is DropReason.CLOSED
    gate.open.set()
    assert values(await tasks[0]) == [10]
    await asyncio.wait([running])
    assert running.cancelled()
    assert residency.held == 0
