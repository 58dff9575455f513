"""Looks through the pictures of a private stream part by part, for faces too far to be seen in the whole.

What it finds is blurred and nothing else: no track and no decision depends on it. Each part is looked at in turn, a few
in each frame, and what was seen in it counts until its next turn.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from streamapp.faces import Detections
from streamapp.frame import Box, Frame, Letterbox, PixelReader
from streamapp.settings import Settings
from streamapp.zoo.base import FaceScreener

MIN_SCORE = 0.3
"""Faces the screener is less sure of are left out. What is no face after all is blurred for nothing."""
REGION_SIDE = 128
"""Where the screener takes pictures of any size."""
SHARES = (0.4, 0.22)
"""Sides of the parts, of the picture's longer side. The screener finds faces from about a sixth of what it is shown."""
STEP = 0.6
"""From one part to the next, of their side: a face is whole in one of them."""
PARTS_PER_FRAME = 3
"""Each costs a run of the net, as much as the whole picture."""


def for_lookout(settings: Settings) -> Settings:
    """The settings that the lookout's screener is opened with."""
    min_score = min(MIN_SCORE, settings.pipeline.min_score)
    return settings.model_copy(update={"pipeline": settings.pipeline.model_copy(update={"min_score": min_score})})


class Lookout:
    """Of one stream, on its screening thread, with a screener of its own."""

    def __init__(self, screener: FaceScreener) -> None:
        self._screener = screener
        self._reader = PixelReader()
        self._size = 0, 0
        self._parts: tuple[Box, ...] = ()
        self._seen: dict[int, tuple[Box, ...]] = {}
        """What was seen in each part when it was looked at last."""
        self._next = 0

    def start_over(self) -> None:
        """Another scene: what was seen is not there any more."""
        self._seen = {}

    def look(self, frame: Frame) -> tuple[Box, ...] | None:
        """The faces seen in the parts, in pixels of the picture; None until all parts have been looked at."""
        if (frame.width, frame.height) != self._size:
            self._size = frame.width, frame.height
            self._parts = parts_of(*self._size)
            self.start_over()
        for _ in range(PARTS_PER_FRAME):
            self._next %= len(self._parts)
            self._seen[self._next] = self._look_at(frame, self._parts[self._next])
            self._next += 1
        if len(self._seen) < len(self._parts):
            return None
        return tuple(box for boxes in self._seen.values() for box in boxes)

    def close(self) -> None:
        self._screener.close()

    def _look_at(self, frame: Frame, part: Box) -> tuple[Box, ...]:
        side = self._screener.input_side or REGION_SIDE
        region = Letterbox.around(part, 1.0, side)
        found = unboxed(self._screener.screen(self._reader.sampled_rgb(frame, region, side), frame.pts_s), region)
        return tuple(tuple(box) for box in found.boxes.tolist())


def parts_of(width: int, height: int) -> tuple[Box, ...]:
    """Squares that cover a picture, of each of the sizes."""
    found: list[Box] = []
    for share in SHARES:
        side = share * max(width, height)
        found += [(x, y, x + side, y + side) for y in _starts(height, side) for x in _starts(width, side)]
    return tuple(found)


def _starts(length: float, side: float) -> list[float]:
    if length <= side:
        return [(length - side) / 2]
    count = ceil((length - side) / (STEP * side)) + 1
    starts: list[float] = np.linspace(0.0, length - side, count).tolist()
    return starts


def unboxed(detections: Detections, box: Letterbox) -> Detections:
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
