"""New events to whoever listens just now, such as a streaming response."""

from __future__ import annotations

import asyncio
from collections import deque
from uuid import UUID

from streamapp.events.event import Event
from streamapp.events.store import without

CAPACITY = 256


class Listener:
    """One listener's bounded queue. A slow one loses the oldest, and is told so by `has_missed`. One reader."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.has_missed = False
        """Whether events were lost since the reader last set this to False."""
        self._events: deque[Event] = deque()
        self._capacity = capacity
        self._new = asyncio.Event()
        self._is_closed = False

    def offer(self, event: Event) -> bool:
        """Whether nothing was lost for it."""
        is_full = len(self._events) >= self._capacity
        if is_full:
            self._events.popleft()
            self.has_missed = True
        self._events.append(event)
        self._new.set()
        return not is_full

    async def get(self) -> Event | None:
        """The next event; None once the feed has ended."""
        while not self._events and not self._is_closed:
            self._new.clear()
            await self._new.wait()
        return self._events.popleft() if self._events else None

    def forget(self, person_id: UUID) -> None:
        self._events = deque(without(event, person_id) for event in self._events)

    def close(self) -> None:
        self._is_closed = True
        self._new.set()


class EventFeed:
    """Used on the event loop's thread."""

    def __init__(self) -> None:
        self.drops = 0
        """Events that listeners were too slow for."""
        self._listeners: list[Listener] = []
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._listeners)

    def listen(self) -> Listener:
        """From now on. `leave` must follow."""
        listener = Listener()
        if self._is_closed:
            listener.close()
        self._listeners.append(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    def publish(self, event: Event) -> None:
        for listener in self._listeners:
            self.drops += not listener.offer(event)

    def forget(self, person_id: UUID) -> None:
        for listener in self._listeners:
            listener.forget(person_id)

    def close(self) -> None:
        """Ends every listener."""
        self._is_closed = True
        for listener in self._listeners:
            listener.close()
