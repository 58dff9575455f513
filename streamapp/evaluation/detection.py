"""How many faces each mode finds, of those that are labelled, and how many it makes up."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamapp.evaluation.face_labels import LabelSet, PictureLabels, Rule
from streamapp.evaluation.pictures import read_picture
from streamapp.evaluation.statistics import Share
from streamapp.faces import Floats, Mode
from streamapp.frame import Image
from streamapp.geometry import box_areas, pairwise_iou
from streamapp.results import ImageResult

Examine = Callable[[Image, Mode], Awaitable[ImageResult]]
"""What a mode finds in an RGB picture."""

MIN_LANDMARKS_INSIDE = 0.8
MAX_TIMES_EXTENT = 4.0
"""A box may have this many times the area that the landmarks reach over: twice as wide and twice as high."""
_CROWD_SHARE = 0.5
_TOUCHING_IOU = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How what was found in one picture compares with its labels. `unjudged`: found where faces may be that nobody
    labelled."""

    labelled: int
    found: int
    wrong: int
    unjudged: int
    ious: tuple[float, ...]
    """Of the found ones, by their boxes; empty under Rule.LANDMARKS."""


@dataclass(frozen=True, slots=True)
class DetectionRow:
    """What one mode reached on one set."""

    labels: LabelSet
    mode: Mode
    outcomes: tuple[Outcome, ...]
    times_ms: tuple[float, ...]
    skipped: tuple[str, ...]
    """What the mode asks for that was not done, in words."""

    @property
    def recall(self) -> Share:
        return Share(self.found, sum(outcome.labelled for outcome in self.outcomes))

    @property
    def precision(self) -> Share:
        """Of what can be judged."""
        return Share(self.found, self.found + sum(outcome.wrong for outcome in self.outcomes))

    @property
    def found(self) -> int:
        return sum(outcome.found for outcome in self.outcomes)

    @property
    def unjudged(self) -> int:
        return sum(outcome.unjudged for outcome in self.outcomes)

    @property
    def mean_iou(self) -> float:
        """Not a number where nothing is compared by boxes."""
        ious = [iou for outcome in self.outcomes for iou in outcome.ious]
        return float(np.mean(ious)) if ious else float("nan")

    @property
    def median_ms(self) -> float:
        return float(np.median(self.times_ms))


@dataclass(frozen=True, slots=True)
class FacesFound:
    """How many faces each mode finds in a picture that nobody labelled."""

    name: str
    counts: tuple[tuple[Mode, int], ...]


async def evaluate(
    sets: Sequence[LabelSet], modes: Sequence[Mode], examine: Examine, *, min_iou: float
) -> list[DetectionRow]:
    """Every picture in every mode. Raises UsageError if one cannot be read, and what `examine` raises."""
    rows = []
    for labels in sets:
        for mode in modes:
            await examine(read_picture(labels.pictures[0].path), mode)  # loads what the mode needs: not timed
            outcomes, times_ms, skipped = [], [], dict[str, None]()
            for picture in labels.pictures:
                rgb = read_picture(picture.path)
                start = time.monotonic()
                result = await examine(rgb, mode)
                times_ms.append((time.monotonic() - start) * 1000)
                skipped.update(dict.fromkeys(missed.reason for missed in result.skipped))
                boxes = np.array([face.box for face in result.faces], np.float32).reshape(-1, 4)
                outcomes.append(compare(picture, boxes, labels.rule, min_iou=min_iou, is_complete=labels.is_complete))
            rows.append(DetectionRow(labels, mode, tuple(outcomes), tuple(times_ms), tuple(skipped)))
    return rows


async def count_faces(files: Sequence[Path], modes: Sequence[Mode], examine: Examine) -> list[FacesFound]:
    """Raises UsageError if a picture cannot be read, and what `examine` raises."""
    found = []
    for path in files:
        rgb = read_picture(path)
        counts = [(mode, len((await examine(rgb, mode)).faces)) for mode in modes]
        found.append(FacesFound(path.name, tuple(counts)))
    return found


def compare(labels: PictureLabels, boxes: Floats, rule: Rule, *, min_iou: float, is_complete: bool) -> Outcome:
    """Boxes [M, 4] as found, matched one to one with the labels: as many as can be, and then as closely as can be.

    Boxes that match nothing are wrong. Those in a crowd are not judged; where labels are incomplete, neither are those
    beside all labelled faces."""
    ious = pairwise_iou(labels.boxes, boxes)
    if rule is Rule.BOX:
        fit = np.where(ious >= min_iou, ious, 0.0)
    else:
        assert labels.landmarks is not None
        fit = _fit_of_landmarks(labels.boxes, labels.landmarks, boxes)
    matched = _matched(fit)
    spare = np.setdiff1d(np.arange(len(boxes)), [index for _, index in matched])
    unjudged = _share_inside(boxes[spare], labels.crowds) >= _CROWD_SHARE
    if not is_complete:
        unjudged |= (ious[:, spare] < _TOUCHING_IOU).all(axis=0)
    return Outcome(
        labelled=len(labels.boxes),
        found=len(matched),
        wrong=int((~unjudged).sum()),
        unjudged=int(unjudged.sum()),
        ious=tuple(float(ious[pair]) for pair in matched) if rule is Rule.BOX else (),
    )


def _fit_of_landmarks(extents: Floats, landmarks: Sequence[Floats], boxes: Floats) -> NDArray[np.float64]:
    """[N, M]: the share of a face's landmarks in a box, 0 where they are too few or the box too large."""
    fit = np.zeros((len(landmarks), len(boxes)))
    for row, points in zip(fit, landmarks, strict=True):
        corners = boxes[:, None, :]
        row[:] = ((points >= corners[..., :2]) & (points <= corners[..., 2:])).all(axis=2).mean(axis=1)
    is_face = box_areas(boxes)[None, :] <= MAX_TIMES_EXTENT * box_areas(extents)[:, None]
    return np.where((fit >= MIN_LANDMARKS_INSIDE) & is_face, fit, 0.0)


def _matched(fit: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (label, box) with a fit above 0."""
    # Each pair counts more than all closeness together, so that no match is given up for a closer one.
    rows, columns = linear_sum_assignment(np.where(fit > 0, fit + fit.size, 0.0), maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if fit[row, column] > 0]


def _share_inside(boxes: Floats, regions: Floats) -> NDArray[np.float64]:
    """[M]: how much of each box lies in the region that holds most of it."""
    if not len(regions):
        return np.zeros(len(boxes))
    sides = np.minimum(boxes[:, None, 2:], regions[None, :, 2:]) - np.maximum(boxes[:, None, :2], regions[None, :, :2])
    shared = np.maximum(sides, 0).prod(axis=2)
    return np.asarray(shared.max(axis=1) / np.maximum(box_areas(boxes), 1e-9), np.float64)
