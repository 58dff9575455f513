"""What stays and what goes: on a fake card, in made-up time."""

from __future__ import annotations

import asyncio

import pytest

from streamapp.errors import OverBudget
from streamapp.scheduler.residency_view import EvictionReason
from tests.fake_card import FakeCard
from tests.scheduler.asking import ONE, ROOM_FOR_TWO, THREE, leased, names, used
from tests.virtual_time import now_s, virtually


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
