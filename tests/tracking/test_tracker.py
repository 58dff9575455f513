"""Ids stay, coast through gaps, and are never given twice."""

from __future__ import annotations

import numpy as np
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
