"""From what happens to where it is kept and sent."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from streamapp.choices import EventKind
from streamapp.errors import EventStoreUnusable
from streamapp.event_settings import EventSettings, WebhookSettings
from streamapp.events import feed as feeds
from streamapp.events.event import Event, EventIds
from streamapp.events.event_log import EventLog, forget_people
from streamapp.events.message import EventMessage
from streamapp.events.search import EventFilter, EventQuery
from streamapp.events.target import Outcome
from tests.events.receiver import HANG, SECRET, Receiver
from tests.events.scenes import ADA, BOB, event
from tests.events.test_store import files_of
from tests.waiting import until

ALL = EventFilter()
NAMES = {ADA: "Ada Lovelace", BOB: "Bob"}


def settings(tmp_path: Path, *urls: str, **values: object) -> EventSettings:
    hooks = [{"name": f"hook{n}", "url": url, "secret": SECRET} for n, url in enumerate(urls)]
    return EventSettings.model_validate({"file": tmp_path / "data" / "events.db", "webhooks": hooks} | values)


class Reader:
    """Follows a log, at a pace of its own."""

    def __init__(self, log: EventLog, wanted: EventFilter = ALL, after: UUID | None = None) -> None:
        self.heard: list[EventMessage] = []
        self.quiet = 0
        self.may_read = asyncio.Event()
        self.may_read.set()
        self._followed = log.follow(wanted, after, 0.05)

    def has_heard(self, count: int) -> bool:
        return len(self.heard) == count

    async def run(self) -> None:
        async with aclosing(self._followed) as messages:
            async for message in messages:
                if message is None:
                    self.quiet += 1
                else:
                    self.heard.append(message)
                await self.may_read.wait()


async def test_an_event_is_kept_told_and_sent(tmp_path: Path) -> None:
    async with Receiver().serve() as receiver, EventLog.start(settings(tmp_path, receiver.url), NAMES.get) as log:
        async with asyncio.TaskGroup() as group:
            reader = Reader(log)
            reading = group.create_task(reader.run())
            await until(lambda: log.state.listeners)
            log.publish(one := event(EventKind.IDENTIFIED, person_id=ADA))
            await until(lambda: reader.heard and receiver.posted)
            reading.cancel()
        (found,) = await log.search(EventQuery())
        assert found == reader.heard[0]
        assert (found.id, found.name) == (one.id, "Ada Lovelace")
        assert receiver.posted[0].json["data"] == found.model_dump(mode="json")
        state = log.state
        assert (state.by_kind[EventKind.IDENTIFIED], state.listeners) == (1, 0)
        assert state.targets[0].outcomes[Outcome.DELIVERED] == 1


async def test_the_name_is_the_one_of_now(tmp_path: Path) -> None:
    names = dict(NAMES)
    async with EventLog.start(settings(tmp_path), names.get) as log:
        log.publish(event(person_id=ADA))
        names[ADA] = "Ada Byron"
        assert [message.name for message in await log.search(EventQuery())] == ["Ada Byron"]
        del names[ADA]
        assert [message.name for message in await log.search(EventQuery())] == [None]
    assert b"Ada" not in files_of(tmp_path / "data" / "events.db")


async def test_a_target_that_hangs_holds_up_nothing(tmp_path: Path) -> None:
    async with Receiver(lambda _: HANG).serve() as hanging, Receiver().serve() as receiver:
        chosen = settings(tmp_path, hanging.url, receiver.url)
        async with EventLog.start(chosen, NAMES.get) as log:
            log.publish(event())
            await until(lambda: hanging.posted)
            for _ in range(49):
                log.publish(event())
            await until(lambda: len(receiver.posted) == 50)
            assert len(await log.search(EventQuery())) == 50
            assert (len(hanging.posted), log.state.targets[0].waiting) == (1, 50)


async def test_what_is_on_its_way_at_the_end_is_still_sent(tmp_path: Path) -> None:
    async with Receiver().serve() as receiver:
        async with EventLog.start(settings(tmp_path, receiver.url), NAMES.get) as log:
            for _ in range(30):
                log.publish(event())
        assert len(receiver.posted) == 30


async def test_a_reader_goes_on_where_it_was(tmp_path: Path) -> None:
    async with EventLog.start(settings(tmp_path), NAMES.get) as log, asyncio.TaskGroup() as group:
        events = [event(stream="door" if n % 2 else "yard") for n in range(700)]
        for one in events[:600]:
            log.publish(one)
        reader = Reader(log, EventFilter(stream="door"), after=events[99].id)
        reading = group.create_task(reader.run())
        await until(lambda: log.state.listeners)
        for one in events[600:]:
            log.publish(one)
        await until(lambda: len(reader.heard) == 300)
        assert [message.id for message in reader.heard] == [one.id for one in events[101::2]]
        await until(lambda: reader.quiet >= 2)
        reading.cancel()


async def test_a_slow_reader_misses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds.Listener.__init__, "__defaults__", (5,))
    async with EventLog.start(settings(tmp_path), NAMES.get) as log, asyncio.TaskGroup() as group:
        reader = Reader(log)
        reading = group.create_task(reader.run())
        await until(lambda: log.state.listeners)
        make_id = EventIds(lambda: 4e9)  # greater than the log's own
        events = [replace(event(), id=make_id()) for _ in range(60)]
        for burst in (20, 40, 60):
            reader.may_read.clear()
            for one in events[burst - 20 : burst]:
                log.publish(one)
            await asyncio.sleep(0)
            reader.may_read.set()
            await until(partial(reader.has_heard, burst))
        assert [message.id for message in reader.heard] == [one.id for one in events]
        assert log.state.missed > 0
        reading.cancel()


async def test_readers_end_with_the_log(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        async with EventLog.start(settings(tmp_path), NAMES.get) as log:
            reading = group.create_task(Reader(log).run())
            await until(lambda: log.state.listeners)
        await asyncio.wait_for(reading, 5)


async def test_who_is_erased_is_nowhere_any_more(tmp_path: Path) -> None:
    file = tmp_path / "data" / "events.db"
    async with EventLog.start(settings(tmp_path), NAMES.get) as log:
        for _ in range(10):
            log.publish(event(EventKind.IDENTIFIED, person_id=ADA))
            log.publish(event(EventKind.IDENTIFIED, person_id=BOB))
        await log.settle()
        assert ADA.bytes in files_of(file)
        log.forget(ADA)
        log.publish(event(EventKind.IDENTIFIED, person_id=ADA))  # a stream may not know yet
        log.publish(event(EventKind.LEFT, person_id=ADA))
        assert await log.settle()
        assert ADA.bytes not in files_of(file)
        assert BOB.bytes in files_of(file)
        messages = await log.search(EventQuery())
        assert {message.person_id for message in messages} == {None, BOB}
        assert len(messages) == 21, "that Ada was identified after the erasure is not told"


async def test_who_was_erased_meanwhile_is_forgotten_at_the_start(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    async with EventLog.start(chosen, NAMES.get) as log:
        log.publish(event(person_id=ADA))
        log.publish(event(person_id=BOB))
    async with EventLog.start(chosen, NAMES.get) as log:
        await log.forget_others(lambda person_id: person_id == BOB)
        await log.settle()
        assert ADA.bytes not in files_of(chosen.file)
        assert BOB.bytes in files_of(chosen.file)
    await forget_people(chosen, [BOB])
    assert BOB.bytes not in files_of(chosen.file)


async def test_ids_go_on_over_restarts_whatever_the_clock_says(tmp_path: Path) -> None:
    ids = []
    for now in (2e9, 1e9):
        async with EventLog.start(settings(tmp_path), NAMES.get, clock=lambda now=now: now) as log:  # type: ignore[misc]
            watcher = log.watcher("door")
            log.publish(Event(watcher._visits._make_id(), EventKind.APPEARED, "door", now))
            ids += [message.id for message in (await log.search(EventQuery()))[:1]]
    assert ids[0] < ids[1]


async def test_a_file_that_is_no_events_file_stops_the_start(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    chosen.file.parent.mkdir()
    chosen.file.write_text("songs" * 1000)
    with pytest.raises(EventStoreUnusable):
        async with EventLog.start(chosen, NAMES.get):
            pass


def test_targets_have_names_of_their_own() -> None:
    hook = WebhookSettings.model_validate({"name": "a", "url": "http://h/", "secret": SECRET})
    with pytest.raises(ValueError, match="name of its own"):
        EventSettings(webhooks=(hook, hook))
