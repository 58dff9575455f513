"""What a detector says about one picture, and what a tracker says about one face over time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Detector(StrEnum):
    """Which system found a face."""

    MEDIAPIPE = "mediapipe"
    YOLO = "yolo"
    MTCNN = "mtcnn"


class Mode(StrEnum):
    """How deep a stream or a picture is analysed; each mode does all that the one before does."""

    FAST = "fast"
    """MediaPipe finds near faces."""
    STANDARD = "standard"
    """YOLO finds far ones too."""
    PRECISION = "precision"
    """MTCNN refines boxes and gives landmarks."""
    FULL = "full"
    """Every face is analysed: identity, liveness, gender and age, deepfake."""

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """The systems that look for faces, in the order in which they are asked."""
        return tuple(Detector)[: {Mode.FAST: 1, Mode.STANDARD: 2}.get(self, 3)]


class TrackState(StrEnum):
    """Where a track is in its life. A track is reported from CONFIRMED on."""

    TENTATIVE = "tentative"
    CONFIRMED = "confirmed"
    COASTING = "coasting"
    """Not seen in this frame: the box is the motion model's prediction."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The faces one detector found in one picture, as columns.

    boxes: float32 [N, 4], x1 y1 x2 y2 in pixels of the picture, not clipped to it.
    scores: float32 [N], 0 to 1.
    landmarks: float32 [N, 5, 2] in pixels (left eye, right eye, nose, left and right mouth corner, as seen in the
        picture), or None where the detector has no such points.
    keypoints: float32 [N, 6, 2] in pixels, BlazeFace's own points (right eye, left eye, nose tip, mouth centre, right
        and left ear tragion of the person), or None.
    """

    detector: Detector
    boxes: Floats
    scores: Floats
    landmarks: Floats | None = None
    keypoints: Floats | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def none(cls, detector: Detector) -> Detections:
        return cls(detector, np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Track:
    """One face followed over time, as of one frame. `box` is x1 y1 x2 y2 in pixels of that frame."""

    id: int
    box: tuple[float, float, float, float]
    score: float
    detector: Detector
    state: TrackState
    landmarks: tuple[Point, ...] | None = None
    keypoints: tuple[Point, ...] | None = None
