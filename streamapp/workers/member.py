"""One worker as the server sees it: whichever process it is just now, and what is known of its streams while there is
none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from streamapp.errors import StreamappError, WorkerLost
from streamapp.events.event import Event
from streamapp.hosting.child import Pauses
from streamapp.server.census import Census, merged
from streamapp.server.schemas import StreamRequest
from streamapp.sources.base import SourceState
from streamapp.workers.launcher import COMING_BACK_S, END_TIMEOUT_S, Launcher, Running
from streamapp.workers.link import Link
from streamapp.workers.messages import Begin, Begun, Kept, Noticed, Request, Search, Seen, Settle, TakeCensus, Told
from streamapp.workers.visits import WorkerVisits

_log = logging.getLogger(__name__)

CENSUS_EVERY_S = 1.0
CENSUS_TIMEOUT_S = 2.0
SILENT_S = 10.0
"""A worker that does not say for so long how it is hangs: it is killed."""
SETTLE_TIMEOUT_S = 5.0
"""So long after somebody was erased a copy of the gallery may still know them; then its process is killed."""
DRAIN_S = 40.0
"""Pictures that are in hand when a worker is replaced have so long to be answered."""


class Headquarters(Protocol):
    """What a member needs of the rest of the app."""

    def begin(self, streams: tuple[StreamRequest, ...]) -> Begin:
        """The first word to a new process."""

    async def hand_copy(self, tell: Callable[[Told], None]) -> None:
        """Tells a new process what is searched, where it is to have a copy of that."""

    async def answer(self, request: Search) -> object: ...

    def hear(self, message: Told) -> None: ...

    def publish(self, events: list[Event]) -> None: ...


class Member:
    """Used on the event loop's thread."""

    def __init__(self, index: int, launcher: Launcher, home: Headquarters, visits: WorkerVisits) -> None:
        self.index = index
        self.streams: tuple[StreamRequest, ...] = ()
        """That were added there: they start again with it."""
        self.pending = 0
        """Streams that are being added."""
        self._launcher = launcher
        self._home = home
        self._visits = visits
        self._current: Running | None = None
        self._fresh: Running | None = None
        """Takes over soon; examines pictures already."""
        self._census = Census()
        self._before = Census()
        """What earlier processes did."""
        self._why = "it has not started yet"
        self._up = asyncio.Event()
        self._changing = asyncio.Lock()

    # -- for requests --------------------------------------------------------------------------------------------------

    async def for_streams(self) -> Running:
        """The process that owns its streams; waits a moment if there is none. Raises Overloaded."""
        try:
            async with asyncio.timeout(COMING_BACK_S):
                await self._up.wait()
        except TimeoutError:
            raise WorkerLost from None
        assert self._current is not None
        return self._current

    async def for_pictures(self) -> Running:
        """The process that examines pictures. Raises Overloaded."""
        return self._fresh or self._current or await self.for_streams()

    @property
    def pictures(self) -> int:
        """In hand."""
        return sum(running.pictures for running in (self._current, self._fresh) if running is not None)

    async def ask(self, request: Request) -> Any:
        """Raises what it raises, and Overloaded if it is gone."""
        running = await self.for_streams()
        if running.link is None:
            raise WorkerLost
        return await running.link.ask(request)

    def tell(self, message: Told) -> None:
        """Nothing is told to a process that is not there: the next one is told everything at first."""
        if self._current is not None and self._current.link is not None:
            self._current.link.tell(message)

    async def settle(self) -> None:
        """Returns once what it was told is true there, or its process is being killed for not saying so."""
        running = self._current
        if running is None or running.link is None:
            return  # the next process begins with what is true
        try:
            await running.link.ask(Settle(), SETTLE_TIMEOUT_S)
        except StreamappError:
            running.process.kill("did not say that somebody is erased")

    async def census(self) -> Census:
        """As of now; of a worker that is not there as of its end, its streams reconnecting."""
        await self._take_census()
        return self.known_census

    @property
    def known_census(self) -> Census:
        """As of a moment ago."""
        if self._up.is_set():
            return merged((self._before, self._census))
        gone = {"state": SourceState.RECONNECTING, "code": WorkerLost.code, "reason": self._why, "fps": 0.0, "faces": 0}
        streams = tuple(stream.model_copy(update=gone) for stream in self._census.streams if stream.added)
        return replace(self._before, streams=streams, added=len(streams))

    # -- its life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises StreamappError if it cannot."""
        self._fresh = await self._launcher.launch(self.index)

    async def live(self) -> None:
        """Keeps it alive, once it was started, until cancelled."""
        assert self._fresh is not None
        running, self._fresh = self._fresh, None
        pauses = Pauses()
        while True:
            self._current = running
            pauses.began()
            try:
                await self._serve(running)
            finally:
                await self._retire(running)
            while True:
                if self._fresh is not None:
                    running, self._fresh = self._fresh, None
                    break
                await asyncio.sleep(pauses.next_s())
                try:
                    running = await self._launcher.launch(self.index)
                    break
                except StreamappError as error:
                    _log.error("worker %d cannot be started: %s", self.index, error)

    async def renew(self) -> None:
        """Replaces its process: the new one examines pictures before the old one stops, and takes over its streams when
        it has; they are seen to reconnect. Raises StreamappError if a new one cannot start, and nothing has changed."""
        async with self._changing:
            old = await self.for_streams()
            self._fresh = await self._launcher.launch(self.index)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    while old.pictures:  # noqa: ASYNC110 - requests come and go
                        await asyncio.sleep(0.02)
            self._why = "its process is being replaced"
            await old.process.end(END_TIMEOUT_S)
            await self.for_streams()

    async def end(self) -> None:
        """Ends its processes."""
        for running in (self._current, self._fresh):
            if running is not None:
                await self._retire(running)

    async def _serve(self, running: Running) -> None:
        """Until its process has ended."""
        async with Link.over(running.end, self._answer, self._hear) as running.link:
            running.link.tell(self._home.begin(self.streams))
            async with asyncio.TaskGroup() as group:
                helping = (
                    group.create_task(self._keep_looking(running)),
                    group.create_task(self._home.hand_copy(running.link.tell)),
                )
                how = await running.process.wait()
                for task in helping:
                    task.cancel()
        if self._fresh is None:
            self._why = f"its process ended ({how}) and is started again"
            _log.error("worker %d ended (%s) and is started again", self.index, how)

    async def _retire(self, running: Running) -> None:
        """It is gone, or goes now. Idempotent."""
        if running is self._current:
            self._up.clear()
            self._current = None
            self._before = merged((self._before, self._census.totals))
            self._census = Census(streams=self._census.streams)
            self._home.publish(self._visits.lost(time.time()))
        await running.process.end(END_TIMEOUT_S)
        running.end.close()
        await running.http.aclose()

    async def _keep_looking(self, running: Running) -> None:
        told_s = time.monotonic()
        while time.monotonic() - told_s < SILENT_S:
            if await self._take_census():
                told_s = time.monotonic()
            await asyncio.sleep(CENSUS_EVERY_S)
        running.process.kill("hung")

    async def _take_census(self) -> bool:
        """Whether it said how it is."""
        running, has_streams = self._current, self._up.is_set()
        if running is None or running.link is None:
            return False
        try:
            census: Census = await running.link.ask(TakeCensus(), CENSUS_TIMEOUT_S)
        except StreamappError:
            return False
        if running is self._current and has_streams:  # when it was asked: before, it has not all of them
            mine = (replace(figures, name=running.machine, workers=1) for figures in census.machines)
            self._census = replace(census, machines=(*mine, *running.crossed()))
        return True

    async def _answer(self, request: Request) -> object:
        """Raises StreamappError."""
        assert isinstance(request, Search), "the rest is asked of workers"
        return await self._home.answer(request)

    def _hear(self, message: Told) -> None:
        match message:
            case Noticed(event):
                self._home.publish([self._visits.renumbered(event)])
            case Begun():
                self._up.set()
            case Kept(streams):
                self.streams = streams
                self._home.hear(message)
            case Seen():
                self._home.hear(message)
