"""Two runs are compared field by field: nothing that changed is missed, and nothing is reported that did not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.faces import Point, TrackState
from streamapp.geometry import pairwise_iou
from streamapp.replay.differences import (
    EXACT,
    MEASURED,
    SAME_FACE,
    TOLERANCES,
    Difference,
    _boxes,
    decision,
    differences,
    matched,
)
from streamapp.results import (
    Analyses,
    Answered,
    DropReason,
    FrameResult,
    Keyframe,
    LivenessState,
    Step,
    Target,
    TrackResult,
)
from tests.replay.results_made import analyses, frames, result, track

NEAR, FAR = (100.0, 100.0, 180.0, 200.0), (400.0, 50.0, 440.0, 95.0)
FULL = result(7, track(1, NEAR, analyses()), keyframe=Keyframe(("interval",), "interval"))


def with_track(change: Callable[[TrackResult], TrackResult]) -> FrameResult:
    return replace(FULL, tracks=tuple(map(change, FULL.tracks)))


def with_analysis(kind: str, **changes: object) -> FrameResult:
    def change(told: TrackResult) -> TrackResult:
        changed = replace(told.analyses[kind], **changes)  # type: ignore[literal-required]  # any of them
        return replace(told, analyses={**told.analyses, kind: changed})  # type: ignore[misc]  # a key of the kind

    return with_track(change)


@given(frames())
def test_a_result_never_differs_from_itself(one: FrameResult) -> None:
    assert differences([one], [FrameResult.from_json(one.to_json())], EXACT) == []


@given(frames())
def test_what_a_clock_measured_is_no_decision(one: FrameResult) -> None:
    elsewhere = replace(one, stream="x", captured_at=0.0, timing_ms={}, dropped={DropReason.QUEUE_FULL: 3})
    assert differences([one], [elsewhere], EXACT) == []
    assert decision(one) == decision(elsewhere)
    assert not any(f'"{name}":' in decision(one) for name in MEASURED)


def analyses_without_identity() -> Analyses:
    known = analyses()
    del known["identity"]
    return known


CHANGES: dict[str, FrameResult] = {
    "pts_s": replace(FULL, pts_s=FULL.pts_s + 0.001),
    "width": replace(FULL, width=641),
    "keyframe.reasons": replace(FULL, keyframe=Keyframe(("asked_for",), "interval")),
    "keyframe.sweep": replace(FULL, keyframe=Keyframe(("interval",), "scene_change")),
    "keyframe.targets": replace(FULL, keyframe=Keyframe(("interval",), "interval", (Target(1, "interval"),))),
    "keyframe": replace(FULL, keyframe=None),
    "answers": replace(FULL, answers=(Answered(5, Step.SWEEP),)),
    "tracks": replace(FULL, tracks=()),
    "identity": with_track(lambda told: replace(told, analyses=analyses_without_identity())),
    "id": with_track(lambda told: replace(told, id=9)),
    "box": with_track(lambda told: replace(told, box=(101.5, 100.0, 180.0, 200.0))),
    "score": with_track(lambda told: replace(told, score=0.7)),
    "landmarks": with_track(lambda told: replace(told, landmarks=None)),
    "state": with_track(lambda told: replace(told, state=TrackState.COASTING)),
    "skipped.liveness": with_track(lambda told: replace(told, skipped={"liveness": "stale"})),
    "identity.person_id": with_analysis("identity", person_id=None),
    "identity.scores.net": with_analysis("identity", scores={"net": 0.5}),
    "identity.missing": with_analysis("identity", missing=()),
    "liveness.state": with_analysis("liveness", state=LivenessState.SPOOF),
    "liveness.score": with_analysis("liveness", score=0.4),
    "liveness.attacks.print": with_analysis("liveness", attacks={"print": 0.5, "replay": 0.04}),
    "liveness.samples": with_analysis("liveness", samples=3),
    "gender_age.age_years": with_analysis("gender_age", age_years=43.0),
    "gender_age.frame": with_analysis("gender_age", frame=4),
}


@pytest.mark.parametrize("field", CHANGES)
def test_every_change_is_found_under_its_name(field: str) -> None:
    now = CHANGES[field]
    found = {one.field for one in differences([FULL], [now])}
    assert found == ({"track"} if field == "tracks" else {field})
    assert {one.field for one in differences([now], [FULL])} == found


def _shifted(points: tuple[Point, ...] | None, by: float) -> tuple[Point, ...] | None:
    return None if points is None else tuple((x + by, y) for x, y in points)


@given(frames(), st.floats(-1, 1), st.sampled_from(["box", "landmarks", "keypoints", "score"]))
def test_within_its_tolerance_a_number_may_differ_and_beyond_it_not(one: FrameResult, share: float, field: str) -> None:
    def moved(told: TrackResult, by: float) -> TrackResult:
        x1, y1, x2, y2 = told.box
        match field:
            case "box":
                return replace(told, box=(x1 + by, y1, x2, y2 - by))
            case "landmarks":
                return replace(told, landmarks=_shifted(told.landmarks, by))
            case "keypoints":
                return replace(told, keypoints=_shifted(told.keypoints, by))
            case _:
                return replace(told, score=told.score + by)

    def all_moved(by: float) -> FrameResult:
        return replace(one, tracks=tuple(moved(told, by) for told in one.tracks))

    limit = TOLERANCES[field]
    fields = [found.field for found in differences([one], [all_moved(share * limit)])]
    assert fields == []
    beyond = {found.field for found in differences([one], [all_moved(1.2 * limit)])}
    assert beyond <= {field, "track", "id"}
    assert bool(beyond) == bool(one.tracks)


def test_tolerances_are_of_the_nearest_field_named() -> None:
    now = with_analysis("identity", scores={"net": 0.713})
    assert differences([FULL], [now]) == []
    found = differences([FULL], [now], {"scores": 0.001})
    assert found == [Difference(7, 1, "identity.scores.net", 0.71, 0.713)]


def test_a_name_is_not_a_number_however_near() -> None:
    assert differences([FULL], [with_analysis("identity", similarity=None)], {"similarity": 100.0})


def test_frames_that_only_one_run_has_are_told_once_each() -> None:
    first, second = result(3, track()), result(4, track())
    assert differences([first, second], [second]) == [Difference(3, None, "result", "there", None)]
    assert differences([second], [first, second]) == [Difference(3, None, "result", None, "there")]


def test_tracks_with_other_ids_are_matched_by_where_they_are_and_it_is_said() -> None:
    was = result(0, track(1, NEAR, analyses()), track(2, FAR))
    now = result(0, track(2, NEAR, analyses()), track(3, FAR))
    assert differences([was], [now]) == [Difference(0, 2, "id", 1, 2), Difference(0, 3, "id", 2, 3)]


def test_a_track_that_came_or_went_is_one_difference() -> None:
    was, now = result(0, track(1, NEAR)), result(0, track(1, NEAR), track(5, FAR, analyses()))
    assert differences([was], [now]) == [Difference(0, 5, "track", None, "there")]
    assert differences([now], [was]) == [Difference(0, 5, "track", "there", None)]


def test_a_track_that_jumped_is_still_itself() -> None:
    (found,) = differences([result(0, replace(track(1), box=NEAR))], [result(0, replace(track(1), box=FAR))])
    assert (found.field, found.track, found.was, found.now) == ("box", 1, NEAR, FAR)


@given(frames(), frames())
def test_every_track_of_both_sides_is_matched_once_and_ids_only_give_way_to_overlap(
    was: FrameResult, now: FrameResult
) -> None:
    pairs = matched(was.tracks, now.tracks)
    assert sorted(row for row, _ in pairs if row is not None) == list(range(len(was.tracks)))
    assert sorted(column for _, column in pairs if column is not None) == list(range(len(now.tracks)))
    overlaps = pairwise_iou(_boxes(was.tracks), _boxes(now.tracks))
    for row, column in pairs:
        if row is not None and column is not None and was.tracks[row].id != now.tracks[column].id:
            assert overlaps[row, column] >= SAME_FACE


def test_what_people_call_somebody_is_no_decision() -> None:
    renamed = with_analysis("identity", name="Grace")
    assert differences([FULL], [renamed]) == []
    assert decision(renamed) == decision(FULL)
