"""MTCNN's three nets put together: over a whole picture, or on boxes another detector has found.

The settings are those of davidsandberg's and facenet-pytorch's cascades, so the faces are theirs too. What differs is
the cost: windows are judged in one batch per net and suppressed with arrays. In live video use `refine`: its cost goes
with the faces, that of `detect` with the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from streamapp.errors import ModelInputInvalid
from streamapp.faces import Detections, Detector, Floats
from streamapp.frame import Image
from streamapp.geometry import box_areas
from streamapp.zoo.base import ModelSession
from streamapp.zoo.mtcnn import CELL, SPECS, Judged, Refiner, View, Windows, proposals

_SHRINK = 0.709
"""Each level of the pyramid has about half the area of the one before."""
_PNET_SCORE, _RNET_SCORE, _ONET_SCORE = 0.6, 0.7, 0.7
_LEVEL_OVERLAP, _OVERLAP = 0.5, 0.7

_PART = 32
"""Windows judged at a time."""
_Part = TypeVar("_Part")
_Result = TypeVar("_Result")
Level = tuple[Image, float]
"""A scaled picture and its scale."""


class RunParts(Protocol):
    """`map`, or that of a thread pool: the levels of a pyramid and the windows to judge do not depend on each other."""

    def __call__(self, work: Callable[[_Part], _Result], parts: Iterable[_Part], /) -> Iterable[_Result]: ...


@dataclass(frozen=True, slots=True)
class Mtcnn:
    """The cascade over three sessions; without the first it can only refine."""

    rnet: ModelSession
    onet: ModelSession
    pnet: ModelSession | None = None
    min_face_px: float = 20.0
    run_parts: RunParts = map

    def detect(self, rgb: Image) -> Detections:
        """The faces of a picture, best first, with landmarks. Raises ModelInputInvalid without the first net."""
        if self.pnet is None:
            raise ModelInputInvalid("MTCNN's first net is not loaded: only given boxes can be refined")
        levels = pyramid(rgb, self.min_face_px)
        found = Windows.joined(list(self.run_parts(self._propose, levels)))
        found = found.at(suppressed(found.boxes, found.scores, _OVERLAP))
        return self._refine(rgb, found.moved())

    def refine(self, rgb: Image, boxes: Floats) -> Detections:
        """The faces in given boxes [N, 4], each as MTCNN sees it: what it does not take for a face is left out."""
        return self._refine(rgb, np.asarray(boxes, np.float32).reshape(-1, 4))

    def _propose(self, level: Level) -> Windows:
        pixels, scale = level
        assert self.pnet is not None
        height, width = pixels.shape[:2]
        packed = cv2.dnn.blobFromImage(pixels, 1 / 128.0, (width, height), (127.5,) * 3, ddepth=cv2.CV_32F)
        scores, regressions = self.pnet.run(np.asarray(packed, np.float32))[:2]
        windows = proposals(self.pnet.variant, scores[0], regressions[0], scale, _PNET_SCORE)
        return windows.at(suppressed(windows.boxes, windows.scores, _LEVEL_OVERLAP))

    def _refine(self, rgb: Image, boxes: Floats) -> Detections:
        windows = self._judge(rgb, boxes, self.rnet, _RNET_SCORE)[0]
        windows = windows.at(suppressed(windows.boxes, windows.scores, _OVERLAP))
        windows, points = self._judge(rgb, windows.moved(), self.onet, _ONET_SCORE)
        corner, sides = windows.boxes[:, None, :2], windows.boxes[:, None, 2:] - windows.boxes[:, None, :2]
        landmarks: Floats = corner + points * sides
        moved = windows.moved()
        keep = suppressed(moved, windows.scores, _OVERLAP, of_smaller=True)
        return Detections(Detector.MTCNN, moved[keep], windows.scores[keep], landmarks=landmarks[keep])

    def _judge(self, rgb: Image, boxes: Floats, session: ModelSession, min_score: float) -> tuple[Windows, Floats]:
        """The squared boxes that a net takes for faces, and their points [N, 5, 2], none from the second net."""
        net = Refiner(SPECS[session.variant])
        side = net.spec.side
        squares = squared(boxes, rgb.shape[1], rgb.shape[0])
        if not len(squares):
            return Windows.joined([]), np.zeros((0, 5, 2), np.float32)
        view = View(rgb, squares, side)

        def judge(part: Floats) -> Judged:
            return net.postprocess(session.run(net.preprocess(view.cut(part, side))), len(part))

        parts = [squares[at : at + _PART] for at in range(0, len(squares), _PART)]
        judged = Judged.joined(list(self.run_parts(judge, parts)))
        kept = judged.scores >= min_score  # not a number is no face
        points = judged.points[kept] if len(judged.points) else judged.points
        return Windows(squares[kept], judged.scores[kept], judged.regressions[kept]), points


def pyramid(rgb: Image, min_face_px: float) -> list[Level]:
    """The picture in falling sizes, from the one in which the smallest face fills a window. Each is made from the one
    before, by so little that two neighbours each way are enough: a tenth of the time of averaging the whole picture."""
    height, width = rgb.shape[:2]
    scale, smaller = CELL / min_face_px, rgb
    levels: list[Level] = []
    while min(height, width) * scale >= CELL:
        size = math.ceil(width * scale), math.ceil(height * scale)
        smaller = np.asarray(cv2.resize(smaller, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        levels.append((smaller, scale))
        scale *= _SHRINK
    return levels


def squared(boxes: Floats, width: int, height: int) -> Floats:
    """Squares of whole pixels around boxes [N, 4], of their longer side. Those that miss the picture, have
    no area or are not finite are left out."""
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    sides = boxes[:, 2:] - boxes[:, :2]
    longer = sides.max(axis=1, initial=0.0)[:, None]
    squares = np.empty((len(boxes), 4), np.float32)
    squares[:, :2] = np.floor(boxes[:, :2] + (sides - longer) / 2)
    squares[:, 2:] = squares[:, :2] + np.maximum(np.floor(longer), 1)
    kept = (sides > 0) & (squares[:, :2] < (width, height)) & (squares[:, 2:] > 0) & (longer <= 4 * max(width, height))
    found: Floats = squares[kept.all(axis=1)]
    return found


def suppressed(boxes: Floats, scores: Floats, max_overlap: float, *, of_smaller: bool = False) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of what stays, best first. Overlap is the shared area over the union, or
    over the smaller box."""
    if not of_smaller:
        corner_and_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(np.float64)
        kept = cv2.dnn.NMSBoxes(corner_and_size, scores, 0.0, max_overlap)  # type: ignore[arg-type]  # takes arrays too
        return np.asarray(kept, np.intp).reshape(-1)
    order = np.argsort(-scores, kind="stable")
    survivors: list[int] = []
    areas = box_areas(boxes)
    while len(order):
        best, rest = order[0], order[1:]
        survivors.append(int(best))
        top_left = np.maximum(boxes[best, :2], boxes[rest, :2])
        sides = np.maximum(np.minimum(boxes[best, 2:], boxes[rest, 2:]) - top_left, 0)
        shared = sides[:, 0] * sides[:, 1]
        order = rest[shared <= max_overlap * np.minimum(areas[best], areas[rest])]
    return np.array(survivors, np.intp)
