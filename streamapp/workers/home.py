"""The server as a worker sees it: the gallery that faces are searched in, who is told of events, and where streams are
kept."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from streamapp.enrolment.live_tracks import SessionTracks
from streamapp.errors import Overloaded, StreamappError
from streamapp.events.event import EventIds
from streamapp.events.watcher import StreamWatcher, watcher_of
from streamapp.findings import Embedding
from streamapp.gallery.changes import Updated
from streamapp.gallery.replica import Copied, GalleryReplica
from streamapp.gallery.search import SearchResult
from streamapp.identification import CANDIDATES, Identification
from streamapp.runtime import Runtime, Watch
from streamapp.server.census import LocalCensus
from streamapp.server.schemas import StreamRequest
from streamapp.server.signalling import Signalling
from streamapp.settings import Settings
from streamapp.workers.link import Link
from streamapp.workers.messages import (
    Begin,
    Begun,
    Kept,
    LookAgain,
    Named,
    Noticed,
    RejectTrack,
    Request,
    Search,
    Seen,
    Settle,
    TakeCensus,
    TakeShots,
    Told,
)

_log = logging.getLogger(__name__)


class RemoteIdentification(Identification):
    """The gallery of the server: names are known here; faces are searched in a copy of it, or there if there is
    none."""

    def __init__(self, replica: GalleryReplica) -> None:
        super().__init__(None, None)
        self.replica = replica
        self.link: Link | None = None
        self._names: dict[UUID, str] = {}
        self._version: int | None = None
        self._erasure_watchers: list[Callable[[UUID], None]] = []
        self._enrolment_watchers: list[Callable[[], None]] = []

    @property
    def is_open(self) -> bool:
        return self._version is not None

    @property
    def version(self) -> int | None:
        return self._version

    @property
    def copy_version(self) -> int | None:
        return self.replica.version

    def name_of(self, person_id: UUID) -> str | None:
        return self._names.get(person_id)

    async def search(self, probe: Mapping[str, Embedding]) -> SearchResult | None:
        if self.link is None or self._version is None:
            return None
        try:
            found: SearchResult | None = await self.replica.search(probe, CANDIDATES, time.time())
            if found is None:
                found = await self.link.ask(Search(probe))
        except StreamappError as error:
            _log.warning("a face was not compared with anybody: %s", error)
            return None
        return found

    def note_seen(self, person_id: UUID) -> None:
        if self.link is not None:
            self.link.tell(Seen(person_id))

    def watch_erasures(self, watcher: Callable[[UUID], None]) -> None:
        self._erasure_watchers.append(watcher)

    def watch_enrolments(self, watcher: Callable[[], None]) -> None:
        self._enrolment_watchers.append(watcher)

    def hear(self, message: Begin | Named | LookAgain) -> None:
        """What the server says of its gallery."""
        self._version = message.version
        match message:
            case Begin(_, names, _):
                self._names = dict(names)
            case Named(person_id, None, _):
                self._names.pop(person_id, None)
                for forget in self._erasure_watchers:
                    forget(person_id)
            case Named(person_id, str() as name, _):
                self._names[person_id] = name
            case LookAgain():
                for look in self._enrolment_watchers:
                    look()


class Home:
    """Used on the event loop's thread, but for `read` and `write`."""

    def __init__(self, settings: Settings, replica: GalleryReplica) -> None:
        self.identification = RemoteIdentification(replica)
        self.begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._make_id = EventIds(time.time)
        self._streams: tuple[StreamRequest, ...] = ()
        self._census: LocalCensus | None = None
        self._tracks: SessionTracks | None = None

    @classmethod
    @asynccontextmanager
    async def reached(cls, settings: Settings, end: socket.socket) -> AsyncIterator[Home]:
        """Knows the server by one end of a socket, for the length of the block."""
        async with GalleryReplica.start() as replica:
            home = cls(settings, replica)
            async with Link.over(end, home._answer, home._hear) as home.identification.link:
                yield home

    def answer_for(self, runtime: Runtime, signalling: Signalling) -> None:
        """From now on the server is told how its streams are."""
        self._census = LocalCensus(runtime, signalling)
        self._tracks = SessionTracks(runtime.stream)

    @property
    def watch(self) -> Watch | None:
        """Makes who follows a stream and tells the server what happens; None if nobody wants to know."""
        return self._watcher if self._settings.events.enabled else None

    def _watcher(self, stream: str) -> StreamWatcher:
        return watcher_of(self._settings.events, stream, self._make_id, lambda event: self._tell(Noticed(event)))

    def say_begun(self) -> None:
        """The streams that the server named are there."""
        self._tell(Begun())

    # -- as a StreamKeeper ---------------------------------------------------------------------------------------------

    def read(self) -> list[StreamRequest]:
        return list(self._streams)

    def write(self, streams: Sequence[StreamRequest]) -> None:
        self._loop.call_soon_threadsafe(self._tell, Kept(tuple(streams)))

    # -- the link ------------------------------------------------------------------------------------------------------

    def _tell(self, message: Told) -> None:
        if self.identification.link is not None:
            self.identification.link.tell(message)

    def _hear(self, message: Told) -> None:
        if isinstance(message, Begin | Named | LookAgain):
            self.identification.hear(message)
        if isinstance(message, Copied | Updated):
            self.identification.replica.hear(message)
        if isinstance(message, Begin):
            self._streams = message.streams
            self.begun.set()

    async def _answer(self, request: Request) -> object:
        """Raises StreamappError."""
        if isinstance(request, Settle):
            await self.identification.replica.settled()
            return None
        if self._census is None or self._tracks is None:
            raise Overloaded("the worker is starting", retry_after_s=1)
        match request:
            case TakeCensus():
                return await self._census.census()
            case TakeShots(stream, track_id):
                return await self._tracks.shots(stream, track_id)
            case RejectTrack(stream, track_id, person_id):
                return await self._tracks.reject(stream, track_id, person_id)
            case Search():
                raise Overloaded("the gallery is in the server's process", retry_after_s=1)
