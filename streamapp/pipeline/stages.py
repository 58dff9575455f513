"""What is done to every frame, on the stream's own thread: read pixels, screen for faces, track."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from streamapp.faces import Detections, Track
from streamapp.frame import Frame, Image, Letterbox, PixelReader
from streamapp.settings import PipelineSettings
from streamapp.tracking.tracker import Tracker
from streamapp.zoo.base import FaceScreener

MAX_FULL_SIDE = 1920
"""Whole pictures up to this longer side are converted as they are: that costs less than scaling them."""
SCALED_SIDE = 320


@dataclass(frozen=True, slots=True)
class Screened:
    """The tracks as of one frame, and what finding them took, in milliseconds by step."""

    tracks: tuple[Track, ...]
    timing_ms: dict[str, float]


class ScreeningStage:
    """Owned by one thread, from `open` to `close`."""

    def __init__(self, make_screener: Callable[[], FaceScreener], settings: PipelineSettings) -> None:
        self._make_screener = make_screener
        self._tracker = Tracker(max_coast_s=settings.max_coast_s, confirm_hits=settings.confirm_hits)
        self._reader = PixelReader()
        self._screener: FaceScreener | None = None

    def open(self) -> None:
        """Loads the screener. Raises ModelError when its weights are missing or wrong."""
        self._screener = self._make_screener()

    def process(self, frame: Frame) -> Screened:
        """Finds and tracks the faces of one frame. Frames must come in order."""
        assert self._screener is not None, "open() comes first"
        start_s = time.monotonic()
        pixels, box = self._pixels(frame, self._screener.input_side)
        converted_s = time.monotonic()
        detections = self._screener.screen(pixels, frame.pts_s)
        screened_s = time.monotonic()
        tracks = self._tracker.update(_unboxed(detections, box), frame.pts_s)
        tracked_s = time.monotonic()
        timing_ms = {
            "decode": (frame.decoded_s - frame.arrived_s) * 1e3,
            "wait": (start_s - frame.decoded_s) * 1e3,
            "convert": (converted_s - start_s) * 1e3,
            "screen": (screened_s - converted_s) * 1e3,
            "track": (tracked_s - screened_s) * 1e3,
        }
        return Screened(tracks, timing_ms)

    def _pixels(self, frame: Frame, side: int | None) -> tuple[Image, Letterbox]:
        if side is not None:
            return self._reader.letterboxed_rgb(frame, side)
        longer = max(frame.width, frame.height)
        if longer <= MAX_FULL_SIDE:
            return self._reader.rgb(frame), Letterbox(1.0, 0.0, 0.0)
        return self._reader.rgb(frame, max_side=SCALED_SIDE), Letterbox(longer / SCALED_SIDE, 0.0, 0.0)

    def close(self) -> None:
        if self._screener is not None:
            self._screener.close()
            self._screener = None


def _unboxed(detections: Detections, box: Letterbox) -> Detections:
    """The same detections in the pixels of the picture that was letterboxed."""
    if not len(detections):
        return detections
    scale, margin = np.float32(box.scale), np.array((box.margin_x, box.margin_y), np.float32)
    return replace(
        detections,
        boxes=detections.boxes * scale - np.tile(margin, 2),
        landmarks=None if detections.landmarks is None else detections.landmarks * scale - margin,
        keypoints=None if detections.keypoints is None else detections.keypoints * scale - margin,
    )
