"""Coded video made for tests: every picture is plain grey, and its grey says which it is; or a pan over a picture."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from streamapp.frame import Image
from tests.pictures import video_frame

FPS = 30
LEVEL_STEP = 5
"""Neighbouring pictures differ by this much in grey; coding changes it by less than half."""
LEVELS = 40
PAN_SIZE = (1000, 600)
PAN_FRAMES = 75


def level_of(index: int) -> int:
    return 20 + LEVEL_STEP * (index % LEVELS)


def index_of(video: av.VideoFrame) -> int:
    """Which picture this is, modulo LEVELS."""
    grey = float(np.mean(video.to_ndarray(format="gray")))
    return round((grey - level_of(0)) / LEVEL_STEP)


def h264_pictures(count: int, *, width: int = 160, height: int = 120, gop: int = 10, b_frames: int = 0) -> list[bytes]:
    """Pictures in coding order, Annex B, each I-frame with its parameter sets."""
    stream = io.BytesIO()
    _encode(stream, "h264", count, width, height, gop, b_frames)
    stream.seek(0)
    with av.open(stream, "r", format="h264") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def write_video(
    path: Path, count: int, *, width: int = 160, height: int = 120, gop: int = 10, b_frames: int = 0, fps: int = FPS
) -> Path:
    """A video file; its ending says which container."""
    _encode(path, None, count, width, height, gop, b_frames, fps)
    return path


def write_pan(path: Path, rgb: Image) -> Path:
    """A video of a window that moves over a picture by two pixels a frame."""
    width, height = PAN_SIZE
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(PAN_FRAMES):
            window = np.ascontiguousarray(rgb[:height, 2 * index : 2 * index + width])
            video = av.VideoFrame.from_ndarray(window, format="rgb24")
            video.pts, video.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(video))
        container.mux(stream.encode(None))
    return path


def _encode(
    target: io.BytesIO | Path,
    container_format: str | None,
    count: int,
    width: int,
    height: int,
    gop: int,
    b_frames: int,
    fps: int = FPS,
) -> None:
    file = target if isinstance(target, io.BytesIO) else str(target)
    with av.open(file, "w", format=container_format) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {
            "preset": "ultrafast",
            "crf": "10",
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0:rc-lookahead=0",
        }
        for index in range(count):
            video = video_frame(width, height, level=level_of(index))
            video.pts = index
            container.mux(stream.encode(video))
        container.mux(stream.encode())
