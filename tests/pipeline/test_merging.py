"""Every face is named once, with the finest box and the points of whoever has them, and no face is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.faces import Detections, Detector
from streamapp.geometry import pairwise_iou
from streamapp.pipeline.merging import MIN_OVERLAP, SeenFace, confirmed, merged

Square = tuple[float, float, float, float]
"""x, y, side and score."""


def found(detector: Detector, *squares: Square, points: bool = False) -> Detections:
    columns = np.array(squares, np.float32).reshape(-1, 4)
    corner, side = columns[:, :2], columns[:, 2:3]
    boxes = np.concatenate([corner, corner + side], axis=1)
    middles = np.asarray(boxes[:, None, :2] + side[:, None] / 2, np.float32).repeat(5, axis=1)
    return Detections(detector, boxes, columns[:, 3], middles if points else None)


def mediapipe(*squares: Square) -> Detections:
    return found(Detector.MEDIAPIPE, *squares)


def yolo(*squares: Square) -> Detections:
    return found(Detector.YOLO, *squares)


def mtcnn(*squares: Square) -> Detections:
    return found(Detector.MTCNN, *squares, points=True)


def summary(faces: list[SeenFace]) -> set[tuple[object, ...]]:
    return {(*face.box.tolist(), round(face.score, 6), face.detector, face.seen_by) for face in faces}


def test_a_face_that_all_saw_is_one_with_the_last_ones_box_and_points_and_the_best_score() -> None:
    (face,) = merged([mediapipe((10, 10, 100, 0.9)), yolo((12, 14, 96, 0.95)), mtcnn((14, 12, 98, 0.7))])
    assert face.box.tolist() == [14, 12, 112, 110]
    assert face.score == pytest.approx(0.95)
    assert face.detector is Detector.MTCNN
    assert face.seen_by == tuple(Detector)
    assert face.landmarks is not None


def test_points_stay_where_the_finer_detector_has_none() -> None:
    (face,) = merged([mtcnn((10, 10, 100, 0.9)), yolo((12, 14, 96, 0.5))])
    assert face.detector is Detector.YOLO
    assert face.landmarks is not None
    assert face.landmarks[0].tolist() == [60, 60]


def test_faces_that_only_one_saw_are_all_there_in_the_order_of_the_chain() -> None:
    faces = merged([mediapipe((0, 0, 50, 0.9)), yolo((200, 0, 20, 0.6), (0, 0, 50, 0.9)), mtcnn((400, 0, 30, 0.8))])
    assert [face.seen_by for face in faces] == [
        (Detector.MEDIAPIPE, Detector.YOLO),
        (Detector.YOLO,),
        (Detector.MTCNN,),
    ]


def test_each_box_goes_to_the_face_it_fits_best_and_not_to_the_first() -> None:
    near, beside = (0.0, 0.0, 100.0, 0.9), (45.0, 0.0, 100.0, 0.8)
    faces = merged([mediapipe(near, beside), yolo(beside, near)])
    assert {(face.box[0].item(), face.seen_by) for face in faces} == {
        (0.0, (Detector.MEDIAPIPE, Detector.YOLO)),
        (45.0, (Detector.MEDIAPIPE, Detector.YOLO)),
    }


def test_a_second_box_on_a_face_that_more_have_seen_and_surer_is_left_out() -> None:
    faces = merged([mediapipe((0, 0, 100, 0.6), (20, 0, 100, 0.6)), yolo((0, 0, 100, 0.9))])
    assert [face.seen_by for face in faces] == [(Detector.MEDIAPIPE, Detector.YOLO)]


def test_a_surer_second_box_stays() -> None:
    assert len(merged([mediapipe((0, 0, 100, 0.6), (20, 0, 100, 0.95)), yolo((0, 0, 100, 0.9))])) == 2


def test_a_double_of_a_double_is_a_face_of_its_own() -> None:
    # Each box overlaps the next by more than the limit, the first and the last do not touch.
    first, second, third = (0.0, 0.0, 100.0, 0.5), (50.0, 0.0, 100.0, 0.7), (100.0, 0.0, 100.0, 0.9)
    faces = merged([mediapipe(first, second, third), yolo(second, third), mtcnn(third)])
    assert sorted(face.box[0].item() for face in faces) == [0.0, 100.0]


def test_nobody_saw_anything() -> None:
    assert merged([]) == []
    assert merged([Detections.none(Detector.MEDIAPIPE), yolo()]) == []


def test_boxes_that_are_no_numbers_join_nothing() -> None:
    assert len(merged([mediapipe((float("nan"), 0, 100, 0.9)), yolo((0, 0, 100, 0.9))])) == 2


def test_what_a_finer_detector_does_not_confirm_stays_as_it_was() -> None:
    (face,) = merged([yolo((0, 0, 50, 0.6))])
    assert confirmed(face, Detections.none(Detector.MTCNN)) is face
    again = confirmed(face, mtcnn((2, 2, 46, 0.99)))
    assert again.seen_by == (Detector.YOLO, Detector.MTCNN)
    assert again.landmarks is not None
    assert again.score == pytest.approx(0.99)


squares = st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(5, 150), st.floats(0.125, 1.0, width=32))
chains = st.tuples(*(st.lists(squares, max_size=6) for _ in Detector)).map(
    lambda lists: [found(detector, *boxes) for detector, boxes in zip(Detector, lists, strict=True)]
)


@settings(deadline=None)
@given(chains)
def test_no_box_is_lost_that_no_face_covers_and_each_detector_saw_a_face_at_most_once(chain: list[Detections]) -> None:
    faces = merged(chain)
    kept = np.array([face.box for face in faces], np.float32).reshape(-1, 4)
    everything = np.concatenate([group.boxes for group in chain])
    if len(everything):  # a coarse box and the finest of its face need not touch, but a box between them does
        reach = pairwise_iou(everything, everything) > MIN_OVERLAP
        covered = pairwise_iou(everything, kept).max(axis=1, initial=0) > MIN_OVERLAP
        assert (covered | (reach @ covered)).all()
    for face in faces:
        assert len(set(face.seen_by)) == len(face.seen_by)
        assert face.detector is face.seen_by[-1]
    for detector in Detector:
        assert sum(detector in face.seen_by for face in faces) <= len(chain[list(Detector).index(detector)])


@settings(deadline=None)
@given(chains)
def test_a_box_of_the_last_detector_is_missing_only_where_a_better_face_covers_it(chain: list[Detections]) -> None:
    faces = merged(chain)
    kept = np.array([face.box for face in faces], np.float32).reshape(-1, 4)
    finest = chain[-1].boxes
    if len(finest):
        assert (pairwise_iou(finest, kept).max(axis=1, initial=0) > MIN_OVERLAP).all()


@settings(deadline=None)
@given(st.lists(squares, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_the_order_within_a_detector_does_not_matter(boxes: list[Square], random: object) -> None:
    shuffled = sorted(boxes, key=lambda _: random.random())  # type: ignore[attr-defined]  # hypothesis gives a Random
    assert summary(merged([mediapipe(*boxes), yolo((10, 10, 80, 0.8))])) == summary(
        merged([mediapipe(*shuffled), yolo((10, 10, 80, 0.8))])
    )
