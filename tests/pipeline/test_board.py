"""The board takes what comes in any order, moves points with their face, and forgets those long gone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamapp.faces import Detector, Floats, Track, TrackState
from streamapp.findings import Liveness
from streamapp.pipeline.aggregate import Findings, Moment
from streamapp.pipeline.board import FORGET_AFTER_S, LANDMARKS_FOR_S, ResultBoard
from streamapp.pipeline.keyframes import SWEEP_S

Box = tuple[float, float, float, float]
POINTS: Floats = np.array([(120, 130), (160, 130), (140, 150), (125, 170), (155, 170)], np.float32)


def track(box: Box = (100, 100, 180, 200), track_id: int = 1) -> Track:
    return Track(track_id, box, 0.9, Detector.MEDIAPIPE, TrackState.CONFIRMED)


def live(score: float) -> Findings:
    return Findings(liveness=("net", Liveness(score, ())))


def points_of(board: ResultBoard, of: Track, now_s: float) -> Floats:
    points = board.landmarks(of, now_s)
    assert points is not None
    return np.array(points, np.float32)


def test_findings_stay_with_their_track() -> None:
    board = ResultBoard()
    board.add(1, live(0.9), {}, Moment(3, 0.1, "new_track"))
    board.add(2, live(0.1), {}, Moment(4, 0.2, "new_track"))
    assert board.analyses(1, 0.3)["liveness"].score == 0.9
    assert board.analyses(2, 0.3)["liveness"].frame == 4
    assert board.analyses(3, 0.3) == {}


def test_findings_that_come_late_count_but_do_not_make_the_newest_look_older() -> None:
    board = ResultBoard()
    board.add(1, live(0.8), {}, Moment(30, 1.0, "new_track"))
    board.add(1, live(0.9), {}, Moment(15, 0.5, "new_track"))
    analysis = board.analyses(1, 1.5)["liveness"]
    assert (analysis.frame, analysis.age_s, analysis.samples, analysis.score) == (30, 0.5, 2, 0.85)


def test_tracks_left_open_are_named() -> None:
    board = ResultBoard()
    board.add(1, live(0.6), {}, Moment(0, 0.0, "new_track"))
    board.add(2, live(0.9), {}, Moment(0, 0.0, "new_track"))
    board.add(3, Findings(), {}, Moment(0, 0.0, "new_track"))
    assert board.undecided == {1, 2}, "one crop is not much"
    board.add(2, live(0.9), {}, Moment(15, 0.5, "undecided"))
    assert board.undecided == {1}


def test_landmarks_are_given_back_where_the_face_has_not_moved() -> None:
    board = ResultBoard()
    board.refine(1, track().box, POINTS, at_s=1.0)
    assert np.allclose(points_of(board, track(), 1.0), POINTS, atol=0.01)
    assert board.landmarks(track(track_id=2), 1.0) is None


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(0.25, 4))
def test_landmarks_move_and_scale_with_the_box(dx: float, dy: float, scale: float) -> None:
    board = ResultBoard()
    board.refine(1, track().box, POINTS, at_s=0.0)
    moved = track((100 + dx, 100 + dy, 100 + dx + 80 * scale, 100 + dy + 100 * scale))
    expected = (POINTS - 100) * scale + 100 + (dx, dy)
    assert np.allclose(points_of(board, moved, 0.5), expected, atol=0.01)


def test_older_landmarks_never_replace_newer() -> None:
    board = ResultBoard()
    board.refine(1, track().box, POINTS, at_s=1.0)
    board.refine(1, track().box, POINTS + 10, at_s=0.5)
    assert np.allclose(points_of(board, track(), 1.0), POINTS, atol=0.01)
    board.refine(1, track().box, POINTS + 10, at_s=1.5)
    assert np.allclose(points_of(board, track(), 1.5), POINTS + 10, atol=0.01)


def test_landmarks_fade_but_not_between_one_sweep_and_the_answer_of_the_next() -> None:
    board = ResultBoard()
    board.refine(1, track().box, POINTS, at_s=0.0)
    assert board.landmarks(track(), SWEEP_S + 0.5) is not None
    assert board.landmarks(track(), LANDMARKS_FOR_S + 0.01) is None


def test_a_box_without_area_divides_nothing_by_zero() -> None:
    board = ResultBoard()
    board.refine(1, track((5, 5, 5, 5)).box, POINTS, at_s=0.0)
    points = board.landmarks(track((5, 5, 5, 5)), 0.0)
    assert points is not None
    assert np.isfinite(points).all()


def test_a_track_that_is_gone_is_remembered_for_a_while_and_then_forgotten() -> None:
    board = ResultBoard()
    board.add(1, live(0.6), {}, Moment(0, 0.0, "new_track"))
    board.add(2, live(0.6), {}, Moment(0, 0.0, "new_track"))
    board.keep({1, 2}, 10.0)
    board.keep({1}, 10.0 + FORGET_AFTER_S)
    assert set(board.analyses(2, 70.0)) == {"liveness"}
    board.keep({1}, 10.1 + FORGET_AFTER_S)
    assert board.analyses(2, 70.2) == {}
    assert set(board.analyses(1, 70.2)) == {"liveness"}
    assert board.undecided == {1}


def test_what_comes_back_about_a_track_long_gone_is_forgotten_in_its_turn() -> None:
    board = ResultBoard()
    board.add(7, live(0.6), {}, Moment(0, 0.0, "new_track"))
    board.keep(set(), FORGET_AFTER_S + 1)
    assert board.undecided == frozenset()


def test_a_dispute_lasts_until_a_sweep_sees_the_face_or_it_is_gone() -> None:
    board = ResultBoard()
    board.dispute(seen={1}, unseen={2, 3})
    assert board.disputed == {2, 3}
    board.dispute(seen={2}, unseen=set())
    assert board.disputed == {3}
    board.keep({1, 2}, 1.0)
    assert board.disputed == frozenset()


def test_a_track_some_model_did_not_come_to_answer_about_is_open_until_all_have() -> None:
    board = ResultBoard()
    board.note_answers(set(), {1, 2})
    assert board.undecided == {1, 2}
    board.note_answers({1}, set())
    assert board.undecided == {2}
    board.keep({1}, 1.0)
    assert board.undecided == frozenset()


def test_what_was_known_of_a_track_is_forgotten_when_another_face_has_it() -> None:
    board = ResultBoard()
    board.decide([track((100, 100, 180, 200))], liveness_expected=True)
    board.add(1, live(0.9), {}, Moment(0, 0.0, "new_track"))
    board.decide([track((102, 100, 182, 200))], liveness_expected=True)
    assert board.liveness(1) is not None
    board.decide([track((160, 140, 240, 240))], liveness_expected=True)
    assert board.liveness(1) is None
    assert board.analyses(1, 0.2) == {}
