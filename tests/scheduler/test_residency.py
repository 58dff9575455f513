"""Leases, evictions and what happens when memory is short: on a fake card, in made-up time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streamapp.errors import ModelMissing, ModelOutOfMemory, OverBudget
from streamapp.scheduler.api import Lease, Residency
from streamapp.scheduler.residency import MAX_WAITING, ModelResidency
from streamapp.scheduler.residency_view import EvictionReason
from tests.fake_card import MB, FakeCard
from tests.virtual_time import now_s, virtually

THREE = {"a": 400.0, "b": 400.0, "c": 400.0}
ROOM_FOR_TWO = 1400
"""With batches of up to 8 each of THREE takes 680 MB, with batches of 1 400 MB, and the context 300 MB."""
ONE = (1,)


async def leased(residency: ModelResidency, *variants: str, within_s: float = 5) -> Lease:
    return await residency.lease(variants, deadline_s=now_s() + within_s)


async def used(residency: ModelResidency, *variants: str, within_s: float = 5) -> None:
    (await leased(residency, *variants, within_s=within_s)).release()


def names(residency: ModelResidency) -> set[str]:
    return {model.variant for model in residency.snapshot().resident}


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


def test_what_is_idle_makes_room_and_the_books_stay_within_the_budget() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency(budget_mb=ROOM_FOR_TWO, buckets=ONE) as residency:
            for name in "abcab":
                await used(residency, name, within_s=30)
                await asyncio.sleep(0.1)
                shown = residency.snapshot()
                assert shown.committed_bytes <= shown.budget_bytes
                assert card.open_mb <= ROOM_FOR_TWO
            assert names(residency) == {"a", "b"}
            assert residency.snapshot().evictions == {EvictionReason.ROOM: 3}

    virtually(run)


def test_a_leased_model_is_never_evicted() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency(budget_mb=1100, buckets=ONE) as residency:
            kept = [await leased(residency, "a"), await leased(residency, "b")]
            with pytest.raises(OverBudget, match="in use"):
                await used(residency, "c")
            assert not any(session.closed for session in card.sessions)
            kept[0].release()
            await used(residency, "c", within_s=30)
            assert names(residency) == {"b", "c"}
            kept[1].release()

    virtually(run)


def test_a_request_gets_all_or_nothing_so_that_two_cannot_wait_for_each_other() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb={"a": 300, "b": 300, "c": 300, "d": 300})
        async with card.residency(budget_mb=1000, buckets=ONE) as residency:

            async def work(*variants: str) -> None:
                for _ in range(10):
                    lease = await leased(residency, *variants, within_s=120)
                    await asyncio.sleep(0.1)
                    lease.release()

            async with asyncio.TaskGroup() as group:
                for pair in (("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "a")):
                    group.create_task(work(*pair))
            assert card.peak_mb <= 1000

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
        async with card.residency() as residency:
            await used(residency, "a")
            hold.append(True)
            loading = asyncio.ensure_future(used(residency, "b"))
            await asyncio.sleep(0.1)
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


def test_one_that_waits_too_long_is_served_before_those_who_come_after_it() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency(budget_mb=800, buckets=ONE) as residency:
            served: list[str] = []

            async def busy() -> None:
                while "b" not in served:
                    lease = await leased(residency, "a", within_s=60)
                    await asyncio.sleep(0.2)
                    lease.release()

            async with asyncio.TaskGroup() as group:
                group.create_task(busy())
                await asyncio.sleep(0.05)
                group.create_task(busy())  # between the two, a is never idle
                await asyncio.sleep(5)
                started_s = now_s()
                lease = await leased(residency, "b", within_s=10)
                assert now_s() - started_s < 2
                served.append("b")
                lease.release()

    virtually(run)


def test_a_request_for_more_than_there_will_ever_be_is_refused_at_once() -> None:
    async def run() -> None:
        async with FakeCard(sizes_mb=THREE).residency(budget_mb=1000) as residency:
            started_s = now_s()
            with pytest.raises(OverBudget, match="a and b need 1100 MB, and at most 1000 MB can ever"):
                await used(residency, "a", "b")
            assert now_s() == started_s

    virtually(run)


def test_who_is_short_of_memory_gets_smaller_batches_that_still_do_long_ones() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency(budget_mb=900) as residency:
            lease = await leased(residency, "a")
            assert card.loads == [("a", (1, 2, 4))]
            (found,) = lease.sessions["a"].run(np.zeros((7, 3, 8, 8), np.float32))
            assert found.shape == (7, 3, 8, 8)
            assert card.sessions[0].batches == [4, 3]
            lease.release()

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


def test_a_pinned_model_stays_whatever_the_others_need() -> None:
    async def run() -> None:
        async with FakeCard(sizes_mb=THREE).residency(budget_mb=1100, buckets=ONE, pinned=["a"]) as residency:
            for name in "abcbc":
                await used(residency, name, within_s=30)
                assert "a" in names(residency)
            with pytest.raises(OverBudget):
                await used(residency, "b", "c")

    virtually(run)


def test_an_unused_model_is_unloaded_after_a_while_and_a_pinned_one_is_not() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE)
        async with card.residency(keep_alive_s=60, pinned=["b"]) as residency:
            await used(residency, "a")
            await used(residency, "b")
            kept = await leased(residency, "c")
            await asyncio.sleep(59)
            assert names(residency) == {"a", "b", "c"}
            await asyncio.sleep(3)
            assert names(residency) == {"b", "c"}
            assert residency.snapshot().evictions == {EvictionReason.IDLE: 1}
            kept.release()

    virtually(run)


def test_two_models_that_take_turns_spend_most_of_the_time_running() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, load_s=1.0)
        async with card.residency(budget_mb=800, buckets=ONE) as residency:

            async def work(name: str) -> None:
                while now_s() < end_s:
                    try:
                        lease = await leased(residency, name, within_s=2)
                    except OverBudget:
                        continue
                    runs[name] += 1
                    await asyncio.sleep(0.05)
                    lease.release()

            end_s = now_s() + 120
            runs = {"a": 0, "b": 0}
            async with asyncio.TaskGroup() as group:
                for name in runs:
                    group.create_task(work(name))
            assert 10 < len(card.loads) < 40
            assert min(runs.values()) > 300

    virtually(run)


def test_one_that_matters_more_need_not_wait_for_a_newcomer_to_settle() -> None:
    async def run() -> None:
        async with FakeCard(sizes_mb=THREE).residency(budget_mb=800, buckets=ONE, weights={"b": 4}) as residency:
            await used(residency, "a")
            started_s = now_s()
            await used(residency, "b")
            assert now_s() == started_s
            await used(residency, "a", within_s=30)
            assert now_s() - started_s > 1.9

    virtually(run)


def test_after_an_unload_nothing_is_loaded_until_the_driver_shows_the_bytes() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, total_mb=800, lag_s=1.4)
        shown: list[float] = []

        def load(variant: str, buckets: Sequence[int]) -> Any:
            shown.append((card.read().ours_bytes or 0) / MB)
            return card.load(variant, buckets)

        async with card.residency(buckets=ONE, load=load) as residency:
            await used(residency, "a")
            await asyncio.sleep(3)
            before_s = now_s()
            await used(residency, "b")
            assert shown == [0, 300]
            assert 1.4 <= now_s() - before_s <= 1.4 + 0.25 + 0.1

    virtually(run)


def test_bytes_that_never_come_back_are_nobodys_and_shrink_the_budget() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, leak_mb=200)
        async with card.residency(budget_mb=1000, buckets=ONE) as residency:
            await used(residency, "a")
            await asyncio.sleep(3)
            before_s = now_s()
            await used(residency, "b", within_s=20)
            assert now_s() - before_s >= 5
            assert residency.snapshot().unaccounted_bytes == 200 * MB
            assert residency.snapshot().budget_bytes == 800 * MB
            assert residency.snapshot().bytes_by_owner["unaccounted"] == 200 * MB
            with pytest.raises(OverBudget):
                await used(residency, "a", within_s=30)

    virtually(run)


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


def test_estimates_that_lie_are_replaced_by_what_was_measured() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, estimates_mb={"a": 100.0, "b": 100.0, "c": 100.0})
        async with card.residency(budget_mb=1500, buckets=ONE) as residency:
            for name in "aabbccab":
                await used(residency, name, within_s=30)
                await asyncio.sleep(1.5)
                assert card.open_mb <= 1500
            assert residency.snapshot().committed_bytes == round(card.open_mb * MB)
            assert card.peak_mb <= 1500

    virtually(run)


def test_without_numbers_by_process_the_books_tell_us_from_strangers() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, total_mb=3000, strangers_mb=500, tells_processes_apart=False)
        async with card.residency(buckets=ONE) as residency:
            await used(residency, "a")
            await used(residency, "b")
            shown = residency.snapshot()
            assert (shown.others_bytes, shown.budget_bytes) == (500 * MB, 2500 * MB)
            assert shown.committed_bytes == 1100 * MB

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


def test_a_device_that_was_never_there_is_said_so() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, lost="no driver")
        async with card.residency() as residency:
            with pytest.raises(OverBudget, match="no driver"):
                await used(residency, "a")

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
