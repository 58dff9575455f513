"""MTCNN as operations: its whole cascade on a picture, or its last two nets on a box another detector has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from streamapp.faces import Detections, Detector, Floats
from streamapp.frame import Image, fitted_size
from streamapp.geometry import pairwise_iou
from streamapp.zoo.base import Letterboxed, ModelSession
from streamapp.zoo.mtcnn_cascade import Mtcnn

MAX_SIDE = 1280
"""Larger pictures are scaled down for the cascade: its cost goes with the area."""
_CONTEXT = 2.0
"""A patch is so many times as wide as its box: the nets move the box."""
_PATCH_FACE_PX = 96
"""Faces are scaled down to this width: twice what the last net sees."""
_MIN_OVERLAP = 0.2
"""What overlaps the given box less is another face."""


@dataclass(frozen=True, slots=True, eq=False)
class FacePatch:
    """A face with some of what is around it. box: float32 [4], x1 y1 x2 y2 in pixels of the picture."""

    view: Letterboxed
    box: Floats


def whole_view(rgb: Image, max_side: int = MAX_SIDE) -> Letterboxed:
    """A picture for `Cascade`; a copy."""
    height, width = rgb.shape[:2]
    inner = fitted_size(width, height, max_side)
    pixels = rgb.copy() if inner == (width, height) else cv2.resize(rgb, inner, interpolation=cv2.INTER_AREA)
    return Letterboxed(np.asarray(pixels, np.uint8), inner[0] / width, 0.0, 0.0)


def face_patch(rgb: Image, box: Floats) -> FacePatch | None:
    """The surroundings of a box [4], for `Refinement`; None if it does not lie in the picture."""
    height, width = rgb.shape[:2]
    side = float(max(box[2] - box[0], box[3] - box[1]))
    if not (np.isfinite(box).all() and 1 <= side <= 4 * max(width, height)):
        return None
    centre_x, centre_y, reach = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2, side * _CONTEXT / 2
    left, right = max(0, int(centre_x - reach)), min(width, int(centre_x + reach) + 1)
    top, bottom = max(0, int(centre_y - reach)), min(height, int(centre_y + reach) + 1)
    if left >= right or top >= bottom:
        return None
    pixels, scale = rgb[top:bottom, left:right], min(1.0, _PATCH_FACE_PX / side)
    if scale < 1:
        size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return FacePatch(Letterboxed(pixels.copy(), scale, -left * scale, -top * scale), np.asarray(box, np.float32))


@dataclass(frozen=True, slots=True)
class Cascade:
    """Whole pictures in, all faces of each out, in its pixels."""

    pnet: str
    rnet: str
    onet: str
    min_face_px: float = 20.0

    @property
    def name(self) -> str:
        return "mtcnn-cascade"

    @property
    def variants(self) -> tuple[str, ...]:
        return (self.pnet, self.rnet, self.onet)

    def run(self, sessions: Mapping[str, ModelSession], items: Sequence[Letterboxed]) -> list[Detections]:
        rnet, onet, pnet = (sessions[name] for name in (self.rnet, self.onet, self.pnet))
        mtcnn = Mtcnn(rnet, onet, pnet, min_face_px=self.min_face_px)
        return [in_picture(mtcnn.detect(item.pixels), item) for item in items]


@dataclass(frozen=True, slots=True)
class Refinement:
    """Faces in, each as MTCNN sees it out, in pixels of its picture: one, or none if MTCNN sees no face there."""

    rnet: str
    onet: str

    @property
    def name(self) -> str:
        return "mtcnn-refinement"

    @property
    def variants(self) -> tuple[str, ...]:
        return (self.rnet, self.onet)

    def run(self, sessions: Mapping[str, ModelSession], items: Sequence[FacePatch]) -> list[Detections]:
        mtcnn = Mtcnn(sessions[self.rnet], sessions[self.onet])
        return [_refined(mtcnn, item) for item in items]


def _refined(mtcnn: Mtcnn, item: FacePatch) -> Detections:
    view = item.view
    given = item.box * np.float32(view.scale) + np.array((view.left, view.top) * 2, np.float32)
    found = in_picture(mtcnn.refine(view.pixels, given[None]), view)
    if not len(found):
        return found
    overlaps = pairwise_iou(item.box[None], found.boxes)[0]
    best = int(np.argmax(overlaps))
    chosen = slice(best, best + 1) if overlaps[best] >= _MIN_OVERLAP else slice(0)
    landmarks = None if found.landmarks is None else found.landmarks[chosen]
    return Detections(Detector.MTCNN, found.boxes[chosen], found.scores[chosen], landmarks)


def in_picture(found: Detections, view: Letterboxed) -> Detections:
    """Detections in a view, in pixels of its picture."""
    landmarks = None if found.landmarks is None else view.to_picture(found.landmarks)
    return replace(found, boxes=view.to_picture(found.boxes.reshape(-1, 2, 2)).reshape(-1, 4), landmarks=landmarks)
