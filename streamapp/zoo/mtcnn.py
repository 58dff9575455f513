"""MTCNN: three small nets, each looking closer at what the one before took for a face.

Paper: Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", 2016
(arXiv 1604.02878). Weights: davidsandberg/facenet, MIT. Input: RGB, (x - 127.5) / 128, upright. Here are the nets;
`mtcnn_cascade` puts them together. Boxes are floats here, x1 y1 x2 y2, exclusive at the right and the bottom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamapp.faces import Floats
from streamapp.frame import Image
from streamapp.zoo.base import Crop, ModelSpec
from streamapp.zoo.crops import Packing

PACKING = Packing(mean=127.5, scale=128.0)
CELL = 12
"""Side of the window the first net judges, in pixels of its input; it looks at one every two pixels."""
STRIDE = 2

SPECS: Mapping[str, ModelSpec] = {
    "mtcnn-pnet": ModelSpec("mtcnn-pnet", CELL, outputs=((2, None, None), (4, None, None))),
    "mtcnn-pnet-folded": ModelSpec("mtcnn-pnet-folded", CELL, outputs=((1, None, None), (4, None, None))),
    **{name: ModelSpec(name, 24, outputs=((2,), (4,))) for name in ("mtcnn-rnet", "mtcnn-rnet-folded")},
    **{name: ModelSpec(name, 48, outputs=((2,), (4,), (10,))) for name in ("mtcnn-onet", "mtcnn-onet-folded")},
}


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Candidates: boxes float32 [N, 4] in pixels, scores [N], regressions [N, 4] as fractions of the box's sides."""

    boxes: Floats
    scores: Floats
    regressions: Floats

    def __len__(self) -> int:
        return len(self.boxes)

    def at(self, indices: NDArray[np.intp] | NDArray[np.bool_]) -> Windows:
        return Windows(self.boxes[indices], self.scores[indices], self.regressions[indices])

    def moved(self) -> Floats:
        """The boxes as the net corrects them."""
        sides = np.tile(self.boxes[:, 2:] - self.boxes[:, :2], 2)
        return np.asarray(self.boxes + self.regressions * sides, np.float32)

    @classmethod
    def joined(cls, parts: Sequence[Windows]) -> Windows:
        if not parts:
            return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 4), np.float32))
        columns = zip(*((part.boxes, part.scores, part.regressions) for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """What the later nets say of one window: the score, the correction and, from the third, the 5 points as fractions
    of the window, float32 [5, 2]."""

    score: float
    regression: Floats
    points: Floats | None


def proposals(variant: str, score_map: Floats, regression_map: Floats, scale: float, min_score: float) -> Windows:
    """The windows of one level of the pyramid that the first net takes for a face.

    score_map: [2, h, w], probabilities of nothing and of a face, or [1, h, w], the face's logit."""
    SPECS[variant].checked((score_map[None], regression_map[None]), 1)
    is_logit = len(score_map) == 1
    threshold = float(np.log(min_score / (1 - min_score))) if is_logit else min_score
    rows, columns = np.nonzero(score_map[-1] >= threshold)
    scores = score_map[-1, rows, columns]
    if is_logit:
        scores = 1 / (1 + np.exp(-scores))
    corner = np.stack([columns, rows], axis=1).astype(np.float32) * STRIDE
    boxes = np.floor(np.concatenate([corner + 1, corner + CELL], axis=1) / np.float32(scale))
    boxes[:, 2:] += 1
    return Windows(boxes.astype(np.float32), scores.astype(np.float32), regression_map[:, rows, columns].T)


@dataclass(frozen=True, slots=True)
class Refiner:
    """The second and the third net; the number of outputs tells them apart."""

    spec: ModelSpec

    def cut(self, rgb: Image, box: Floats) -> Crop:
        """A window, scaled; black beside the picture."""
        side = self.spec.side
        x1, y1, x2, y2 = (int(edge) for edge in box)
        height, width = rgb.shape[:2]
        if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
            window = np.zeros((y2 - y1, x2 - x1, 3), np.uint8)
            left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
            if left < right and top < bottom:
                window[top - y1 : bottom - y1, left - x1 : right - x1] = rgb[top:bottom, left:right]
        else:
            window = rgb[y1:y2, x1:x2]
        # Not every pixel of a large face need be touched: 4 for each that is wanted, 16 where points hang on it.
        gives_points = len(self.spec.outputs) == 3
        enough = (4 if gives_points else 2) * side
        if len(window) > enough:
            window = np.asarray(cv2.resize(window, (enough, enough), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
        averaging = cv2.INTER_AREA if gives_points and len(window) > side else cv2.INTER_LINEAR
        return Crop(np.asarray(cv2.resize(window, (side, side), interpolation=averaging), np.uint8))

    def preprocess(self, items: Sequence[Crop]) -> Floats:
        return PACKING.pack(items, self.spec.side, self.spec.variant)

    def postprocess(self, outputs: Sequence[Floats], items: Sequence[Crop]) -> list[Refined]:
        probabilities, regressions, *rest = self.spec.checked(outputs, len(items))[: len(self.spec.outputs)]
        points = rest[0].reshape(-1, 2, 5).transpose(0, 2, 1) if rest else None
        return [
            Refined(float(pair[1]), regressions[i], None if points is None else points[i])
            for i, pair in enumerate(probabilities)
        ]
