"""The whole app without a face: settings, models, the streams at work, and how they are opened and closed."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from uuid import UUID

from streamapp.errors import Conflict, NotFound, Overloaded, StreamappError, UsageError
from streamapp.events.event_log import EventLog
from streamapp.events.watcher import StreamWatcher
from streamapp.faces import Mode
from streamapp.models import Models
from streamapp.pipeline.lookout import for_lookout
from streamapp.pipeline.session import StreamSession
from streamapp.recording.recordings import Recordings
from streamapp.results import DropReason
from streamapp.settings import Settings
from streamapp.sources.base import FrameNumbering, Source
from streamapp.zoo.base import FaceScreener
from streamapp.zoo.registry import open_screener

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}")
CLOSE_TIMEOUT_S = 8.0

Watch = Callable[[str], StreamWatcher]


class Runtime:
    """Owns every stream of this process, in one TaskGroup, and the scheduler that runs their models."""

    def __init__(
        self,
        settings: Settings,
        group: asyncio.TaskGroup,
        models: Models,
        make_screener: Callable[[], FaceScreener] | None = None,
        events: EventLog | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.settings = settings
        self.events = events
        """What happens on the streams; None where nobody wants to know, or it is kept elsewhere."""
        self._watch = events.watcher if events is not None else watch
        self.started_at = time.time()
        self.models = models
        self.recordings = Recordings(settings.recording)
        self._group = group
        self.make_screener = make_screener or (lambda: open_screener(settings))
        """What every stream loads for itself."""
        self._beside: set[asyncio.Task[None]] = set()
        self._make_lookout = make_screener or (lambda: open_screener(for_lookout(settings)))
        self._streams: dict[str, StreamSession] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reserved: set[str] = set()
        """Names of streams that are being replaced."""
        self._closed_frames = 0
        self._closed_dropped: Counter[DropReason] = Counter()
        self._closed_keyframes: Counter[str] = Counter()

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        settings: Settings,
        make_screener: Callable[[], FaceScreener] | None = None,
        *,
        with_events: bool = False,
        at_work: AbstractAsyncContextManager[Models] | None = None,
        watch: Watch | None = None,
    ) -> AsyncIterator[Runtime]:
        """Runs the app for the length of the block; closes every stream at its end. at_work: its models, if not those
        of the settings; watch: makes who follows a new stream, where events are kept elsewhere. Raises ManifestInvalid,
        and with events also EventStoreUnusable."""
        async with at_work or Models.start(settings) as models, AsyncExitStack() as kept, asyncio.TaskGroup() as group:
            events = None
            if with_events and settings.events.enabled:
                events = await kept.enter_async_context(EventLog.start(settings.events, models.name_of))
                if models.identification.is_open:
                    await events.forget_others(lambda person_id: models.name_of(person_id) is not None)
            runtime = cls(settings, group, models, make_screener, events, watch)
            models.identification.watch_erasures(runtime.forget)
            models.identification.watch_enrolments(runtime.look_again)
            try:
                yield runtime
            finally:
                await runtime.close()

    @property
    def streams(self) -> Mapping[str, StreamSession]:
        return MappingProxyType(self._streams)

    @property
    def added_total(self) -> int:
        """Streams that somebody added and that are there, those being replaced included."""
        return sum(session.added for session in self._streams.values()) + len(self._reserved)

    @property
    def frames_total(self) -> int:
        """Results published since the start, streams that are gone included."""
        return self._closed_frames + sum(session.frames for session in self._streams.values())

    @property
    def dropped_total(self) -> Counter[DropReason]:
        """Pictures dropped since the start, streams that are gone included."""
        return sum((session.dropped for session in self._streams.values()), self._closed_dropped)

    @property
    def keyframes_total(self) -> Counter[str]:
        """Frames escalated since the start, by reason, streams that are gone included."""
        escalators = [session.escalator for session in self._streams.values() if session.escalator]
        return sum((escalator.keyframes for escalator in escalators), self._closed_keyframes)

    def look_again(self) -> None:
        """Somebody was enrolled in the gallery: faces that have no name are compared anew."""
        for session in self._streams.values():
            if session.escalator is not None:
                session.escalator.board.look_again()

    def forget(self, person_id: UUID) -> None:
        """Somebody was erased from the gallery: no stream and no event names them any more."""
        for session in self._streams.values():
            session.forget(person_id)
        if self.events is not None:
            self.events.forget(person_id)

    def open_stream(
        self,
        name: str,
        make_source: Callable[[FrameNumbering], Source],
        *,
        mode: Mode | None = None,
        description: str = "",
        added: bool = False,
        private: bool = False,
        max_frames: int | None = None,
        lossless: bool = False,
    ) -> StreamSession:
        """Starts a stream. private: also if that is not the settings' default. Raises UsageError for a bad name,
        Conflict for a taken one, Overloaded at the limit."""
        if not _NAME.fullmatch(name):
            raise UsageError(f"stream names are 1 to 64 letters, digits, '-' and '_', not {name[:80]!r}")
        if name in self._streams or name in self._reserved:
            raise Conflict(f"a stream named {name} exists; choose another name or delete it first")
        limit = self.settings.server.max_streams + self.settings.webrtc.max_sessions
        if len(self._streams) >= limit:
            raise Overloaded(f"all {limit} streams are in use; delete one first", retry_after_s=10)
        session = StreamSession(
            name,
            make_source,
            mode=mode or self.settings.pipeline.mode,
            settings=self.settings,
            make_screener=self.make_screener,
            models=self.models,
            description=description,
            added=added,
            make_lookout=self._make_lookout if private or self.settings.privacy.blur_unknown else None,
            max_frames=max_frames,
            lossless=lossless,
        )
        if self._watch is not None:
            watcher = self._watch(name)
            session.attach(watcher)
            session.watch_status(watcher.on_status)
        self._streams[name] = session
        self._tasks[name] = self._group.create_task(self._run(session), name=f"stream:{name}")
        return session

    async def replace_stream(self, name: str, new_name: str, start: Callable[[], StreamSession]) -> StreamSession:
        """Ends a stream that was added and has `start` open another in its place, as `new_name`; nobody else gets the
        name or the place in between. Raises NotFound, Conflict if the new name is another stream's (then nothing has
        changed), and what `start` raises."""
        self.stream(name)
        if new_name != name and (new_name in self._streams or new_name in self._reserved):
            raise Conflict(f"a stream named {new_name} exists; choose another name or delete it first")
        self._reserved.add(new_name)
        try:
            await self.close_stream(name)
        finally:
            self._reserved.remove(new_name)
        return start()

    def stream(self, name: str) -> StreamSession:
        """The stream of that name. Raises NotFound."""
        try:
            return self._streams[name]
        except KeyError:
            raise NotFound(f"there is no stream named {name[:80]!r}") from None

    async def wait_closed(self, name: str) -> StreamSession:
        """Waits until a stream has come to its end by itself. Raises NotFound."""
        session = self.stream(name)
        await asyncio.wait((self._tasks[name],))
        return session

    async def close_stream(self, name: str) -> None:
        """Ends and forgets a stream; returns once everything it owned is free. Raises NotFound."""
        session = self.stream(name)
        del self._streams[name]
        task = self._tasks.pop(name)
        await _finish(session, task)
        self._closed_frames += session.frames
        self._closed_dropped += session.dropped
        if session.escalator is not None:
            self._closed_keyframes += session.escalator.keyframes

    def begin(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Runs work beside the streams, until it is done, somebody cancels it or the app ends. It raises nothing."""
        task = self._group.create_task(work, name=name)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    async def close(self) -> None:
        """Ends every stream and what runs beside them, side by side."""
        for task in tuple(self._beside):
            task.cancel()
        async with asyncio.TaskGroup() as group:
            for name in tuple(self._streams):
                group.create_task(self.close_stream(name))

    async def _run(self, session: StreamSession) -> None:
        try:
            await session.run()
        except StreamappError as error:
            session.fail(error)
            _log.info("stream %s failed: %s", session.name, error)
        except Exception as error:  # noqa: BLE001 - supervisor: whatever happens to one stream, the others go on
            session.fail(error)
            _log.exception("stream %s failed", session.name)


async def _finish(session: StreamSession, task: asyncio.Task[None]) -> None:
    stopping = asyncio.ensure_future(session.stop())
    await asyncio.wait((task,), timeout=CLOSE_TIMEOUT_S)
    if not task.done():
        _log.warning("stream %s did not finish in time and was cut off", session.name)
        task.cancel()
    await asyncio.wait((task,))
    stopping.cancel()
