"""Apparent gender and age. Both forms are InsightFace's; their weights are for non-commercial research.

genderage (antelopev2, buffalo): 96x96 RGB 0..255, the box times 1.5, not aligned; 2 gender logits (0 female, 1 male),
and the age in hundreds of years. genderage_v1: 112x112 RGB 0..255, aligned; 2 gender logits, then 100 pairs, each of
which votes for one more year of age.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamapp.faces import Floats
from streamapp.findings import GenderAge
from streamapp.frame import Image
from streamapp.zoo.alignment import align
from streamapp.zoo.base import Crop, Face, ModelSpec
from streamapp.zoo.crops import Packing, square_crop

_PACKING = Packing(mean=0.0, scale=1.0)
_CONTEXT = 1.5
_YEARS = 100

SPECS: Mapping[str, ModelSpec] = {
    "genderage": ModelSpec("genderage", 96, outputs=((3,),)),
    "genderage-v1": ModelSpec("genderage-v1", 112, outputs=((2 + 2 * _YEARS,),)),
}


@dataclass(frozen=True, slots=True)
class GenderAgeNet:
    """Both forms; the length of the output tells them apart."""

    spec: ModelSpec

    def cut(self, rgb: Image, face: Face) -> Crop:
        if self._votes:
            return align(rgb, face, self.spec.side)
        return square_crop(rgb, face, _CONTEXT, self.spec.side)

    def preprocess(self, items: Sequence[Crop]) -> Floats:
        return _PACKING.pack(items, self.spec.side, self.spec.variant)

    def postprocess(self, outputs: Sequence[Floats], items: Sequence[Crop]) -> list[GenderAge]:
        rows = self.spec.checked(outputs, len(items))[0]
        male = 1 / (1 + np.exp(np.clip(rows[:, 0] - rows[:, 1], -60, 60)))
        if self._votes:
            years = rows[:, 2:].reshape(-1, _YEARS, 2).argmax(axis=2).sum(axis=1).astype(np.float32)
        else:
            years = np.clip(rows[:, 2] * 100, 0, None)
        return [GenderAge(float(share), float(age)) for share, age in zip(male, years, strict=True)]

    @property
    def _votes(self) -> bool:
        return self.spec.outputs != ((3,),)
