"""What happens when memory is short, or is not what it seems: on a fake card, in made-up time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from streamapp.errors import ModelError, ModelOutOfMemory, OverBudget
from streamapp.scheduler.residency_view import EvictionReason
from tests.fake_card import MB, FakeCard, FakeSession
from tests.scheduler.asking import ONE, THREE, leased, names, used
from tests.virtual_time import virtually


def test_a_session_handed_out_reports_by_itself_that_it_ran_out_of_memory() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, total_mb=1600)
        async with card.residency() as residency:
            await used(residency, "b")
            lease = await leased(residency, "a")
            card.run_mb = 10_000
            batch = np.zeros((1, 3, 8, 8), np.float32)
            for _ in range(3):
                with pytest.raises(ModelOutOfMemory):
                    lease.sessions["a"].run(batch)
            residency.report_out_of_memory("a")
            await asyncio.sleep(0)
            lease.release()
            card.run_mb = 0
            again = await leased(residency, "a")
            assert card.loads[-1:] == [("a", (1,))]
            again.sessions["a"].run(batch)
            again.release()
            (degraded,) = residency.snapshot().degraded
            assert (degraded.variant, degraded.left_out) == ("a", False)
            assert names(residency) == {"a"}
            await asyncio.sleep(10)
            assert residency.snapshot().degraded == ()
            await used(residency, "a")
            assert card.loads[-1] == ("a", (1, 2, 4, 8))

    virtually(run)


def test_who_asks_for_a_model_that_is_to_be_loaded_smaller_gets_it_once_nobody_uses_it() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency() as residency:
            lease = await leased(residency, "a")
            residency.report_out_of_memory("a")
            call = asyncio.ensure_future(used(residency, "a", "b"))
            await asyncio.sleep(1)
            assert not call.done()
            lease.release()
            await call
            assert card.loads == [("a", (1, 2, 4, 8)), ("b", (1, 2, 4, 8)), ("a", (1,))]

    virtually(run)


def test_out_of_memory_at_a_load_evicts_then_tries_smaller_then_leaves_the_model_out() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, total_mb=2000, fragmented_mb=1050)
        async with card.residency() as residency:
            await used(residency, "a")  # loaded small: the books know nothing of the fragments
            assert card.loads == [("a", (1, 2, 4, 8)), ("a", (1,))]
            card.fragmented_mb = 1400
            with pytest.raises(OverBudget, match="b is left out, tried again in 10 s: no memory to load b"):
                await used(residency, "b")
            assert card.loads[2:] == [("b", (1, 2, 4, 8)), ("b", (1,))]
            assert names(residency) == set()
            left_out = [model for model in residency.snapshot().degraded if model.left_out]
            assert [model.variant for model in left_out] == ["b"]
            with pytest.raises(OverBudget, match="left out"):
                await used(residency, "b")
            assert len(card.loads) == 4
            card.fragmented_mb = 0
            await asyncio.sleep(11)
            await used(residency, "b")
            assert card.loads[-1:] == [("b", (1,))]
            await asyncio.sleep(70)
            assert residency.snapshot().degraded == ()
            await used(residency, "b")
            assert card.loads[-1] == ("b", (1, 2, 4, 8))

    virtually(run)


def test_a_model_left_out_is_tried_at_once_when_its_memory_is_back() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, total_mb=2000, strangers_mb=400, fragmented_mb=1400)
        async with card.residency() as residency:
            with pytest.raises(OverBudget, match="tried again in 10 s"):
                await used(residency, "a")
            card.strangers_mb = card.fragmented_mb = 0
            await asyncio.sleep(1.1)
            await used(residency, "a")
            assert card.loads[-1:] == [("a", (1, 2, 4, 8))]
            assert residency.snapshot().degraded == ()

    virtually(run)


def test_strangers_shrink_the_budget_and_idle_models_make_up_for_it() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, total_mb=2000)
        async with card.residency(buckets=ONE, reserve_mb=400, pinned=["b"]) as residency:
            kept = await leased(residency, "a")
            await used(residency, "b")
            await used(residency, "c")
            assert residency.snapshot().budget_bytes == 1600 * MB
            card.strangers_mb = 400
            await asyncio.sleep(1.5)
            assert residency.snapshot().budget_bytes == 1200 * MB
            assert names(residency) == {"a", "b"}
            card.strangers_mb = 800
            await asyncio.sleep(1.5)
            assert names(residency) == {"a"}
            assert residency.snapshot().evictions == {EvictionReason.SHRUNK: 2}
            with pytest.raises(OverBudget):
                await used(residency, "b", within_s=3)
            kept.release()
            card.strangers_mb = 0
            await used(residency, "c", "b")
            assert names(residency) >= {"b", "c"}

    virtually(run)


def test_a_model_in_use_is_not_lent_again_while_it_stands_over_a_shrunk_budget() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, total_mb=2000)
        async with card.residency(buckets=ONE, reserve_mb=200) as residency:
            kept = await leased(residency, "a")
            card.strangers_mb = 1250
            await asyncio.sleep(1.5)
            with pytest.raises(OverBudget):
                await used(residency, "a", within_s=1)
            kept.release()
            await asyncio.sleep(0.5)
            assert names(residency) == set()

    virtually(run)


def test_while_the_device_is_lost_nothing_is_loaded_and_what_is_there_goes_on() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency() as residency:
            await used(residency, "a")
            card.lost = "GPU is lost"
            await asyncio.sleep(1.5)
            assert residency.snapshot().lost == "GPU is lost"
            await used(residency, "a")
            with pytest.raises(OverBudget, match="no model can be loaded: GPU is lost"):
                await used(residency, "b")
            card.lost = None
            await asyncio.sleep(1.5)
            assert residency.snapshot().lost is None
            await used(residency, "b")

    virtually(run)


def test_a_device_that_is_not_there_is_said_so_and_asked_again_though_nobody_waits() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, lost="no driver")
        async with card.residency() as residency:
            with pytest.raises(OverBudget, match="no driver"):
                await used(residency, "a")
            card.lost = None
            await asyncio.sleep(1.5)
            await used(residency, "a")

    virtually(run)


def test_an_error_nobody_expected_is_that_models_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)

        def load(variant: str, buckets: Sequence[int]) -> FakeSession:
            if variant == "a":
                raise ZeroDivisionError("a bug")
            session = card.load(variant, buckets)
            session.close = broken_close  # type: ignore[method-assign] # a library's fault
            return session

        def broken_close() -> None:
            raise ZeroDivisionError("another bug")

        async with card.residency(load=load) as residency:
            with pytest.raises(ModelError, match="a could not be loaded: a bug"):
                await used(residency, "a")
            await used(residency, "b")
        assert "b could not be closed" in caplog.text

    virtually(run)
