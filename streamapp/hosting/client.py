"""The scheduler of a process whose models are in another one: the same contract, jobs sent through a socket."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from streamapp.errors import DeviceLost
from streamapp.hosting.arena import Arena, Region
from streamapp.hosting.messages import Cancel, Ended, Figures, Message, Released, Submit, packed, pickled_job, receive
from streamapp.results import DropReason
from streamapp.scheduler.api import Done, Dropped, Failed, Item, Job, Outcome, Value
from streamapp.scheduler.record import SchedulerState
from streamapp.scheduler.residency_view import ResidencySnapshot, lost_snapshot
from streamapp.scheduler.settlement import CROWDED_OUT, ENDING

_log = logging.getLogger(__name__)

ARENA_BYTES = 256_000_000
"""Of address space. 256 jobs of eight crops take 80 MB; memory is taken as it is first used."""
MAX_ATTEMPTS = 2
SILENT_S = 30.0
"""A process that says nothing for so long, not even how it is, hangs."""
NO_ROOM = Dropped(DropReason.QUEUE_FULL, "there is no room for its pictures among those that wait")
AWAY = Dropped(DropReason.STALE, "the models' process did not come back before its deadline")


@dataclass(slots=True, eq=False)
class _Asked:
    """A job that has not ended, or whose buffers somebody still looks at."""

    message: Submit
    place: Region
    deadline_s: float
    outcome: asyncio.Future[Outcome[Any]]
    attempts: int = 0
    gives_up: asyncio.TimerHandle | None = field(default=None, repr=False)
    """While nobody has it."""


class RemoteScheduler:
    """A Scheduler, and what the other process says of itself. Used on the event loop's thread."""

    def __init__(self, path: Path, *, max_jobs: int, on_silence: Callable[[], None]) -> None:
        """path: of the socket. on_silence: called when the process hangs. Raises OSError."""
        self._path = path
        self._max_jobs = max_jobs
        self._on_silence = on_silence
        self.arena_bytes = ARENA_BYTES
        self._arena = Arena(self.arena_bytes)
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._writer: asyncio.StreamWriter | None = None
        self._closed = False
        self._figures: Figures | None = None
        self._dropped: Counter[DropReason] = Counter()
        """Of those that never got to the other process."""
        self._told = asyncio.Event()
        """It has said how it is."""

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        path: Path,
        *,
        max_jobs: int,
        why_gone: Callable[[], Awaitable[str]],
        on_silence: Callable[[], None],
    ) -> AsyncIterator[RemoteScheduler]:
        """Keeps in touch with the process for the length of the block, from its first word on; then what has not ended
        is dropped. why_gone: asked when it does not answer any more. Raises OSError."""
        scheduler = cls(path, max_jobs=max_jobs, on_silence=on_silence)
        try:
            async with asyncio.TaskGroup() as group:
                link = group.create_task(scheduler._keep_linked(why_gone), name="models-process:link")
                try:
                    await scheduler._told.wait()
                    yield scheduler
                finally:
                    scheduler._close()
                    link.cancel()
        finally:
            scheduler._arena.close()

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        if not job.items:
            return Done((), (), 0.0, 0.0)
        refusal = ENDING if self._closed else CROWDED_OUT if len(self._asked) >= self._max_jobs else None
        place = None
        if refusal is None:
            body, buffers = pickled_job(job)
            place = self._arena.put(buffers)
        if place is None:
            refusal = refusal or NO_ROOM
            self._dropped[refusal.reason] += 1
            return refusal
        self._number = number = self._number + 1
        outcome: asyncio.Future[Outcome[Any]] = asyncio.get_running_loop().create_future()
        asked = self._asked[number] = _Asked(Submit(number, body, place[1]), place[0], job.deadline_s, outcome)
        self._send_job(asked)
        try:
            return await outcome
        except asyncio.CancelledError:
            if asked.gives_up is None:
                self._send(Cancel(number))
            else:  # nobody has it
                self._forget(asked)
            raise

    def state(self) -> SchedulerState:
        assert self._figures is not None
        told = self._figures.scheduler
        return replace(told, dropped=dict(Counter(told.dropped) + self._dropped))

    def snapshot(self) -> ResidencySnapshot:
        """What is in the other process's memory, as of its last word."""
        assert self._figures is not None
        return self._figures.residency

    @property
    def waiting(self) -> int:
        """Jobs that have not ended, or whose pixels somebody still looks at."""
        return len(self._asked)

    @property
    def free_bytes(self) -> int:
        """Of the memory in which pixels cross."""
        return self._arena.free_bytes

    # -- the link -----------------------------------------------------------------------------------------------------

    async def _keep_linked(self, why_gone: Callable[[], Awaitable[str]]) -> None:
        while True:
            reader, writer = await self._connect()
            try:
                await self._listen(reader, writer)
            except EOFError:
                pass
            finally:
                self._writer = None
                writer.close()
            self._lost(await why_gone())

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Waits in the socket's backlog while the process starts."""
        link = socket.socket(socket.AF_UNIX)
        link.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(link, str(self._path))
            socket.send_fds(link, [b"\0"], [self._arena.descriptor])
            return await asyncio.open_unix_connection(sock=link)
        except BaseException:
            link.close()
            raise

    def _linked(self, writer: asyncio.StreamWriter) -> None:
        """Sends what waited, in its order."""
        self._writer = writer
        for asked in self._asked.values():
            _stop_waiting(asked)
            self._send_job(asked)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Raises EOFError in the end."""
        while True:
            try:
                async with asyncio.timeout(None if self._writer is None else SILENT_S):  # it may still be starting
                    message = await receive(reader)
            except TimeoutError:
                self._on_silence()
                raise EOFError from None
            match message:
                case Ended(number, outcome) if (asked := self._asked.get(number)) is not None:
                    if outcome is not None:
                        _settle(asked, outcome)
                    if not asked.place.length:
                        self._forget(asked)
                case Released(number) if (asked := self._asked.get(number)) is not None:
                    self._forget(asked)
                case Figures():
                    self._figures = message
                    self._told.set()
                    if self._writer is None:  # before its first word it only waited in the backlog
                        self._linked(writer)

    def _lost(self, why: str) -> None:
        """Those that were under way are tried once more; nobody looks at the buffers of others now."""
        if self._figures is not None:
            self._figures = replace(self._figures, residency=lost_snapshot(self._figures.residency, why))
        again = 0
        for asked in list(self._asked.values()):
            if asked.outcome.done() or asked.attempts >= MAX_ATTEMPTS or asked.deadline_s <= time.monotonic():
                _settle(asked, Failed(DeviceLost(f"{why}, twice with this job" if asked.attempts > 1 else why)))
                self._forget(asked)
            else:
                again += 1
                self._await_link(asked)
        _log.error("%s; %d jobs are tried again", why, again)

    def _send_job(self, asked: _Asked) -> None:
        if self._writer is None:
            self._await_link(asked)
        else:
            asked.attempts += 1
            self._send(asked.message)

    def _await_link(self, asked: _Asked) -> None:
        _stop_waiting(asked)
        left_s = max(0.0, asked.deadline_s - time.monotonic())
        asked.gives_up = asyncio.get_running_loop().call_later(left_s, self._give_up, asked)

    def _give_up(self, asked: _Asked) -> None:
        if not asked.outcome.done():
            self._dropped[AWAY.reason] += 1
        _settle(asked, AWAY)
        self._forget(asked)

    def _forget(self, asked: _Asked) -> None:
        """It has ended, and nobody looks at its buffers. Idempotent."""
        _stop_waiting(asked)
        if self._asked.pop(asked.message.number, None) is not None:
            self._arena.release(asked.place)

    def _send(self, message: Message) -> None:
        if self._writer is not None:
            self._writer.write(packed(message))

    def _close(self) -> None:
        self._closed = True
        for asked in self._asked.values():
            _stop_waiting(asked)
            _settle(asked, ENDING)


def _stop_waiting(asked: _Asked) -> None:
    if asked.gives_up is not None:
        asked.gives_up.cancel()
        asked.gives_up = None


def _settle(asked: _Asked, outcome: Outcome[Any]) -> None:
    if not asked.outcome.done():
        asked.outcome.set_result(outcome)
