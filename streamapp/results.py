"""What the app says about a frame or a picture, its JSON form, and the reasons for which something was dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

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


class IdentityState(StrEnum):
    IDENTIFIED = "identified"
    UNKNOWN = "unknown"
    """Looked at often enough, and nobody is alike enough."""
    UNDECIDED = "undecided"
    """Not yet, or not safely: the reason says why."""


class IdentityReason(StrEnum):
    """Why a decision about an identity is as it is."""

    ALIKE = "alike"
    HELD = "held"
    """Below the threshold for a new name, but not so far that the one it has is taken away."""
    NOBODY_ALIKE = "nobody_alike"
    NOBODY_ENROLLED = "nobody_enrolled"
    ATTEMPTS_USED_UP = "attempts_used_up"
    TOO_FEW_VOTES = "too_few_votes"
    NOT_ALIKE_ENOUGH = "not_alike_enough"
    TOO_CLOSE = "too_close"
    """The runner-up is nearly as much alike."""
    CONTESTED = "contested"
    """Another face in the picture is more like the same person."""
    SPOOF = "spoof"
    LIVENESS_OPEN = "liveness_open"
    NO_GALLERY = "no_gallery"
    """The gallery cannot be used, so nobody was compared."""


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
    """`confidence`, where somebody was identified: how rarely the face of a stranger gets that far."""

    state: IdentityState
    because: IdentityReason
    name: str | None
    """Of the person; UNKNOWN where that is the decision; null while it is undecided."""
    person_id: UUID | None
    """Only where identified."""
    similarity: float | None
    """To the person most alike, on the calibrated scale of gallery/calibration.py; null if nobody was compared."""
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
class Target:
    """A track that is analysed, and why."""

    track: int
    reason: str


@dataclass(frozen=True, slots=True)
class Keyframe:
    """What was asked of the models at this frame, and why."""

    reasons: tuple[str, ...]
    sweep: str | None = None
    """Why the whole picture was searched for faces; null if it was not."""
    targets: tuple[Target, ...] = ()
    """The tracks that were analysed, the most urgent first."""


class Step(StrEnum):
    """A part of a keyframe's work, whose answers come in together."""

    ANALYSIS = "analysis"
    SWEEP = "sweep"


@dataclass(frozen=True, slots=True)
class Answered:
    """Which keyframe's answers were taken in."""

    frame: int
    step: Step
    lost: Mapping[str, str] = field(default_factory=dict)
    """The operations that gave none, and the code of why: a DropReason, or that of an error."""


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Everything known about one frame of one stream at the time the frame left the pump.

    frame: the frame's index in its stream. pts_s: seconds since the stream's first picture. captured_at: Unix time in
    seconds. answers: those that came in since the frame before. timing_ms: measured durations of this frame's stages.
    dropped: frames since the stream began, by reason. What was decided depends on the pictures of the frames there
    are results of, their keyframes and answers, the models and the gallery, and on nothing else.
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
    answers: tuple[Answered, ...] = ()

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
