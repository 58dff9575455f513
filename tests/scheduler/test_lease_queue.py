"""Who waits for a lease, and who is served when: on a fake card, in made-up time."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from streamapp.errors import OverBudget
from tests.fake_card import FakeCard
from tests.scheduler.asking import ONE, THREE, leased, used
from tests.virtual_time import now_s, virtually


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
