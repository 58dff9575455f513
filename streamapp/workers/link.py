"""Two processes of the app that tell and ask each other things, over a socket that nobody else has."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from streamapp.errors import StreamappError, WorkerLost
from streamapp.hosting.messages import packed, receive
from streamapp.workers.messages import Answer, Ask, Request, Told

ANSWER_TIMEOUT_S = 10.0


class Link:
    """Used on the event loop's thread."""

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        answer: Callable[[Request], Awaitable[object]],
        hear: Callable[[Told], None],
    ) -> None:
        self._writer = writer
        self._answer = answer
        self._hear = hear
        self._asked: dict[int, asyncio.Future[object]] = {}
        self._number = 0

    @classmethod
    @asynccontextmanager
    async def over(
        cls,
        end: socket.socket,
        answer: Callable[[Request], Awaitable[object]],
        hear: Callable[[Told], None],
        on_end: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[Link]:
        """Listens for the length of the block. answer: gives what the other side asks for, or raises StreamappError;
        hear: takes what it tells; on_end: called when it is gone."""
        end.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=end)
        link = cls(writer, answer, hear)
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(link._listen(reader, on_end))
                try:
                    yield link
                finally:
                    listening.cancel()
        finally:
            writer.close()

    async def ask(self, request: Request, timeout_s: float = ANSWER_TIMEOUT_S) -> Any:
        """What the other side answers. Raises what it raised; WorkerLost if it is gone or says nothing."""
        self._number = number = self._number + 1
        answered = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(Ask(number, request))
            async with asyncio.timeout(timeout_s):
                return await answered
        except TimeoutError:
            raise WorkerLost from None
        finally:
            del self._asked[number]

    def tell(self, message: Told) -> None:
        """Never waits; nobody hears it if the other side is gone."""
        self._send(message)

    def _send(self, message: Told | Ask | Answer) -> None:
        if not self._writer.is_closing():
            self._writer.write(packed(message))

    async def _listen(self, reader: asyncio.StreamReader, on_end: Callable[[], None]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    match await receive(reader):
                        case Ask() as asked:
                            group.create_task(self._reply(asked))
                        case Answer(number, value, error):
                            self._take(number, value, error)
                        case message:
                            self._hear(message)
        except* EOFError:
            for answered in self._asked.values():
                if not answered.done():
                    answered.set_exception(WorkerLost())
            on_end()

    async def _reply(self, asked: Ask) -> None:
        try:
            answer = Answer(asked.number, await self._answer(asked.request), None)
        except StreamappError as error:
            answer = Answer(asked.number, None, error)
        self._send(answer)

    def _take(self, number: int, value: object, error: StreamappError | None) -> None:
        answered = self._asked.get(number)
        if answered is None or answered.done():
            return
        with contextlib.suppress(asyncio.InvalidStateError):
            if error is None:
                answered.set_result(value)
            else:
                answered.set_exception(error)
