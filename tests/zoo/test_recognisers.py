"""AdaFace, FaceNet and ArcFace: what each is shown, and that real ones tell people apart."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.errors import EmbeddingMismatch, ModelInputInvalid, ModelInvalid
from streamapp.findings import Embedding
from streamapp.frame import Image
from streamapp.zoo.alignment import template
from streamapp.zoo.base import Crop, Face, infer
from streamapp.zoo.catalogue import recogniser
from tests.fakes import ScriptedSession
from tests.sessions import largest_face, picture, session_of

REAL = (
    "arcface-mbf-w600k-int8", "mobilefacenet-insightface-y1", "mobilefacenet-foamliu", "mobileface-v2",
)  # fmt: skip
SIZES = {
    "adaface-ir101": (112, 512),
    "facenet-vggface2": (160, 512),
    "arcface-r100-glint": (112, 512),
    "arcface-r50-w600k": (112, 512),
    "mobilefacenet-foamliu": (112, 128),
    "mobileface-v2": (112, 256),
}


def orange(side: int) -> Crop:
    return Crop(np.full((side, side, 3), (255, 128, 0), np.uint8))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adaface-ir101", (-1, 128 / 127.5 - 1, 1)),
        ("facenet-vggface2", (127.5 / 128, 0.5 / 128, -127.5 / 128)),
        ("arcface-r100-glint", (1, 128 / 127.5 - 1, -1)),
        ("arcface-mbf-w600k", (1, 128 / 127.5 - 1, -1)),
        ("arcface-r100-openmodelzoo", (255, 128, 0)),
        ("mobilefacenet-foamliu", ((255 - 123.675) / 58.395, (128 - 116.28) / 57.12, -103.53 / 57.375)),
    ],
)
def test_channels_and_scale_are_those_of_the_model_card(name: str, expected: tuple[float, float, float]) -> None:
    model = recogniser(name)
    packed = model.preprocess([orange(model.spec.side)])
    assert packed[0].mean(axis=(1, 2)).tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", SIZES)
def test_embeddings_have_length_one_and_the_name_of_their_model(name: str) -> None:
    side, size = SIZES[name]
    session = ScriptedSession(name, side, [np.arange(size, dtype=np.float32)])
    model = recogniser(name)
    model.spec.check_session(session)
    for made in infer(session, model, [orange(side), orange(side)]):
        assert made.model == name
        assert np.linalg.norm(made.vector) == pytest.approx(1, abs=1e-5)
    assert session.batches[0].shape == (2, 3, side, side)


@pytest.mark.parametrize("name", SIZES)
def test_crops_and_nets_of_another_size_are_refused(name: str) -> None:
    side, size = SIZES[name]
    model = recogniser(name)
    with pytest.raises(ModelInputInvalid):
        model.preprocess([orange(side + 1)])
    with pytest.raises(ModelInvalid):
        model.spec.check_session(ScriptedSession(name, side, [np.zeros(size + 1, np.float32)]))
    with pytest.raises(ModelInvalid):
        model.spec.check_session(ScriptedSession(name, side + 1, [np.zeros(size, np.float32)]))


def test_facenet_sees_the_box_and_needs_no_landmarks() -> None:
    rgb = np.zeros((300, 300, 3), np.uint8)
    rgb[100:200, 50:130] = 255
    face = Face(np.array((50, 100, 130, 200), np.float32))
    assert recogniser("facenet-vggface2").cut(rgb, face).pixels.min() == 255
    with pytest.raises(ModelInputInvalid):
        recogniser("arcface-r100-glint").cut(rgb, face)


def test_aligned_models_see_the_face_upright() -> None:
    rgb = np.zeros((112, 112, 3), np.uint8)
    rgb[:56] = 255
    face = Face(np.array((0, 0, 112, 112), np.float32), template(112))
    assert np.array_equal(recogniser("adaface-ir101").cut(rgb, face).pixels, rgb)


def embedded(name: str, *pictures: Image) -> list[Embedding]:
    model = recogniser(name)
    return list(infer(session_of(name), model, [model.cut(rgb, largest_face(rgb)) for rgb in pictures]))


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("name", REAL)
def test_pictures_of_one_person_are_more_alike_than_of_two(name: str) -> None:
    pictures = [picture(f"pairs/deepface/img{number}.jpg") for number in (20, 21, 3)]
    same_a, same_b, other = embedded(name, *pictures)
    assert same_a.similarity(same_b) > 0.45
    assert max(same_a.similarity(other), same_b.similarity(other)) < 0.35


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("name", REAL)
def test_a_batch_gives_what_its_faces_give_alone(name: str) -> None:
    pictures = [picture(f"pairs/deepface/img{number}.jpg") for number in (20, 21, 3)]
    for together, rgb in zip(embedded(name, *pictures), pictures, strict=True):
        assert together.similarity(embedded(name, rgb)[0]) > 0.9999


@pytest.mark.weights
@pytest.mark.media
def test_two_real_models_of_the_same_size_are_not_compared() -> None:
    rgb = picture("pairs/deepface/img20.jpg")
    first, second = (embedded(name, rgb)[0] for name in ("mobilefacenet-insightface-y1", "mobilefacenet-foamliu"))
    with pytest.raises(EmbeddingMismatch):
        first.similarity(second)
