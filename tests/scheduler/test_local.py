from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from streamapp.errors import (
    ModelError,
    ModelMissing,
    OverBudget,
)
from streamapp.results import DropReason
from streamapp.scheduler import local
from streamapp.scheduler.api import Done, Dropped, ModelRun, Priority
from streamapp.scheduler.breaker import MAX_FAILURES, Circuit
from tests.fakes import ScriptedOperation, ScriptedResidency
from tests.scheduling import LONG_S, Gate, error, job, reason, scheduling, submitted, values
from tests.waiting import until

# -- running ---------------------------------------------------------------------------------------------------------


async def test_a_job_gets_its_values_and_who_ran_it(residency: ScriptedResidency) -> None:
    async with scheduling(residency) as scheduler:
        outcome = await scheduler.submit(job(ScriptedOperation("m"), 1, 2))
    assert isinstance(outcome, Done)
    assert list(outcome.values) == [10, 20]
    assert outcome.models == (ModelRun("m", "CPUExecutionProvider"),)
    assert outcome.queued_s >= 0
    assert outcome.run_s >= 0


async def test_a_job_without_items_is_done_without_a_model(residency: ScriptedResidency) -> None:
    async with scheduling(residency) as scheduler:
        assert values(await scheduler.submit(job(ScriptedOperation()))) == []
    assert residency.asked == []


async def test_jobs_of_one_operation_share_batches_and_get_their_own_values(residency: ScriptedResidency) -> None:
    operation, gate = ScriptedOperation(), Gate()
    async with scheduling(residency) as scheduler:
        (first,) = await submitted(scheduler, job(ScriptedOperation("other", gate), 0))
        await until(gate.begun.is_set)
        jobs = [job(operation, *range(10 * i, 10 * i + i), owner=f"cam{i}") for i in range(1, 6)]
        tasks = await submitted(scheduler, *jobs)
        gate.open.set()
        for task, own in zip(tasks, jobs, strict=True):
            assert values(await task) == [10 * item for item in own.items]
        await first
    assert [len(batch) for batch in operation.batches] == [6, 4, 5]  # 1 + 2 + 3, 4, 5 of at most 8


async def test_the_better_class_runs_first(residency: ScriptedResidency) -> None:
    gate, ran = Gate(), list[str]()

    def noting(name: str) -> ScriptedOperation:
        return ScriptedOperation(name, lambda items: ran.append(name) or items)  # type: ignore[func-returns-value]  # notes and goes on

    async with scheduling(residency) as scheduler:
        tasks = await submitted(scheduler, job(ScriptedOperation("gate", gate), 0))
        await until(gate.begun.is_set)
        for priority in reversed(Priority):
            tasks += await submitted(scheduler, job(noting(priority.name), 1, priority=priority))
        gate.open.set()
        await asyncio.gather(*tasks)
    assert ran == [priority.name for priority in Priority]


async def test_lanes_run_side_by_side(residency: ScriptedResidency) -> None:
    barrier = threading.Barrier(2, timeout=LONG_S)

    def meet(items: Sequence[int]) -> Sequence[int]:
        barrier.wait()
        return items

    async with scheduling(residency, lanes=2) as scheduler:
        both = (scheduler.submit(job(ScriptedOperation(name, meet), 1)) for name in "ab")
        assert [values(outcome) for outcome in await asyncio.gather(*both)] == [[1], [1]]


async def test_one_operation_may_have_all_lanes(residency: ScriptedResidency) -> None:
    barrier = threading.Barrier(3, timeout=LONG_S)

    def meet(items: Sequence[int]) -> Sequence[int]:
        barrier.wait()
        return items

    operation = ScriptedOperation("m", meet)
    async with scheduling(residency, lanes=3) as scheduler:
        tasks = await submitted(scheduler, *(job(operation, *range(local.MAX_BATCH_ITEMS)) for _ in range(3)))
        assert [values(await task) for task in tasks] == [list(range(local.MAX_BATCH_ITEMS))] * 3


# -- deadlines and room ----------------------------------------------------------------------------------------------


async def test_a_job_ends_at_its_deadline_although_every_lane_is_busy(residency: ScriptedResidency) -> None:
    gate = Gate()
    async with scheduling(residency) as scheduler:
        (busy,) = await submitted(scheduler, job(ScriptedOperation("busy", gate), 1))
        await until(gate.begun.is_set)
        others = [ScriptedOperation(name) for name in "abcdef"]
        ended = await asyncio.gather(*(scheduler.submit(job(other, 1, within_s=0.02)) for other in others))
        assert {reason(outcome) for outcome in ended} == {DropReason.STALE}
        assert not busy.done()
        assert scheduler.state().dropped == {DropReason.STALE: len(others)}
        gate.open.set()
        assert values(await busy) == [10]
    assert [other.batches for other in others] == [[]] * len(others)


async def test_a_job_ends_at_its_deadline_although_its_models_are_being_loaded(residency: ScriptedResidency) -> None:
    residency.gates["cold"] = asyncio.Event()
    operation = ScriptedOperation("cold")
    async with scheduling(residency) as scheduler:
        early, late = await submitted(scheduler, job(operation, 1, within_s=0.05), job(operation, 2))
        assert reason(await early) is DropReason.STALE
        assert reason(await scheduler.submit(job(operation, 3, within_s=0.02))) is DropReason.STALE
        residency.gates["cold"].set()
        assert values(await late) == [20]
    assert operation.batches == [[2]]


