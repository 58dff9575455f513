"""Records what one sees, overlay burnt in, as fragmented MP4 that plays even after the process was killed.

A change of the picture's size goes on in a further file, NAME-2.mp4: players do not follow it inside one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av

from streamapp.errors import RecordingFailed, UsageError
from streamapp.sections import RecordingSettings
from streamapp.sinks.base import Inbox, Output
from streamapp.sinks.encoded_video import EncodedVideo
from streamapp.sinks.overlay import OverlayPainter

_log = logging.getLogger(__name__)


class Recorder:
    """Writes one stream to `path`. lossless: the pump waits for the encoder, for recordings made faster than live."""

    def __init__(
        self,
        path: Path,
        settings: RecordingSettings,
        *,
        lossless: bool = False,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        if path.suffix.lower() not in (".mp4", ".m4v"):
            raise UsageError(f"recordings are MP4: {path.name} should end in .mp4")
        if not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent} to record into; create it first")
        if path.exists():
            raise UsageError(f"{path} exists and is not overwritten; choose another name or remove it")
        self._path = path
        self._settings = settings
        self._lossless = lossless
        self._free_bytes = free_bytes
        self.paths: list[Path] = []
        """The files written, in order."""

    @property
    def lossless(self) -> bool:
        return self._lossless

    async def run(self, inbox: Inbox) -> None:
        """Raises RecordingFailed when the disk is full or the file cannot be written; what was written plays."""
        loop = asyncio.get_running_loop()
        writer = _Writer(self._path, self._settings, self._free_bytes, self.paths)
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="record")
        try:
            while (output := await inbox.get()) is not None:
                await loop.run_in_executor(thread, writer.write, output)
        finally:
            closing = loop.run_in_executor(thread, writer.close)
            thread.shutdown(wait=False)
            await asyncio.shield(closing)


class _Writer:
    """The files, on the recorder's own thread."""

    def __init__(
        self, path: Path, settings: RecordingSettings, free_bytes: Callable[[Path], int], paths: list[Path]
    ) -> None:
        self._path = path
        self._settings = settings
        self._free_bytes = free_bytes
        self._paths = paths
        self._painter = OverlayPainter()
        self._video: EncodedVideo | None = None
        self._checked_pts_s = float("-inf")

    def write(self, output: Output) -> None:
        try:
            self._write(output)
        except (av.error.FFmpegError, OSError) as error:
            self.close()
            raise RecordingFailed(f"recording to {self._path} stopped: {error}") from error

    def close(self) -> None:
        """Finalises the current file. Idempotent."""
        video, self._video = self._video, None
        if video is None:
            return
        try:
            video.close()
        except (av.error.FFmpegError, OSError) as error:
            _log.warning("the end of %s could not be written: %s", self._paths[-1], error)

    def _write(self, output: Output) -> None:
        picture = self._painter.paint(output)
        pts_s = output.frame.pts_s
        if self._video is None or (self._video.width, self._video.height) != (picture.width, picture.height):
            self.close()
            part = len(self._paths) + 1
            path = self._path if part == 1 else self._path.with_stem(f"{self._path.stem}-{part}")
            self._video = EncodedVideo(path, picture, pts_s, self._settings)
            self._paths.append(path)
            self._checked_pts_s = float("-inf")
        if pts_s - self._checked_pts_s >= self._settings.segment_s:
            self._checked_pts_s = pts_s
            check_free_space(self._free_bytes(self._path.parent), self._settings)
        self._video.write(picture, pts_s)


def check_free_space(free_bytes: int, settings: RecordingSettings) -> None:
    """Raises OSError (ENOSPC) if the disk has less than what is to be left free."""
    if free_bytes < settings.min_free_bytes:
        kept = settings.min_free_bytes // 1_000_000
        raise OSError(errno.ENOSPC, f"only {free_bytes // 1_000_000} MB are free, {kept} are kept")
