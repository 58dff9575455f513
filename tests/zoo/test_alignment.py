"""The 5 points land where the template has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.errors import ModelInputInvalid
from streamapp.zoo.alignment import align, similarity, template
from streamapp.zoo.base import Face

BOX = np.array((0, 0, 10, 10), np.float32)


@given(st.floats(-3, 3), st.floats(0.1, 10), st.floats(-500, 500), st.floats(-500, 500))
def test_a_turned_scaled_and_moved_template_is_found_again(angle: float, scale: float, dx: float, dy: float) -> None:
    turn = scale * np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
    points = (template(112) @ turn.T + (dx, dy)).astype(np.float32)
    matrix = similarity(points, template(112))
    found = points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(found - template(112)).max() < 0.05


def test_faces_are_never_mirrored() -> None:
    mirrored = template(112) * np.array((-1, 1), np.float32)
    assert np.linalg.det(similarity(mirrored, template(112))[:, :2]) > 0


def test_the_template_grows_with_the_crop() -> None:
    assert np.allclose(template(160), template(112) * 160 / 112)


def test_pixels_at_the_points_land_on_the_template() -> None:
    rgb = np.zeros((400, 400, 3), np.uint8)
    points = template(112) * 2 + np.array((60, 80), np.float32)
    for x, y in points.round().astype(int):
        rgb[y - 3 : y + 4, x - 3 : x + 4] = 255
    crop = align(rgb, Face(BOX, points), 112).pixels
    for x, y in template(112).round().astype(int):
        assert crop[y, x].min() > 200
    assert crop.mean() < 5


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), 7), np.full((5, 2), np.nan)])
def test_points_that_say_nothing_are_refused(points: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    with pytest.raises(ModelInputInvalid):
        align(np.zeros((20, 20, 3), np.uint8), Face(BOX, points.astype(np.float32)), 112)


def test_a_face_without_landmarks_is_refused() -> None:
    with pytest.raises(ModelInputInvalid, match="5 landmarks"):
        align(np.zeros((20, 20, 3), np.uint8), Face(BOX), 112)
