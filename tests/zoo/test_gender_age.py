"""Both forms of the gender and age net."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamapp.errors import ModelInputInvalid
from streamapp.findings import Gender
from streamapp.zoo.base import Crop, Face, infer
from streamapp.zoo.gender_age import SPECS, GenderAgeNet
from tests.fakes import ScriptedSession
from tests.sessions import largest_face, picture, session_of
from tests.shared_data import shared_folder

NEWER, OLDER = GenderAgeNet(SPECS["genderage"]), GenderAgeNet(SPECS["genderage-v1"])


def test_the_newer_form_gives_the_age_in_hundreds_of_years() -> None:
    session = ScriptedSession("genderage", 96, [np.array((1.0, 3.0, 0.31), np.float32)])
    (answer,) = infer(session, NEWER, [Crop(np.full((96, 96, 3), (200, 100, 50), np.uint8))])
    assert answer.gender is Gender.MALE
    assert answer.male == pytest.approx(1 / (1 + np.exp(-2)))
    assert answer.age_years == pytest.approx(31)
    assert session.batches[0][0, :, 0, 0].tolist() == [200, 100, 50]


def test_the_older_form_counts_votes() -> None:
    votes = np.zeros((100, 2), np.float32)
    votes[:37, 1] = 1
    output = np.concatenate([(2.0, -1.0), votes.reshape(-1)]).astype(np.float32)
    session = ScriptedSession("genderage-v1", 112, [output])
    (answer,) = infer(session, OLDER, [Crop(np.zeros((112, 112, 3), np.uint8))])
    assert answer.gender is Gender.FEMALE
    assert answer.age_years == 37


def test_the_newer_form_sees_half_as_much_again_and_no_landmarks() -> None:
    rgb = np.zeros((300, 300, 3), np.uint8)
    rgb[100:200, 100:200] = 255
    crop = NEWER.cut(rgb, Face(np.array((100, 100, 200, 200), np.float32))).pixels
    assert crop.shape == (96, 96, 3)
    assert (crop[48] > 128).all(axis=1).sum() == pytest.approx(64, abs=2)
    with pytest.raises(ModelInputInvalid):
        OLDER.cut(rgb, Face(np.array((100, 100, 200, 200), np.float32)))


@pytest.mark.weights
@pytest.mark.media
def test_real_weights_are_right_within_what_they_can() -> None:
    errors, right = [], []
    for path in sorted(shared_folder("media/age_gender/utkface").glob("*.jpg")):
        rgb = picture(f"age_gender/utkface/{path.name}")
        rgb = np.asarray(cv2.copyMakeBorder(rgb, 100, 100, 100, 100, cv2.BORDER_CONSTANT), np.uint8)
        (answer,) = infer(session_of("genderage-v1"), OLDER, [OLDER.cut(rgb, largest_face(rgb))])
        age, female = path.name.split("_")[:2]
        errors.append(abs(answer.age_years - int(age)))
        right.append((answer.gender is Gender.FEMALE) == (female == "1"))
    assert len(errors) >= 60
    assert np.mean(errors) < 12
    assert np.mean(right) > 0.72
