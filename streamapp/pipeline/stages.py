"""What is done to every frame, on the stream's own thread: read pixels, screen for faces, track."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from streamapp.faces import Detections, Track
from streamapp.frame import Frame, PixelReader
from streamapp.settings import PipelineSettings
from streamapp.tracking.tracker import Tracker
from streamapp.zoo.base import FaceScreener


@dataclass(frozen=True, slots=True)
class Screened:
    """The tracks as of one frame, and what finding them took, in milliseconds by step."""

    tracks: tuple[Track, ...]
    timing_ms: dict[str, float]


class ScreeningStage:
    """Owned by one thread, from `open` to `close`."""

    def __init__(self, make_screener: Callable[[], FaceScreener], settings: PipelineSettings) -> None:
        self._make_screener = make_screener
        self._full_side = settings.screen_full_side
        self._scaled_side = settings.screen_scaled_side
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
        fits = max(frame.width, frame.height) <= self._full_side
        rgb = self._reader.rgb(frame, max_side=None if fits else self._scaled_side)
        converted_s = time.monotonic()
        detections = self._screener.screen(rgb, frame.pts_s)
        screened_s = time.monotonic()
        tracks = self._tracker.update(
            _scaled(detections, frame.width / rgb.shape[1], frame.height / rgb.shape[0]), frame.pts_s
        )
        tracked_s = time.monotonic()
        timing_ms = {
            "decode": (frame.decoded_s - frame.arrived_s) * 1e3,
            "wait": (start_s - frame.decoded_s) * 1e3,
            "convert": (converted_s - start_s) * 1e3,
            "screen": (screened_s - converted_s) * 1e3,
            "track": (tracked_s - screened_s) * 1e3,
        }
        return Screened(tracks, timing_ms)

    def close(self) -> None:
        if self._screener is not None:
            self._screener.close()
            self._screener = None


def _scaled(detections: Detections, x: float, y: float) -> Detections:
    """The same detections in the pixels of a picture larger by the factors `x` and `y`."""
    if x == 1.0 and y == 1.0:
        return detections
    scale = np.array([x, y], np.float32)
    return replace(
        detections,
        boxes=detections.boxes * np.tile(scale, 2),
        landmarks=None if detections.landmarks is None else detections.landmarks * scale,
        keypoints=None if detections.keypoints is None else detections.keypoints * scale,
    )
