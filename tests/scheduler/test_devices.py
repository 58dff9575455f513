"""Several cards in one process, with real schedulers and ledgers: nothing above any budget, every job ends once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.errors import DeviceLost
from streamapp.scheduler.api import Done, Dropped, Failed
from streamapp.scheduler.costs import CostBook
from streamapp.scheduler.devices import DevicesScheduler, LocalDevice
from streamapp.scheduler.local import LocalScheduler
from tests.fake_card import MB, FakeCard
from tests.fakes import ScriptedOperation
from tests.scheduling import Gate, error, job, submitted, values
from tests.waiting import until

BUDGET_MB = 1000
SIZES_MB = {"a": 400, "b": 400, "c": 300, "large": 650}


def card(**traits: object) -> FakeCard:
    return FakeCard(sizes_mb=SIZES_MB, context_mb=0, **traits)  # type: ignore[arg-type]  # by keyword only


@asynccontextmanager
async def running(cards: Sequence[FakeCard], *, capacity: int = 64) -> AsyncIterator[DevicesScheduler]:
    async with AsyncExitStack() as stack:
        devices = []
        for number, one in enumerate(cards):
            costs = CostBook(one.variants(), device=one.name, load_overhead=0.0, runtime="fake")
            residency = await stack.enter_async_context(one.residency(budget_mb=BUDGET_MB, costs=costs))
            scheduler = await stack.enter_async_context(LocalScheduler.start(residency, lanes=1, capacity=capacity))
            devices.append(LocalDevice(f"card:{number}", scheduler, residency, costs))
        yield DevicesScheduler(devices, max_in_flight=capacity)


def loaded(one: FakeCard) -> list[str]:
    return [variant for variant, _ in one.loads]


async def test_models_that_do_not_fit_together_get_a_card_each() -> None:
    cards = [card(), card()]
    async with running(cards) as scheduler:
        for _ in range(5):
            for name in ("a", "large"):
                assert values(await scheduler.submit(job(ScriptedOperation(name), 1))) == [10]
    assert sorted(loaded(one) for one in cards) == [["a"], ["large"]]


async def test_all_of_them_are_shown_and_each() -> None:
    cards = [card(), card()]
    async with running(cards) as scheduler:
        for name in ("a", "large"):
            values(await scheduler.submit(job(ScriptedOperation(name), 1)))
        snapshot, state = scheduler.snapshot(), scheduler.state()
        assert {model.variant for model in snapshot.resident} == {"a", "large"}
        assert [[model.variant for model in part.resident] for part in snapshot.parts] in (
            [["a"], ["large"]],
            [["large"], ["a"]],
        )
        assert snapshot.budget_bytes == sum(part.budget_bytes for part in snapshot.parts)
        assert sum(snapshot.bytes_by_owner.values()) == sum(
            sum(part.bytes_by_owner.values()) for part in snapshot.parts
        )
        assert (state.lanes, state.operations["a"].done, state.operations["large"].done) == (2, 1, 1)


async def test_a_card_that_is_lost_is_done_without_and_taken_again() -> None:
    cards = [card(), card()]
    async with running(cards) as scheduler:
        values(await scheduler.submit(job(ScriptedOperation("a"), 1)))
        first = next(number for number, one in enumerate(cards) if one.loads)
        cards[first].lost = "fell off the bus"
        await until(lambda: scheduler.snapshot().parts[first].lost is not None)
        assert values(await scheduler.submit(job(ScriptedOperation("a"), 2))) == [20]
        assert loaded(cards[1 - first]) == ["a"]
        assert scheduler.snapshot().lost is None
        cards[1 - first].lost = "fell off, too"
        await until(lambda: scheduler.snapshot().lost is not None)
        assert isinstance(error(await scheduler.submit(job(ScriptedOperation("b"), 1))), DeviceLost)
        cards[first].lost = None
        await until(lambda: scheduler.snapshot().parts[first].lost is None)
        assert values(await scheduler.submit(job(ScriptedOperation("b"), 3))) == [30]


async def test_a_stranger_on_one_card_sends_jobs_to_the_other() -> None:
    cards = [card(total_mb=1000), card(total_mb=1000)]
    cards[0].strangers_mb = 900
    async with running(cards) as scheduler:
        await until(lambda: [part.budget_bytes for part in scheduler.snapshot().parts] == [100 * MB, 1000 * MB])
        for name in ("a", "b"):
            assert values(await scheduler.submit(job(ScriptedOperation(name), 1))) == [10]
    assert (loaded(cards[0]), loaded(cards[1])) == ([], ["a", "b"])


async def test_a_hot_model_gets_a_second_card_once_and_keeps_it() -> None:
    cards, gates = [card(), card()], [Gate() for _ in range(60)]
    work = iter(gates)
    operation = ScriptedOperation("a", lambda items: next(work)(items))
    async with running(cards) as scheduler:
        gates[0].open.set()
        values(await scheduler.submit(job(operation, 1)))
        endings = await submitted(scheduler, *(job(operation, number, owner=str(number)) for number in range(59)))  # type: ignore[arg-type]  # a Scheduler
        for gate in gates:
            gate.open.set()
        for ending in endings:
            assert isinstance(await ending, Done)
        for number in range(20):
            values(await scheduler.submit(job(ScriptedOperation("a"), number)))
    assert max(len(loaded(one)) for one in cards) == 1, "neither card loads it twice"


@settings(max_examples=25, deadline=None)
@given(
    trace=st.lists(st.tuples(st.sampled_from(sorted(SIZES_MB)), st.integers(0, 3), st.booleans()), max_size=30),
    cards_count=st.integers(2, 4),
)
def test_no_ledger_exceeds_its_budget_and_every_job_ends_once(
    trace: list[tuple[str, int, bool]], cards_count: int
) -> None:
    """Each step: a job of a model; how long is waited before the next; whether a card is lost or found."""

    async def run() -> None:
        cards = [card(total_mb=2000) for _ in range(cards_count)]
        async with running(cards) as scheduler, asyncio.TaskGroup() as group:
            endings = []
            for step, (name, pauses, flips) in enumerate(trace):
                if flips:
                    one = cards[step % cards_count]
                    one.lost = None if one.lost else "unplugged"
                endings.append(group.create_task(scheduler.submit(job(ScriptedOperation(name), step, within_s=5))))
                for _ in range(pauses):
                    await asyncio.sleep(0)
                for part in scheduler.snapshot().parts:
                    assert part.committed_bytes <= BUDGET_MB * MB
            for step, ending in enumerate(endings):
                match await ending:
                    case Done(values=found):
                        assert list(found) == [10 * step]
                    case Failed(error=raised):
                        assert isinstance(raised, DeviceLost)
                    case Dropped(detail=detail):
                        assert detail
            assert all(one.peak_mb <= BUDGET_MB for one in cards)
            assert all(scheduler.in_flight(f"card:{number}") == 0 for number in range(cards_count))

    asyncio.run(run())
