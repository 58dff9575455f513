"""Results of a stream as a test tells them, and events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from uuid import UUID

from streamapp.choices import EventKind
from streamapp.events.event import Event, EventIds
from streamapp.events.visits import VisitTimes
from streamapp.faces import Detector, Mode, TrackState
from streamapp.results import (
    Analyses,
    FrameResult,
    IdentityAnalysis,
    IdentityReason,
    IdentityState,
    LivenessAnalysis,
    LivenessState,
    TrackResult,
)

Box = tuple[float, float, float, float]
FPS = 10
NOW = 1_800_000_000.0
TIMES = VisitTimes(appear_s=0.5, appear_frames=3, hold_s=0.5, gone_s=3.0)
LEFT_BOX: Box = (10, 50, 60, 110)
RIGHT_BOX: Box = (400, 50, 450, 110)
ADA, BOB = UUID(int=0xADA << 100 | 1), UUID(int=0xB0B << 100 | 2)


def ids() -> Callable[[], UUID]:
    """1, 2, 3…"""
    numbers = count(1)
    return lambda: UUID(int=next(numbers))


@dataclass(frozen=True)
class Face:
    """A face in one result. `person`: who it is said to be."""

    track: int = 1
    box: Box = LEFT_BOX
    person: UUID | None = None
    unknown: bool = False
    """Looked at, and like nobody."""
    is_spoof: bool = False
    state: TrackState = TrackState.CONFIRMED


def identity(person: UUID | None) -> IdentityAnalysis:
    if person is None:
        return IdentityAnalysis(
            "adaface", 0, "new_track", 0.0, 3, None, IdentityState.UNKNOWN, IdentityReason.NOBODY_ALIKE, "unknown",
            None, 1.0, None, {}, (),
        )  # fmt: skip
    return IdentityAnalysis(
        "adaface", 0, "new_track", 0.0, 3, 0.99, IdentityState.IDENTIFIED, IdentityReason.ALIKE, "somebody", person,
        4.5, 2.0, {}, (),
    )  # fmt: skip


def track_of(face: Face) -> TrackResult:
    analyses = Analyses()
    if face.person is not None or face.unknown:
        analyses["identity"] = identity(face.person)
    state, score = (LivenessState.SPOOF, 0.1) if face.is_spoof else (LivenessState.LIVE, 0.9)
    analyses["liveness"] = LivenessAnalysis("mn3", 0, "new_track", 0.0, 3, 0.9, state, score, {})
    return TrackResult(face.track, face.box, 0.9, None, None, Detector.MEDIAPIPE, face.state, analyses)


def result(pts_s: float, *faces: Face, stream: str = "door") -> FrameResult:
    tracks = tuple(map(track_of, faces))
    return FrameResult(stream, round(pts_s * FPS), pts_s, 0.0, 640, 480, Mode.FULL, tracks, None, {}, {})


_make_id = EventIds(lambda: NOW)


def event(kind: EventKind = EventKind.APPEARED, **values: object) -> Event:
    """With an id of its own, greater than those before."""
    fields: Mapping[str, object] = {"id": _make_id(), "kind": kind, "stream": "door", "at": NOW} | values
    return Event(**fields)  # type: ignore[arg-type]  # as the test says
