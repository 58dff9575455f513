"""A mailbox: one slot, latest wins; or, for what must not be lost, the writer waits. Single event loop, no lock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One slot between one reader and its writers.

    `offer` replaces what waits and calls `on_drop` for it; `deliver` waits for the slot to be free. `get` returns None
    once the mailbox is closed and empty.
    """

    def __init__(self, on_drop: Callable[[T], None] | None = None) -> None:
        self._slot: T | None = None
        self._closed = False
        self._on_drop = on_drop
        self._reader: asyncio.Future[None] | None = None
        self._writers: list[asyncio.Future[None]] = []

    @property
    def closed(self) -> bool:
        return self._closed

    def offer(self, item: T) -> bool:
        """Puts `item` in the slot at once. False if the mailbox is closed."""
        if self._closed:
            return False
        stale, self._slot = self._slot, item
        if stale is not None and self._on_drop is not None:
            self._on_drop(stale)
        self._wake_reader()
        return True

    async def deliver(self, item: T) -> bool:
        """Waits for the slot, then puts `item` in it. False if the mailbox is, or gets, closed."""
        while self._slot is not None and not self._closed:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._writers.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake_writer()  # the turn this writer can no longer take
                raise
            finally:
                self._writers.remove(turn)
        return self.offer(item)

    async def get(self) -> T | None:
        """Takes what is in the slot, waiting for it. One reader at a time."""
        while self._slot is None and not self._closed:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        item, self._slot = self._slot, None
        self._wake_writer()
        return item

    def close(self) -> None:
        """No more items. What is in the slot can still be taken."""
        self._closed = True
        self._wake_reader()
        for turn in self._writers:
            if not turn.done():
                turn.set_result(None)

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_writer(self) -> None:
        for turn in self._writers:
            if not turn.done():
                turn.set_result(None)
                return
