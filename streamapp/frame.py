"""One picture of a stream, whatever source it came from, and the only way to read its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""x1 y1 x2 y2 in pixels."""
Image = NDArray[np.uint8]
"""Pixels, shape [height, width, 3], dtype uint8; RGB or BGR as the function that made it says."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A decoded picture with its place in the stream. Its pixels are shared and must not be written to."""

    stream: str
    index: int
    """Counts every picture the source decoded, from 0; a gap is a picture that was dropped."""
    pts_s: float
    """Presentation time in seconds since the stream's first picture, in whole microseconds, so that what is written
    down of it is all of it; strictly increasing, also over reconnects."""
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
    codec: str | None = None
    """FFmpeg's name of the coding in which the source hands on this very picture, for who wants coded pictures; None
    where it cannot: they would lie on their side, or the source is read as fast as possible."""

    @property
    def width(self) -> int:
        return self.video.width

    @property
    def height(self) -> int:
        return self.video.height


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a picture lies in a square: a point of the square times `scale`, less the margins, is the picture's."""

    scale: float
    margin_x: float
    margin_y: float

    @classmethod
    def of(cls, width: int, height: int, side: int) -> Letterbox:
        longer = max(width, height)
        return cls(longer / side, (longer - width) / 2, (longer - height) / 2)

    @classmethod
    def around(cls, box: Box, factor: float, side: int) -> Letterbox:
        """Of the part of a picture that is a square of `factor` times the box's longer side around its middle."""
        x1, y1, x2, y2 = box
        reach = max(x2 - x1, y2 - y1, 1.0) * factor
        return cls(reach / side, (reach - x1 - x2) / 2, (reach - y1 - y2) / 2)

    def transform(self, subsampling: int = 1) -> NDArray[np.float64]:
        """The affine map [2, 3] from the picture's pixels, or a plane of fewer, to the square's: corners on corners."""
        shift = (subsampling - 1) / 2
        offsets = (self.margin_x + shift) / self.scale, (self.margin_y + shift) / self.scale
        return np.array(((subsampling / self.scale, 0, offsets[0]), (0, subsampling / self.scale, offsets[1])))


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

    def yuv420p(self, frame: Frame) -> av.VideoFrame:
        """The picture as encoders take it: yuv420p of even sides. It may be the frame's own: copy before writing."""
        width, height = max(2, frame.width & ~1), max(2, frame.height & ~1)
        return self._reformatter.reformat(frame.video, width=width, height=height, format="yuv420p", threads=1)

    def letterboxed_rgb(self, frame: Frame, side: int) -> tuple[Image, Letterbox]:
        """The whole picture as RGB in a black square of `side` pixels, sampled at two neighbours each way."""
        box = Letterbox.of(frame.width, frame.height, side)
        return self.sampled_rgb(frame, box, side), box

    def sampled_rgb(self, frame: Frame, box: Letterbox, side: int) -> Image:
        """What of the picture lies in that square of `side` pixels, as RGB; black beside the picture.

        YUV 4:2:0, which is what decoders give, is sampled before it is converted: a hundredth of the pixels.
        """
        video = frame.video
        if video.format.name not in ("yuv420p", "yuvj420p"):
            return letterboxed(self.rgb(frame), box, side)
        full_range = video.format.name == "yuvj420p" or video.color_range == ColorRange.JPEG
        luma, *chroma = (plane_pixels(plane) for plane in video.planes)
        planes = [_sampled(luma, box.transform(), side, 0 if full_range else 16)]
        planes += [_sampled(plane, box.transform(subsampling=2), side, 128) for plane in chroma]
        matrix = _yuv_to_rgb(full_range, video.colorspace == Colorspace.ITU709)
        return np.asarray(cv2.transform(cv2.merge(planes), matrix), np.uint8)

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


def letterboxed(rgb: Image, box: Letterbox, side: int) -> Image:
    """The picture in a black square of `side` pixels, sampled at two neighbours each way."""
    return _sampled(rgb, box.transform(), side, 0)


def fitted_size(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Width and height scaled down, aspect kept, so that the longer is at most `max_side`; even numbers."""
    longer = max(width, height)
    if max_side is None or longer <= max_side:
        return width, height
    scale = max_side / longer
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def plane_pixels(plane: av.video.plane.VideoPlane) -> NDArray[np.uint8]:
    """A view of a plane's pixels [height, width]. Valid as long as its frame."""
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]  # a buffer
    view: NDArray[np.uint8] = rows[:, : plane.width]
    return view


def _sampled(pixels: NDArray[np.uint8], transform: NDArray[np.float64], side: int, border: int) -> NDArray[np.uint8]:
    square = cv2.warpAffine(pixels, transform, (side, side), flags=cv2.INTER_LINEAR, borderValue=(border,) * 3)
    return np.asarray(square, np.uint8)


@cache
def _yuv_to_rgb(full_range: bool, bt709: bool) -> NDArray[np.float32]:
    """The affine map [3, 4] from 8-bit Y'CbCr to RGB (ITU-R BT.601 or BT.709, limited or full range)."""
    red, blue = (0.2126, 0.0722) if bt709 else (0.299, 0.114)
    green = 1 - red - blue
    y, c = (1.0, 1.0) if full_range else (255 / 219, 255 / 224)
    from_red, from_blue = 2 * (1 - red) * c, 2 * (1 - blue) * c
    linear = np.array(
        ((y, 0, from_red), (y, -from_blue * blue / green, -from_red * red / green), (y, from_blue, 0)), np.float64
    )
    offset = linear @ (0 if full_range else 16, 128, 128)
    return np.column_stack((linear, -offset)).astype(np.float32)
