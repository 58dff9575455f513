"""What the app says about a frame or a picture, its JSON form, and the reasons for which something was dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import TypeAdapter
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from streamapp.faces import Detector, Mode, Point, TrackState
from streamapp.findings import Gender

UNKNOWN = "unknown"
"""The identity of a face that nobody enrolled is enough like."""


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


class AnalysisKind(StrEnum):
    """What can be said of a face beyond where it is: the keys of `analyses`."""

    IDENTITY = "identity"
    LIVENESS = "liveness"
    GENDER_AGE = "gender_age"
    DEEPFAKE = "deepfake"


class LivenessState(StrEnum):
    LIVE = "live"
    SPOOF = "spoof"
    UNDECIDED = "undecided"


class DeepfakeBand(StrEnum):
    """A band of the score, never a verdict."""

    LOW = "low"
    MIDDLE = "middle"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Analysis:
    """What one model, or one fusion of models, says of a face, and how fresh that is."""

    model: str
    """The variants it comes from, joined by " + "."""
    frame: int
    """Index of the newest frame it rests on; 0 for a picture."""
    reason: str
    """Why that frame was analysed."""
    age_s: float
    samples: int
    """How many crops of this face it rests on."""
    confidence: float | None
    """0 to 1; null where nothing was there to compare with."""


@dataclass(frozen=True, slots=True)
class IdentityAnalysis(Analysis):
    name: str
    """Or UNKNOWN."""
    similarity: float | None
    """On the calibrated scale of gallery/calibration.py; null where the gallery is empty."""
    margin: float | None
    """Above the runner-up."""
    scores: Mapping[str, float]
    """Cosine by recogniser."""
    missing: tuple[str, ...]
    """Members of the ensemble that took no part; the weights of the others grew to fill their place."""


@dataclass(frozen=True, slots=True)
class LivenessAnalysis(Analysis):
    state: LivenessState
    score: float
    """0 to 1: how much it looks like a living person."""
    attacks: Mapping[str, float]
    """How the rest is shared among the kinds of attack the model tells apart."""


@dataclass(frozen=True, slots=True)
class GenderAgeAnalysis(Analysis):
    gender: Gender
    age_years: float


@dataclass(frozen=True, slots=True)
class DeepfakeAnalysis(Analysis):
    score: float
    """0 to 1: how much it looks made or changed by a program."""
    band: DeepfakeBand


class Analyses(TypedDict, total=False):
    """What is known of a face, by AnalysisKind."""

    identity: IdentityAnalysis
    liveness: LivenessAnalysis
    gender_age: GenderAgeAnalysis
    deepfake: DeepfakeAnalysis


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
    analyses: Analyses = field(default_factory=Analyses)
    skipped: Mapping[str, str] = field(default_factory=dict)
    """What the mode asks for and this face does not have, and the code of why: a DropReason, or that of an error."""


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


@dataclass(frozen=True, slots=True)
class FaceResult:
    """One face of a picture. `detector` is the one whose box it is, `seen_by` all that saw the face, in the order of
    the mode's chain; the rest as in `TrackResult`."""

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[Point, ...] | None
    keypoints: tuple[Point, ...] | None
    detector: Detector
    seen_by: tuple[Detector, ...]
    analyses: Analyses = field(default_factory=Analyses)


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A model that took part in a result."""

    task: str
    model: str
    licence: str
    commercial_use: bool | None
    provider: str
    """What really ran it."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something the mode asks for that was not done, and why."""

    task: str
    model: str | None
    reason: str
    """In words, with the command that helps where there is one."""
    code: str
    """A DropReason, or the code of an error."""
    face: int | None = None
    """Index of the face; null: for all."""


@dataclass(frozen=True, slots=True)
class ImageResult:
    """Everything found in one picture; sizes in pixels of the upright picture."""

    width: int
    height: int
    mode: Mode
    faces: tuple[FaceResult, ...]
    models: tuple[ModelUse, ...]
    skipped: tuple[Skipped, ...]
    timing_ms: Mapping[str, float]


_ADAPTER: TypeAdapter[FrameResult] = TypeAdapter(FrameResult)
