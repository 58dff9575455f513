from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from streamapp.errors import (
    ModelError,
    ModelHung,
    ModelInputInvalid,
    ModelInvalid,
    ModelSuspended,
    OverBudget,
)
from streamapp.results import DropReason
from streamapp.scheduler.api import Job
from streamapp.scheduler.breaker import MAX_FAILURES, REST_S, Circuit
from streamapp.scheduler.local import LocalScheduler
from tests.fakes import ScriptedOperation, ScriptedResidency
from tests.scheduling import LONG_S, Gate, error, job, reason, scheduling, submitted, values
from tests.waiting import until

CHECKOUT = Path(__file__).parent.parent.parent


# -- failing ---------------------------------------------------------------------------------------------------------


def no_thirteen(items: Sequence[int]) -> Sequence[int]:
    if 13 in items:
        raise ModelInputInvalid("13")
    return [10 * item for item in items]


async def test_one_bad_job_does_not_spoil_its_batch(residency: ScriptedResidency) -> None:
    operation = ScriptedOperation("m", no_thirteen)
    async with scheduling(residency) as scheduler:
        tasks = await submitted(scheduler, *(job(operation, item) for item in (11, 12, 13, 14)))
        outcomes = await asyncio.gather(*tasks)
        assert isinstance(error(outcomes.pop(2)), ModelInputInvalid)
        assert [values(outcome) for outcome in outcomes] == [[110], [120], [140]]
        state = scheduler.state().operations["m"]
        assert (state.done, state.failed) == (3, 1)
    assert operation.batches[0] == [11, 12, 13, 14]


