"""The faces that several detectors found in one picture, each named once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamapp.faces import Detections, Detector, Floats
from streamapp.geometry import pairwise_iou

MIN_OVERLAP = 0.3
"""Boxes of intersection over union above this are one face: detectors differ in where a face ends."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenFace:
    """A face and who saw it. box: float32 [4]; landmarks: float32 [5, 2]; keypoints: float32 [6, 2]; in pixels."""

    box: Floats
    score: float
    landmarks: Floats | None
    keypoints: Floats | None
    detector: Detector
    """Whose box it is."""
    seen_by: tuple[Detector, ...]


def merged(chain: Sequence[Detections]) -> list[SeenFace]:
    """One face for each group of overlapping boxes, of at most one box per detector. The box and the points are those
    of the last detector in the chain that has them, as each is finer than the one before; the score is the best. A
    second box of a detector on a face that more have seen, and surer, is left out."""
    faces: list[SeenFace] = []
    for found in chain:
        faces = _joined(faces, found)
    return _without_doubles(faces)


def confirmed(face: SeenFace, finer: Detections) -> SeenFace:
    """A face after a finer detector was asked about it alone, which gave one detection or none."""
    return _seen_again(face, finer, 0) if len(finer) else face


def _joined(faces: list[SeenFace], found: Detections) -> list[SeenFace]:
    if not len(found):
        return faces
    pairs = _pairs(np.array([face.box for face in faces], np.float32).reshape(-1, 4), found.boxes)
    again = {row: _seen_again(faces[row], found, column) for row, column in pairs}
    known = {column for _, column in pairs}
    return [
        *(again.get(row, face) for row, face in enumerate(faces)),
        *(_first_seen(found, column) for column in range(len(found)) if column not in known),
    ]


def _without_doubles(faces: list[SeenFace]) -> list[SeenFace]:
    if len(faces) < 2:
        return faces
    boxes = np.array([face.box for face in faces], np.float32)
    overlaps = pairwise_iou(boxes, boxes) > MIN_OVERLAP
    return [
        face
        for row, face in enumerate(faces)
        if not any(
            overlaps[row, other] and len(better.seen_by) > len(face.seen_by) and better.score > face.score
            for other, better in enumerate(faces)
        )
    ]


def _pairs(first: NDArray[np.float32], second: NDArray[np.float32]) -> list[tuple[int, int]]:
    overlaps = pairwise_iou(first, second)
    rows, columns = linear_sum_assignment(-overlaps)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if overlaps[r, c] > MIN_OVERLAP]


def _first_seen(found: Detections, column: int) -> SeenFace:
    return SeenFace(
        found.boxes[column],
        float(found.scores[column]),
        None if found.landmarks is None else found.landmarks[column],
        None if found.keypoints is None else found.keypoints[column],
        found.detector,
        (found.detector,),
    )


def _seen_again(face: SeenFace, found: Detections, column: int) -> SeenFace:
    finer = _first_seen(found, column)
    return replace(
        finer,
        score=max(face.score, finer.score),
        landmarks=face.landmarks if finer.landmarks is None else finer.landmarks,
        keypoints=face.keypoints if finer.keypoints is None else finer.keypoints,
        seen_by=(*face.seen_by, found.detector),
    )
