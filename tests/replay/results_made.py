"""Results made up for tests of what is compared."""

from __future__ import annotations

from uuid import UUID

from hypothesis import strategies as st

from streamapp.faces import Detector, Mode, Point, TrackState
from streamapp.findings import Gender
from streamapp.results import (
    Analyses,
    Answered,
    DropReason,
    FrameResult,
    GenderAgeAnalysis,
    IdentityAnalysis,
    IdentityReason,
    IdentityState,
    Keyframe,
    LivenessAnalysis,
    LivenessState,
    Step,
    Target,
    TrackResult,
)

PERSON = UUID(int=7)
Box = tuple[float, float, float, float]


def analyses(*, live: float = 0.9, name: str = "Ada") -> Analyses:
    seen = ("net", 3, "new_track", 0.5, 2)
    return Analyses(
        identity=IdentityAnalysis(
            *seen,
            0.99,
            IdentityState.IDENTIFIED,
            IdentityReason.ALIKE,
            name,
            PERSON,
            5.2,
            1.5,
            {"net": 0.71},
            ("other",),
        ),
        liveness=LivenessAnalysis(*seen, 0.9, LivenessState.LIVE, live, {"print": 0.06, "replay": 0.04}),
        gender_age=GenderAgeAnalysis(*seen, 0.8, Gender.FEMALE, 41.5),
    )


def track(track_id: int = 1, box: Box = (100.0, 100.0, 180.0, 200.0), known: Analyses | None = None) -> TrackResult:
    points: tuple[Point, ...] = tuple((box[0] + index, box[1] + index) for index in range(5))
    return TrackResult(
        track_id, box, 0.91, points, (*points, points[0]), Detector.MEDIAPIPE, TrackState.CONFIRMED, known or Analyses()
    )


def result(
    frame: int = 0,
    *tracks: TrackResult,
    mode: Mode = Mode.FULL,
    keyframe: Keyframe | None = None,
    answers: tuple[Answered, ...] = (),
) -> FrameResult:
    return FrameResult(
        "cam",
        frame,
        frame / 25,
        1700000000.0 + frame,
        640,
        480,
        mode,
        tracks,
        keyframe,
        {"total": 3.5},
        {DropReason.STALE: frame},
        answers,
    )


_sides = st.floats(0, 2000, width=32).map(lambda side: round(side, 1))


@st.composite
def frames(draw: st.DrawFn) -> FrameResult:
    """A result with any faces in it, and perhaps a keyframe and answers."""
    ids = draw(st.lists(st.integers(1, 30), unique=True, max_size=5))
    tracks = []
    for track_id in ids:
        x, y, width, height = draw(st.tuples(_sides, _sides, _sides, _sides))
        known = analyses(live=draw(st.floats(0, 1))) if draw(st.booleans()) else None
        tracks.append(track(track_id, (x, y, x + width, y + height), known))
    targets = tuple(Target(track_id, "new_track") for track_id in ids)
    keyframe = draw(st.sampled_from((None, Keyframe(("interval", "new_track"), "interval", targets))))
    lost = draw(st.sampled_from(({}, {"yolo": "stale"})))
    answers = draw(st.sampled_from(((), (Answered(3, Step.SWEEP, lost),))))
    return result(draw(st.integers(0, 99)), *tracks, keyframe=keyframe, answers=answers)