async def test_what_nobody_expected_is_told_as_a_failed_model(residency: ScriptedResidency) -> None:
    works: list[Callable[[Sequence[int]], Sequence[int]]] = [
        lambda items: [items[0] // 0],
        lambda items: next(iter(())),
        lambda items: [*items, 1],
        lambda items: [],
        lambda items: None,  # type: ignore[list-item, return-value]  # an operation that is wrong
        lambda items: sys.exit(3),
    ]
    async with scheduling(residency) as scheduler:
        for number, work in enumerate(works):
            outcome = await scheduler.submit(job(ScriptedOperation(f"wrong{number}", work), 1))
            assert type(error(outcome)) is ModelError
            assert f"wrong{number}" in str(error(outcome))
        assert values(await scheduler.submit(job(ScriptedOperation(), 1))) == [10]


async def test_a_hung_model_costs_its_jobs_but_not_the_lane_and_keeps_its_lease(residency: ScriptedResidency) -> None:
    gate = Gate()
    async with scheduling(residency, run_timeout_s=0.1) as scheduler:
        tasks = await submitted(scheduler, *(job(ScriptedOperation("hung", gate), item) for item in (1, 2)))
        assert [type(error(outcome)) for outcome in await asyncio.gather(*tasks)] == [ModelHung, ModelHung]
        assert values(await scheduler.submit(job(ScriptedOperation(), 1))) == [10]
        await until(lambda: scheduler.state().running == 0)
        assert scheduler.state().lanes_replaced == 1
        assert residency.held == 1
        gate.open.set()
        await until(lambda: residency.held == 0)


async def test_an_operation_that_says_itself_that_it_hung_gives_its_lease_back(residency: ScriptedResidency) -> None:
    def hung(items: Sequence[int]) -> Sequence[int]:
        raise ModelHung("a process of its own")

    async with scheduling(residency) as scheduler:
        assert isinstance(error(await scheduler.submit(job(ScriptedOperation("m", hung), 1))), ModelHung)
        assert scheduler.state().lanes_replaced == 0


def test_a_hung_model_does_not_keep_the_process_from_ending() -> None:
    program = """
import asyncio, threading, time
from streamapp.scheduler.api import Job, Priority
from streamapp.scheduler.local import LocalScheduler
from tests.fakes import ScriptedOperation, ScriptedResidency

async def main():
    async with LocalScheduler.start(ScriptedResidency(), lanes=1, capacity=8, run_timeout_s=0.1) as scheduler:
        hung = ScriptedOperation("hung", lambda items: threading.Event().wait())
        for operation in (hung, ScriptedOperation()):
            job = Job(operation, [1], "cam", Priority.REFRESH, time.monotonic() + 60, "asked for")
            print(type(await scheduler.submit(job)).__name__)

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "Failed\nDone\n"), ended.stderr


# -- the breaker -----------------------------------------------------------------------------------------------------


class Model:
    """An operation that is well or not, with a clock that the test turns."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.error: Exception | None = ModelInvalid("broken")
        self.operation = ScriptedOperation("m", self._run)

    def _run(self, items: Sequence[int]) -> Sequence[int]:
        if self.error is not None:
            raise self.error
        return items

    def job(self, *items: int) -> Job[int, int]:
        return job(self.operation, *items, now_s=self.now_s)


async def break_it(scheduler: LocalScheduler, model: Model, item: int = 1) -> None:
    for _ in range(MAX_FAILURES):
        assert isinstance(error(await scheduler.submit(model.job(item))), ModelInvalid)
    assert scheduler.state().operations["m"].circuit is Circuit.OPEN


async def test_a_model_that_fails_five_times_is_left_alone_for_thirty_seconds(residency: ScriptedResidency) -> None:
    model = Model()
    async with scheduling(residency, clock=lambda: model.now_s) as scheduler:
        await break_it(scheduler, model)
        model.error = None
        model.now_s += REST_S - 1
        suspended = error(await scheduler.submit(model.job(1)))
        assert isinstance(suspended, ModelSuspended)
        assert "in 1 s: broken" in str(suspended)
        assert len(model.operation.batches) == MAX_FAILURES
        model.now_s += 1
        assert values(await scheduler.submit(model.job(1))) == [1]
        assert scheduler.state().operations["m"].circuit is Circuit.CLOSED


async def test_others_run_while_a_model_is_left_alone(residency: ScriptedResidency) -> None:
    model = Model()
    async with scheduling(residency, clock=lambda: model.now_s) as scheduler:
        await break_it(scheduler, model)
        assert values(await scheduler.submit(job(ScriptedOperation(), 1, now_s=model.now_s))) == [10]


async def test_a_batch_in_which_all_fails_stops_at_the_fifth(residency: ScriptedResidency) -> None:
    model = Model()
    async with scheduling(residency, clock=lambda: model.now_s) as scheduler:
        tasks = await submitted(scheduler, *(model.job(item) for item in range(8)))
        kinds = [type(error(await task)) for task in tasks]
    assert kinds == [ModelInvalid] * MAX_FAILURES + [ModelSuspended] * 3
    assert len(model.operation.batches) == 1 + MAX_FAILURES


async def test_only_one_batch_tries_a_model_again(residency: ScriptedResidency) -> None:
    model = Model()
    async with scheduling(residency, lanes=3, clock=lambda: model.now_s) as scheduler:
        await break_it(scheduler, model)
        model.now_s += REST_S
        gate = Gate()
        model.operation._work = gate
        (trial,) = await submitted(scheduler, model.job(1))
        await until(gate.begun.is_set)
        for _ in range(3):  # one that is turned away must not make way for the next
            assert isinstance(error(await scheduler.submit(model.job(2))), ModelSuspended)
        gate.open.set()
        assert values(await trial) == [10]
        assert values(await scheduler.submit(model.job(2))) == [20]


@pytest.mark.parametrize("nothing", ["no memory", "bad input", "late"])
async def test_after_a_trial_that_said_nothing_of_the_model_comes_another(
    residency: ScriptedResidency, nothing: str
) -> None:
    model = Model()
    async with scheduling(residency, clock=lambda: model.now_s) as scheduler:
        await break_it(scheduler, model)
        model.now_s += REST_S
        match nothing:
            case "no memory":
                residency.errors["m"] = OverBudget("full")
                assert reason(await scheduler.submit(model.job(1))) is DropReason.NO_MEMORY
            case "bad input":
                model.error = ModelInputInvalid("too small")
                assert error(await scheduler.submit(model.job(1))) is model.error
            case _:
                residency.gates["m"] = asyncio.Event()
                (late,) = await submitted(scheduler, model.job(1))
                await until(lambda: residency.loading)
                model.now_s += 2 * LONG_S
                residency.gates["m"].set()
                assert reason(await late) is DropReason.STALE
        residency.errors.clear()
        model.error = None
        assert values(await scheduler.submit(model.job(1))) == [1]


async def test_only_the_trial_may_say_that_it_said_nothing(residency: ScriptedResidency) -> None:
    """A batch that began before the model was left alone, and ends while another tries it, makes way for nobody."""
    model, before, trial = Model(), Gate(), Gate()

    def as_told(items: Sequence[int]) -> Sequence[int]:
        match items:
            case [1]:
                before(items)
                raise ModelInputInvalid("too small")
            case [3]:
                return trial(items)
        raise ModelInvalid("broken")

    model.operation._work = as_told
    async with scheduling(residency, lanes=3, clock=lambda: model.now_s) as scheduler:
        (early,) = await submitted(scheduler, model.job(1))
        await until(before.begun.is_set)
        await break_it(scheduler, model, item=2)
        model.now_s += REST_S
        (tries,) = await submitted(scheduler, model.job(3))
        await until(trial.begun.is_set)
        before.open.set()
        assert isinstance(error(await early), ModelInputInvalid)
        assert isinstance(error(await scheduler.submit(model.job(3))), ModelSuspended)
        trial.open.set()
        assert values(await tries) == [30]
