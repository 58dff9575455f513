"""One stream from its source to its sinks, and everything it owns.

    source --offer/deliver--> Mailbox --> FramePump --> Fanout --> one inbox per sink
                                              |--> Escalator: keyframes, models, board
    source --coded pictures-----------------------> EncodedFanout --> viewers that take them as they are

A session is the Outlet of its source. It owns one TaskGroup: the supervised source, the pump and the sinks live and
die in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable
from uuid import UUID

from streamapp.errors import StreamappError
from streamapp.faces import Mode
from streamapp.frame import Frame
from streamapp.log import redact
from streamapp.pipeline.escalation import Escalator
from streamapp.pipeline.examiner import Models
from streamapp.pipeline.fanout import Attachment, EncodedFanout, Fanout
from streamapp.pipeline.mailbox import Mailbox
from streamapp.pipeline.pump import FramePump
from streamapp.pipeline.schedule import Schedule
from streamapp.pipeline.stages import ScreeningStage
from streamapp.results import DropReason
from streamapp.settings import Settings
from streamapp.sinks.base import Output, Sink
from streamapp.sinks.veil import Veil
from streamapp.sources.base import EncodedPicture, FrameNumbering, Source, SourceState, SourceStatus
from streamapp.sources.supervise import supervise
from streamapp.zoo.base import FaceScreener

RATE_WINDOW = 60
"""Results over which the displayed rate is taken."""


class StreamSession:
    """A stream at work. Used on the event loop's thread only.

    make_source: builds the source anew for each connection. make_screener: loads the stream's own face screener.
    models: what deeper modes than FAST are done with. lossless: every frame waits for what is found in it. schedule: as
    in `Escalator`. make_lookout: makes the stream a private one: who is not enrolled is blurred in every picture that
    leaves it, and none leaves it as the source coded it. It loads a screener that had rather see a face too many.
    """

    def __init__(
        self,
        name: str,
        make_source: Callable[[FrameNumbering], Source],
        *,
        mode: Mode,
        settings: Settings,
        make_screener: Callable[[], FaceScreener],
        models: Models,
        description: str = "",
        added: bool = False,
        make_lookout: Callable[[], FaceScreener] | None = None,
        max_frames: int | None = None,
        lossless: bool = False,
        schedule: Schedule | None = None,
    ) -> None:
        self.name = name
        self.mode = mode
        self.description = description
        """What people see as the source: its address without secrets."""
        self.added = added
        """Whether somebody added it by name, rather than a browser publishing it."""
        self.private = make_lookout is not None
        self.status = SourceStatus(SourceState.CONNECTING, since=time.time())
        self.error: Exception | None = None
        """What ended the stream, if not its source."""
        self.latest: Output | None = None
        self.encoded = EncodedFanout()
        self.dropped: Counter[DropReason] = Counter()
        """Frames. Jobs are counted by `escalator`."""
        self.frames = 0
        """Results published so far."""
        self._make_source = make_source
        self._max_frames = max_frames
        self._settings = settings
        self._numbering = FrameNumbering(name)
        self._mailbox: Mailbox[Frame] = Mailbox(on_drop=lambda _: self.count_drop(DropReason.STALE))
        self._fanout = Fanout()
        self._models = models
        self.escalator: Escalator | None = None
        if mode is not Mode.FAST:
            self.escalator = Escalator(name, mode, models, lossless=lossless, schedule=schedule)
        stage = ScreeningStage(make_screener, settings.pipeline, mode, make_lookout)
        veil = Veil() if self.private else None
        self._pump = FramePump(stage, mode, self.dropped, self._publish, self.escalator, veil)
        self._group: asyncio.TaskGroup | None = None
        self._pending: list[Attachment] = []
        self._stop = asyncio.Event()
        self._finished = asyncio.Event()
        self._result_times_s: deque[float] = deque(maxlen=RATE_WINDOW)
        self._status_watchers: list[Callable[[SourceStatus], None]] = []

    # -- what others see and do ---------------------------------------------------------------------------------------

    @property
    def sinks(self) -> tuple[Attachment, ...]:
        return self._fanout.attachments

    @property
    def fps(self) -> float:
        """Results per second, over the last ones; 0 when none came for two seconds."""
        times = self._result_times_s
        if len(times) < 2 or time.monotonic() - times[-1] > 2.0 or times[-1] == times[0]:
            return 0.0
        return (len(times) - 1) / (times[-1] - times[0])

    def attach(self, sink: Sink) -> Attachment:
        """Starts a sink on this stream, or as soon as it runs. Once the stream is over, nothing is started."""
        attachment = Attachment(sink)
        if self._finished.is_set():
            attachment.abandon()
            return attachment
        self._fanout.add(attachment)
        if self._group is None:
            self._pending.append(attachment)
        else:
            self._group.create_task(attachment.run(), name=f"{self.name}:{type(sink).__name__}")
        return attachment

    def watch_status(self, watcher: Callable[[SourceStatus], None]) -> Callable[[], None]:
        """Calls `watcher` on every change of the source's state; the returned function ends that."""
        self._status_watchers.append(watcher)
        return lambda: self._status_watchers.remove(watcher)

    async def run(self) -> None:
        """Runs the stream until its source ends for good or `stop` is called; then lets the sinks finalise.

        Raises what the pump raised (ModelError), as itself, and ModelMissing if the mode needs what is not installed. A
        lost source raises nothing: see `status`.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for attachment in self._pending:
                    group.create_task(attachment.run(), name=f"{self.name}:{type(attachment.sink).__name__}")
                self._pending.clear()
                group.create_task(self._run_pump(), name=f"{self.name}:pump")
                await self._run_source()
                self._mailbox.close()
        except* Exception as errors:  # noqa: BLE001 - unwraps the group, hides nothing
            first: BaseException = errors
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None
        finally:
            self._finished.set()
            self._mailbox.close()
            self._fanout.close()
            self.encoded.close()

    def request_stop(self) -> None:
        """Ends the stream cleanly: no more frames, what was taken is finished, files are finalised."""
        self._stop.set()

    async def stop(self) -> None:
        """As `request_stop`, and waits until all of that has happened."""
        self.request_stop()
        if self._group is not None:
            await self._finished.wait()

    def forget(self, person_id: UUID) -> None:
        """Somebody was erased from the gallery: they are not named any more nor, on a private stream, shown: not even
        in the newest picture."""
        if self.escalator is not None:
            self.escalator.board.forget(person_id)
        if self.private:
            self.latest = None

    def fail(self, error: Exception) -> None:
        """Shows an error that ended the stream."""
        self.error = error
        code = error.code if isinstance(error, StreamappError) else StreamappError.code
        self._on_status(SourceStatus(SourceState.FAILED, since=time.time(), code=code, reason=redact(str(error))))

    # -- Outlet: what the source calls --------------------------------------------------------------------------------

    def offer(self, frame: Frame) -> None:
        self._mailbox.offer(frame)

    async def deliver(self, frame: Frame) -> None:
        await self._mailbox.deliver(frame)

    def count_drop(self, reason: DropReason, count: int = 1) -> None:
        self.dropped[reason] += count

    def connected(self) -> None:
        """Nothing to do here: the supervisor reports it as a state."""

    @property
    def wants_encoded(self) -> bool:
        return self.encoded.wanted and not self.private

    @property
    def wants_iframe(self) -> bool:
        return self.encoded.iframe_wanted and not self.private

    def offer_encoded(self, picture: EncodedPicture) -> None:
        if not self.private:
            self.encoded.offer(picture)

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _run_source(self) -> None:
        source = asyncio.ensure_future(
            supervise(
                lambda: self._make_source(self._numbering),
                self,
                self._numbering,
                self._settings.sources,
                self._on_status,
            )
        )
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((source, stop), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            source.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await source

    async def _run_pump(self) -> None:
        if self.mode is not Mode.FAST:  # the screener says by itself what it lacks
            await self._models.require(self.mode)
        async with asyncio.TaskGroup() as group:
            escalation = group.create_task(self.escalator.run()) if self.escalator else None
            await self._pump.run(self._mailbox, self._max_frames)
            if escalation is not None:
                escalation.cancel()
        self._stop.set()
        self._fanout.close()
        self.encoded.close()

    async def _publish(self, output: Output) -> None:
        self.latest = output
        self.frames += 1
        self._result_times_s.append(time.monotonic())
        for track in output.result.tracks:
            identity = track.analyses.get("identity")
            if identity is not None and identity.person_id is not None:
                self._models.note_seen(identity.person_id)
        await self._fanout.publish(output)

    def _on_status(self, status: SourceStatus) -> None:
        self.status = status
        for watcher in tuple(self._status_watchers):
            watcher(status)
