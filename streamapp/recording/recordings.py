"""All recordings of this process: begun and ended per stream, kept for as long as the settings say."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from weakref import WeakKeyDictionary

from streamapp.errors import Conflict, NotFound
from streamapp.pipeline.fanout import Attachment, EncodedFanout
from streamapp.recording.entry import RecordingEntry, RecordingHeader, RecordingState
from streamapp.recording.library import RecordingLibrary
from streamapp.recording.recorder import StreamRecorder
from streamapp.recording.retention import Ages, expired
from streamapp.recording.writer import RecordingWriter
from streamapp.sections import RecordingSettings
from streamapp.sinks.base import Sink

_log = logging.getLogger(__name__)

RETENTION_INTERVAL_S = 60.0


class RecordableStream(Protocol):
    """What of a stream recordings use."""

    name: str
    encoded: EncodedFanout

    def attach(self, sink: Sink) -> Attachment: ...


@dataclass(slots=True)
class _Recorded:
    recorder: StreamRecorder
    attachment: Attachment

    @property
    def is_on(self) -> bool:
        return not self.attachment.inbox.closed


@dataclass(slots=True)
class RecordingFigures:
    """Counts since the start."""

    ended: Counter[RecordingState] = field(default_factory=Counter)
    removed: int = 0
    """By the retention job."""
    kept_bytes: int = 0
    """On disk, as of the retention job's last look."""


class Recordings:
    """Used on the event loop's thread. Nothing is recorded unless `start` was called for that stream."""

    def __init__(
        self,
        settings: RecordingSettings,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self.figures = RecordingFigures()
        self._settings = settings
        self._free_bytes = free_bytes
        self._library = RecordingLibrary(settings.dir, min_free_bytes=settings.min_free_bytes)
        self._ages = Ages(wall, monotonic)
        self._streams: WeakKeyDictionary[RecordableStream, _Recorded] = WeakKeyDictionary()
        self._elsewhere: Callable[[], Mapping[str, RecordingEntry]] = dict

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Puts in order what a killed process left, and lets go what is too old or too much, for the length of the
        block."""
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._keep(), name="recordings")
            try:
                yield
            finally:
                keeping.cancel()

    # -- per stream ----------------------------------------------------------------------------------------------------

    async def start(self, stream: RecordableStream, header: RecordingHeader) -> RecordingEntry:
        """Begins to record a stream. Raises Conflict if it is recorded already, RecordingFailed if the disk is full."""
        if self.is_on(stream):
            raise Conflict(f"stream {stream.name} is being recorded already")
        recorder = StreamRecorder(stream, header, self._settings, self._new_writer, self._on_end)
        self._streams[stream] = _Recorded(recorder, stream.attach(recorder))
        try:
            return await recorder.open()
        except BaseException:
            del self._streams[stream]
            raise

    async def stop(self, stream: RecordableStream) -> RecordingEntry:
        """Ends a stream's recording; returns once it is whole. Raises NotFound if it is not being recorded."""
        recorded = self._streams.get(stream)
        if recorded is None or not recorded.is_on:
            raise NotFound(f"stream {stream.name} is not being recorded")
        recorded.recorder.end()
        await recorded.attachment.wait()
        if recorded.recorder.entry is None:
            raise NotFound(f"the recording of stream {stream.name} could not begin")
        return recorded.recorder.entry

    def is_on(self, stream: RecordableStream) -> bool:
        recorded = self._streams.get(stream)
        return recorded is not None and recorded.is_on

    def of(self, stream: RecordableStream) -> RecordingEntry | None:
        """The stream's recording if it is on, or ended because it could not go on; else None."""
        recorded = self._streams.get(stream)
        entry = None if recorded is None else recorded.recorder.entry
        return None if entry is None or entry.state is RecordingState.COMPLETE else entry

    @property
    def active(self) -> dict[str, RecordingEntry]:
        """What is being written, by id."""
        entries = [recorded.recorder.entry for recorded in self._streams.values() if recorded.is_on]
        return {str(entry.id): entry for entry in entries if entry is not None}

    def watch_elsewhere(self, active: Callable[[], Mapping[str, RecordingEntry]]) -> None:
        """active: says what other processes of this app are writing, by id."""
        self._elsewhere = active

    # -- on disk -------------------------------------------------------------------------------------------------------

    async def entries(self) -> list[RecordingEntry]:
        """Every recording, newest first."""
        return [self._as_of_now(entry) for entry in await asyncio.to_thread(self._library.entries)]

    async def entry(self, recording: str) -> RecordingEntry:
        """Raises NotFound."""
        return self._as_of_now(await asyncio.to_thread(self._library.entry, recording))

    async def video(self, recording: str, part: int) -> tuple[Path, str]:
        """A video file and its media type. Raises NotFound, Conflict while it is being written."""
        await self._refuse_active(recording)
        path, _ = await asyncio.to_thread(self._library.video, recording, part)
        return path, f"video/{path.suffix[1:]}"

    async def results(self, recording: str) -> Path:
        """The results, JSON Lines. Raises NotFound, Conflict while they are being written."""
        await self._refuse_active(recording)
        return await asyncio.to_thread(self._library.results, recording)

    async def delete(self, recording: str) -> None:
        """Removes a recording. Raises NotFound, Conflict while it is being written."""
        await self._refuse_active(recording)
        await asyncio.to_thread(self._library.delete, recording)

    async def retain(self) -> list[RecordingEntry]:
        """Removes what is too old or too much, once; returns what went."""
        going = expired(entries := await self.entries(), self._ages, self._settings)
        removed = []
        for entry in going:
            try:
                await self.delete(str(entry.id))
            except (NotFound, Conflict):  # somebody was faster
                continue
            except OSError as error:
                _log.warning("recording %s cannot be removed: %s", entry.id, error)
                continue
            removed.append(entry)
            _log.info("recording %s of stream %s removed: too old or too much", entry.id, entry.stream)
        self.figures.removed += len(removed)
        self.figures.kept_bytes = sum(entry.bytes for entry in entries) - sum(entry.bytes for entry in removed)
        return removed

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        adopted: int | None = None
        while True:
            try:
                if adopted is None:
                    adopted = await asyncio.to_thread(self._library.adopt)
                    _log.info("%d recordings that were cut off have been completed", adopted)
                await self.retain()
            except OSError as error:
                _log.warning("recordings cannot be looked through: %s", error)
            await asyncio.sleep(RETENTION_INTERVAL_S)

    def _new_writer(self, header: RecordingHeader) -> RecordingWriter:
        return RecordingWriter(self._settings.dir, header, self._settings, self._free_bytes)

    def _on_end(self, entry: RecordingEntry) -> None:
        self.figures.ended[entry.state] += 1

    def _as_of_now(self, entry: RecordingEntry) -> RecordingEntry:
        return self.active.get(str(entry.id)) or self._elsewhere().get(str(entry.id), entry)

    async def _refuse_active(self, recording: str) -> None:
        if recording in self.active or await asyncio.to_thread(self._library.is_at_work, recording):
            raise Conflict("it is being recorded; end the recording first")
