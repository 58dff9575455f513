"""All events of the app: from the rules to the store, to who listens, and to the targets of the settings."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from streamapp.choices import EventKind
from streamapp.errors import EventStoreError, UsageError
from streamapp.event_settings import EventSettings
from streamapp.events.delivery import Delivery
from streamapp.events.event import Event, EventIds
from streamapp.events.event_table import EventTable
from streamapp.events.feed import EventFeed
from streamapp.events.message import EventMessage
from streamapp.events.search import EventFilter, EventQuery
from streamapp.events.store import EventRetention, EventStore
from streamapp.events.target import Target, TargetHealth
from streamapp.events.watcher import StreamWatcher, watcher_of
from streamapp.events.webhook import Webhook
from streamapp.gallery.people import NameOf
from streamapp.results import DropReason

TEND_S = 60.0
FLUSH_S = 2.0
"""How long the end of the app waits for targets that take events."""
BUSY_TIMEOUT_S = 5.0
_DAY_S = 86400.0
_PAGE = 200


@dataclass(frozen=True, slots=True)
class EventLogState:
    """As of one moment; counts are since the start."""

    by_kind: dict[EventKind, int]
    waiting: int
    """Not on disk yet."""
    dropped: dict[DropReason, int]
    """Not kept."""
    store_error: str | None
    """Why events cannot be kept just now."""
    listeners: int
    missed: int
    """What listeners were too slow for; they read it from the store."""
    targets: tuple[TargetHealth, ...]


class EventLog:
    """Used on the event loop's thread."""

    def __init__(
        self, settings: EventSettings, store: EventStore, make_id: EventIds, targets: list[Target], name_of: NameOf
    ) -> None:
        self._settings = settings
        self._store = store
        self._make_id = make_id
        self._name_of = name_of
        self._feed = EventFeed()
        self._by_kind = Counter(dict.fromkeys(EventKind, 0))
        self._forgotten: set[UUID] = set()
        self._deliveries = [
            Delivery(target, name_of, capacity=settings.queue_size, give_up_s=settings.give_up_s) for target in targets
        ]

    @classmethod
    @asynccontextmanager
    async def start(
        cls, settings: EventSettings, name_of: NameOf, *, clock: Callable[[], float] = time.time
    ) -> AsyncIterator[EventLog]:
        """Works for the length of the block. Raises EventStoreUnusable, and UsageError if a library is missing."""
        targets = _targets(settings)
        store = _store(settings)
        try:
            make_id = EventIds(clock, after=await store.open())
            log = cls(settings, store, make_id, targets, name_of)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(delivery.run()) for delivery in log._deliveries]
                tasks.append(group.create_task(log._tend(clock)))
                try:
                    yield log
                finally:
                    log._feed.close()
                    async with asyncio.TaskGroup() as flushing:
                        for delivery in log._deliveries:
                            flushing.create_task(delivery.drain(FLUSH_S))
                    for task in tasks:
                        task.cancel()
            for delivery in log._deliveries:
                delivery.abandon()
        finally:
            await store.close()

    @property
    def state(self) -> EventLogState:
        return EventLogState(
            by_kind=dict(self._by_kind),
            waiting=self._store.waiting,
            dropped=dict(self._store.drops),
            store_error=self._store.error,
            listeners=len(self._feed),
            missed=self._feed.drops,
            targets=tuple(delivery.health for delivery in self._deliveries),
        )

    def watcher(self, stream: str) -> StreamWatcher:
        """The sink for a new stream; it must be told the changes of its source's state, too."""
        return watcher_of(self._settings, stream, self.new_id, self.publish)

    def new_id(self) -> UUID:
        """Greater than all before."""
        return self._make_id()

    def publish(self, event: Event) -> None:
        """Never waits."""
        if event.person_id in self._forgotten:
            if event.kind is EventKind.IDENTIFIED:
                return
            event = replace(event, person_id=None)
        self._by_kind[event.kind] += 1
        self._store.append(event)
        self._feed.publish(event)
        for delivery in self._deliveries:
            delivery.offer(event)

    async def search(self, query: EventQuery) -> list[EventMessage]:
        """Raises EventStoreError."""
        return [EventMessage.of(event, self._name_of) for event in await self._store.find(query)]

    async def follow(
        self, wanted: EventFilter, after: UUID | None, quiet_s: float
    ) -> AsyncGenerator[EventMessage | None, None]:
        """Events as they happen; with `after`, first those that were noticed since that one. None whenever there was
        nothing for `quiet_s`. Ends with the app. Nothing is missed: what a slow reader lost comes from the store.
        Raises EventStoreError."""
        listener = self._feed.listen()
        listener.has_missed = after is not None
        after = after or self._make_id()
        loop = asyncio.get_running_loop()
        quiet_at = loop.time() + quiet_s
        try:
            while True:
                if listener.has_missed:
                    listener.has_missed = False
                    async for event in self._since(wanted, after):
                        after = event.id
                        yield EventMessage.of(event, self._name_of)
                try:
                    async with asyncio.timeout_at(quiet_at):
                        new = await listener.get()
                except TimeoutError:
                    yield None
                    quiet_at = loop.time() + quiet_s
                    continue
                if new is None:
                    return
                if listener.has_missed or new.id <= after:
                    continue  # it comes, or came, from the store
                after = new.id
                if wanted.matches(new):
                    yield EventMessage.of(new, self._name_of)
                    quiet_at = loop.time() + quiet_s
        finally:
            self._feed.leave(listener)

    def forget(self, person_id: UUID) -> None:
        """Takes a person out of all events: those kept, those on their way, and those still to come. What the disk has
        of them is gone soon after; `settle` waits for that."""
        self._forgotten.add(person_id)
        self._store.forget(person_id)
        self._feed.forget(person_id)
        for delivery in self._deliveries:
            delivery.forget(person_id)

    async def forget_others(self, is_known: Callable[[UUID], bool]) -> None:
        """Forgets everybody who is not known any more: erased while this did not run. Raises EventStoreError."""
        for person_id in await self._store.people():
            if not is_known(person_id):
                self.forget(person_id)

    async def settle(self) -> bool:
        """Waits until all so far is on disk, and what was forgotten is not; whether that worked."""
        return await self._store.settle()

    async def _since(self, wanted: EventFilter, after: UUID) -> AsyncIterator[Event]:
        page: list[Event] | None = None
        while page is None or len(page) == _PAGE:
            page = await self._store.find(EventQuery(wanted, _PAGE, after=after))
            for event in page:
                after = event.id
                yield event

    async def _tend(self, clock: Callable[[], float]) -> None:
        while True:
            await self._store.tend(clock())
            await asyncio.sleep(TEND_S)


async def forget_people(settings: EventSettings, people: Collection[UUID]) -> None:
    """As `EventLog.forget`, while no log is at work. Raises EventStoreError if it could not be done."""
    store = _store(settings)
    try:
        await store.open()
        for person_id in people:
            store.forget(person_id)
        if not await store.settle():
            raise EventStoreError(f"{store.error}; the next start of the server tries again")
    finally:
        await store.close()


def _store(settings: EventSettings) -> EventStore:
    rule = EventRetention(settings.max_days * _DAY_S, settings.max_events)
    return EventStore(EventTable(settings.file, BUSY_TIMEOUT_S), rule)


def _targets(settings: EventSettings) -> list[Target]:
    targets: list[Target] = [Webhook(webhook, settings.timeout_s) for webhook in settings.webhooks]
    if settings.mqtt is not None:
        try:
            module = importlib.import_module("streamapp.events.mqtt")
        except ImportError as error:
            raise UsageError(f"events.mqtt needs paho-mqtt: pip install 'streamapp[mqtt]' ({error})") from error
        target: Target = module.MqttTarget(settings.mqtt, settings.timeout_s)
        targets.append(target)
    return targets
