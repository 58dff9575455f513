"""Decodes one opened video stream: whole, upright pictures within the size limit, and a count of the others."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition

from streamapp.errors import SourceCodecUnsupported, SourceTooLarge
from streamapp.sources.rotation import Upright

_CODED_MARGIN_PIXELS = 1 << 20
"""FFmpeg counts whole blocks and padding, so its limit is above ours by a factor of two and this; ours is exact."""
_PRODUCER_REFERENCE_TIME = struct.Struct("<q")
_FALLBACK_FPS = 25


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture; `pts_s` is by the source's clock."""

    video: av.VideoFrame
    pts_s: float
    turned: bool


class PictureDecoder:
    """Owned by one thread. `shown` names the source in errors."""

    def __init__(self, container: InputContainer, shown: str, *, max_pixels: int, live: bool) -> None:
        """Raises SourceCodecUnsupported or SourceTooLarge."""
        self.stream = _video_stream(container, shown)
        self._shown = shown
        self._max_pixels = max_pixels
        self._live = live
        self._upright = Upright()
        self._last_pts_s: float | None = None
        self.sender_offset_s: float | None = None
        """What takes the source's clock to the sender's Unix time, where the sender says (RTCP sender reports)."""
        context = self.stream.codec_context
        self._check_size(context.width, context.height)
        context.options = {"max_pixels": str(2 * max_pixels + _CODED_MARGIN_PIXELS)}
        # Frame threads add a frame of delay each, which only a recording can bear.
        context.thread_type = "SLICE" if live else "AUTO"

    def decode(self, packet: av.Packet[av.VideoStream]) -> tuple[list[Picture], int]:
        """The whole pictures that came out, and how many did not. Raises SourceTooLarge, and av.error.MemoryError."""
        self._read_sender_clock(packet)
        try:
            videos = packet.decode()
        except av.error.MemoryError:  # the next one would fail the same way
            raise
        except av.error.FFmpegError:
            context = self.stream.codec_context
            self._check_size(context.width, context.height)
            return [], 1
        pictures: list[Picture] = []
        corrupt = 0
        for video in videos:
            self._check_size(video.width, video.height)
            if video.is_corrupt:
                corrupt += 1
                continue
            upright = self._upright.turned(video)
            pictures.append(Picture(upright, self._pts_s(video), upright is not video))
        return pictures, corrupt

    def _pts_s(self, video: av.VideoFrame) -> float:
        if video.pts is not None and video.time_base is not None:
            pts_s = float(video.pts * video.time_base)
        else:
            rate = self.stream.average_rate or _FALLBACK_FPS
            pts_s = 0.0 if self._last_pts_s is None else self._last_pts_s + float(1 / rate)
        self._last_pts_s = pts_s
        return pts_s

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise SourceTooLarge(
                f"{self._shown} has pictures of {width}x{height}; the limit is {self._max_pixels} pixels "
                "(setting sources.max_pixels). Choose a smaller stream of the camera or raise the limit"
            )

    def _read_sender_clock(self, packet: av.Packet[av.VideoStream]) -> None:
        if packet.pts is not None and packet.has_sidedata("prft"):
            (unix_us,) = _PRODUCER_REFERENCE_TIME.unpack_from(bytes(packet.get_sidedata("prft")))
            self.sender_offset_s = unix_us / 1e6 - float(packet.pts * packet.time_base)


def _video_stream(container: InputContainer, shown: str) -> av.VideoStream:
    for stream in container.streams.video:
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic:
            return stream
    names = ", ".join(stream.type for stream in container.streams) or "nothing"
    raise SourceCodecUnsupported(f"{shown} has no video that can be decoded here; it has: {names}")
