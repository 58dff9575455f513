"""Random traces on a fake card that misbehaves: what must hold whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamapp.errors import ModelError
from streamapp.scheduler.api import Lease
from streamapp.scheduler.residency import ModelResidency
from tests.fake_card import MB, FakeCard
from tests.virtual_time import VirtualLoop, now_s

SIZES = {"tiny": 20.0, "small": 90.0, "medium": 250.0, "large": 600.0, "larger": 640.0}
NAMES = st.sampled_from(sorted(SIZES))
TOTAL_MB, BUDGET_MB, RESERVE_MB = 3000.0, 1800.0, 50.0
PATIENT_S = 60.0
"""Longer than any model stays protected, plus what the longest wait for memory takes."""
_ROUNDING = 10


class Traces(RuleBasedStateMachine):
    """The loop runs only inside rules, in made-up time."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.stack = AsyncExitStack()
        self.held: list[Lease] = []
        self.calls: list[asyncio.Task[Lease]] = []
        self.lies = False

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize(
        lag_s=st.sampled_from([0.0, 0.3, 2.0, 20.0]),
        lie=st.sampled_from([1.0, 1.0, 0.5, 2.0]),
        leak_mb=st.sampled_from([0.0, 0.0, 3.0]),
        tells=st.booleans(),
        pinned=st.sampled_from([[], ["small"]]),
    )
    def start(self, lag_s: float, lie: float, leak_mb: float, tells: bool, pinned: list[str]) -> None:
        self.lies = lie < 1 or (leak_mb > 0 and not tells)  # then nobody can tell a leak from a stranger
        self.card = FakeCard(
            total_mb=TOTAL_MB,
            sizes_mb=SIZES,
            estimates_mb={name: size * lie for name, size in SIZES.items()},
            lag_s=lag_s,
            leak_mb=leak_mb,
            tells_processes_apart=tells,
        )

        async def enter() -> ModelResidency:
            return await self.stack.enter_async_context(
                self.card.residency(budget_mb=BUDGET_MB, reserve_mb=RESERVE_MB, keep_alive_s=30, pinned=pinned)
            )

        self.residency = self.run(enter())

    # -- what users do -------------------------------------------------------------------------------------------------

    @rule(variants=st.lists(NAMES, min_size=1, max_size=3), within_s=st.sampled_from([0.05, 1.0, 5.0, 30.0]))
    def ask(self, variants: list[str], within_s: float) -> None:
        async def begin() -> asyncio.Task[Lease]:
            return asyncio.ensure_future(self.residency.lease(variants, deadline_s=now_s() + within_s))

        self.calls.append(self.run(begin()))

    @rule(index=st.integers(0, 100))
    def cancel(self, index: int) -> None:
        if self.calls:
            self.calls[index % len(self.calls)].cancel()

    @rule(index=st.integers(0, 100), twice=st.booleans())
    def give_back(self, index: int, twice: bool) -> None:
        async def release() -> None:
            lease = self.held.pop(index % len(self.held))
            lease.release()
            if twice:
                lease.release()

        if self.held:
            self.run(release())

    @rule(index=st.integers(0, 100), needed_mb=st.sampled_from([0.0, 0.0, 100_000.0]))
    def use(self, index: int, needed_mb: float) -> None:
        async def run() -> None:
            self.card.run_mb = needed_mb
            for session in self.held[index % len(self.held)].sessions.values():
                try:
                    session.run(np.zeros((3, 1), np.float32))
                except ModelError:
                    break
            self.card.run_mb = 0.0

        if self.held:
            self.run(run())

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 7.0, 90.0]))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))
        self._collect()

    # -- what the world does -------------------------------------------------------------------------------------------

    @rule(share=st.floats(0, 1))
    def strangers_come_and_go(self, share: float) -> None:
        self.card.strangers_mb = share * max(0.0, TOTAL_MB - self.card.open_mb - self.card.fragmented_mb)

    @rule(lost=st.booleans())
    def device_comes_and_goes(self, lost: bool) -> None:
        self.card.lost = "gone" if lost else None

    @rule(fragmented_mb=st.sampled_from([0.0, 0.0, 500.0]))
    def memory_fragments(self, fragmented_mb: float) -> None:
        self.card.fragmented_mb = min(fragmented_mb, max(0.0, self.card.free_mb + self.card.fragmented_mb))

    @rule(name=NAMES, broken=st.booleans())
    def files_break_and_are_mended(self, name: str, broken: bool) -> None:
        self.card.fails.pop(name, None)
        if broken:
            self.card.fails[name] = ModelError(f"{name} is broken")

    # -- what must hold ------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        for call in [call for call in self.calls if call.done()]:
            self.calls.remove(call)
            if call.cancelled():
                continue
            if call.exception() is None:
                self.held.append(call.result())
            else:
                assert isinstance(call.exception(), ModelError)

    @invariant()
    def a_leased_model_is_loaded(self) -> None:
        for lease in self.held:
            for name in lease.sessions:
                assert any(s.variant == name and not s.closed for s in self.card.sessions)

    @invariant()
    def a_model_is_loaded_at_most_once(self) -> None:
        if hasattr(self, "card"):
            opened = [session.variant for session in self.card.sessions if not session.closed]
            assert len(opened) == len(set(opened))

    @invariant()
    def what_is_really_used_stays_within_the_budget(self) -> None:
        """Beyond the reserve there is only what nobody could know: by how much one estimate is wrong."""
        if hasattr(self, "card") and not self.lies:
            assert self.card.open_mb <= BUDGET_MB + 0.001

    @invariant()
    def the_books_are_within_the_budget_or_something_goes(self) -> None:
        """Only a measurement or a stranger puts them over it, and then what is idle is on its way out."""

        async def check() -> None:
            await asyncio.sleep(0)
            shown = self.residency.snapshot()
            if shown.committed_bytes > shown.budget_bytes + MB and shown.changing is None and not shown.lost:
                assert all(model.leases for model in shown.resident), shown

        if hasattr(self, "residency"):
            self.run(check())

    @precondition(lambda self: hasattr(self, "residency"))
    @rule()
    def everybody_is_served_in_the_end(self) -> None:
        """With a sound device, whatever was before, and with leases that end."""

        async def settle() -> None:
            self.card.lost, self.card.strangers_mb, self.card.fragmented_mb = None, 0.0, 0.0
            self.card.fails.clear()
            await self._end_everything()
            await asyncio.sleep(130)  # what was left out is tried again after a minute at most, twice
            shown = self.residency.snapshot()
            assert shown.waiting == 0
            assert not shown.degraded
            room_mb = shown.budget_bytes / MB - shown.committed_bytes / MB
            for name in [name for name in SIZES if SIZES[name] * 2 < room_mb] or []:
                lease = await self.residency.lease([name], deadline_s=now_s() + PATIENT_S)
                lease.release()

        self.run(settle())

    async def _end_everything(self) -> None:
        for call in self.calls:
            call.cancel()
        for found in await asyncio.gather(*self.calls, return_exceptions=True):
            if not isinstance(found, BaseException):
                found.release()
        for lease in self.held:
            lease.release()
        self.calls.clear()
        self.held.clear()

    def teardown(self) -> None:
        if hasattr(self, "residency"):

            async def leave() -> None:
                await self._end_everything()
                await self.stack.aclose()
                assert all(session.closed for session in self.card.sessions)

            self.run(leave())
        self.runner.close()


TestTraces = Traces.TestCase
TestTraces.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
