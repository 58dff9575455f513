"""Listeners hear what happens; a slow one hurts nobody."""

from __future__ import annotations

from streamapp.events.feed import EventFeed, Listener
from tests.events.scenes import ADA, event


async def test_everybody_hears_everything_from_when_they_listen() -> None:
    feed = EventFeed()
    first = feed.listen()
    feed.publish(one := event())
    second = feed.listen()
    feed.publish(two := event(person_id=ADA))
    assert (await first.get(), await first.get(), await second.get()) == (one, two, two)
    feed.leave(first)
    feed.close()
    assert await second.get() is None
    assert await feed.listen().get() is None
    assert len(feed) == 2


async def test_a_slow_listener_is_told_that_it_missed_something() -> None:
    listener = Listener(capacity=3)
    events = [event() for _ in range(5)]
    assert [listener.offer(one) for one in events] == [True, True, True, False, False]
    assert listener.has_missed
    listener.close()
    assert [await listener.get() for _ in range(4)] == [*events[2:], None]


async def test_who_is_erased_meanwhile_is_not_heard_of() -> None:
    feed = EventFeed()
    listener = feed.listen()
    feed.publish(event(person_id=ADA))
    feed.forget(ADA)
    heard = await listener.get()
    assert heard is not None
    assert heard.person_id is None
