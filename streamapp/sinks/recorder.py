"""Records what one sees, overlay burnt in, as fragmented MP4 that plays even after the process was killed.

Each fragment starts with an I-frame and is flushed when complete (ISO/IEC 14496-12 section 8.8), so a cut loses at most
one. A change of the picture's size goes on in a further file, NAME-2.mp4: players do not follow it inside one.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamapp.errors import RecordingFailed, UsageError
from streamapp.sections import RecordingSettings
from streamapp.sinks.base import Inbox, Output
from streamapp.sinks.overlay import OverlayPainter

_log = logging.getLogger(__name__)
_TIME_BASE = Fraction(1, 90_000)
_CONTAINER_OPTIONS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}


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
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._first_pts_s = 0.0
        self._segment_start_s = 0.0

    def write(self, output: Output) -> None:
        try:
            self._write(output)
        except (av.error.FFmpegError, OSError) as error:
            self.close()
            raise RecordingFailed(f"recording to {self._path} stopped: {error}") from error

    def close(self) -> None:
        """Finalises the current file. Idempotent."""
        container, stream = self._container, self._stream
        self._container = self._stream = None
        if container is None or stream is None:
            return
        try:
            container.mux(stream.encode(None))
            container.close()
        except (av.error.FFmpegError, OSError) as error:
            _log.warning("the end of %s could not be written: %s", self._paths[-1], error)

    def _write(self, output: Output) -> None:
        picture = self._painter.paint(output)
        pts_s = output.frame.pts_s
        if self._stream is None or (self._stream.width, self._stream.height) != (picture.width, picture.height):
            self.close()
            self._open(picture.width, picture.height, pts_s)
        assert self._stream is not None
        assert self._container is not None
        starts_segment = pts_s - self._segment_start_s >= self._settings.segment_s or pts_s == self._first_pts_s
        if starts_segment:
            self._segment_start_s = pts_s
            self._check_free_space()
        picture.pict_type = PictureType.I if starts_segment else PictureType.NONE
        picture.pts = round((pts_s - self._first_pts_s) / _TIME_BASE)
        picture.time_base = _TIME_BASE
        self._container.mux(self._stream.encode(picture))

    def _open(self, width: int, height: int, pts_s: float) -> None:
        part = len(self._paths) + 1
        path = self._path if part == 1 else self._path.with_stem(f"{self._path.stem}-{part}")
        self._container = av.open(str(path), "w", format="mp4", options=_CONTAINER_OPTIONS)
        self._paths.append(path)
        # zerolatency keeps no pictures back in the encoder, so a cut loses none but the open fragment
        options = {"preset": "superfast", "tune": "zerolatency", "crf": str(self._settings.crf), "forced-idr": "1"}
        self._stream = self._container.add_stream("libx264", rate=30, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = _TIME_BASE
        self._stream.codec_context.gop_size = 10_000  # I-frames are placed by hand, one per segment
        self._first_pts_s = self._segment_start_s = pts_s

    def _check_free_space(self) -> None:
        free_bytes = self._free_bytes(self._path.parent)
        if free_bytes < self._settings.min_free_bytes:
            raise OSError(
                f"only {free_bytes // 1_000_000} MB are free, {self._settings.min_free_bytes // 1_000_000} are kept"
            )
