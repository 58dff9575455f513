"""Pictures with their faces drawn in, as JPEG, and the example pictures."""

from __future__ import annotations

import io
from dataclasses import dataclass

import av
import cv2
import numpy as np
import PIL.Image

from streamapp.assets import asset
from streamapp.faces import TrackState
from streamapp.frame import Frame, Image, PixelReader, fitted_size
from streamapp.results import FrameResult, ImageResult, TrackResult
from streamapp.sinks.base import Output
from streamapp.sinks.overlay import OverlayPainter
from streamapp.sinks.veil import blurred, is_named, padded

MAX_SIDE = 1600
JPEG_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Example:
    """A picture of the demo clip."""

    name: str
    title: str
    at_s: float


EXAMPLES = (
    Example("astronaut", "One face", 0.5),
    Example("close", "Close up", 5.5),
    Example("turned", "Turned head", 7.4),
    Example("two", "Two faces", 13.5),
)


def example_picture(name: str) -> Image:
    """RGB of one of EXAMPLES. Raises KeyError. Blocks: it decodes up to a second of video."""
    at_s = {example.name: example.at_s for example in EXAMPLES}[name]
    with av.open(str(asset("recordings/demo.mp4"))) as clip:
        stream = clip.streams.video[0]
        assert stream.time_base is not None
        clip.seek(round(at_s / stream.time_base), stream=stream)
        picture = next(p for p in clip.decode(stream) if p.time is not None and p.time >= at_s)
        return np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)


def coded(rgb: Image, max_side: int = MAX_SIDE) -> bytes:
    """A JPEG, no side longer than `max_side`."""
    width, height = fitted_size(rgb.shape[1], rgb.shape[0], max_side)
    if (width, height) != (rgb.shape[1], rgb.shape[0]):
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    kept = io.BytesIO()
    PIL.Image.fromarray(rgb).save(kept, "JPEG", quality=JPEG_QUALITY)
    return kept.getvalue()


def painted(rgb: Image, result: ImageResult, *, private: bool = False) -> bytes:
    """The picture with its faces, numbered from 1, as a JPEG. The overlay is that of videos. private: who is not
    enrolled is blurred. Blocks."""
    tracks = tuple(
        TrackResult(
            number, face.box, face.score, face.landmarks, face.keypoints, face.detector, TrackState.CONFIRMED,
            face.analyses,
        )
        for number, face in enumerate(result.faces, 1)
    )  # fmt: skip
    scale = min(1.0, MAX_SIDE / max(rgb.shape[:2]))
    if scale < 1:  # before drawing, so that lines and letters keep their size
        width, height = fitted_size(rgb.shape[1], rgb.shape[0], MAX_SIDE)
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        tracks = tuple(_scaled(track, scale) for track in tracks)
    video = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    frame = Frame("picture", 0, pts_s=0.0, captured_at=0.0, arrived_s=0.0, decoded_s=0.0, video=video)
    veiled = None
    if private:
        veiled = tuple(padded(track.box) for track in tracks if not is_named(track.analyses))
        frame = blurred(frame, veiled, PixelReader())
    shown = FrameResult("picture", 0, 0.0, 0.0, video.width, video.height, result.mode, tracks, None, {}, {})
    picture = OverlayPainter().paint(Output(frame, shown, veiled))
    return coded(np.asarray(picture.to_ndarray(format="rgb24"), np.uint8))


def _scaled(track: TrackResult, scale: float) -> TrackResult:
    x1, y1, x2, y2 = (value * scale for value in track.box)
    landmarks, keypoints = (
        None if points is None else tuple((x * scale, y * scale) for x, y in points)
        for points in (track.landmarks, track.keypoints)
    )
    return TrackResult(
        track.id, (x1, y1, x2, y2), track.score, landmarks, keypoints, track.detector, track.state, track.analyses
    )
