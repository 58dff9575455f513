"""BlazeFace, short and full range: the net of MediaPipe's face detector.

Paper: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019 (arXiv 1907.05047).
Settings of the two nets, their anchors and the blending of overlapping boxes: mediapipe/modules/face_detection.
Weights: Apache-2.0. Input: RGB letterboxed to the net's square, -1..1, channels last. Output: a raw score and 8 raw
points for each anchor. Coordinates are in units of the net's square input, 0 to 1, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from streamapp.faces import Detections, Detector, Floats
from streamapp.zoo.base import Letterboxed, ModelSpec, require_square

_POINTS = 8
"""Points per face: two corners of the box, then 6 keypoints."""
_MIN_OVERLAP = 0.3
"""Boxes of intersection over union above this are taken for one face (the default of MediaPipe's face detector)."""

_LAYERS: dict[int, Sequence[tuple[int, int]]] = {
    896: ((16, 2), (8, 6)),  # short range, 128 pixels
    2304: ((48, 1),),  # full range, 192 pixels
}
"""Number of anchors > cells per side and anchors per cell of each layer."""


def _spec(variant: str, side: int, anchors: int, *, points_first: bool = False) -> ModelSpec:
    outputs = ((anchors, 1), (anchors, 2 * _POINTS))
    return ModelSpec(variant, side, outputs[::-1] if points_first else outputs, channels_last=True)


SPECS: Mapping[str, ModelSpec] = {
    spec.variant: spec
    for spec in (
        _spec("blazeface-short-range", 128, 896),
        _spec("blazeface-short-range-tasks", 128, 896),
        _spec("blazeface-full-range-sparse", 192, 2304, points_first=True),
    )
}


@dataclass(frozen=True, slots=True)
class BlazeFace:
    """Both ranges; the number of anchors tells them apart."""

    spec: ModelSpec
    min_score: float = 0.5

    def preprocess(self, items: Sequence[Letterboxed]) -> Floats:
        batch = np.empty((len(items), self.spec.side, self.spec.side, 3), np.float32)
        for slot, item in zip(batch, items, strict=True):
            require_square(item.pixels, self.spec.side, self.spec.variant)
            np.multiply(item.pixels, np.float32(1 / 127.5), out=slot)
        batch -= 1
        return batch

    def postprocess(self, outputs: Sequence[Floats], items: Sequence[Letterboxed]) -> list[Detections]:
        """Faces in pixels of each original picture, best first, with keypoints."""
        raw_scores, raw_points = sorted(self.spec.checked(outputs, len(items))[:2], key=lambda raw: raw.shape[2])
        return [self._faces(raw_scores[i, :, 0], raw_points[i], item) for i, item in enumerate(items)]

    def _faces(self, raw_scores: Floats, raw_points: Floats, item: Letterboxed) -> Detections:
        hits = np.flatnonzero(raw_scores >= score_threshold(self.min_score))  # not a number is no hit
        if not len(hits):
            return Detections.none(Detector.MEDIAPIPE)
        anchors = anchor_centres(len(raw_scores))[hits]
        points, scores = blend(*decode(raw_points[hits], raw_scores[hits], anchors, self.spec.side))
        points = item.to_picture(points * np.float32(self.spec.side))
        return Detections(Detector.MEDIAPIPE, points[:, :2].reshape(-1, 4), scores, keypoints=points[:, 2:])


@cache
def anchor_centres(count: int) -> Floats:
    """float32 [count, 2]: x and y of each anchor, row by row. Raises KeyError for a count no such net has."""
    layers: list[Floats] = []
    for cells, per_cell in _LAYERS[count]:
        y, x = np.mgrid[0:cells, 0:cells].astype(np.float32)
        centres = np.stack([x, y], axis=-1).reshape(-1, 2)
        layers.append(np.repeat((centres + 0.5) / cells, per_cell, axis=0))
    return np.concatenate(layers)


def score_threshold(min_score: float) -> float:
    """The raw output that means `min_score`: the net's scores go through a logistic function."""
    if min_score <= 0 or min_score >= 1:
        return -np.inf if min_score <= 0 else np.inf
    return float(np.log(min_score / (1 - min_score)))


def decode(raw_points: Floats, raw_scores: Floats, anchors: Floats, input_side: int) -> tuple[Floats, Floats]:
    """The net's output for some anchors: float32 [N, 16] and [N], and their centres [N, 2].

    Gives points, float32 [N, 8, 2], and scores, float32 [N]. Raw values are in pixels of the input: centre of the box
    from the anchor, width and height, then the keypoints from the anchor. Boxes without area are left out.
    """
    raw: Floats = raw_points.reshape(-1, _POINTS, 2) / np.float32(input_side)
    sound = (raw[:, 1] > 0).all(axis=1)
    raw, anchors = raw[sound], anchors[sound]
    points = raw + anchors[:, None]
    centres, halves = points[:, 0].copy(), raw[:, 1] / 2
    points[:, 0], points[:, 1] = centres - halves, centres + halves
    clipped = np.clip(raw_scores[sound], np.float32(-80), np.float32(80))  # exp(89) is too large for a float32
    return points, (1 / (1 + np.exp(-clipped))).astype(np.float32)


def blend(points: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """Weighted non-maximum suppression: every group of overlapping boxes becomes one face, the mean of their points
    weighted by score, under the group's best score. Best first. Takes and gives arrays as `decode` does."""
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    faces, best = [], []
    while len(scores):
        together = _overlap_with_first(points[:, :2]) > _MIN_OVERLAP
        together[0] = True
        weights = scores[together]
        faces.append(weights @ points[together].reshape(len(weights), -1) / weights.sum())
        best.append(scores[0])
        points, scores = points[~together], scores[~together]
    return np.array(faces, np.float32).reshape(-1, _POINTS, 2), np.array(best, np.float32)


def _overlap_with_first(corners: Floats) -> Floats:
    """Intersection over union of each box, [N, 2, 2], with the first. Every box has an area."""
    first = corners[0]
    sides = np.minimum(corners[:, 1], first[1]) - np.maximum(corners[:, 0], first[0])
    np.maximum(sides, 0, out=sides)
    shared = sides[:, 0] * sides[:, 1]
    lengths = corners[:, 1] - corners[:, 0]
    areas = lengths[:, 0] * lengths[:, 1]
    overlaps: Floats = shared / (areas + areas[0] - shared)
    return overlaps
