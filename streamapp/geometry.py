"""Pure functions over boxes: float arrays [N, 4], x1 y1 x2 y2 in pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating]


def box_areas(boxes: Boxes) -> NDArray[np.float64]:
    """Areas [N] in square pixels; 0 for boxes turned inside out."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return np.asarray(sides[:, 0] * sides[:, 1], dtype=np.float64)


def pairwise_iou(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Intersection over union of every box of `first` [N] with every box of `second` [M]: [N, M], 0 to 1."""
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0.0)
    shared = sides[..., 0] * sides[..., 1]
    union = box_areas(first)[:, None] + box_areas(second)[None, :] - shared
    iou: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared, dtype=np.float64), where=union > 0)
    return iou


def pairwise_cover(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Intersection over the smaller of two boxes, of every one of `first` [N] with every one of `second` [M]: [N, M],
    0 to 1. Unlike the union's it says that a close box and a wide one may be of one thing."""
    iou = pairwise_iou(first, second)
    areas = box_areas(first)[:, None], box_areas(second)[None, :]
    smaller = np.minimum(*areas)
    shared = iou * (areas[0] + areas[1]) / (1 + iou)
    cover: NDArray[np.float64] = np.divide(shared, smaller, out=np.zeros_like(iou), where=smaller > 0)
    return cover
