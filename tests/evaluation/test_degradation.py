"""Pictures get worse in the way that was asked for, and the face stays where it is in them."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.evaluation.degradation import Degradation
from streamapp.zoo.base import Face

RGB = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
FACE = Face(np.array((100, 50, 300, 250), np.float32), np.full((5, 2), 150, np.float32))


def applied(degradation: Degradation) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], Face]:
    return degradation.applied(RGB, FACE, np.random.default_rng(1))


def test_nothing_asked_changes_nothing() -> None:
    rgb, face = applied(Degradation())
    np.testing.assert_array_equal(rgb, RGB)
    assert face is FACE
    assert str(Degradation()) == ""


def test_faces_are_scaled_down_never_up() -> None:
    rgb, face = applied(Degradation(face_px=20))
    assert rgb.shape == (30, 40, 3)
    assert face.box.tolist() == pytest.approx([10, 5, 30, 25])
    assert face.landmarks is not None
    assert face.landmarks[0].tolist() == pytest.approx([15, 15])
    assert applied(Degradation(face_px=500))[0].shape == RGB.shape


def test_blur_and_noise_are_measured_on_a_face_of_one_size() -> None:
    blurred, face = applied(Degradation(blur=4))
    assert face.box[2] - face.box[0] == pytest.approx(112)
    sharp, _ = applied(Degradation(face_px=112))
    assert blurred.std() < sharp.std() / 2
    noisy, _ = applied(Degradation(face_px=112, noise=30))
    assert (noisy.astype(float) - sharp).std() == pytest.approx(30, rel=0.1)
    assert str(Degradation(20, 4, 15)) == "faces scaled down to 20 px, blur 4, noise 15"
