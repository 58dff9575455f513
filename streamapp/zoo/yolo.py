"""YOLO for faces: YOLOv10 (no suppression needed) and YOLOv8-face (three raw heads with 5 points each).

Papers: Wang et al., "YOLOv10: Real-Time End-to-End Object Detection", 2024 (arXiv 2405.14458); Qi et al., "YOLO5Face",
2021 (arXiv 2105.12931); distribution focal loss: Li et al., 2020 (arXiv 2006.04388). Weights: GPL-3.0 or AGPL-3.0.
Input: RGB letterboxed to a square, 0..1. Output: [N, 300, 6] (box, score, class), or three heads [N, 80, S, S] of
4 x 16 box bins, a score and 5 x (x, y, visibility).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamapp.faces import Detections, Detector, Floats
from streamapp.geometry import pairwise_iou
from streamapp.zoo.base import Letterboxed, ModelSpec, require_square
from streamapp.zoo.crops import Packing

_PACKING = Packing(mean=0.0, scale=255.0)
_STRIDES = (8, 16, 32)
_BINS = 16
_HEAD_CHANNELS = 4 * _BINS + 1 + 5 * 3
_MAX_OVERLAP = 0.5
"""YOLOv8-face: of two boxes that overlap more, the surer one stays."""


def _end_to_end(variant: str, side: int) -> ModelSpec:
    return ModelSpec(variant, side, outputs=((None, 6),))


def _raw_heads(variant: str, side: int) -> ModelSpec:
    return ModelSpec(variant, side, tuple((_HEAD_CHANNELS, side // stride, side // stride) for stride in _STRIDES))


SPECS: Mapping[str, ModelSpec] = {
    spec.variant: spec
    for spec in (
        _end_to_end("yolov10n-face", 640),
        _end_to_end("yolov10n-face-480", 480),
        _raw_heads("yolov8n-face", 640),
        _raw_heads("yolov8-lite-t-face", 640),
        _raw_heads("yolov8-lite-t-face-int8", 640),
        _end_to_end("yolov8-lite-t-face-nms-free", 640),
        _end_to_end("yolov8-lite-t-face-nms-free-int8", 640),
    )
}


@dataclass(frozen=True, slots=True)
class Yolo:
    """Both families; the number of outputs tells them apart."""

    spec: ModelSpec
    min_score: float = 0.4

    def preprocess(self, items: Sequence[Letterboxed]) -> Floats:
        for item in items:
            require_square(item.pixels, self.spec.side, self.spec.variant)
        return _PACKING.pack_pixels([item.pixels for item in items], self.spec.side)

    def postprocess(self, outputs: Sequence[Floats], items: Sequence[Letterboxed]) -> list[Detections]:
        """Faces in pixels of each original picture, best first; landmarks only from YOLOv8-face."""
        outputs = self.spec.checked(outputs, len(items))
        if len(self.spec.outputs) == 1:
            return [self._end_to_end(rows, item) for rows, item in zip(outputs[0], items, strict=True)]
        return [self._from_heads([head[i] for head in outputs], item) for i, item in enumerate(items)]

    def _end_to_end(self, rows: Floats, item: Letterboxed) -> Detections:
        rows = rows[rows[:, 4] >= self.min_score]  # not a number is no hit
        rows = rows[np.argsort(-rows[:, 4], kind="stable")]
        boxes = item.to_picture(rows[:, :4].reshape(-1, 2, 2)).reshape(-1, 4)
        return Detections(Detector.YOLO, boxes, np.minimum(rows[:, 4], 1))

    def _from_heads(self, heads: Sequence[Floats], item: Letterboxed) -> Detections:
        decoded = [_decode(head, stride, self.min_score) for head, stride in zip(heads, _STRIDES, strict=True)]
        boxes, scores, points = (np.concatenate(column) for column in zip(*decoded, strict=True))
        keep = suppress(boxes, scores, _MAX_OVERLAP)
        boxes = item.to_picture(boxes[keep].reshape(-1, 2, 2)).reshape(-1, 4)
        return Detections(Detector.YOLO, boxes, scores[keep], landmarks=item.to_picture(points[keep]))


def _decode(head: Floats, stride: int, min_score: float) -> tuple[Floats, Floats, Floats]:
    """The sure cells of one head [80, S, S]: boxes [N, 4], scores [N], points [N, 5, 2], in pixels of the input."""
    logits = head[4 * _BINS]
    threshold = np.log(min_score / (1 - min_score)) if 0 < min_score < 1 else (-np.inf if min_score <= 0 else np.inf)
    rows, columns = np.nonzero(logits >= threshold)
    cells = head[:, rows, columns].T
    corner = np.stack([columns, rows], axis=1).astype(np.float32)
    bins = cells[:, : 4 * _BINS].reshape(-1, 4, _BINS)
    weights = np.exp(bins - bins.max(axis=2, keepdims=True))
    sides = (weights @ np.arange(_BINS, dtype=np.float32)) / weights.sum(axis=2)
    middle = corner + 0.5
    boxes = np.concatenate([middle - sides[:, :2], middle + sides[:, 2:]], axis=1) * stride
    points = (cells[:, 4 * _BINS + 1 :].reshape(-1, 5, 3)[:, :, :2] * 2 + corner[:, None]) * stride
    scores = 1 / (1 + np.exp(-np.clip(cells[:, 4 * _BINS], -60, 60)))
    return boxes.astype(np.float32), scores.astype(np.float32), points.astype(np.float32)


def suppress(boxes: Floats, scores: Floats, max_overlap: float) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Greedy non-maximum suppression: indices of the boxes that stay, best first."""
    order = np.argsort(-scores, kind="stable")
    overlaps = pairwise_iou(boxes[order], boxes[order]) > max_overlap
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~overlaps[i, i + 1 :]
    return order[alive]
