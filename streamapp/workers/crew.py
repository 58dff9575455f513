"""All workers, as the server sees them: who has which stream, how many of everything there are, and what they share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

import httpx

from streamapp.access.keyring import Grant
from streamapp.enrolment.live_tracks import TakenShots
from streamapp.errors import Conflict, NotFound, Overloaded, StreamappError
from streamapp.events.event import Event, EventIds
from streamapp.pipeline.shots import FaceShot
from streamapp.recording.entry import RecordingEntry
from streamapp.runtime import Runtime
from streamapp.server.census import Census, CensusTaker, merged
from streamapp.server.schemas import StreamRequest
from streamapp.server.stream_file import StreamFile
from streamapp.settings import Settings
from streamapp.workers.gallery_news import GalleryNews
from streamapp.workers.launcher import Launcher, Running
from streamapp.workers.member import Member
from streamapp.workers.messages import Begin, Kept, RejectTrack, Search, Seen, TakeShots, Told
from streamapp.workers.visits import WorkerVisits

_log = logging.getLogger(__name__)

RETRY_AFTER_S = 5


class Crew:
    """Used on the event loop's thread."""

    def __init__(self, runtime: Runtime, own: CensusTaker, file: StreamFile | None, launcher: Launcher) -> None:
        self._runtime = runtime
        self._settings: Settings = runtime.settings
        self._own = own
        self._file = file
        self._writing = asyncio.Lock()
        self._taken: set[str] = set()
        """Names of streams that are being added."""
        self._granted: dict[str, tuple[float, Callable[[], None]]] = {}
        """WebRTC sessions that end with a grant: since when, and what calls that off."""
        self._publishing = self._watching = 0
        """Offers that are being answered."""
        new_id = EventIds(lambda: 0.0) if runtime.events is None else runtime.events.new_id
        self.members = [
            Member(index, launcher, self, WorkerVisits(new_id)) for index in range(self._settings.server.workers)
        ]
        self._news = GalleryNews(runtime, self.members)

    @classmethod
    @asynccontextmanager
    async def start(
        cls, runtime: Runtime, own: CensusTaker, file: StreamFile | None, launcher: Launcher
    ) -> AsyncIterator[Crew]:
        """Has all workers up, for the length of the block, with the streams of the file. own: the census of this
        process; launcher: makes theirs. Raises what they cannot start for, and SettingsError for a bad file."""
        kept = [] if file is None else await asyncio.to_thread(file.read)
        crew = cls(runtime, own, file, launcher)
        for number, wanted in enumerate(kept):
            member = crew.members[number % len(crew.members)]
            member.streams += (wanted,)
        crew._news.follow()
        runtime.recordings.watch_elsewhere(crew.known_recording)
        try:
            started = await asyncio.gather(*(member.start() for member in crew.members), return_exceptions=True)
            for error in started:
                if error is not None:
                    raise error
            async with asyncio.TaskGroup() as group:
                lives = [group.create_task(member.live()) for member in crew.members]
                try:
                    await asyncio.gather(*(m.for_streams() for m in crew.members), return_exceptions=True)
                    yield crew
                finally:
                    for life in lives:
                        life.cancel()
        finally:
            await asyncio.gather(*(member.end() for member in crew.members))

    # -- how they are --------------------------------------------------------------------------------------------------

    async def census(self) -> Census:
        """Of all of them, and of this process."""
        began_s = time.monotonic()
        parts = await asyncio.gather(self._own.census(), *(member.census() for member in self.members))
        total = merged(parts)
        for session, (since_s, release) in tuple(self._granted.items()):
            if session not in total.sessions and since_s < began_s:
                del self._granted[session]
                release()
        return total

    def known_recording(self) -> Mapping[str, RecordingEntry]:
        """What workers are writing, as of a moment ago, by id."""
        return merged(member.known_census for member in self.members).recording

    async def renew(self) -> None:
        """Replaces every worker's process, one after the other, while the others go on."""
        for member in self.members:
            try:
                await member.renew()
            except StreamappError as error:
                _log.error("worker %d was not replaced: %s", member.index, error)
            else:
                _log.info("worker %d has been replaced", member.index)

    # -- who has what --------------------------------------------------------------------------------------------------

    async def owner(self, stream: str) -> Member:
        """Whose stream it is. Raises NotFound."""
        for member in self.members:
            if any(found.name == stream for found in member.known_census.streams):
                return member
        for member in self.members:
            if any(found.name == stream for found in (await member.census()).streams):
                return member
        raise NotFound(f"there is no stream named {stream[:80]!r}")

    async def session_owner(self, session: str) -> Member:
        """Whose WebRTC session it is. Raises NotFound."""
        for member in self.members:
            if session in (await member.census()).sessions:
                return member
        raise NotFound("there is no such session; it may have ended")

    @contextmanager
    def name_taken(self, name: str, now: Census) -> Iterator[None]:
        """Nobody else gets the name meanwhile. Raises Conflict."""
        if name in self._taken or any(stream.name == name for stream in now.streams):
            raise Conflict(f"a stream named {name} exists; choose another name or delete it first")
        self._taken.add(name)
        try:
            yield
        finally:
            self._taken.discard(name)

    @asynccontextmanager
    async def place_for_stream(self, name: str | None) -> AsyncIterator[Member]:
        """The worker that a new stream goes to; its place is held for the length of the block. Raises Conflict,
        Overloaded."""
        now = await self.census()
        limit = self._settings.server.max_streams
        if now.added + sum(member.pending for member in self.members) >= limit:
            raise Overloaded(f"{limit} streams are the limit (server.max_streams); delete one first", retry_after_s=10)
        with contextlib.ExitStack() as stack:
            if name is not None:
                stack.enter_context(self.name_taken(name, now))
            yield stack.enter_context(_adding(self._least_loaded()))

    @asynccontextmanager
    async def place_for_publisher(self, name: str | None) -> AsyncIterator[Member]:
        """As `place_for_stream`, for a browser's camera. name: that it had. Raises Conflict, Overloaded."""
        limit, now = self._settings.webrtc.max_sessions, await self.census()
        if now.publishers + self._publishing >= limit:
            raise Overloaded(f"all {limit} places for a publisher are taken", retry_after_s=RETRY_AFTER_S)
        self._publishing += 1
        try:
            with contextlib.ExitStack() as stack:
                if name is not None:
                    stack.enter_context(self.name_taken(name, now))
                yield stack.enter_context(_adding(self._least_loaded()))
        finally:
            self._publishing -= 1

    @asynccontextmanager
    async def place_for_viewer(self, stream: str) -> AsyncIterator[Member]:
        """The worker of a stream that somebody wants to watch. Raises NotFound, Overloaded."""
        member, limit = await self.owner(stream), self._settings.webrtc.max_viewers
        if (await self.census()).viewers + self._watching >= limit:
            raise Overloaded(f"all {limit} places for a viewer are taken", retry_after_s=RETRY_AFTER_S)
        self._watching += 1
        try:
            yield member
        finally:
            self._watching -= 1

    def for_picture(self) -> Member:
        """The worker that examines the next picture. Raises Overloaded."""
        limit = self._settings.server.max_image_requests
        if sum(member.pictures for member in self.members) >= limit:
            message = f"{limit} pictures are in hand, which is the limit (server.max_image_requests)"
            raise Overloaded(message, retry_after_s=1)
        return min(self.members, key=lambda member: member.pictures)

    def end_with(self, grant: Grant, location: str, running: Running) -> None:
        """Ends a WebRTC session, by its path, when the grant ends under which it was made."""

        def end() -> None:
            self._runtime.begin(_deleted(running, location), "session:end")

        session = location.rsplit("/", 1)[-1]
        self._granted[session] = (time.monotonic(), grant.on_end(end))

    def _least_loaded(self) -> Member:
        return min(self.members, key=lambda member: len(member.known_census.streams) + member.pending)

    # -- as LiveTracks -------------------------------------------------------------------------------------------------

    async def shots(self, stream: str, track_id: int) -> TakenShots:
        taken: TakenShots = await (await self.owner(stream)).ask(TakeShots(stream, track_id))
        return taken

    async def reject(self, stream: str, track_id: int, person_id: UUID) -> FaceShot | None:
        shot: FaceShot | None = await (await self.owner(stream)).ask(RejectTrack(stream, track_id, person_id))
        return shot

    # -- as Headquarters -----------------------------------------------------------------------------------------------

    def begin(self, streams: tuple[StreamRequest, ...]) -> Begin:
        return Begin(streams, self._news.names, self._news.version)

    async def hand_copy(self, tell: Callable[[Told], None]) -> None:
        await self._news.hand_copy(tell)

    async def answer(self, request: Search) -> object:
        return await self._runtime.models.search(request.probe)

    def publish(self, events: list[Event]) -> None:
        if self._runtime.events is not None:
            for event in events:
                self._runtime.events.publish(event)

    def hear(self, message: Told) -> None:
        match message:
            case Seen(person_id):
                self._runtime.models.note_seen(person_id)
            case Kept():
                self._runtime.begin(self._keep(), "streams:keep")

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        if self._file is None:
            return
        async with self._writing:
            await asyncio.to_thread(self._file.write, [kept for member in self.members for kept in member.streams])


async def _deleted(running: Running, location: str) -> None:
    with contextlib.suppress(httpx.HTTPError):  # then it is gone
        await running.http.delete(location)


@contextmanager
def _adding(member: Member) -> Iterator[Member]:
    member.pending += 1
    try:
        yield member
    finally:
        member.pending -= 1
