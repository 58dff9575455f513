"""Each anti-spoofing net is shown its own kind of crop, and real ones tell a person from a photograph."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.errors import ModelInputInvalid, ModelInvalid
from streamapp.zoo.antispoof import SPECS, Antispoof
from streamapp.zoo.base import Crop, Face, infer
from tests.fakes import ScriptedSession
from tests.sessions import largest_face, picture, session_of

REAL = ("antispoof-bin-128", "antispoof-print-replay-128", "minifasnet-v2", "minifasnet-v1se")


def face(*box: float) -> Face:
    return Face(np.array(box, np.float32))


def gradient() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Red tells the column, green the row, blue is full."""
    rgb = np.full((200, 200, 3), 255, np.uint8)
    rgb[:, :, 0], rgb[:, :, 1] = np.arange(200)[None], np.arange(200)[:, None]
    return rgb


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("name", REAL)
def test_a_person_looks_more_alive_than_a_photograph(name: str) -> None:
    model = Antispoof(SPECS[name])
    pictures = [picture("spoof/image_T1.jpg"), picture("spoof/image_F1.jpg")]
    live, spoof = infer(session_of(name), model, [model.cut(rgb, largest_face(rgb)) for rgb in pictures])
    assert live.live > 0.95
    assert spoof.live < 0.5
    for answer in (live, spoof):
        assert answer.live + sum(share for _, share in answer.attacks) == pytest.approx(1, abs=1e-4)


@pytest.mark.weights
@pytest.mark.media
def test_a_batch_gives_what_its_faces_give_alone() -> None:
    model, session = Antispoof(SPECS["minifasnet-v2"]), session_of("minifasnet-v2")
    crops = [
        model.cut(rgb, largest_face(rgb)) for rgb in (picture("spoof/image_T1.jpg"), picture("spoof/image_F1.jpg"))
    ]
    for together, crop in zip(infer(session, model, crops), crops, strict=True):
        assert together.live == pytest.approx(infer(session, model, [crop])[0].live, abs=1e-5)


def test_mn3_gives_probabilities_and_its_own_scale() -> None:
    model = Antispoof(SPECS["antispoof-mn3"])
    session = ScriptedSession("antispoof-mn3", 128, [np.array((0.8, 0.2), np.float32)])
    (answer,) = infer(session, model, [model.cut(np.full((9, 9, 3), (255, 128, 0), np.uint8), face(0, 0, 9, 9))])
    assert answer.live == pytest.approx(0.8)
    assert dict(answer.attacks) == pytest.approx({"spoof": 0.2})
    expected = ((255 - 151.2405) / 63.0105, (128 - 119.595) / 56.457, -107.8395 / 55.0035)
    assert session.batches[0].mean(axis=(0, 2, 3)).tolist() == pytest.approx(expected, abs=1e-4)


def test_logits_become_shares_and_kinds_of_the_same_name_are_added() -> None:
    session = ScriptedSession("minifasnet-v2", 80, [np.log(np.array((0.1, 0.7, 0.2))).astype(np.float32)])
    (answer,) = infer(session, Antispoof(SPECS["minifasnet-v2"]), [Crop(np.zeros((80, 80, 3), np.uint8))])
    assert answer.live == pytest.approx(0.7)
    assert dict(answer.attacks) == pytest.approx({"spoof": 0.3})


def test_minifasnet_sees_blue_first_and_raw() -> None:
    packed = Antispoof(SPECS["minifasnet-v2"]).preprocess([Crop(np.full((80, 80, 3), (200, 100, 50), np.uint8))])
    assert packed[0, :, 0, 0].tolist() == [50, 100, 200]


def test_the_wide_crop_is_moved_into_the_picture_instead_of_padded() -> None:
    crop = Antispoof(SPECS["minifasnet-v2"]).cut(gradient(), face(150, 150, 200, 200)).pixels
    assert crop[:, :, 2].min() == 255
    assert crop[0, 0, 0] == pytest.approx(199 - 135, abs=3)
    assert crop[-1, -1, 0] == pytest.approx(199, abs=3)


def test_the_wide_crop_of_a_large_face_is_the_picture() -> None:
    crop = Antispoof(SPECS["minifasnet-v2"]).cut(gradient(), face(20, 20, 180, 180)).pixels
    assert (crop[0, 0, :2] <= 2).all()
    assert (crop[-1, -1, :2] >= 196).all()


def test_the_square_crop_is_padded_with_black() -> None:
    crop = Antispoof(SPECS["antispoof-bin-128"]).cut(gradient(), face(150, 150, 200, 200)).pixels
    assert crop[-1, -1].max() == 0
    assert crop[64, 64, 0] == pytest.approx(175, abs=3)


def test_wrong_crops_and_nets_are_refused() -> None:
    model = Antispoof(SPECS["antispoof-bin-128"])
    with pytest.raises(ModelInputInvalid):
        model.preprocess([Crop(np.zeros((80, 80, 3), np.uint8))])
    with pytest.raises(ModelInvalid):
        model.spec.check_session(ScriptedSession("antispoof-bin-128", 128, [np.zeros(3, np.float32)]))
