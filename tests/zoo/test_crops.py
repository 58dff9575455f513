"""Letterboxes, squares and boxes hold what they should, and pixels are packed as each net wants them."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.errors import ModelInputInvalid
from streamapp.zoo.base import Crop, Face
from streamapp.zoo.crops import Packing, box_crop, letterbox, square_crop

RGB = np.random.default_rng(0).integers(0, 256, (60, 100, 3), np.uint8)


def face(*box: float) -> Face:
    return Face(np.array(box, np.float32))


@pytest.mark.parametrize("shape", [(60, 100), (100, 60), (640, 640), (1080, 1920), (1, 300)])
def test_points_of_a_letterbox_go_back_to_the_picture(shape: tuple[int, int]) -> None:
    height, width = shape
    item = letterbox(np.full((height, width, 3), 200, np.uint8), 640)
    corners = np.array(((item.left, item.top), (640 - item.left, 640 - item.top)), np.float32)
    expected = np.array(((0, 0), (width, height)), np.float32)
    assert np.abs(item.to_picture(corners) - expected).max() <= max(1, max(shape) / 640)


def test_a_letterbox_is_grey_beside_the_picture() -> None:
    item = letterbox(np.full((100, 200, 3), 255, np.uint8), 640)
    assert (item.pixels[:160] == 114).all()
    assert (item.pixels[160:480] == 255).all()
    assert (item.pixels[480:] == 114).all()


def test_even_and_uneven_packings_do_the_same_sums() -> None:
    crops = [Crop(RGB[:50, :50]), Crop(RGB[10:60, 50:])]
    even = Packing(mean=127.5, scale=128.0).pack(crops, 50, "net")
    uneven = Packing(mean=(127.5,) * 3, scale=(128.0,) * 3).pack(crops, 50, "net")
    assert even.shape == (2, 3, 50, 50)
    assert even.dtype == uneven.dtype == np.float32
    assert np.abs(even - uneven).max() < 1e-5
    assert even[1, 2, 3, 4] == pytest.approx((crops[1].pixels[3, 4, 2] - 127.5) / 128)


@pytest.mark.parametrize("mean", [0.0, (0.0, 0.0, 0.0)])
def test_blue_comes_first_where_the_net_wants_it(mean: float | tuple[float, float, float]) -> None:
    scale = 1.0 if isinstance(mean, float) else (1.0, 1.0, 1.0)
    packed = Packing(mean, scale, bgr=True).pack([Crop(RGB[:50, :50])], 50, "net")
    assert (packed[0] == RGB[:50, :50, ::-1].transpose(2, 0, 1)).all()


@pytest.mark.parametrize("pixels", [RGB, RGB[:50, :50, :1], RGB[:50, :50].astype(np.float32)])
def test_crops_of_the_wrong_kind_are_refused(pixels: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]) -> None:
    with pytest.raises(ModelInputInvalid, match="net takes uint8"):
        Packing(0.0, 1.0).pack([Crop(pixels)], 50, "net")


def test_a_square_beside_the_picture_is_black_or_repeats_its_edge() -> None:
    white = np.full((60, 100, 3), 255, np.uint8)
    black = square_crop(white, face(80, 20, 100, 40), 2.0, 40).pixels
    assert black[20, 5].min() == 255
    assert black[20, 35].max() == 0
    assert square_crop(white, face(80, 20, 100, 40), 2.0, 40, replicate=True).pixels.min() == 255


def test_a_box_is_cut_at_the_edges_of_the_picture() -> None:
    assert (box_crop(RGB, face(-10, -10, 50, 50), 50).pixels == RGB[:50, :50]).all()


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 9), (9, 9, 5, 5), (200, 0, 300, 50), (np.nan, 0, 5, 5), (-1e9, -1e9, 1e9, 1e9), (-9, -9, -1, -1)]
)
def test_boxes_without_pixels_are_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ModelInputInvalid):
        square_crop(RGB, face(*box), 1.5, 40)
    with pytest.raises(ModelInputInvalid):
        box_crop(RGB, face(*box), 40)
