"""One recording's files while it is being written. Owned by one thread."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av.error

from streamapp.errors import RecordingFailed
from streamapp.frame import Frame
from streamapp.recording.entry import RecordingEntry, RecordingHeader, RecordingState
from streamapp.recording.parts import CONTAINERS, EncodedPart, RemuxedPart, described
from streamapp.recording.repair import mended
from streamapp.recording.sidecar import SidecarWriter
from streamapp.recording.video_file import VideoFile
from streamapp.results import FrameResult
from streamapp.sections import RecordingSettings
from streamapp.sinks.recorder import check_free_space
from streamapp.sources.base import EncodedPicture

_log = logging.getLogger(__name__)

SYNC_INTERVAL_S = 1.0
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FreeBytes = Callable[[Path], int]


@dataclass(frozen=True, slots=True)
class Taken:
    """A result on its way to a recording. `frame`: its picture, if it has to be coded here."""

    result: FrameResult
    frame: Frame | None


class RecordingEnded(RecordingFailed):
    """A recording could not go on; `state` says how it ended."""

    def __init__(self, message: str, state: RecordingState) -> None:
        super().__init__(message)
        self.state = state


class RecordingWriter:
    """Writes video parts, results and the description of one recording into a folder of its own."""

    def __init__(self, root: Path, header: RecordingHeader, settings: RecordingSettings, free_bytes: FreeBytes) -> None:
        """Raises RecordingEnded if the disk is full or the folder cannot be made."""
        self.folder = root / str(header.id)
        self._header = header
        self._settings = settings
        self._free_bytes = free_bytes
        self._entry = RecordingEntry(
            id=header.id,
            stream=header.stream,
            source=header.source,
            mode=header.mode,
            privacy=header.privacy,
            started_at=header.started_at,
        )
        self._part: RemuxedPart | EncodedPart | None = None
        self._closed_bytes = 0
        self._checked_s = time.monotonic()
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_free_space(free_bytes(root), settings)
            hidden = root / f".{header.id}.new"  # until it is locked, it would look like one that was cut off
            hidden.mkdir(mode=0o700)
            self._sidecar = SidecarWriter(hidden)
            hidden.rename(self.folder)
            self._entry.save(self.folder)
        except OSError as error:
            raise _ended(error) from error

    @property
    def entry(self) -> RecordingEntry:
        """As of now."""
        if self._entry.ended_at is not None:
            return self._entry
        parts = self._entry.parts if self._part is None else (*self._entry.parts, described(self._part))
        part_bytes = 0 if self._part is None else self._part.file.size
        size = self._closed_bytes + part_bytes + self._sidecar.size
        return self._entry.model_copy(update={"parts": parts, "bytes": size, "results": self._sidecar.lines})

    def write(self, pictures: Sequence[EncodedPicture], taken: Sequence[Taken], size: tuple[int, int]) -> None:
        """Takes coded pictures and results; `size` is that of the stream's frames. Raises RecordingEnded after having
        ended the recording; what was written plays."""
        try:
            for picture in pictures:
                self._write_coded(picture, size)
            for item in taken:
                if item.frame is not None:
                    self._write_frame(item.frame)
                self._sidecar.add_result(item.result)
            self._sidecar.write()
            is_due = self._keep_files()
        except (av.error.FFmpegError, OSError) as error:
            ended = _ended(error)
            self._give_up(ended)
            raise ended from error
        try:
            if is_due:
                check_free_space(self._free_bytes(self.folder), self._settings)
        except OSError as error:
            ended = _ended(error)
            self.finish(ended.state, str(ended))
            raise ended from error

    def finish(
        self, state: RecordingState = RecordingState.COMPLETE, reason: str | None = None, dropped: int = 0
    ) -> tuple[FrameResult, ...]:
        """Finalises everything; returns results without a picture yet. Idempotent. Never raises: an end that cannot be
        written is one like after a kill."""
        left: tuple[FrameResult, ...] = ()
        try:
            self._close_part()
            left = self._sidecar.close()
        except (av.error.FFmpegError, OSError) as error:
            self._give_up(_ended(error))
        if self._entry.ended_at is None:
            self._save(state, reason, dropped)
        return left

    # -- inside --------------------------------------------------------------------------------------------------------

    def _write_coded(self, picture: EncodedPicture, size: tuple[int, int]) -> None:
        part = self._part
        if not isinstance(part, RemuxedPart) or not part.goes_on_with(picture):
            if not picture.is_iframe or picture.codec not in CONTAINERS:
                return  # the I-frame that begins the next part is still to come
            part = RemuxedPart(self._next_file(CONTAINERS[picture.codec]), picture, size, self._settings)
            self._begin(part)
        if part.write(picture):
            self._sidecar.add_picture(picture.pts_s)

    def _write_frame(self, frame: Frame) -> None:
        part = self._part
        if not isinstance(part, EncodedPart) or not part.goes_on_with(frame):
            part = EncodedPart(self._next_file("mp4"), frame, self._settings)
            self._begin(part)
        part.write(frame)
        self._sidecar.add_picture(frame.pts_s)

    def _next_file(self, ending: str) -> VideoFile:
        self._close_part()
        return VideoFile(self.folder / f"video-{len(self._entry.parts) + 1}.{ending}")

    def _begin(self, part: RemuxedPart | EncodedPart) -> None:
        self._part = part
        if not self._entry.parts:
            found = described(part).model_dump(include={"codec", "width", "height", "start_pts_s"})
            self._sidecar.begin(self._header.model_copy(update=found))
        self.entry.save(self.folder)

    def _close_part(self) -> None:
        part = self._part
        if part is None:
            return
        part.close()
        part.file.keep(sync=True)
        part.file.done()
        self._put_away(part)

    def _put_away(self, part: RemuxedPart | EncodedPart) -> None:
        self._part = None
        self._closed_bytes += part.file.size
        self._entry = self._entry.model_copy(update={"parts": (*self._entry.parts, described(part))})

    def _keep_files(self) -> bool:
        """Everything written so far is whole. True once a second, when the disk was made to take it."""
        now = time.monotonic()
        is_due = now - self._checked_s >= SYNC_INTERVAL_S
        if self._part is not None:
            self._part.file.keep(sync=is_due)
        if is_due:
            self._checked_s = now
            self._sidecar.sync()
        return is_due

    def _give_up(self, ended: RecordingEnded) -> None:
        """Ends the recording with what is whole."""
        part = self._part
        if part is not None:
            part.file.give_up()
            try:
                part.close()  # frees FFmpeg's part of it; nothing is written
            except (av.error.FFmpegError, OSError):
                _log.debug("FFmpeg could not end %s", part.file.path)
            part.file.done()
            self._put_away(part)
        try:
            self._sidecar.close()
        except OSError as error:
            _log.warning("the last results of %s could not be written: %s", self.folder, error)
        found = {"state": ended.state, "reason": str(ended), "ended_at": time.time()}
        self._entry = self.entry.model_copy(update=found)
        try:
            min_free_bytes = self._settings.min_free_bytes
            self._entry = mended(self.folder, self._entry, ended.state, str(ended), min_free_bytes=min_free_bytes)
            self._entry.save(self.folder)
        except (OSError, ValueError) as error:
            _log.warning("the end of %s could not be written down: %s", self.folder, error)

    def _save(self, state: RecordingState, reason: str | None, dropped: int) -> None:
        found = {"state": state, "reason": reason, "ended_at": time.time()}
        found |= {"dropped": dropped + self._sidecar.without_picture}
        self._entry = self.entry.model_copy(update=found)
        try:
            self._entry.save(self.folder)
        except OSError as error:
            _log.warning("the end of %s could not be written down: %s", self.folder, error)


def _ended(error: OSError | av.error.FFmpegError) -> RecordingEnded:
    full = error.errno in _DISK_FULL
    state = RecordingState.DISK_FULL if full else RecordingState.FAILED
    return RecordingEnded(f"the recording stopped: {error.strerror or error}", state)
