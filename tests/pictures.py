"""Pictures made for tests: frames and outputs of given size and content."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from streamapp.faces import Detector, Mode, TrackState
from streamapp.frame import Frame
from streamapp.results import FrameResult, TrackResult
from streamapp.sinks.base import Output

FPS = 30


def video_frame(width: int = 64, height: int = 48, *, level: int = 90, pixel_format: str = "yuv420p") -> VideoFrame:
    """A plain grey picture."""
    rgb: NDArray[np.uint8] = np.full((height, width, 3), level, np.uint8)
    return VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)


def frame(index: int = 0, *, video: VideoFrame | None = None, stream: str = "test", fps: float = FPS) -> Frame:
    """The `index`-th frame of a stream of `fps` pictures a second."""
    video = video or video_frame()
    video.pts, video.time_base = index, Fraction(1, round(fps))
    return Frame(stream, index, index / fps, 1_700_000_000 + index / fps, 100 + index / fps, 100 + index / fps, video)


def track(
    box: tuple[float, float, float, float] = (10, 8, 40, 40),
    *,
    track_id: int = 1,
    state: TrackState = TrackState.CONFIRMED,
) -> TrackResult:
    points = ((20.0, 18.0), (30.0, 18.0), (25.0, 24.0), (25.0, 30.0), (14.0, 20.0), (36.0, 20.0))
    return TrackResult(track_id, box, 0.93, None, points, Detector.MEDIAPIPE, state)


def output(index: int = 0, *tracks: TrackResult, video: VideoFrame | None = None) -> Output:
    """A frame with its result."""
    of = frame(index, video=video)
    result = FrameResult(
        stream=of.stream,
        frame=index,
        pts_s=of.pts_s,
        captured_at=of.captured_at,
        width=of.width,
        height=of.height,
        mode=Mode.FAST,
        tracks=tracks,
        keyframe=None,
        timing_ms={"total": 1.5},
        dropped={},
    )
    return Output(of, result)
