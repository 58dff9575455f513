"""MTCNN: three small nets, each looking closer at what the one before took for a face.

Paper: Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", 2016
(arXiv 1604.02878). Weights: davidsandberg/facenet, MIT. Input: RGB, (x - 127.5) / 128, upright. Here are the nets;
`mtcnn_cascade` puts them together. Boxes are floats here, x1 y1 x2 y2, exclusive at the right and the bottom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamapp.faces import Floats
from streamapp.frame import Image
from streamapp.zoo.base import ModelSpec, require_square
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
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        return np.asarray(self.boxes + self.regressions * np.concatenate([sides, sides], axis=1), np.float32)

    @classmethod
    def joined(cls, parts: Sequence[Windows]) -> Windows:
        if not parts:
            return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 4), np.float32))
        columns = zip(*((part.boxes, part.scores, part.regressions) for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What the later nets say of windows: scores [N], corrections [N, 4] and, from the third, the 5 points as fractions
    of the window, float32 [N, 5, 2], else none."""

    scores: Floats
    regressions: Floats
    points: Floats

    @classmethod
    def joined(cls, parts: Sequence[Judged]) -> Judged:
        empty = cls(np.zeros(0, np.float32), np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32))
        columns = zip(*((part.scores, part.regressions, part.points) for part in (empty, *parts)), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


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


class View:
    """A part of a picture, halved over and over, for cutting windows that are large in it.

    A net sees a window at 24 or 48 pixels. Sampled at two neighbours each way from the size that is less than twice
    that, it looks as if its pixels had been averaged, which is what the nets were trained with. Not every pixel of a
    large face need be touched: 16 for each that is wanted will do."""

    def __init__(self, rgb: Image, squares: Floats, side: int) -> None:
        """Of what squares [N, 4], N > 0, scaled to `side`, need of an RGB picture."""
        sides = squares[:, 2] - squares[:, 0]
        least, most = (max(0, int(math.log2(extreme / side))) for extreme in (sides.min(), sides.max()))
        edge = 2 << most  # neighbours of the outermost pixels, however small the picture becomes
        height, width = rgb.shape[:2]
        self._left, self._top = (max(0, int(corner) - edge) for corner in squares[:, :2].min(axis=0))
        right, bottom = (int(corner) + edge for corner in squares[:, 2:].max(axis=0))
        part = rgb[self._top : min(bottom, height), self._left : min(right, width)]
        most = min(most, int(math.log2(min(part.shape[:2]))))
        height, width = (length >> most << most for length in part.shape[:2])  # exact halves take a third of the time
        self._first = min(max(0, least - 1), most)
        """Halvings of the largest size that is kept."""
        self._sizes = [_shrunk(part[:height, :width], self._first)]
        for _ in range(self._first, most):
            self._sizes.append(_shrunk(self._sizes[-1], 1))

    def cut(self, squares: Floats, side: int) -> Image:
        """Windows, uint8 [N, side, side, 3]; black beside the picture."""
        windows = np.empty((len(squares), side, side, 3), np.uint8)
        shrink = (squares[:, 2] - squares[:, 0]).astype(np.float64) / side
        steps = np.clip(np.log2(shrink) - self._first, 0, len(self._sizes) - 1).astype(np.intp)
        scales = 0.5 ** (steps + self._first)
        corners = squares[:, :2] - (self._left, self._top)
        transforms = np.zeros((len(squares), 2, 3))
        transforms[:, 0, 0] = transforms[:, 1, 1] = shrink * scales
        transforms[:, :, 2] = (corners + shrink[:, None] / 2) * scales[:, None] - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        for window, step, transform in zip(windows, steps, transforms, strict=True):
            cv2.warpAffine(self._sizes[step], transform, (side, side), dst=window, flags=flags)
        return windows


def _shrunk(picture: Image, halvings: int) -> Image:
    """Means of the 4 pixels in the middle of each square that becomes one pixel."""
    size = picture.shape[1] >> halvings, picture.shape[0] >> halvings
    return np.asarray(cv2.resize(picture, size), np.uint8) if halvings else picture


@dataclass(frozen=True, slots=True)
class Refiner:
    """The second and the third net, on windows cut to their size; the number of outputs tells them apart."""

    spec: ModelSpec

    def preprocess(self, windows: Image) -> Floats:
        """float32 [N, 3, side, side] from uint8 [N, side, side, 3]. Raises ModelInputInvalid for another size."""
        for window in windows[:1]:
            require_square(window, self.spec.side, self.spec.variant)
        return PACKING.pack_pixels(list(windows), self.spec.side)

    def postprocess(self, outputs: Sequence[Floats], count: int) -> Judged:
        probabilities, regressions, *rest = self.spec.checked(outputs, count)[: len(self.spec.outputs)]
        points = rest[0].reshape(-1, 2, 5).transpose(0, 2, 1) if rest else np.zeros((0, 5, 2), np.float32)
        return Judged(probabilities[:, 1], regressions, points)
