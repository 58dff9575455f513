"""MTCNN on a picture and on what others found gives the same faces, in pixels of the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.faces import Detections, Detector, Floats
from streamapp.frame import Image
from streamapp.geometry import pairwise_iou
from streamapp.zoo.base import Letterboxed, ModelSession
from streamapp.zoo.mtcnn_operations import MAX_SIDE, Cascade, Refinement, face_patch, in_picture, whole_view
from tests.sessions import faces_in, picture, session_of

NETS = ("mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet")
GROUPS = ("groups/uniface_src_meeting.jpg", "groups/facenet_pytorch_multiface.jpg", "groups/obama_and_biden.jpg")


def sessions() -> dict[str, ModelSession]:
    return {name: session_of(name) for name in NETS}


def gradient(width: int, height: int) -> Image:
    """A picture whose red is its x and whose green is its y, in units of 1/250 of its sides."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 250 / width, y * 250 / height, np.zeros_like(x)], axis=-1).astype(np.uint8)


def box_of(x: float, y: float, side: float) -> Floats:
    return np.array((x, y, x + side, y + side), np.float32)


def test_a_picture_that_is_small_enough_is_viewed_as_it_is_but_owned() -> None:
    rgb = gradient(640, 480)
    view = whole_view(rgb)
    assert np.array_equal(view.pixels, rgb)
    assert not np.shares_memory(view.pixels, rgb)
    assert (view.scale, view.left, view.top) == (1.0, 0.0, 0.0)


def test_a_large_picture_is_scaled_down_for_the_cascade() -> None:
    view = whole_view(gradient(4000, 3000))
    assert view.pixels.shape == (960, MAX_SIDE, 3)
    assert view.scale == pytest.approx(0.32)
    assert view.to_picture(np.array(((320, 240),), np.float32)).tolist() == [[1000, 750]]


@settings(deadline=None, max_examples=60)
@given(st.floats(-60, 660), st.floats(-60, 500), st.floats(2, 600))
def test_a_patch_shows_the_surroundings_of_the_box_and_knows_where_they_are(x: float, y: float, side: float) -> None:
    rgb = gradient(640, 480)
    patch = face_patch(rgb, box_of(x, y, side))
    if patch is None:
        assert x - side / 2 > 638 or y - side / 2 > 478 or x + 1.5 * side < 2 or y + 1.5 * side < 2
        return
    height, width = patch.view.pixels.shape[:2]
    assert not np.shares_memory(patch.view.pixels, rgb)
    assert max(width, height) <= 2 * 96 + 4
    middle = np.array([((width - 1) / 2 + 0.5, (height - 1) / 2 + 0.5)], np.float32)
    at_x, at_y = patch.view.to_picture(middle)[0]
    shown = patch.view.pixels[
        height // 2 - (height % 2 == 0) : height // 2 + 1, width // 2 - (width % 2 == 0) : width // 2 + 1
    ]
    told_x, told_y = shown[..., 0].mean() * 640 / 250, shown[..., 1].mean() * 480 / 250
    assert (told_x, told_y) == pytest.approx((at_x, at_y), abs=8)


@pytest.mark.parametrize(
    "box",
    [
        (np.nan, 0, 10, 10),
        (0, 0, np.inf, 10),
        (5, 5, 5, 5),
        (9, 9, 2, 2),
        (2000, 2000, 2100, 2100),
        (-9000, -9000, 9000, 9000),
    ],
)
def test_there_is_no_patch_of_what_is_no_box_in_the_picture(box: tuple[float, ...]) -> None:
    assert face_patch(gradient(640, 480), np.array(box, np.float32)) is None


def test_a_view_s_faces_are_told_in_pixels_of_its_picture() -> None:
    view = Letterboxed(np.zeros((50, 50, 3), np.uint8), 0.5, -100, -50)
    found = Detections(
        Detector.MTCNN,
        np.array([(0, 0, 10, 20)], np.float32),
        np.ones(1, np.float32),
        np.full((1, 5, 2), 5, np.float32),
    )
    there = in_picture(found, view)
    assert there.boxes.tolist() == [[200, 100, 220, 140]]
    assert there.landmarks is not None
    assert there.landmarks[0, 0].tolist() == [210, 110]
    assert len(in_picture(Detections.none(Detector.MTCNN), view)) == 0


def test_operations_name_the_nets_they_need() -> None:
    assert Cascade(*NETS).variants == NETS
    assert Refinement(*NETS[1:]).variants == NETS[1:]
    assert Cascade(*NETS).name != Refinement(*NETS[1:]).name


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("relative", GROUPS)
def test_refining_the_boxes_of_the_cascade_gives_its_points(relative: str) -> None:
    rgb = picture(relative)
    (found,) = Cascade(*NETS).run(sessions(), [whole_view(rgb)])
    assert len(found) >= 2
    assert found.landmarks is not None
    sure = np.flatnonzero(found.scores > 0.9)  # of others the nets may think again when shown another square
    patches = [face_patch(rgb, found.boxes[index]) for index in sure]
    refined = Refinement(*NETS[1:]).run(sessions(), [patch for patch in patches if patch is not None])
    assert [len(one) for one in refined] == [1] * len(sure)
    for index, one in zip(sure, refined, strict=True):
        width = found.boxes[index, 2] - found.boxes[index, 0]
        assert one.landmarks is not None
        assert pairwise_iou(found.boxes[index : index + 1], one.boxes)[0, 0] > 0.7
        assert np.abs(one.landmarks[0] - found.landmarks[index]).max() < 0.1 * width


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("relative", GROUPS)
def test_refining_boxes_of_another_detector_gives_its_points(relative: str) -> None:
    rgb = picture(relative)
    given_faces = faces_in(rgb)
    patches = [face_patch(rgb, box) for box in given_faces.boxes]
    refined = Refinement(*NETS[1:]).run(sessions(), [patch for patch in patches if patch is not None])
    assert given_faces.landmarks is not None
    assert sum(map(len, refined)) == len(given_faces)
    for index, one in enumerate(refined):
        assert one.landmarks is not None
        width = given_faces.boxes[index, 2] - given_faces.boxes[index, 0]
        assert np.abs(one.landmarks[0] - given_faces.landmarks[index]).max() < 0.2 * width


@pytest.mark.weights
@pytest.mark.media
def test_a_box_on_the_wall_is_no_face_and_a_neighbour_is_not_taken_for_it() -> None:
    rgb = picture(GROUPS[0])
    box = faces_in(rgb).boxes[0]
    width = box[2] - box[0]
    beside = box + np.array((0.85 * width, 0, 0.85 * width, 0), np.float32)
    patches = [face_patch(rgb, np.array(wall, np.float32)) for wall in ((0, 0, 60, 60), beside, box)]
    wall, neighbour, itself = Refinement(*NETS[1:]).run(sessions(), [patch for patch in patches if patch is not None])
    assert len(wall) == 0
    assert len(itself) == 1
    if len(neighbour):
        assert pairwise_iou(neighbour.boxes, beside[None])[0, 0] >= 0.2


@pytest.mark.weights
def test_no_items_are_no_answers() -> None:
    assert Cascade(*NETS).run(sessions(), []) == []
    assert Refinement(*NETS[1:]).run(sessions(), []) == []
