"""One picture of a stream, whatever source it came from, and the only way to read its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""Pixels, shape [height, width, 3], dtype uint8; RGB or BGR as the function that made it says."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A decoded picture with its place in the stream. Its pixels are shared and must not be written to."""

    stream: str
    index: int
    """Counts every picture the source decoded, from 0; a gap is a picture that was dropped."""
    pts_s: float
    """Presentation time in seconds since the stream's first picture; strictly increasing, also over reconnects."""
    captured_at: float
    """Unix time in seconds at which the picture was taken, by the sender's clock (RTCP sender reports,
    RFC 3550 section 6.4.1) where there is one, else the time of arrival."""
    arrived_s: float
    """`time.monotonic()` at which the last byte of the picture had arrived, before decoding."""
    decoded_s: float
    """`time.monotonic()` at which the picture was decoded."""
    video: av.VideoFrame
    rtp_timestamp: int | None = None
    """The picture's 32-bit RTP timestamp as the sender wrote it, for WebRTC."""

    @property
    def width(self) -> int:
        return self.video.width

    @property
    def height(self) -> int:
        return self.video.height


class PixelReader:
    """Converts pictures to arrays. Keeps its scaler between calls, so each owner (a thread) has its own."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def rgb(self, frame: Frame, *, max_side: int | None = None) -> Image:
        """The picture as RGB, scaled down so that its longer side is at most `max_side` pixels."""
        return self._convert(frame, "rgb24", max_side)

    def bgr(self, frame: Frame, *, max_side: int | None = None) -> Image:
        """The picture as BGR (OpenCV's order), scaled down so that its longer side is at most `max_side` pixels."""
        return self._convert(frame, "bgr24", max_side)

    def _convert(self, frame: Frame, pixel_format: str, max_side: int | None) -> Image:
        width, height = fitted_size(frame.width, frame.height, max_side)
        picture = self._reformatter.reformat(
            frame.video,
            width=width,
            height=height,
            format=pixel_format,
            interpolation=Interpolation.AREA,
            threads=1,  # one per stream: a pool for each costs more than it saves
        )
        pixels: Image = picture.to_ndarray().astype(np.uint8, copy=False)
        return pixels


def fitted_size(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Width and height scaled down, aspect kept, so that the longer is at most `max_side`; even numbers."""
    longer = max(width, height)
    if max_side is None or longer <= max_side:
        return width, height
    scale = max_side / longer
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
