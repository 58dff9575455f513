"""Leases as others see them: on a fake card, in made-up time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamapp.errors import ModelMissing, OverBudget
from streamapp.scheduler.api import Residency
from streamapp.scheduler.residency import MAX_WAITING
from tests.fake_card import MB, FakeCard
from tests.scheduler.asking import ONE, THREE, leased, names, used
from tests.virtual_time import now_s, virtually


def test_it_is_the_residency_the_scheduler_asks_for() -> None:
    async def run() -> None:
        async with FakeCard(sizes_mb=THREE).residency() as residency:
            asked: Residency = residency
            lease = await asked.lease(["a", "a"], deadline_s=now_s() + 5)
            assert set(lease.sessions) == {"a"}
            assert lease.sessions["a"].variant == "a"
            lease.release()

    virtually(run)


def test_a_model_is_loaded_once_however_many_want_it() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency() as residency:
            leases = await asyncio.gather(*(leased(residency, "a") for _ in range(20)))
            assert card.loads == [("a", (1, 2, 4, 8))]
            (model,) = residency.snapshot().resident
            assert model.leases == 20
            for lease in leases:
                lease.release()
                lease.release()
            await used(residency, "a")
            await asyncio.sleep(0.01)
            (model,) = residency.snapshot().resident
            assert model.leases == 0
            assert residency.snapshot().loads == 1
        assert all(session.closed for session in card.sessions)

    virtually(run)


def test_what_is_loaded_is_had_at_once_while_another_model_loads() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        gate = asyncio.Event()

        async def slow(function: Any) -> Any:
            if hold:
                await gate.wait()
            return function()

        hold: list[bool] = []
        card._run_inline = slow  # type: ignore[method-assign] # stands for the loader's thread
        async with card.residency(budget_mb=1400, buckets=ONE) as residency:
            await used(residency, "a")
            hold.append(True)
            loading = asyncio.ensure_future(used(residency, "b"))
            await asyncio.sleep(2)
            before_s = now_s()
            for _ in range(5):
                await used(residency, "a")
            assert now_s() == before_s
            assert not loading.done()
            gate.set()
            await loading

    virtually(run)


def test_a_cancelled_request_leaves_nothing_behind() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency(budget_mb=800, buckets=ONE) as residency:
            kept = await leased(residency, "a")
            waiting = [asyncio.ensure_future(leased(residency, "b")) for _ in range(3)]
            await asyncio.sleep(0.5)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await asyncio.sleep(0.2)
            assert residency.snapshot().waiting == 0
            kept.release()
            granted = asyncio.ensure_future(leased(residency, "a"))
            for _ in range(4):  # at every point between the wish and the lease
                await asyncio.sleep(0)
                granted.cancel()
                await asyncio.gather(granted, return_exceptions=True)
                granted = asyncio.ensure_future(leased(residency, "a"))
            (await granted).release()
            await used(residency, "b", within_s=30)
            assert names(residency) == {"b"}

    virtually(run)


@pytest.mark.parametrize("steps", range(8))
def test_a_lease_granted_while_its_call_is_cancelled_is_given_back(steps: int) -> None:
    async def run() -> None:
        async with FakeCard(sizes_mb=THREE).residency() as residency:
            await used(residency, "a")
            call = asyncio.ensure_future(leased(residency, "a"))
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            result = (await asyncio.gather(call, return_exceptions=True))[0]
            if not isinstance(result, BaseException):
                result.release()
            await asyncio.sleep(0.01)
            (model,) = residency.snapshot().resident
            assert model.leases == 0

    virtually(run)


def test_an_error_of_a_load_reaches_all_who_wait_for_that_model_and_nobody_else() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, fails={"b": ModelMissing("b is not there")})
        async with card.residency() as residency:
            calls = [used(residency, "b"), used(residency, "a", "b"), used(residency, "a")]
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(error) for error in found] == [ModelMissing, ModelMissing, type(None)]
            assert residency.snapshot().load_failures == 1
            card.fails.clear()
            await used(residency, "b")

    virtually(run)


def test_an_unknown_model_is_refused() -> None:
    async def run() -> None:
        async with FakeCard(sizes_mb=THREE).residency() as residency:
            with pytest.raises(Exception, match="no variant named z"):
                await used(residency, "z")

    virtually(run)


def test_closing_refuses_who_waits_waits_for_leases_and_unloads_everything() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency(budget_mb=800, buckets=ONE) as residency:
            kept = await leased(residency, "a")
            waiting = asyncio.ensure_future(used(residency, "b"))
            await asyncio.sleep(0.1)
            closing = asyncio.ensure_future(residency.close())
            with pytest.raises(OverBudget, match="being unloaded"):
                await waiting
            await asyncio.sleep(1)
            assert not closing.done()
            assert not card.sessions[0].closed
            kept.release()
            await closing
            assert all(session.closed for session in card.sessions)
            with pytest.raises(OverBudget, match="being unloaded"):
                await used(residency, "a")

    virtually(run)


def test_a_load_that_takes_long_does_not_keep_the_app_from_ending() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)

        async def slow(function: Any) -> Any:
            if residency.snapshot().changing == "loading b":
                await asyncio.sleep(3600)
            return function()

        card._run_inline = slow  # type: ignore[method-assign] # stands for the loader's thread
        async with card.residency() as residency:
            await used(residency, "a")
            waiting = asyncio.ensure_future(used(residency, "b"))
            await asyncio.sleep(1)
            assert residency.snapshot().changing == "loading b"
            started_s = now_s()
        with pytest.raises(OverBudget, match="being unloaded"):
            await waiting
        assert now_s() - started_s < 2
        assert [session.closed for session in card.sessions] == [True]

    virtually(run)


def test_a_call_that_hangs_does_not_keep_the_app_from_ending() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency() as residency:
            await used(residency, "b")
            await leased(residency, "a")
            started_s = now_s()
        assert now_s() - started_s < 15
        assert {session.variant: session.closed for session in card.sessions} == {"a": False, "b": True}

    virtually(run)


def test_the_number_of_those_who_wait_is_bounded() -> None:
    async def run() -> None:
        async with FakeCard(sizes_mb=THREE).residency(budget_mb=800, buckets=ONE) as residency:
            kept = await leased(residency, "a")
            calls = [asyncio.ensure_future(used(residency, "b")) for _ in range(MAX_WAITING + 10)]
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert sum("too many" in str(error) for error in found) == 10
            kept.release()

    virtually(run)


def test_every_byte_shown_has_an_owner() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency() as residency:
            await used(residency, "a")
            await used(residency, "b")
            shown = residency.snapshot()
            assert sum(shown.bytes_by_owner.values()) == shown.committed_bytes == round(card.open_mb * MB)
            assert shown.bytes_by_owner["context"] == 300 * MB
            assert shown.bytes_by_owner["b/weights"] == 160 * MB
            assert shown.bytes_by_owner["b/arena"] == 240 * MB
            assert shown.bytes_by_owner["b/workspace"] == 280 * MB

    virtually(run)