async def test_models_refused_at_the_deadline_are_what_is_told() -> None:
    residency = ScriptedResidency(refuses_late=True)
    residency.gates["large"] = asyncio.Event()
    async with scheduling(residency) as scheduler:
        outcome = await scheduler.submit(job(ScriptedOperation("large"), 1, within_s=0.05))
        assert outcome == Dropped(DropReason.NO_MEMORY, "no room by then")
        assert scheduler.state().dropped == {DropReason.NO_MEMORY: 1}


async def test_a_full_queue_lets_the_worst_go(residency: ScriptedResidency) -> None:
    gate, operation = Gate(), ScriptedOperation()
    async with scheduling(residency, capacity=2) as scheduler:
        await submitted(scheduler, job(ScriptedOperation("busy", gate), 0))
        await until(gate.begun.is_set)
        first, second = await submitted(scheduler, job(operation, 1), job(operation, 2))
        (better,) = await submitted(scheduler, job(operation, 3, priority=Priority.NEW_FACE))
        assert reason(await second) is DropReason.QUEUE_FULL
        state = scheduler.state()
        assert (state.queued[Priority.REFRESH], state.queued[Priority.NEW_FACE]) == (1, 1)
        gate.open.set()
        assert [values(await first), values(await better)] == [[10], [30]]


# -- loading ---------------------------------------------------------------------------------------------------------


async def test_while_models_load_the_lanes_go_on_with_others(residency: ScriptedResidency) -> None:
    cold = [f"cold{number}" for number in range(5)]
    residency.gates = {name: asyncio.Event() for name in cold}
    async with scheduling(residency) as scheduler:
        waiting = await submitted(scheduler, *(job(ScriptedOperation(name), 1) for name in cold))
        await until(lambda: residency.loading == len(cold))
        for number in range(5):
            assert values(await scheduler.submit(job(ScriptedOperation("warm"), number))) == [10 * number]
        assert not any(task.done() for task in waiting)
        for gate in residency.gates.values():
            gate.set()
        assert [values(await task) for task in waiting] == [[10]] * len(cold)


async def test_models_are_asked_for_once_however_many_jobs_want_them(residency: ScriptedResidency) -> None:
    residency.gates["cold"] = asyncio.Event()
    operation = ScriptedOperation("cold")
    async with scheduling(residency, lanes=4) as scheduler:
        tasks = await submitted(scheduler, *(job(operation, *range(5)) for _ in range(5)))
        await until(lambda: residency.loading)
        assert values(await scheduler.submit(job(ScriptedOperation("warm"), 1))) == [10]
        assert residency.asked.count(("cold",)) == 1
        residency.gates["cold"].set()
        assert [values(await task) for task in tasks] == [[0, 10, 20, 30, 40]] * 5


async def test_no_room_for_models_is_no_memory_and_no_fault_of_theirs(residency: ScriptedResidency) -> None:
    residency.errors["large"] = OverBudget("needs 900 of 400 MB")
    async with scheduling(residency) as scheduler:
        for _ in range(2 * MAX_FAILURES):
            outcome = await scheduler.submit(job(ScriptedOperation("large"), 1))
            assert outcome == Dropped(DropReason.NO_MEMORY, "needs 900 of 400 MB")
        assert scheduler.state().operations["large"].circuit is Circuit.CLOSED
        assert scheduler.state().dropped == {DropReason.NO_MEMORY: 2 * MAX_FAILURES}


async def test_models_that_cannot_be_loaded_fail_their_jobs(residency: ScriptedResidency) -> None:
    residency.errors = {"gone": ModelMissing("pull it"), "odd": OSError("disk")}
    async with scheduling(residency) as scheduler:
        missing = error(await scheduler.submit(job(ScriptedOperation("gone"), 1)))
        unexpected = error(await scheduler.submit(job(ScriptedOperation("odd"), 1)))
        assert missing is residency.errors["gone"]
        assert type(unexpected) is ModelError
        assert "disk" in str(unexpected)
        assert values(await scheduler.submit(job(ScriptedOperation(), 1))) == [10]


# -- cancelling ------------------------------------------------------------------------------------------------------


async def test_a_cancelled_job_that_waits_is_not_run_and_gives_its_place_back(residency: ScriptedResidency) -> None:
    gate, operation = Gate(), ScriptedOperation()
    async with scheduling(residency, capacity=1) as scheduler:
        await submitted(scheduler, job(ScriptedOperation("busy", gate), 0))
        await until(gate.begun.is_set)
        (unwanted,) = await submitted(scheduler, job(operation, 1))
        unwanted.cancel()
        await asyncio.wait([unwanted])
        assert unwanted.cancelled()
        (wanted,) = await submitted(scheduler, job(operation, 2))
        gate.open.set()
        assert values(await wanted) == [20]
        assert scheduler.state().dropped == {}
    assert operation.batches == [[2]]


async def test_a_job_cancelled_while_its_models_load_is_left_out(residency: ScriptedResidency) -> None:
    residency.gates["cold"] = asyncio.Event()
    operation = ScriptedOperation("cold")
    async with scheduling(residency) as scheduler:
        unwanted, wanted = await submitted(scheduler, job(operation, 1), job(operation, 2))
        await until(lambda: residency.loading)
        unwanted.cancel()
        residency.gates["cold"].set()
        assert values(await wanted) == [20]
    assert operation.batches == [[2]]


async def test_a_job_cancelled_while_it_runs_disturbs_nobody(residency: ScriptedResidency) -> None:
    gate = Gate()
    operation = ScriptedOperation("busy", gate)
    async with scheduling(residency) as scheduler:
        unwanted, wanted = await submitted(scheduler, job(operation, 1), job(operation, 2))
        await until(gate.begun.is_set)
        unwanted.cancel()
        gate.open.set()
        assert values(await wanted) == [20]
        assert unwanted.cancelled()
        assert scheduler.state().lanes_replaced == 0
