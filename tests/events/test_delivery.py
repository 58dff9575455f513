"""The queue to one target: bounded, in order, and nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streamapp.choices import EventKind
from streamapp.errors import DeliveryFailed
from streamapp.events.delivery import Delivery
from streamapp.events.message import EventMessage
from streamapp.events.target import Outcome, TargetState
from tests.events.scenes import ADA, event
from tests.waiting import until


class ScriptedTarget:
    """A Target and its Link: takes events while `is_open`, else fails."""

    name = "scripted"

    def __init__(self, *kinds: EventKind) -> None:
        self.kinds = frozenset(kinds)
        self.is_open = True
        self.bug: Exception | None = None
        self.taken: list[EventMessage] = []
        self.lost = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.connections = 0
        self.sending = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[ScriptedTarget]:
        self.connections += 1
        yield self

    async def greet(self) -> bool:
        return False

    async def watch(self) -> None:
        await self.lost.wait()
        self.lost.clear()
        raise DeliveryFailed("lost")

    async def send(self, message: EventMessage) -> None:
        self.sending += 1
        await self.gate.wait()
        if self.bug is not None:
            raise self.bug
        if not self.is_open:
            raise DeliveryFailed("closed")
        self.taken.append(message)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def delivering(
    target: ScriptedTarget, *, capacity: int = 100, clock: Clock | None = None
) -> AsyncIterator[Delivery]:
    async def sleep(_: float) -> None:
        await asyncio.sleep(0.001)

    own = {} if clock is None else {"clock": clock}
    names = {ADA: "Ada Lovelace"}
    delivery = Delivery(target, names.get, capacity=capacity, give_up_s=60, sleep=sleep, **own)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(delivery.run())
        yield delivery
        running.cancel()


async def test_only_the_kinds_that_are_wanted_are_sent() -> None:
    target = ScriptedTarget(EventKind.LEFT)
    async with delivering(target) as delivery:
        for kind in EventKind:
            delivery.offer(event(kind))
        await until(lambda: target.taken)
        assert [message.kind for message in target.taken] == [EventKind.LEFT]
        assert delivery.health.waiting == 0


async def test_the_oldest_goes_where_too_many_wait() -> None:
    target = ScriptedTarget()
    target.is_open = False
    events = [event() for _ in range(12)]
    async with delivering(target, capacity=5) as delivery:
        for one in events:
            delivery.offer(one)
        await until(lambda: delivery.health.retries >= 3)
        target.is_open = True
        await until(lambda: delivery.health.waiting == 0)
        assert [message.id for message in target.taken] == [one.id for one in events[-5:]]
        assert delivery.health.outcomes[Outcome.QUEUE_FULL] == 7


async def test_what_waits_too_long_is_given_up() -> None:
    target, clock = ScriptedTarget(), Clock()
    target.is_open = False
    async with delivering(target, clock=clock) as delivery:
        delivery.offer(event())
        clock.now_s = 50
        delivery.offer(late := event())
        await until(lambda: delivery.health.retries >= 2)
        assert delivery.health.waiting == 2
        clock.now_s = 70
        await until(lambda: delivery.health.outcomes[Outcome.GIVEN_UP] == 1)
        target.is_open = True
        await until(lambda: [message.id for message in target.taken] == [late.id])


async def test_a_lost_connection_is_made_again_also_while_nothing_is_sent() -> None:
    target = ScriptedTarget()
    async with delivering(target) as delivery:
        await until(lambda: target.connections == 1)
        target.lost.set()
        await until(lambda: target.connections == 2)
        target.gate.clear()
        delivery.offer(one := event())
        await until(lambda: target.sending == 1)
        target.lost.set()
        await until(lambda: target.connections == 3)
        target.gate.set()
        await until(lambda: [message.id for message in target.taken] == [one.id])


async def test_a_bug_in_a_target_does_not_end_it() -> None:
    target = ScriptedTarget()
    target.bug = RuntimeError("secret details")
    async with delivering(target) as delivery:
        delivery.offer(event())
        await until(lambda: delivery.health.retries >= 2)
        assert (delivery.health.state, delivery.health.error) == (TargetState.FAILING, "internal error: RuntimeError")
        target.bug = None
        await until(lambda: delivery.health.outcomes[Outcome.DELIVERED] == 1)
        assert delivery.health.state is TargetState.OK


async def test_who_is_erased_meanwhile_is_not_named() -> None:
    target = ScriptedTarget()
    target.is_open = False
    async with delivering(target) as delivery:
        delivery.offer(event(EventKind.LEFT, person_id=ADA))
        delivery.offer(event(EventKind.LEFT, person_id=ADA))
        await until(lambda: delivery.health.retries >= 1)
        delivery.forget(ADA)
        target.is_open = True
        await until(lambda: len(target.taken) == 2)
        assert {(message.person_id, message.name) for message in target.taken} == {(None, None)}


async def test_the_end_waits_for_a_target_that_takes_events_and_for_no_other() -> None:
    target = ScriptedTarget()
    async with delivering(target) as delivery:
        target.gate.clear()
        delivery.offer(event())
        await delivery.drain(0.01)
        assert target.taken == []
        target.gate.set()
        await delivery.drain(10)
        assert len(target.taken) == 1
        target.is_open = False
        delivery.offer(event())
        async with asyncio.timeout(5):
            await delivery.drain(60)
    delivery.abandon()
    assert (delivery.health.outcomes[Outcome.CLOSED], delivery.health.waiting) == (1, 0)


async def test_the_end_is_not_missed_while_it_fails() -> None:
    """A TaskGroup that fails at the moment it is cancelled forgets that it was, before Python 3.13."""
    for turns in range(40):
        target = ScriptedTarget()
        target.is_open = False
        async with asyncio.timeout(10), delivering(target) as delivery:
            delivery.offer(event())
            for _ in range(turns):
                await asyncio.sleep(0)
