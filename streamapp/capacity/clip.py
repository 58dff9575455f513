"""A clip, coded once, that publishers send again and again: sending it costs next to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
from av.video.reformatter import VideoReformatter

FPS = 30
WIDTH, HEIGHT = 640, 480
IFRAME_EVERY = 60


@dataclass(frozen=True, slots=True)
class Coding:
    """How a clip is encoded."""

    codec: str
    bit_rate: int
    options: dict[str, str]


VP8 = Coding("libvpx", 1_500_000, {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"})
"""As a browser sends it."""


def configure(coder: av.VideoCodecContext, coding: Coding, width: int, height: int, iframe_every: int) -> None:
    """Sets an encoder up for 30 yuv420p pictures a second."""
    coder.width, coder.height, coder.pix_fmt = width, height, "yuv420p"
    coder.bit_rate, coder.gop_size = coding.bit_rate, iframe_every
    coder.framerate, coder.time_base = Fraction(FPS), Fraction(1, FPS)
    coder.options = coding.options


def encoded(
    frames: Iterable[av.VideoFrame], coding: Coding, width: int, height: int, *, iframe_every: int
) -> list[bytes]:
    """The coded pictures, the first an I-frame. frames: yuv420p of that size; their times are set anew."""
    coder = av.CodecContext.create(coding.codec, "w")
    assert isinstance(coder, av.VideoCodecContext)
    configure(coder, coding, width, height, iframe_every)
    return [bytes(packet) for packet in chain.from_iterable(map(coder.encode, (*_timed(frames), None)))]


def camera_pictures(path: Path, seconds: float) -> list[bytes]:
    """The beginning of a video as a browser's camera would send it: VP8, 640x480. A shorter video is what it is."""
    with av.open(str(path)) as container:
        scaler = VideoReformatter()
        frames = (
            scaler.reformat(frame, width=WIDTH, height=HEIGHT, format="yuv420p")
            for frame in islice(container.decode(video=0), round(seconds * FPS))
        )
        return encoded(frames, VP8, WIDTH, HEIGHT, iframe_every=IFRAME_EVERY)


def _timed(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    for index, frame in enumerate(frames):
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        yield frame
