"""BlazeFace's output as faces: anchors, decoding and the blending of overlapping boxes, as in MediaPipe's graph.

Paper: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019 (arXiv 1907.05047).
Settings of the two nets: mediapipe/modules/face_detection. Pure functions on arrays; coordinates are in units of the
net's square input, 0 to 1, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamapp.faces import Floats

_POINTS = 8
"""Points per face: two corners of the box, then 6 keypoints."""
_MIN_OVERLAP = 0.3
"""Boxes of intersection over union above this are taken for one face (the default of MediaPipe's face detector)."""

_LAYERS: dict[int, Sequence[tuple[int, int]]] = {
    896: ((16, 2), (8, 6)),  # short range, 128 pixels
    2304: ((48, 1),),  # full range, 192 pixels
}
"""Number of anchors > cells per side and anchors per cell of each layer."""


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
        faces.append(np.tensordot(weights / weights.sum(), points[together], axes=1))
        best.append(scores[0])
        points, scores = points[~together], scores[~together]
    return np.array(faces, np.float32).reshape(-1, _POINTS, 2), np.array(best, np.float32)


def _overlap_with_first(corners: Floats) -> Floats:
    """Intersection over union of each box, [N, 2, 2], with the first. Every box has an area."""
    first = corners[0]
    sides = np.minimum(corners[:, 1], first[1]) - np.maximum(corners[:, 0], first[0])
    shared = np.clip(sides, 0, None).prod(axis=1)
    areas = (corners[:, 1] - corners[:, 0]).prod(axis=1)
    overlaps: Floats = shared / (areas + areas[0] - shared)
    return overlaps
