"""The deepfake nets: labels are checked, never assumed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from streamapp.errors import ModelInvalid
from streamapp.zoo.base import Crop, infer
from streamapp.zoo.crops import resized
from streamapp.zoo.deepfake import SPECS, Deepfake, assert_labels, needs_labels
from tests.fakes import ScriptedSession
from tests.sessions import picture, session_of

VIT = "deepfake-vit-v2-fp16"


def config(**labels: str) -> str:
    return json.dumps({"id2label": {index.removeprefix("n"): label for index, label in labels.items()}})


def test_the_expected_labels_pass() -> None:
    assert_labels(config(n0="Realism", n1="Deepfake"), VIT)


@pytest.mark.parametrize(
    "text",
    [
        config(n0="Deepfake", n1="Realism"),
        config(n0="Realism"),
        config(n0="Real", n1="Fake"),
        "{}",
        "[]",
        "<html>",
        "{",
    ],
)
def test_other_labels_are_refused(text: str) -> None:
    with pytest.raises(ModelInvalid, match=VIT):
        assert_labels(text, VIT)


def test_the_second_logit_is_the_fake_one() -> None:
    session = ScriptedSession(VIT, 224, [np.array((1.0, 3.0), np.float32)])
    (answer,) = infer(session, Deepfake(SPECS[VIT]), [Crop(np.full((224, 224, 3), (255, 128, 0), np.uint8))])
    assert answer.fake == pytest.approx(1 / (1 + np.exp(-2)))
    assert session.batches[0][0, :, 0, 0].tolist() == pytest.approx((1, 128 / 127.5 - 1, -1), abs=1e-5)


def test_only_the_transformers_need_labels() -> None:
    assert [name for name, spec in SPECS.items() if needs_labels(spec)] == [VIT, "deepfake-vit-v2-int8"]


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("name", ["meso-inception-df", "meso4-df"])
def test_the_small_nets_are_right_on_their_own_pictures(name: str) -> None:
    crops = [resized(picture(f"deepfake/{file}.jpg"), 256) for file in ("mesonet_df00204", "mesonet_real00240")]
    fake, real = infer(session_of(name), Deepfake(SPECS[name]), crops)
    assert fake.fake > 0.9
    assert real.fake < 0.1
