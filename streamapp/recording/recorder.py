"""Records one stream: its coded pictures where the source hands them on, else frames coded here; and the results."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar
from uuid import uuid4

from streamapp.pipeline.fanout import EncodedFanout, EncodedSubscription
from streamapp.recording.entry import RecordingEntry, RecordingHeader
from streamapp.recording.parts import CONTAINERS
from streamapp.recording.writer import RecordingEnded, RecordingWriter, Taken
from streamapp.results import FrameResult
from streamapp.sections import RecordingSettings
from streamapp.sinks.base import Inbox
from streamapp.sources.base import EncodedPicture

_log = logging.getLogger(__name__)
T = TypeVar("T")

WRITE_INTERVAL_S = 0.2
MAX_CODED = 300
"""Coded pictures waiting for the disk: ten seconds' worth."""
MAX_RESULTS = 300
MAX_FRAMES = 8
"""Frames waiting to be coded."""


class RecordedStream(Protocol):
    """What a recording needs of a stream besides its results."""

    @property
    def encoded(self) -> EncodedFanout: ...


class StreamRecorder:
    """A sink that takes everything at once and writes it on a thread of its own, a few times a second. A recording
    longer than `max_seconds` goes on in a new one at the next I-frame."""

    def __init__(
        self,
        stream: RecordedStream,
        header: RecordingHeader,
        settings: RecordingSettings,
        make_writer: Callable[[RecordingHeader], RecordingWriter],
        on_end: Callable[[RecordingEntry], None],
    ) -> None:
        """make_writer: blocks; raises RecordingEnded. on_end: told of each recording that ends."""
        self._stream = stream
        self._header = header
        self._settings = settings
        self._make_writer = make_writer
        self._on_end = on_end
        self._writer: RecordingWriter | None = None
        self._taken: deque[Taken] = deque()
        self._coded: EncodedSubscription | None = None
        self._size = 0, 0
        self._dropped = 0
        self._drops_before = 0
        self._ending = False
        self._wake = asyncio.Event()
        self._opened = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recording")
        self.entry: RecordingEntry | None = None
        """The recording as of the last writing."""

    @property
    def lossless(self) -> bool:
        """The pump waits for it, which takes no time: everything is taken at once."""
        return True

    async def open(self) -> RecordingEntry:
        """Takes the stream's coded pictures from now on, and makes the recording's folder. Raises RecordingEnded; `run`
        then returns."""
        self._coded = self._stream.encoded.subscribe(MAX_CODED)
        try:
            self._writer = await self._on_thread(partial(self._make_writer, self._header))
        except RecordingEnded:
            self._coded.close()
            self._thread.shutdown(wait=False)
            raise
        finally:
            self._opened.set()
        self.entry = self._writer.entry
        return self.entry

    def end(self) -> None:
        """Ends the recording; `run` then finalises it and returns."""
        self._ending = True
        self._wake.set()

    async def run(self, inbox: Inbox) -> None:
        """Returns when the stream or the recording has ended, for whatever reason: `entry` says which. Results
        are taken from the first one on, also while the recording is being opened."""
        taking = asyncio.ensure_future(self._take(inbox))
        taking.add_done_callback(lambda _: self.end())
        try:
            await self._opened.wait()
            while self._writer is not None and not self._ending:
                await self._write()
                await self._pause()
            if self._writer is not None:
                await self._write()
                await self._on_thread(self._finish)
        except RecordingEnded as ended:
            _log.warning("stream %s is not recorded any more: %s", self._header.stream, ended)
        finally:
            taking.cancel()
            if self._coded is not None:
                self._coded.close()
            if self._writer is not None:
                self._thread.submit(self._finish)  # of effect only if this task was cancelled
                self.entry = self._writer.entry
                self._on_end(self.entry)
            self._thread.shutdown(wait=False)

    # -- on the event loop ---------------------------------------------------------------------------------------------

    async def _take(self, inbox: Inbox) -> None:
        while (output := await inbox.get()) is not None:
            frame = output.frame
            self._size = frame.width, frame.height
            is_coded = frame.codec in CONTAINERS
            if not is_coded and self._coded is not None:
                self._coded.close()
                self._coded = None
            if len(self._taken) >= (MAX_RESULTS if is_coded else MAX_FRAMES):
                self._taken.popleft()
                self._dropped += 1
            self._taken.append(Taken(output.result, None if is_coded else frame))
            if not is_coded:
                self._wake.set()

    async def _pause(self) -> None:
        """Until the next writing is due: at once if there is a frame to be coded."""
        try:
            async with asyncio.timeout(WRITE_INTERVAL_S):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _write(self) -> None:
        taken = tuple(self._taken)
        self._taken.clear()
        size_known = self._size != (0, 0)  # files of some codecs begin with it
        coded = self._coded.take_all() if self._coded is not None and size_known else []
        if coded and self._coded is not None and self._drops_before == 0:
            self._drops_before = self._coded.drops  # before the first I-frame nothing was lost
        await self._on_thread(partial(self._write_now, coded, taken))
        if self._is_long_enough and self._coded is not None:
            self._coded.iframe_wanted = True

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @property
    def _is_long_enough(self) -> bool:
        return self.entry is not None and self.entry.seconds >= self._settings.max_seconds

    # -- on the thread -------------------------------------------------------------------------------------------------

    def _write_now(self, coded: list[EncodedPicture], taken: tuple[Taken, ...]) -> None:
        assert self._writer is not None
        begins = None
        if self._is_long_enough:
            begins = next((index for index, picture in enumerate(coded) if picture.is_iframe), None)
        if begins is not None:
            self._writer.write(coded[:begins], taken, self._size)
            self._go_on_in_a_new_one(coded[begins:])
        else:
            if self._is_long_enough and taken and taken[0].frame is not None:
                self._go_on_in_a_new_one([])
            self._writer.write(coded, taken, self._size)
        self.entry = self._writer.entry

    def _go_on_in_a_new_one(self, coded: list[EncodedPicture]) -> None:
        assert self._writer is not None
        left = self._finish()
        self._on_end(self._writer.entry)
        header = self._header.model_copy(update={"id": uuid4(), "started_at": time.time()})
        self._writer = self._make_writer(header)
        self._writer.write(coded, [Taken(result, None) for result in left], self._size)

    def _finish(self) -> tuple[FrameResult, ...]:
        assert self._writer is not None
        lost = self._dropped + (self._coded.drops - self._drops_before if self._coded is not None else 0)
        return self._writer.finish(dropped=lost)
