"""Face anti-spoofing: whether a living person is in front of the camera, or a print, a screen or a mask.

MN3: MobileNetV3 on CelebA-Spoof, Open Model Zoo's anti-spoof-mn3 (licence stated variously). MiniFASNet: Silent-Face-
Anti-Spoofing (Apache-2.0). AntiSpoofing_*: hairymax/Face-AntiSpoofing (no licence stated). Each wants the face with a
crop rule of its own; the wrong one turns its answers into noise. Output: one number per class, as softmax or before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from streamapp.faces import Floats
from streamapp.findings import Liveness
from streamapp.frame import Image
from streamapp.zoo.base import Crop, Face, ModelSpec
from streamapp.zoo.crops import Packing, box_crop, checked_box, resized, square_crop


class CropRule(StrEnum):
    """What of the picture a net was trained to see."""

    BOX = "box"
    """The face's box, stretched to a square."""
    SQUARE = "square"
    """A square around the box, `context` times its longer side, black beside the picture."""
    INSIDE = "inside"
    """The box, `context` times as large but moved and shrunk to stay in the picture, stretched to a square."""


@dataclass(frozen=True, slots=True)
class AntispoofSpec(ModelSpec):
    packing: Packing
    rule: CropRule
    context: float
    live: int
    """Index of the class "living person"."""
    attacks: tuple[tuple[int, str], ...]
    """Index and name of the other classes; one name may be shared."""
    is_softmax: bool
    """Whether the net gives probabilities already."""


def _spec(
    variant: str,
    side: int,
    packing: Packing,
    rule: CropRule,
    context: float,
    live: int,
    attacks: tuple[tuple[int, str], ...],
    *,
    is_softmax: bool = False,
) -> AntispoofSpec:
    outputs = ((1 + len(attacks),),)
    return AntispoofSpec(variant, side, outputs, packing, rule, context, live, attacks, is_softmax)


_MN3 = Packing(mean=(151.2405, 119.5950, 107.8395), scale=(63.0105, 56.4570, 55.0035))
_UNIT = Packing(mean=0.0, scale=255.0)
_BGR = Packing(mean=0.0, scale=1.0, bgr=True)
_SPOOF = ((1, "spoof"),)
_PRINT_REPLAY = ((1, "print"), (2, "replay"))
_MINIFAS_ATTACKS = ((0, "spoof"), (2, "spoof"))

SPECS: Mapping[str, AntispoofSpec] = {
    spec.variant: spec
    for spec in (
        _spec("antispoof-mn3", 128, _MN3, CropRule.BOX, 1.0, 0, _SPOOF, is_softmax=True),
        _spec("antispoof-bin-128", 128, _UNIT, CropRule.SQUARE, 1.5, 0, _SPOOF),
        _spec("antispoof-print-replay-128", 128, _UNIT, CropRule.SQUARE, 1.5, 0, _PRINT_REPLAY),
        _spec("minifasnet-v2", 80, _BGR, CropRule.INSIDE, 2.7, 1, _MINIFAS_ATTACKS),
        _spec("minifasnet-v2-release", 80, _BGR, CropRule.INSIDE, 2.7, 1, _MINIFAS_ATTACKS),
        _spec("minifasnet-v1se", 80, _BGR, CropRule.INSIDE, 4.0, 1, _MINIFAS_ATTACKS),
    )
}


@dataclass(frozen=True, slots=True)
class Antispoof:
    spec: AntispoofSpec

    def cut(self, rgb: Image, face: Face) -> Crop:
        match self.spec.rule:
            case CropRule.BOX:
                return box_crop(rgb, face, self.spec.side)
            case CropRule.SQUARE:
                return square_crop(rgb, face, self.spec.context, self.spec.side)
            case CropRule.INSIDE:
                return _inside(rgb, face, self.spec.context, self.spec.side)

    def preprocess(self, items: Sequence[Crop]) -> Floats:
        return self.spec.packing.pack(items, self.spec.side, self.spec.variant)

    def postprocess(self, outputs: Sequence[Floats], items: Sequence[Crop]) -> list[Liveness]:
        rows = self.spec.checked(outputs, len(items))[0]
        if not self.spec.is_softmax:
            rows = np.exp(rows - rows.max(axis=1, keepdims=True))
            rows /= rows.sum(axis=1, keepdims=True)
        return [self._liveness(row) for row in rows]

    def _liveness(self, row: Floats) -> Liveness:
        attacks: dict[str, float] = {}
        for index, name in self.spec.attacks:
            attacks[name] = attacks.get(name, 0.0) + float(row[index])
        return Liveness(float(row[self.spec.live]), tuple(attacks.items()))


def _inside(rgb: Image, face: Face, context: float, side: int) -> Crop:
    """As Silent-Face-Anti-Spoofing cuts: never beside the picture, so faces at its edge keep their surroundings."""
    x1, y1, x2, y2 = checked_box(rgb, face)
    height, width = rgb.shape[:2]
    factor = min((height - 1) / (y2 - y1), (width - 1) / (x2 - x1), context)
    left, right = _shifted((x1 + x2) / 2, (x2 - x1) * factor, width)
    top, bottom = _shifted((y1 + y2) / 2, (y2 - y1) * factor, height)
    return resized(rgb[top:bottom, left:right], side)


def _shifted(centre: float, length: float, limit: int) -> tuple[int, int]:
    """First and end index of a span moved into 0..limit-1; its last pixel is part of it."""
    first, last = centre - length / 2, centre + length / 2
    if first < 0:
        first, last = 0.0, last - first
    if last > limit - 1:
        first, last = max(0.0, first - (last - (limit - 1))), float(limit - 1)
    return int(first), int(last) + 1
