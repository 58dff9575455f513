"""Whether a face was made or changed by a program: a score, never a verdict.

ViT-B/16 (Dosovitskiy et al., 2020, arXiv 2010.11929), Deep-Fake-Detector-v2-Model, Apache-2.0: 224x224 RGB,
(x / 255 - 0.5) / 0.5; two logits whose meaning is read from the model's config.json, since there are nets of this name
with the classes the other way round. MesoInception-4 and Meso-4 (Afchar et al., 2018, arXiv 1809.00888, Apache-2.0):
256x256 RGB 0..1; the probability that a face is real. Neither card says how wide to cut: the box times 1.3 here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamapp.errors import ModelInvalid
from streamapp.faces import Floats
from streamapp.findings import DeepfakeScore
from streamapp.frame import Image
from streamapp.zoo.base import Crop, Face, ModelSpec
from streamapp.zoo.crops import Packing, square_crop

_CONTEXT = 1.3
_VIT = Packing(mean=127.5, scale=127.5)
_MESO = Packing(mean=0.0, scale=255.0)
_EXPECTED_LABELS = {0: "realism", 1: "deepfake"}
_FAKE = 1

SPECS: Mapping[str, ModelSpec] = {
    "deepfake-vit-v2-fp16": ModelSpec("deepfake-vit-v2-fp16", 224, outputs=((2,),)),
    "deepfake-vit-v2-int8": ModelSpec("deepfake-vit-v2-int8", 224, outputs=((2,),)),
    "meso-inception-df": ModelSpec("meso-inception-df", 256, outputs=((1,),)),
    "meso4-df": ModelSpec("meso4-df", 256, outputs=((1,),)),
}


def needs_labels(spec: ModelSpec) -> bool:
    """Whether `assert_labels` must be asked before this variant is used."""
    return spec.outputs == ((2,),)


def assert_labels(config: str | bytes, variant: str) -> None:
    """Raises ModelInvalid unless the model's config.json gives the classes the meaning this file relies on."""
    try:
        labels = {int(index): str(label).lower() for index, label in json.loads(config)["id2label"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelInvalid(f"the config of {variant} has no id2label map") from error
    if labels != _EXPECTED_LABELS:
        raise ModelInvalid(f"{variant}: the classes are {labels}, expected {_EXPECTED_LABELS}")


@dataclass(frozen=True, slots=True)
class Deepfake:
    """Both families; the length of the output tells them apart."""

    spec: ModelSpec

    def cut(self, rgb: Image, face: Face) -> Crop:
        return square_crop(rgb, face, _CONTEXT, self.spec.side, replicate=True)

    def preprocess(self, items: Sequence[Crop]) -> Floats:
        packing = _VIT if needs_labels(self.spec) else _MESO
        return packing.pack(items, self.spec.side, self.spec.variant)

    def postprocess(self, outputs: Sequence[Floats], items: Sequence[Crop]) -> list[DeepfakeScore]:
        rows = self.spec.checked(outputs, len(items))[0]
        if not needs_labels(self.spec):
            return [DeepfakeScore(float(1 - real)) for real in rows[:, 0]]
        fake = 1 / (1 + np.exp(np.clip(rows[:, 1 - _FAKE] - rows[:, _FAKE], -60, 60)))
        return [DeepfakeScore(float(share)) for share in fake]
