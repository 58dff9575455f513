"""Ids stay, coast through gaps, and are never given twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.faces import Detections, Detector, TrackState
from streamapp.tracking.tracker import Tracker

FRAME_S = 1 / 30


def seen(*boxes: tuple[float, float, float, float], score: float = 0.9) -> Detections:
    return Detections(
        Detector.MEDIAPIPE,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), score, np.float32),
        keypoints=np.zeros((len(boxes), 6, 2), np.float32),
    )


def square(x: float, y: float, side: float = 80) -> tuple[float, float, float, float]:
    return (x, y, x + side, y + side)


def test_a_face_is_reported_from_its_second_frame_on_under_one_id() -> None:
    tracker = Tracker()
    assert tracker.update(seen(square(100, 100)), 0.0) == ()
    ids = [tracker.update(seen(square(100 + 4 * i, 100)), i * FRAME_S)[0].id for i in range(1, 60)]
    assert set(ids) == {1}


def test_a_single_false_alarm_is_never_reported() -> None:
    tracker = Tracker()
    assert tracker.update(seen(square(100, 100)), 0.0) == ()
    assert tracker.update(seen(), FRAME_S) == ()
    assert tracker.update(seen(), 2 * FRAME_S) == ()


def test_the_box_follows_what_is_measured() -> None:
    tracker = Tracker()
    for i in range(30):
        tracks = tracker.update(seen(square(100 + 5 * i, 60)), i * FRAME_S)
    assert np.allclose(tracks[0].box, square(100 + 5 * 29, 60), atol=3)


def test_a_gap_is_bridged_by_motion_and_the_id_stays() -> None:
    tracker = Tracker(max_coast_s=0.7)
    for i in range(15):
        tracker.update(seen(square(100 + 6 * i, 100)), i * FRAME_S)
    for i in range(15, 27):
        tracks = tracker.update(seen(), i * FRAME_S)
        assert [track.state for track in tracks] == [TrackState.COASTING]
        assert tracks[0].keypoints is None
        assert abs(tracks[0].box[0] - (100 + 6 * i)) < 30
    tracks = tracker.update(seen(square(100 + 6 * 27, 100)), 27 * FRAME_S)
    assert [(track.id, track.state) for track in tracks] == [(1, TrackState.CONFIRMED)]


def test_a_face_gone_for_longer_ends_and_comes_back_under_a_new_id() -> None:
    tracker = Tracker(max_coast_s=0.5)
    for i in range(10):
        tracker.update(seen(square(100, 100)), i * FRAME_S)
    assert tracker.update(seen(), 2.0) == ()
    tracker.update(seen(square(100, 100)), 2.1)
    assert [track.id for track in tracker.update(seen(square(100, 100)), 2.13)] == [2]


def test_two_faces_that_pass_each_other_keep_their_ids() -> None:
    tracker = Tracker()
    for i in range(60):
        left_to_right, right_to_left = square(40 + 8 * i, 100), square(520 - 8 * i, 150)
        tracks = tracker.update(seen(left_to_right, right_to_left), i * FRAME_S)
    centres = {track.id: (track.box[0] + track.box[2]) / 2 for track in tracks}
    assert centres[1] > centres[2]


def test_a_jump_of_less_than_a_face_keeps_the_id_and_a_far_one_does_not() -> None:
    tracker = Tracker()
    for i in range(10):
        tracker.update(seen(square(100, 100)), i * FRAME_S)
    near = tracker.update(seen(square(170, 100)), 10 * FRAME_S)
    assert [track.id for track in near if track.state is TrackState.CONFIRMED] == [1]
    far = tracker.update(seen(square(450, 350)), 11 * FRAME_S)
    assert [(track.id, track.state) for track in far] == [(1, TrackState.COASTING)]


Box = tuple[float, float, float, float]
boxes = st.tuples(st.floats(-200, 2000), st.floats(-200, 2000), st.floats(1, 900), st.floats(1, 900)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 1.5), st.lists(boxes, max_size=5)), max_size=25))
def test_whatever_is_seen_ids_are_unique_and_never_come_back(
    frames: list[tuple[float, list[Box]]],
) -> None:
    tracker = Tracker()
    now_s, ended, alive = 0.0, set[int](), set[int]()
    for step_s, found in frames:
        now_s += step_s
        tracks = tracker.update(seen(*found), now_s)
        ids = [track.id for track in tracks]
        assert len(ids) == len(set(ids))
        ended |= alive - set(ids)
        assert not ended & set(ids)
        alive = set(ids)
        assert all(np.isfinite(track.box).all() for track in tracks)


def sighted(*boxes: Box) -> list[Detections]:
    """What a sweep saw, one face each."""
    return [
        Detections(
            Detector.YOLO, np.array([box], np.float32), np.array([0.6], np.float32), np.ones((1, 5, 2), np.float32)
        )
        for box in boxes
    ]


def test_expecting_first_changes_nothing() -> None:
    plain, expecting = Tracker(), Tracker()
    for i in range(30):
        boxes = [] if i % 4 == 3 else [square(100 + 5 * i, 60)]
        where = expecting.expect(i * FRAME_S)
        found = expecting.update(seen(*boxes), i * FRAME_S)
        assert found == plain.update(seen(*boxes), i * FRAME_S)
    assert where[0].tolist() == [*map(float, where[0])]
    assert np.allclose(where[0], square(100 + 5 * 29, 60), atol=6)


def test_nothing_is_expected_before_anything_was_seen() -> None:
    assert Tracker().expect(1.0).shape == (0, 4)


def test_a_sighting_waits_for_its_confirmation_longer_than_a_detection_does() -> None:
    tracker = Tracker()
    tracker.update(seen(), 0.0, sighted(square(100, 100, 30)))
    for i in range(1, 20):
        assert tracker.update(seen(), i * FRAME_S) == ()
    (track,) = tracker.update(seen(square(102, 100, 30)), 20 * FRAME_S)
    assert (track.id, track.state, track.detector) == (1, TrackState.CONFIRMED, Detector.MEDIAPIPE)


def test_a_face_sighted_once_a_second_is_one_track_that_coasts_between() -> None:
    tracker = Tracker(max_sighted_s=2.5)
    states = []
    for i in range(120):
        tracks = tracker.update(seen(), i * FRAME_S, sighted(square(100, 100, 30)) if i % 30 == 0 else ())
        states.append([(track.id, track.state, track.detector) for track in tracks])
    assert states[30] == states[60] == [(1, TrackState.CONFIRMED, Detector.YOLO)]
    assert all(
        found == [(1, TrackState.COASTING, Detector.YOLO)] for i, found in enumerate(states) if i > 30 and i % 30
    )
    assert tracker.update(seen(), 90 * FRAME_S + 2.6) == ()


def test_a_sighting_brings_landmarks_for_its_frame_only() -> None:
    tracker = Tracker(confirm_hits=1)
    (track,) = tracker.update(seen(), 0.0, sighted(square(100, 100)))
    assert track.landmarks == ((1.0, 1.0),) * 5
    (track,) = tracker.update(seen(), FRAME_S)
    assert track.landmarks is None


def test_a_sighting_of_a_tracked_face_makes_no_second_track() -> None:
    tracker = Tracker()
    for i in range(10):
        tracker.update(seen(square(100, 100)), i * FRAME_S)
    tracks = tracker.update(seen(), 10 * FRAME_S, sighted(square(104, 98)))
    assert [(track.id, track.state) for track in tracks] == [(1, TrackState.CONFIRMED)]
    tracks = tracker.update(seen(square(100, 100)), 11 * FRAME_S, sighted(square(400, 100)))
    assert [track.id for track in tracks] == [1]
    tracks = tracker.update(seen(square(100, 100), square(401, 101)), 12 * FRAME_S)
    assert [track.id for track in tracks] == [1, 2]


def test_a_face_that_the_screener_saw_last_is_ended_after_the_short_time() -> None:
    tracker = Tracker(max_coast_s=0.5, max_sighted_s=2.5)
    tracker.update(seen(), 0.0, sighted(square(100, 100)))
    tracker.update(seen(square(100, 100)), FRAME_S)
    assert len(tracker.update(seen(), 0.4)) == 1
    assert tracker.update(seen(), 0.6) == ()


def test_a_track_nobody_looked_for_moves_on_with_its_points_and_is_what_it_was() -> None:
    tracker = Tracker()
    for i in range(20):
        x = 100.0 + 6 * i
        points = np.full((1, 6, 2), (x + 40, 140.0), np.float32)
        found = Detections(
            Detector.MEDIAPIPE, np.array([square(x, 100)], np.float32), np.ones(1, np.float32), None, points
        )
        (before,) = tracker.update(found, i * FRAME_S) or (None,)
    assert before is not None
    for i in range(20, 23):
        assert tracker.ids.tolist() == [1]
        (track,) = tracker.update(seen(), i * FRAME_S, unasked={1})
        assert (track.id, track.state, track.score) == (1, TrackState.CONFIRMED, before.score)
        assert track.box[0] == pytest.approx(100 + 6 * i, abs=6)
        assert track.keypoints is not None
        assert track.keypoints[0] == pytest.approx(((track.box[0] + track.box[2]) / 2, 140), abs=3)
    (track,) = tracker.update(seen(), 23 * FRAME_S)
    assert track.state is TrackState.COASTING
    assert track.keypoints is None


def test_a_new_track_nobody_looked_for_waits_for_its_second_sight() -> None:
    tracker = Tracker()
    tracker.update(seen(square(100, 100)), 0.0)
    assert tracker.update(seen(), FRAME_S, unasked={1}) == ()
    assert [track.id for track in tracker.update(seen(square(100, 100)), 2 * FRAME_S)] == [1]


@pytest.mark.parametrize("step", [-6, 6])
def test_a_box_that_is_not_measured_keeps_about_its_size(step: int) -> None:
    tracker = Tracker()
    for i in range(15):
        side = 100 + step * i
        (track,) = tracker.update(
            seen((200 - side / 2, 200 - side / 2, 200 + side / 2, 200 + side / 2)), i * FRAME_S
        ) or (None,)
    assert track is not None
    for i in range(15, 34):
        (coasting,) = tracker.update(seen(), i * FRAME_S)
        assert 0.6 < (coasting.box[2] - coasting.box[0]) / (track.box[2] - track.box[0]) < 1.6


def test_what_is_not_reported_yet_is_known_as_tentative() -> None:
    tracker = Tracker()
    tracker.update(seen(square(100, 100)), 0.0)
    (new,) = tracker.tentative
    assert (new.state, new.box) == (TrackState.TENTATIVE, square(100, 100))
    (reported,) = tracker.update(seen(square(102, 100)), FRAME_S)
    assert reported.id == new.id
    assert tracker.tentative == ()
