"""Whatever happens, every job ends as exactly one outcome, and every lease is given back exactly once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hypothesis import event, given, settings
from hypothesis import strategies as st

from streamapp.errors import ModelError, ModelInputInvalid, OverBudget
from streamapp.scheduler.api import Done, Dropped, Failed, Job, Outcome, Priority
from streamapp.scheduler.local import LocalScheduler
from tests.fakes import ScriptedOperation, ScriptedResidency
from tests.waiting import until

BAD, UNEXPECTED, SHORT, SLOW = 1000, 1001, 1002, 1003
"""Items that make the operation fail, in several ways, or take a while."""


@dataclass(frozen=True, slots=True)
class Submit:
    operation: Literal["well", "other", "cold", "large", "missing"]
    items: tuple[int, ...]
    owner: str
    priority: Priority
    within_s: float


@dataclass(frozen=True, slots=True)
class Cancel:
    job: int


@dataclass(frozen=True, slots=True)
class Pause:
    s: float


@dataclass(frozen=True, slots=True)
class Load:
    """The cold model is there from now on."""


Step = Submit | Cancel | Pause | Load

STEPS = st.lists(
    st.one_of(
        st.builds(
            Submit,
            st.sampled_from(("well", "well", "other", "cold", "large", "missing")),
            st.lists(
                st.one_of(st.integers(0, 99), st.integers(0, 99), st.sampled_from((BAD, UNEXPECTED, SHORT, SLOW))),
                max_size=9,
            ).map(tuple),
            st.sampled_from("abc"),
            st.sampled_from(Priority),
            st.sampled_from((60.0, 60.0, 60.0, 0.002, 0.0)),
        ),
        st.builds(Cancel, st.integers(0, 40)),
        st.builds(Pause, st.sampled_from((0.0, 0.0, 0.001, 0.015))),
        st.builds(Load),
    ),
    max_size=50,
)


def work(items: Sequence[int]) -> Sequence[int]:
    if BAD in items:
        raise ModelInputInvalid("bad")
    if UNEXPECTED in items:
        raise ZeroDivisionError
    if SLOW in items:
        time.sleep(0.003)
    return [10 * item for item in items if item != SHORT]


class Trace:
    def __init__(self, lanes: int, capacity: int) -> None:
        self.residency = ScriptedResidency()
        self.residency.gates["cold"] = asyncio.Event()
        self.residency.errors = {"large": OverBudget("full"), "missing": ModelError("gone")}
        self.scheduler = LocalScheduler.start(self.residency, lanes=lanes, capacity=capacity)
        self.jobs: list[tuple[Submit, asyncio.Task[Outcome[int]]]] = []

    async def run(self, steps: Sequence[Step], *, loads: bool) -> None:
        async with self.scheduler as scheduler:
            for step in steps:
                await self._take(step, scheduler)
            if loads:
                self.residency.gates["cold"].set()
                if self.jobs:
                    await asyncio.wait([task for _, task in self.jobs], timeout=20)
            else:
                asyncio.get_running_loop().call_later(0.01, self.residency.gates["cold"].set)
        if self.jobs:
            _, hanging = await asyncio.wait([task for _, task in self.jobs], timeout=1)
            assert not hanging
        self._check(scheduler)
        await until(lambda: self.residency.held == 0)
        assert all(lease.releases == 1 for lease in self.residency.leases)

    async def _take(self, step: Step, scheduler: LocalScheduler) -> None:
        match step:
            case Submit():
                deadline_s = time.monotonic() + step.within_s
                job = Job(
                    ScriptedOperation(step.operation, work), step.items, step.owner, step.priority, deadline_s, "test"
                )
                self.jobs.append((step, asyncio.create_task(scheduler.submit(job))))
            case Cancel(number):
                if number < len(self.jobs):
                    self.jobs[number][1].cancel()
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Load():
                self.residency.gates["cold"].set()

    def _check(self, scheduler: LocalScheduler) -> None:
        dropped = cancelled = 0
        for step, task in self.jobs:
            if task.cancelled():
                cancelled += 1
                continue
            outcome = task.result()
            event(type(outcome).__name__)
            match outcome:
                case Done(values):
                    assert list(values) == [10 * item for item in step.items]
                    assert not {BAD, UNEXPECTED, SHORT} & set(step.items)
                case Dropped():
                    dropped += 1
                case Failed(error):
                    assert isinstance(error, ModelError)
        state = scheduler.state()
        assert dropped <= sum(state.dropped.values()) <= dropped + cancelled
        assert state.running == 0
        assert sum(state.queued.values()) == 0


@given(steps=STEPS, lanes=st.integers(1, 3), capacity=st.integers(1, 12), loads=st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_job_ends_once_and_every_lease_is_given_back(
    steps: list[Step], lanes: int, capacity: int, loads: bool
) -> None:
    async def trace() -> None:
        await Trace(lanes, capacity).run(steps, loads=loads)

    asyncio.run(trace())
