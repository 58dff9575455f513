"""Video towards a peer: pictures are coded once for everybody who watches, and handed to aiortc as coded packets.

aiortc would code them again for every peer, in H264 with x264's slowest usual preset.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.video.frame import PictureType

from streamapp.frame import Frame, PixelReader
from streamapp.sinks.base import Inbox, Output

CLOCK_RATE = 90_000
TIME_BASE = Fraction(1, CLOCK_RATE)
IFRAME_INTERVAL_S = 0.3
"""I-frames asked for more often than this are coded together."""
BITS_PER_PIXEL_PER_S = 2.0
"""0.6 Mbit/s at 640x480, 1.8 at 1280x720. Large pictures take longer to code, and browsers hold video longer the more
its pictures differ in size."""
MAX_GOP = 600
"""Pictures between I-frames, at most, if nobody asks for one."""

_WRAP = 1 << 32
_H264 = {"preset": "superfast", "tune": "zerolatency", "forced-idr": "1", "profile": "baseline"}
_VP8 = {
    "deadline": "realtime",
    "cpu-used": "-8",
    "lag-in-frames": "0",
    "static-thresh": "1",
    "undershoot-pct": "100",
    "overshoot-pct": "15",
    "qmin": "2",
    "qmax": "56",
}


def rtp_ticks(pts_s: float) -> int:
    """A frame's time on RTP's 90 kHz clock, before aiortc adds its random origin."""
    return round(pts_s * CLOCK_RATE)


class PictureEncoder:
    """Codes pictures of any size, one after another, each on its own: no picture is held back. Owned by one thread.

    codec: FFmpeg's name, h264 or vp8. max_bit_rate: in bit/s; small pictures take less.
    """

    def __init__(self, codec: str, max_bit_rate: int) -> None:
        self._codec = codec
        self._max_bit_rate = max_bit_rate
        self._encoder: av.VideoCodecContext | None = None

    def encode(self, picture: av.VideoFrame, pts_s: float, *, iframe: bool) -> bytes:
        """The coded picture; `picture` is yuv420p and even-sized, and its type and time are overwritten. The first one,
        and the first of another size, is an I-frame in any case."""
        encoder = self._encoder
        if encoder is None or (encoder.width, encoder.height) != (picture.width, picture.height):
            encoder = self._encoder = self._open(picture.width, picture.height)
        picture.pict_type = PictureType.I if iframe else PictureType.NONE
        picture.pts, picture.time_base = rtp_ticks(pts_s), TIME_BASE
        return b"".join(bytes(packet) for packet in encoder.encode(picture))

    def _open(self, width: int, height: int) -> av.VideoCodecContext:
        encoder = av.CodecContext.create("libx264" if self._codec == "h264" else "libvpx", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate = TIME_BASE, Fraction(30)
        bit_rate = min(self._max_bit_rate, round(width * height * BITS_PER_PIXEL_PER_S))
        encoder.bit_rate, encoder.gop_size = bit_rate, MAX_GOP
        encoder.thread_count = 1 if width * height <= 1280 * 720 else 2
        rate = {"maxrate": str(bit_rate), "bufsize": str(bit_rate // 2)}
        encoder.options = (_H264 | rate) if self._codec == "h264" else (_VP8 | rate | {"minrate": str(bit_rate)})
        return encoder


class PicturePlain:
    """Pictures as they came, as the encoder takes them: a copy, because the frame is everybody's."""

    def __init__(self) -> None:
        self._reader = PixelReader()

    def paint(self, output: Output) -> av.VideoFrame:
        return self.copy(output.frame)

    def copy(self, frame: Frame) -> av.VideoFrame:
        source = frame.video
        picture = self._reader.yuv420p(frame)
        if picture is source:
            pixels = np.ascontiguousarray(source.to_ndarray(), dtype=np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels, format="yuv420p")
            picture.colorspace, picture.color_range = source.colorspace, source.color_range
        return picture


class Painter(Protocol):
    def paint(self, output: Output) -> av.VideoFrame:
        """A new yuv420p picture, even-sized."""


class SharedEncoder:
    """A sink that codes each picture once. `publish(data, pts_s, is_iframe)` is called on the event loop's thread."""

    lossless = False

    def __init__(
        self, painter: Painter, encoder: PictureEncoder, publish: Callable[[bytes, float, bool], None]
    ) -> None:
        self._painter = painter
        self._encoder = encoder
        self._publish = publish
        self._iframe_wanted = False
        self._last_iframe_s = float("-inf")
        self._size = 0, 0

    def request_iframe(self) -> None:
        """Somebody joined, or lost a picture."""
        self._iframe_wanted = True

    async def run(self, inbox: Inbox) -> None:
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encode")
        try:
            while (output := await inbox.get()) is not None:
                size = output.frame.width, output.frame.height
                iframe = size != self._size or (self._iframe_wanted and self._iframe_is_due())
                if iframe:
                    self._size, self._iframe_wanted, self._last_iframe_s = size, False, time.monotonic()
                data = await loop.run_in_executor(thread, self._code, output, iframe)
                if data:
                    self._publish(data, output.frame.pts_s, iframe)
        finally:
            thread.shutdown(wait=False)  # a picture being coded must not hold up the loop

    def _iframe_is_due(self) -> bool:
        return time.monotonic() - self._last_iframe_s >= IFRAME_INTERVAL_S

    def _code(self, output: Output, iframe: bool) -> bytes:
        return self._encoder.encode(self._painter.paint(output), output.frame.pts_s, iframe=iframe)


class CodedPicture(Protocol):
    @property
    def data(self) -> bytes:
        """H264: Annex B."""

    @property
    def pts_s(self) -> float: ...


class CodedPictures(Protocol):
    """Where a peer's pictures come from."""

    async def get(self) -> CodedPicture | None:
        """The next one, or None at the end."""

    def request_iframe(self) -> None:
        """The peer lost a picture."""


class CodedTrack(MediaStreamTrack):
    """A video track of pictures that are coded already.

    iframe_requested: whether the peer asked for an I-frame since the last call. timestamp_origin: what aiortc adds to
    our timestamps, once it has sent a picture with the given one.
    """

    kind = "video"

    def __init__(
        self,
        pictures: CodedPictures,
        *,
        iframe_requested: Callable[[], bool],
        timestamp_origin: Callable[[int], int | None],
    ) -> None:
        super().__init__()
        self._pictures = pictures
        self._iframe_requested = iframe_requested
        self._timestamp_origin = timestamp_origin
        self._origin: int | None = None
        self._last_ticks: int | None = None

    async def recv(self) -> av.Packet[Any]:
        """The next coded picture. Raises MediaStreamError at the end."""
        if self._origin is None and self._last_ticks is not None:
            self._origin = self._timestamp_origin(self._last_ticks)
        if self._iframe_requested():
            self._pictures.request_iframe()
        picture = await self._pictures.get() if self.readyState == "live" else None
        if picture is None:
            self.stop()
            raise MediaStreamError
        packet: av.Packet[Any] = av.Packet(picture.data)
        packet.pts = self._last_ticks = rtp_ticks(picture.pts_s)
        packet.time_base = TIME_BASE
        return packet

    def rtp_timestamp(self, frame: Frame) -> int | None:
        """The RTP timestamp under which the peer gets, or would have got, this frame. None before the second one."""
        return None if self._origin is None else (self._origin + rtp_ticks(frame.pts_s)) % _WRAP
