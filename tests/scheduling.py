"""A LocalScheduler under test: jobs for it, work that waits to be let go, and what came of a job."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from streamapp.errors import ModelError
from streamapp.results import DropReason
from streamapp.scheduler.api import Done, Dropped, Failed, Job, Outcome, Priority
from streamapp.scheduler.local import LocalScheduler
from tests.fakes import ScriptedOperation, ScriptedResidency
from tests.waiting import until

LONG_S = 60.0

Ending = asyncio.Task[Outcome[int]]


class Gate:
    """Work that comes to an end only when it is let."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.begun.set()
        assert self.open.wait(LONG_S), "the test never opened the gate"
        return [10 * item for item in items]


def job(
    operation: ScriptedOperation,
    *items: int,
    owner: str = "cam",
    priority: Priority = Priority.REFRESH,
    within_s: float = LONG_S,
    now_s: float | None = None,
) -> Job[int, int]:
    deadline_s = (time.monotonic() if now_s is None else now_s) + within_s
    return Job(operation, items, owner, priority, deadline_s, "asked for")


@asynccontextmanager
async def scheduling(
    residency: ScriptedResidency,
    *,
    lanes: int = 1,
    capacity: int = 256,
    run_timeout_s: float = LONG_S,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[LocalScheduler]:
    """Every lease is given back exactly once, sooner or later."""
    started = LocalScheduler.start(residency, lanes=lanes, capacity=capacity, run_timeout_s=run_timeout_s, clock=clock)
    async with started as scheduler:
        yield scheduler
    await until(lambda: residency.held == 0)
    assert [lease.releases for lease in residency.leases] == [1] * len(residency.leases)


async def submitted(scheduler: LocalScheduler, *jobs: Job[int, int]) -> list[Ending]:
    """All of them are in the queue, in their order, or beyond it."""
    tasks = [asyncio.create_task(scheduler.submit(job)) for job in jobs]
    await asyncio.sleep(0)
    return tasks


def values(outcome: Outcome[int]) -> list[int]:
    assert isinstance(outcome, Done), outcome
    return list(outcome.values)


def error(outcome: Outcome[int]) -> ModelError:
    assert isinstance(outcome, Failed), outcome
    return outcome.error


def reason(outcome: Outcome[int]) -> DropReason:
    assert isinstance(outcome, Dropped), outcome
    return outcome.reason
