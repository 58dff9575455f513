"""What loads and unloads are seen to take, and what follows: on a fake card, in made-up time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streamapp.errors import OverBudget
from streamapp.scheduler.costs import CostBook, CostSource
from streamapp.zoo.base import TensorShape
from tests.fake_card import MB, FakeCard, FakeSession
from tests.scheduler.asking import ONE, THREE, used
from tests.virtual_time import now_s, virtually


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


def test_what_a_runtime_takes_for_itself_is_not_taken_for_a_models_cost() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, context_mb=500)
        costs = CostBook(card.variants(), device="", load_overhead=0, runtime="")

        def load(variant: str, buckets: Sequence[int]) -> FakeSession:
            if variant == "a":  # one that is run beside the device
                session = FakeSession(card, variant, 1, 0)
                session.providers = ("OtherExecutionProvider",)
                return session
            return card.load(variant, buckets)

        async with card.residency(buckets=ONE, load=load, costs=costs) as residency:
            await used(residency, "a")
            await used(residency, "b")
            assert residency.snapshot().context_bytes == 500 * MB
            await used(residency, "c")
            assert costs.cost("b", 1).source is CostSource.MANIFEST
            assert costs.cost("c", 1).holding.resident_bytes == 400 * MB
            assert costs.cost("c", 1).source is CostSource.MEASURED

    virtually(run)


@pytest.mark.parametrize("tells", [False, True])
def test_what_a_runtime_takes_is_not_hidden_in_an_estimate_that_is_too_high(tells: bool) -> None:
    """Else it would be a stranger's once that model is gone, and the budget be spent twice."""

    async def run() -> None:
        card = FakeCard(
            sizes_mb=THREE,
            estimates_mb={name: 2 * size for name, size in THREE.items()},
            total_mb=5000,
            tells_processes_apart=tells,
        )
        async with card.residency(budget_mb=1400, keep_alive_s=5, buckets=ONE) as residency:
            for name in THREE:  # measured, and gone again
                await used(residency, name)
                await asyncio.sleep(30)
            for name in THREE:
                await used(residency, name)
            assert card.peak_mb <= 1400

    virtually(run)


def test_a_net_for_pictures_of_any_size_keeps_its_estimate() -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb={"a": 50.0, "b": 50.0}, estimates_mb={"b": 400.0})

        def load(variant: str, buckets: Sequence[int]) -> FakeSession:
            session = card.load(variant, buckets)
            session.input = TensorShape("input", (None, 3, None, None))
            return session

        async with card.residency(buckets=ONE, load=load) as residency:
            await used(residency, "a")
            await used(residency, "b")
            holdings = {model.variant: model.holding for model in residency.snapshot().resident}
            assert holdings["b"].resident_bytes == 400 * MB

    virtually(run)


def test_what_was_measured_is_kept_for_the_next_start(tmp_path: Path) -> None:
    async def run() -> None:
        card = FakeCard(sizes_mb=THREE, estimates_mb={"b": 100.0})
        path = tmp_path / "costs.json"
        for expected in (CostSource.MANIFEST, CostSource.MEASURED):
            costs = CostBook(card.variants(), device="", load_overhead=0, runtime="", path=path)
            assert costs.cost("b", 1).source is expected
            async with card.residency(buckets=ONE, costs=costs) as residency:
                await used(residency, "a")
                await used(residency, "b")

    virtually(run)
