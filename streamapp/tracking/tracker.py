"""Gives faces an id that stays: predict, match by overlap, correct; coast through gaps; never reuse an id.

Matching is the Hungarian assignment of SORT (Bewley et al. 2016, arXiv:1602.00763), with ByteTrack's second round
(Zhang et al. 2022, arXiv:2110.06864) replaced by a distance gate: faces are small and fast, so a track that no longer
overlaps its face may still claim it from up to one face width away. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
    hits: int = 0
    last_seen_s: float = 0.0
    score: float = 0.0
    detector: Detector = Detector.MEDIAPIPE
    state: TrackState = TrackState.TENTATIVE
    landmarks: tuple[Point, ...] | None = None
    keypoints: tuple[Point, ...] | None = None
    middle: Point = (0.0, 0.0)
    """Of its box, where it was last seen: its points move on with it."""
    patience_s: float = 0.0
    """How long it may stay unseen, from when it was last seen on."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """One face among a detector's."""

    group: Detections
    column: int


class Tracker:
    """Tracks the faces of one stream.

    max_coast_s: a confirmed track not seen for longer is ended. confirm_hits: a track is reported once it was seen in
    so many frames; one that misses a frame before that is ended at once. max_sighted_s: the same for a track that was
    last seen by a detector that looks only now and then.
    """

    def __init__(self, *, max_coast_s: float = 0.7, confirm_hits: int = 2, max_sighted_s: float = 2.5) -> None:
        self._max_coast_s = max_coast_s
        self._max_sighted_s = max_sighted_s
        self._confirm_hits = confirm_hits
        self._motion = BoxMotion()
        self._lives: list[_Life] = []
        self._next_id = 1
        self._last_s: float | None = None

    def expect(self, now_s: float) -> NDArray[np.float64]:
        """Where each track should be at that time: [N, 4]. Moves on to it; `update` with the same time comes next."""
        elapsed_s = 0.0 if self._last_s is None else max(0.0, now_s - self._last_s)
        self._last_s = now_s
        self._motion.predict(elapsed_s)
        return self._motion.boxes()

    @property
    def ids(self) -> NDArray[np.int64]:
        """Of the tracks in the order of `expect`, which is ascending."""
        return np.array([life.id for life in self._lives], np.int64)

    @property
    def tentative(self) -> tuple[Track, ...]:
        """The tracks that were seen too seldom to be reported, as of the last update."""
        return tuple(
            Track(life.id, tuple(box), life.score, life.detector, life.state)
            for life, box in zip(self._lives, self._motion.boxes().tolist(), strict=True)
            if life.state is TrackState.TENTATIVE
        )

    def update(
        self,
        detections: Detections,
        now_s: float,
        sightings: Sequence[Detections] = (),
        unasked: Collection[int] = (),
    ) -> tuple[Track, ...]:
        """Takes in one frame's detections and returns the tracks to report, oldest first.

        now_s: the frame's time in seconds; not before that of the previous call. sightings: faces, one each, that a
        detector which looks only now and then saw a moment ago and that are not among the detections. unasked: ids of
        tracks that nobody looked for in this frame; if not seen all the same, they move on and are what they were.
        """
        self.expect(now_s)
        groups = (detections, *sightings)
        seen = [_Seen(group, column) for group in groups for column in range(len(group))]
        boxes = np.concatenate([group.boxes for group in groups]).astype(np.float64)
        rows, columns = self._match(boxes, now_s)
        self._motion.correct(rows, boxes[columns])
        for row, column in zip(rows, columns, strict=True):
            self._see(self._lives[row], seen[column], now_s, is_sighting=column >= len(detections))
        self._age(rows, now_s, unasked)
        fresh = _others(columns, len(seen))
        if len(fresh):
            self._motion.add(boxes[fresh])
        for column in fresh:
            life = _Life(self._next_id)
            self._next_id += 1
            self._see(life, seen[column], now_s, is_sighting=column >= len(detections))
            self._lives.append(life)
        return self._report(now_s)

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

    def _see(self, life: _Life, seen: _Seen, now_s: float, *, is_sighting: bool) -> None:
        found, column = seen.group, seen.column
        life.hits += 1
        life.last_seen_s = now_s
        life.score = float(found.scores[column])
        life.detector = found.detector
        life.landmarks = _points(found.landmarks, column)
        life.keypoints = _points(found.keypoints, column)
        life.middle = _middle(found.boxes[column].tolist())
        if life.hits >= self._confirm_hits:
            life.state = TrackState.CONFIRMED
        life.patience_s = self._max_coast_s if life.state is TrackState.CONFIRMED else 0.0
        if is_sighting:
            life.patience_s = self._max_sighted_s

    def _age(self, seen_rows: NDArray[np.intp], now_s: float, unasked: Collection[int]) -> None:
        keep = np.ones(len(self._lives), bool)
        for row in _others(seen_rows, len(self._lives)):
            life = self._lives[row]
            if life.id in unasked:
                continue
            life.landmarks = life.keypoints = None
            if now_s - life.last_seen_s > life.patience_s or (life.patience_s == 0 and life.last_seen_s < now_s):
                keep[row] = False
            elif life.state is TrackState.CONFIRMED:
                life.state = TrackState.COASTING
        if not keep.all():
            self._motion.keep(keep)
            self._lives = [life for life, kept in zip(self._lives, keep, strict=True) if kept]

    def _report(self, now_s: float) -> tuple[Track, ...]:
        tracks = []
        for life, box in zip(self._lives, self._motion.boxes().tolist(), strict=True):
            if life.state is TrackState.TENTATIVE:
                continue
            landmarks, keypoints = life.landmarks, life.keypoints
            if life.last_seen_s < now_s:
                (x, y), (old_x, old_y) = _middle(box), life.middle
                landmarks, keypoints = (_moved(points, x - old_x, y - old_y) for points in (landmarks, keypoints))
            tracks.append(Track(life.id, tuple(box), life.score, life.detector, life.state, landmarks, keypoints))
        return tuple(tracks)


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


def _moved(points: tuple[Point, ...] | None, by_x: float, by_y: float) -> tuple[Point, ...] | None:
    return None if points is None else tuple((x + by_x, y + by_y) for x, y in points)


def _middle(box: Sequence[float]) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
