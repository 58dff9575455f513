"""Pictures with their faces drawn in, and the example pictures."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from streamapp.demo.drawing import EXAMPLES, MAX_SIDE, Example, coded, example_picture, painted
from streamapp.faces import Detector, Mode
from streamapp.frame import Image
from streamapp.results import FaceResult, ImageResult


def read(data: bytes) -> Image:
    return np.asarray(PIL.Image.open(io.BytesIO(data), formats=["JPEG"]), np.uint8)


def result(width: int, height: int, *boxes: tuple[float, float, float, float]) -> ImageResult:
    faces = tuple(FaceResult(box, 0.9, None, None, Detector.MEDIAPIPE, (Detector.MEDIAPIPE,)) for box in boxes)
    return ImageResult(width, height, Mode.FAST, faces, (), (), {})


def test_the_box_is_where_the_face_is() -> None:
    grey = np.full((480, 640, 3), 90, np.uint8)
    drawn = read(painted(grey, result(640, 480, (200, 150, 400, 350))))
    changed = np.abs(drawn.astype(int) - 90).max(axis=2) > 40
    assert changed[150:350, 196:204].mean() > 0.3
    assert not changed[200:300, 250:350].any()
    assert not changed[400:, :].any()


def test_a_large_picture_is_made_smaller_with_its_boxes() -> None:
    grey = np.full((3000, 4001, 3), 90, np.uint8)
    drawn = read(painted(grey, result(4001, 3000, (2000, 1000, 3000, 2000))))
    assert max(drawn.shape[:2]) <= MAX_SIDE
    rows, columns = np.nonzero(np.abs(drawn.astype(int) - 90).max(axis=2) > 40)
    assert np.allclose((columns.max(), rows.max()), (1200, 800), atol=6)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_examples_are_pictures_of_the_clip(example: Example) -> None:
    picture = example_picture(example.name)
    assert picture.shape == (480, 640, 3)
    assert max(read(coded(picture, 200)).shape) == 200


def test_there_is_no_other_example() -> None:
    with pytest.raises(KeyError):
        example_picture("../secret")


def test_in_privacy_mode_who_is_not_enrolled_is_blurred() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    found = result(640, 480, (200, 150, 400, 350))
    inside, outside = (slice(180, 330), slice(230, 370)), (slice(400, 480), slice(480, 640))
    clear, veiled = (read(painted(noise, found, private=private)) for private in (False, True))
    assert clear[inside].std() > 30 > 15 > veiled[inside].std()
    assert veiled[outside].std() > 30
