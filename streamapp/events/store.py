"""The events of the last days, searchable. Writing never waits: a bounded queue, and one thread that owns the file."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from streamapp.errors import EventStoreError, Overloaded
from streamapp.events.event import Event
from streamapp.events.event_table import EventTable
from streamapp.events.search import EventQuery
from streamapp.results import DropReason

CAPACITY = 10_000
"""Events that wait to be written, at most."""
MAX_QUESTIONS = 64

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EventRetention:
    max_age_s: float
    max_events: int


class EventStore:
    """Open before use. Used on the event loop's thread. What cannot be written now is tried again with the next event
    and with `tend`; what no longer fits the queue is dropped and counted."""

    def __init__(self, table: EventTable, rule: EventRetention, capacity: int = CAPACITY) -> None:
        self.drops: Counter[DropReason] = Counter()
        self.error: str | None = None
        """Why events cannot be written just now."""
        self._table = table
        self._rule = rule
        self._capacity = capacity
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._questions = 0
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._to_forget: set[UUID] = set()
        self._is_closed = False

    async def open(self) -> UUID | None:
        """The newest event's id. Raises EventStoreUnusable for a damaged, foreign or newer file."""

        def work() -> UUID | None:
            self._table.open()
            return self._table.newest_id()

        return await self._ask(work)

    @property
    def waiting(self) -> int:
        """Events that are not written yet."""
        return len(self._waiting)

    def append(self, event: Event) -> None:
        """Keeps an event, soon."""
        with self._lock:
            if self._is_closed or len(self._waiting) >= self._capacity:
                self.drops[DropReason.CLOSED if self._is_closed else DropReason.QUEUE_FULL] += 1
                return
            self._waiting.append(event)
        self._thread.submit(self._write)

    def forget(self, person_id: UUID) -> None:
        """Takes a person out of all events, soon, from the disk too; tried again until it is done."""
        with self._lock:
            self._to_forget.add(person_id)
            self._waiting = deque(without(event, person_id) for event in self._waiting)
        if not self._is_closed:
            self._thread.submit(self._forget)

    async def find(self, query: EventQuery) -> list[Event]:
        """What was appended before counts. Raises EventStoreError, and Overloaded if too much is asked at once."""

        def work() -> list[Event]:
            self._write()
            return self._table.find(query)

        return await self._ask(work)

    async def people(self) -> list[UUID]:
        """Everybody some event is about. Raises EventStoreError."""
        return await self._ask(self._table.people)

    async def settle(self) -> bool:
        """Waits until all that was asked for is on disk; whether that worked."""

        def work() -> bool:
            self._write()
            self._forget()
            return not self._waiting and not self._to_forget

        return await self._ask(work)

    async def tend(self, now: float) -> None:
        """Writes and forgets what could not be before, and deletes what is too old or too much. `now`: Unix time."""

        def work() -> None:
            self._write()
            self._forget()
            self._guarded(lambda: self._table.sweep(now - self._rule.max_age_s, self._rule.max_events))

        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        """Writes what waits, as far as that works. For good; a second time is no fault."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._finish)
        self._thread.shutdown(wait=False)

    # -- on the thread

    def _write(self) -> None:
        with self._lock:
            events = list(self._waiting)
            self._waiting.clear()
        if events and not self._guarded(lambda: self._table.add(events)):
            with self._lock:
                self._waiting.extendleft(reversed(events))

    def _forget(self) -> None:
        with self._lock:
            people = list(self._to_forget)
        if people:
            self._write()  # what it has of them must not be written later
            if self._guarded(lambda: self._table.forget(people)):
                with self._lock:
                    self._to_forget.difference_update(people)

    def _finish(self) -> None:
        self._write()
        self._forget()
        self._guarded(self._table.close)
        with self._lock:
            self.drops[DropReason.CLOSED] += len(self._waiting)

    def _guarded(self, work: Callable[[], object]) -> bool:
        """Whether it worked. A file that cannot be written must not end what the events are about."""
        try:
            work()
        except EventStoreError as error:
            if self.error is None:
                _log.warning("%s", error)
            self.error = str(error)
            return False
        if self.error is not None:
            _log.info("events are kept again")
            self.error = None
        return True

    async def _ask(self, work: Callable[[], T]) -> T:
        if self._is_closed:
            raise EventStoreError("the events file is closed")
        if self._questions >= MAX_QUESTIONS:
            raise Overloaded("too much is asked of the events; try again", retry_after_s=1)
        self._questions += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._questions -= 1


def without(event: Event, person_id: UUID) -> Event:
    """The event, but not that it is about this person."""
    return replace(event, person_id=None) if event.person_id == person_id else event
