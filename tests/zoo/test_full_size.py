"""The full-size architectures, filled with noise: shapes, batches and finiteness, nothing about accuracy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamapp.findings import Embedding
from streamapp.zoo import catalogue
from streamapp.zoo.base import Crop, ModelSession, infer
from streamapp.zoo.crops import letterbox
from streamapp.zoo.manifest import Manifest, load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions, open_session
from streamapp.zoo.spec import Digest, Task
from tests.sessions import FULL_SIZE, full_size_graph

pytestmark = pytest.mark.weights
RNG = np.random.default_rng(0)


def opened(name: str, folder: Path) -> ModelSession:
    path = full_size_graph(name, folder)
    digest = Digest.of_file(path)
    variant = replace(
        load_manifest().named(name), file=path.name, sha256=digest.sha256, sha384=None, size_bytes=digest.size_bytes
    )
    session = open_session(Registry(Manifest((variant,)), folder), variant, SessionOptions())
    spec = catalogue.spec_of(variant)
    assert spec is not None
    spec.check_session(session)
    return session


def crops(side: int, count: int) -> list[Crop]:
    return [Crop(RNG.integers(0, 256, (side, side, 3), np.uint8)) for _ in range(count)]


@pytest.mark.parametrize("name", [n for n in FULL_SIZE if n.startswith("yolo")])
def test_detectors_take_pictures_and_give_boxes(name: str, tmp_path: Path) -> None:
    session = opened(name, tmp_path)
    model = catalogue.detector(name, min_score=0.0)
    items = [letterbox(RNG.integers(0, 256, (48, 64, 3), np.uint8), model.spec.side) for _ in range(2)]
    for found in infer(session, model, items):
        assert found.boxes.shape == (300, 4)
        assert np.isfinite(found.boxes).all()
    session.close()


@pytest.mark.parametrize("name", [n for n in FULL_SIZE if load_manifest().named(n).task is Task.RECOGNISE])
def test_recognisers_give_the_same_in_a_batch_as_alone(name: str, tmp_path: Path) -> None:
    session = opened(name, tmp_path)
    model = catalogue.recogniser(name)
    items = crops(model.spec.side, 3)
    together = infer(session, model, items)
    alone: list[Embedding] = [infer(session, model, [item])[0] for item in items]
    for first, second in zip(together, alone, strict=True):
        assert first.vector.shape == (512,)
        assert first.similarity(second) > 0.9999
    session.close()


@pytest.mark.parametrize(
    ("name", "open_model"),
    [
        ("antispoof-mn3", catalogue.antispoofer),
        ("genderage", catalogue.gender_age_net),
        ("deepfake-vit-v2-int8", catalogue.deepfake_detector),
    ],
)
def test_the_other_nets_answer_every_face_of_a_batch(name: str, open_model: object, tmp_path: Path) -> None:
    session = opened(name, tmp_path)
    assert callable(open_model)
    model = open_model(name)
    answers = infer(session, model, crops(model.spec.side, 3))
    assert len(answers) == 3
    assert "nan" not in str(answers)
    session.close()
