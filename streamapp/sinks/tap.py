"""A sink whose outputs are read by somebody else, such as a streaming response."""

from __future__ import annotations

import asyncio

from streamapp.sinks.base import Inbox, Output


class Tap:
    """Use as an async context; attach it to a stream first. One reader."""

    lossless = False

    def __init__(self) -> None:
        self._inbox: asyncio.Future[Inbox] = asyncio.get_running_loop().create_future()
        self._released = asyncio.Event()

    async def run(self, inbox: Inbox) -> None:
        self._inbox.set_result(inbox)
        await self._released.wait()

    async def get(self) -> Output | None:
        """The newest output not read yet, or None once the stream has ended."""
        return await (await self._inbox).get()

    def release(self) -> None:
        """No more is read."""
        self._released.set()
