"""The cascade finds what MTCNN finds, refines given boxes, and stays calm on odd pictures and boxes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from streamapp.errors import ModelInputInvalid
from streamapp.faces import Detector
from streamapp.geometry import pairwise_iou
from streamapp.zoo.mtcnn_cascade import Mtcnn, pyramid, squared, suppressed
from tests.sessions import faces_in, picture, session_of

MEETING = "groups/uniface_src_meeting.jpg"
EXPECTED = ((538.9, 169.5, 665.0, 330.3), (368.1, 242.2, 482.0, 398.3))
"""Two of the faces, as davidsandberg's cascade of the same weights has them."""


@pytest.fixture
def mtcnn() -> Mtcnn:
    return Mtcnn(session_of("mtcnn-rnet"), session_of("mtcnn-onet"), session_of("mtcnn-pnet"))


@pytest.mark.weights
@pytest.mark.media
def test_every_face_of_a_group_is_found_where_it_is(mtcnn: Mtcnn) -> None:
    faces = mtcnn.detect(picture(MEETING))
    assert len(faces) == 5
    assert faces.detector is Detector.MTCNN
    assert pairwise_iou(np.array(EXPECTED, np.float32), faces.boxes).max(axis=1).min() > 0.85
    assert faces.landmarks is not None
    assert (faces.landmarks[:, 0, 0] < faces.landmarks[:, 1, 0]).all()


@pytest.mark.weights
@pytest.mark.media
def test_parts_in_parallel_give_the_same(mtcnn: Mtcnn) -> None:
    with ThreadPoolExecutor(2) as pool:
        parallel = Mtcnn(mtcnn.rnet, mtcnn.onet, mtcnn.pnet, run_parts=pool.map).detect(picture(MEETING))
    assert np.array_equal(parallel.boxes, mtcnn.detect(picture(MEETING)).boxes)


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("relative", [MEETING, "groups/facenet_pytorch_multiface.jpg"])
def test_refining_boxes_of_another_detector_keeps_faces_and_drops_the_rest(mtcnn: Mtcnn, relative: str) -> None:
    rgb = picture(relative)
    given = faces_in(rgb)
    wall = np.array(((0, 0, 40, 40), (5, 300, 60, 350)), np.float32)
    refined = Mtcnn(mtcnn.rnet, mtcnn.onet).refine(rgb, np.concatenate([wall, given.boxes]))
    assert len(refined) == len(given)
    assert pairwise_iou(given.boxes, refined.boxes).max(axis=1).min() > 0.6
    assert refined.landmarks is not None
    assert given.landmarks is not None
    best = pairwise_iou(given.boxes, refined.boxes).argmax(axis=1)
    widths = (given.boxes[:, 2] - given.boxes[:, 0])[:, None, None]
    assert (np.abs(refined.landmarks[best] - given.landmarks) / widths).max() < 0.2


@pytest.mark.weights
@pytest.mark.parametrize("shape", [(480, 640), (5, 5), (11, 300), (20, 20)])
def test_pictures_without_faces_have_none(mtcnn: Mtcnn, shape: tuple[int, int]) -> None:
    assert len(mtcnn.detect(np.full((*shape, 3), 128, np.uint8))) == 0


@pytest.mark.weights
def test_boxes_that_are_no_boxes_are_left_out(mtcnn: Mtcnn) -> None:
    odd = np.array(((np.nan, 0, 9, 9), (0, 0, np.inf, 9), (900, 900, 950, 950), (5, 5, 5, 5), (9, 9, 2, 2)), np.float32)
    assert len(mtcnn.refine(np.zeros((100, 100, 3), np.uint8), odd)) == 0
    assert len(mtcnn.refine(np.zeros((100, 100, 3), np.uint8), odd[:0])) == 0


@pytest.mark.weights
def test_without_the_first_net_it_can_only_refine(mtcnn: Mtcnn) -> None:
    with pytest.raises(ModelInputInvalid, match="only given boxes"):
        Mtcnn(mtcnn.rnet, mtcnn.onet).detect(np.zeros((100, 100, 3), np.uint8))


def test_the_pyramid_shrinks_to_one_window() -> None:
    levels = pyramid(np.zeros((480, 640, 3), np.uint8), 20)
    assert levels[0][0].shape[:2] == (288, 384)
    assert len(levels) == 10
    assert all(min(level.shape[:2]) >= 12 for level, _ in levels)


def test_squares_are_whole_pixels_around_the_middle() -> None:
    assert squared(np.array(((10, 10, 30, 50),), np.float32), 100, 100).tolist() == [[0, 10, 40, 50]]


def test_overlap_of_the_smaller_box_counts_where_asked() -> None:
    boxes = np.array(((0, 0, 100, 100), (10, 10, 40, 40), (200, 200, 210, 210)), np.float32)
    scores = np.array((0.9, 0.8, 0.7), np.float32)
    assert suppressed(boxes, scores, 0.7).tolist() == [0, 1, 2]
    assert suppressed(boxes, scores, 0.7, of_smaller=True).tolist() == [0, 2]
