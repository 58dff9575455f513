"""What the app says about a frame: the FrameResult, its JSON form, and the reasons for which something was dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import TypeAdapter

from streamapp.faces import Detector, Mode, Point, TrackState


class DropReason(StrEnum):
    """Why a picture, a result or a job was not used. Every drop is counted under one of these."""

    STALE = "stale"
    """A newer one arrived before this one's turn."""
    QUEUE_FULL = "queue_full"
    NO_MEMORY = "no_memory"
    CLOSED = "closed"
    UNAVAILABLE = "unavailable"
    CORRUPT = "corrupt"
    """It could not be decoded."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one model, or one fusion of models, says of a track, and how fresh that is."""

    model: str
    frame: int
    age_s: float
    samples: int
    confidence: float


@dataclass(frozen=True, slots=True)
class TrackResult:
    """One track as reported. `box` is [x1, y1, x2, y2] in pixels, `landmarks` and `keypoints` as in `Detections`."""

    id: int
    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[Point, ...] | None
    keypoints: tuple[Point, ...] | None
    detector: Detector
    state: TrackState
    analyses: Mapping[str, Analysis] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Keyframe:
    """Why this frame was chosen for escalation."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Everything known about one frame of one stream at the time the frame left the pump.

    frame: the frame's index in its stream. pts_s: seconds since the stream's first picture. captured_at: Unix time in
    seconds. timing_ms: measured durations of this frame's stages. dropped: counts since the stream began, by reason.
    """

    stream: str
    frame: int
    pts_s: float
    captured_at: float
    width: int
    height: int
    mode: Mode
    tracks: tuple[TrackResult, ...]
    keyframe: Keyframe | None
    timing_ms: Mapping[str, float]
    dropped: Mapping[DropReason, int]

    def to_json(self) -> str:
        """One line of JSON, no line break."""
        return _ADAPTER.dump_json(self).decode()

    @classmethod
    def from_json(cls, line: str | bytes) -> FrameResult:
        """Parses what `to_json` wrote. Raises pydantic.ValidationError (a ValueError) on anything else."""
        return _ADAPTER.validate_json(line)

    @staticmethod
    def json_schema() -> dict[str, object]:
        return _ADAPTER.json_schema(mode="serialization")


_ADAPTER: TypeAdapter[FrameResult] = TypeAdapter(FrameResult)
