"""Gives faces an id that stays: predict, match by overlap, correct; coast through gaps; never reuse an id.

Matching is the Hungarian assignment of SORT (Bewley et al. 2016, arXiv:1602.00763), with ByteTrack's second round
(Zhang et al. 2022, arXiv:2110.06864) replaced by a distance gate: faces are small and fast, so a track that no longer
overlaps its face may still claim it from up to one face width away. Pure: no clock, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamapp.faces import Detections, Detector, Point, Track, TrackState
from streamapp.geometry import pairwise_iou
from streamapp.tracking.motion import BoxMotion

MIN_IOU = 0.2
"""Below this overlap a detection is not simply the track's next position."""
MAX_DISTANCE = 1.0
"""Second round: centres may be this many box widths apart, more the longer a track was not seen."""
MAX_SIZE_RATIO = 1.8
"""Second round: sizes may differ by this factor."""
_IMPOSSIBLE = 1e6


@dataclass(slots=True)
class _Life:
    """What is known of a track besides its motion."""

    id: int
    hits: int
    last_seen_s: float
    score: float
    detector: Detector
    state: TrackState
    landmarks: tuple[Point, ...] | None
    keypoints: tuple[Point, ...] | None


class Tracker:
    """Tracks the faces of one stream.

    max_coast_s: a confirmed track not seen for longer is ended. confirm_hits: a track is reported once it was seen in
    so many frames; one that misses a frame before that is ended at once.
    """

    def __init__(self, *, max_coast_s: float = 0.7, confirm_hits: int = 2) -> None:
        self._max_coast_s = max_coast_s
        self._confirm_hits = confirm_hits
        self._motion = BoxMotion()
        self._lives: list[_Life] = []
        self._next_id = 1
        self._last_s: float | None = None

    def update(self, detections: Detections, now_s: float) -> tuple[Track, ...]:
        """Takes in one frame's detections and returns the tracks to report, oldest first.

        now_s: the frame's time in seconds; not before that of the previous call.
        """
        elapsed_s = 0.0 if self._last_s is None else max(0.0, now_s - self._last_s)
        self._last_s = now_s
        self._motion.predict(elapsed_s)
        seen_boxes = detections.boxes.astype(np.float64)
        rows, columns = self._match(seen_boxes, now_s)
        self._motion.correct(rows, seen_boxes[columns])
        for row, column in zip(rows, columns, strict=True):
            self._see(self._lives[row], detections, int(column), now_s)
        self._age(rows, now_s)
        self._start(detections, seen_boxes, _others(columns, len(detections)), now_s)
        return self._report()

    def _match(self, seen: NDArray[np.float64], now_s: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        if not len(self._lives) or not len(seen):
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        predicted = self._motion.boxes()
        iou = pairwise_iou(predicted, seen)
        rows, columns = _assign(np.where(iou >= MIN_IOU, 1.0 - iou, _IMPOSSIBLE))
        left_rows, left_columns = _others(rows, len(predicted)), _others(columns, len(seen))
        if not len(left_rows) or not len(left_columns):
            return rows, columns
        gaps_s = np.array([now_s - self._lives[row].last_seen_s for row in left_rows])
        near_rows, near_columns = _assign(_distance_cost(predicted[left_rows], seen[left_columns], gaps_s))
        return (
            np.concatenate([rows, left_rows[near_rows]]),
            np.concatenate([columns, left_columns[near_columns]]),
        )

    def _see(self, life: _Life, detections: Detections, column: int, now_s: float) -> None:
        life.hits += 1
        life.last_seen_s = now_s
        life.score = float(detections.scores[column])
        life.detector = detections.detector
        life.landmarks = _points(detections.landmarks, column)
        life.keypoints = _points(detections.keypoints, column)
        if life.hits >= self._confirm_hits:
            life.state = TrackState.CONFIRMED

    def _age(self, seen_rows: NDArray[np.intp], now_s: float) -> None:
        keep = np.ones(len(self._lives), bool)
        for row in _others(seen_rows, len(self._lives)):
            life = self._lives[row]
            life.landmarks = life.keypoints = None
            if life.state is TrackState.TENTATIVE or now_s - life.last_seen_s > self._max_coast_s:
                keep[row] = False
            else:
                life.state = TrackState.COASTING
        if not keep.all():
            self._motion.keep(keep)
            self._lives = [life for life, kept in zip(self._lives, keep, strict=True) if kept]

    def _start(
        self, detections: Detections, seen: NDArray[np.float64], columns: NDArray[np.intp], now_s: float
    ) -> None:
        if not len(columns):
            return
        self._motion.add(seen[columns])
        for column in columns:
            life = _Life(self._next_id, 0, now_s, 0.0, detections.detector, TrackState.TENTATIVE, None, None)
            self._next_id += 1
            self._see(life, detections, int(column), now_s)
            self._lives.append(life)

    def _report(self) -> tuple[Track, ...]:
        boxes = self._motion.boxes().tolist()
        return tuple(
            Track(life.id, tuple(box), life.score, life.detector, life.state, life.landmarks, life.keypoints)
            for life, box in zip(self._lives, boxes, strict=True)
            if life.state is not TrackState.TENTATIVE
        )


def _others(chosen: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """The indices below `count` that are not among `chosen`."""
    if len(chosen) == count:
        return np.zeros(0, np.intp)
    mask = np.ones(count, bool)
    mask[chosen] = False
    return np.flatnonzero(mask)


def _assign(cost: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The cheapest one-to-one assignment without impossible pairs."""
    rows, columns = linear_sum_assignment(cost)
    possible = cost[rows, columns] < _IMPOSSIBLE
    return rows[possible], columns[possible]


def _distance_cost(
    predicted: NDArray[np.float64], seen: NDArray[np.float64], gaps_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of centres in box widths [N, M]; impossible where too far or of too different a size."""
    sides_of_predicted, sides_of_seen = predicted[:, 2:] - predicted[:, :2], seen[:, 2:] - seen[:, :2]
    centres = (predicted[:, :2] + predicted[:, 2:]) / 2, (seen[:, :2] + seen[:, 2:]) / 2
    distance = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=-1)
    width = np.maximum(sides_of_predicted[:, None, 0], sides_of_seen[None, :, 0])
    ratio = sides_of_predicted[:, None, 0] / np.maximum(sides_of_seen[None, :, 0], 1.0)
    cost = distance / np.maximum(width, 1.0)
    reach = MAX_DISTANCE * (1.0 + np.minimum(gaps_s, 1.0))[:, None]
    fits = (cost <= reach) & (ratio <= MAX_SIZE_RATIO) & (ratio >= 1 / MAX_SIZE_RATIO)
    return np.where(fits, cost, _IMPOSSIBLE)


def _points(points: NDArray[np.float32] | None, column: int) -> tuple[Point, ...] | None:
    return None if points is None else tuple((x, y) for x, y in points[column].tolist())
