"""What is known of each track of one stream: findings come in late and in any order, and are merged here. Pure."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

import numpy as np

from streamapp.faces import Floats, Point, Track
from streamapp.pipeline.aggregate import FaceHistory, Findings
from streamapp.results import Analyses

LANDMARKS_FOR_S = 1.0
"""Landmarks are shown for so long after their keyframe, moved and scaled with the box."""
FORGET_AFTER_S = 60.0
"""A track that is gone is remembered for so long: what was asked about it may still be under way."""


@dataclass(slots=True)
class _Known:
    history: FaceHistory = field(default_factory=FaceHistory)
    points: Floats | None = None
    """float32 [5, 2]: landmarks as shares of the box."""
    points_s: float = float("-inf")
    last_s: float = float("-inf")


class ResultBoard:
    """Of one stream; `now_s` and `at_s` are seconds of the stream. Used on one thread."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self._disputed: set[int] = set()

    def add(self, track_id: int, findings: Findings, *, frame: int, at_s: float) -> None:
        """What the models said of a track on that frame, taken at `at_s`."""
        self._of(track_id, at_s).history.add(findings, frame, at_s)

    def refine(self, track: Track, landmarks: Floats, *, at_s: float) -> None:
        """The landmarks of a track, float32 [5, 2] in pixels of the frame at which the track was as given."""
        known = self._of(track.id, at_s)
        if at_s >= known.points_s:
            x1, y1, x2, y2 = track.box
            sides = np.array((max(x2 - x1, 1.0), max(y2 - y1, 1.0)), np.float32)
            known.points = np.asarray((landmarks - np.array((x1, y1), np.float32)) / sides, np.float32)
            known.points_s = at_s

    def dispute(self, seen: Set[int], unseen: Set[int]) -> None:
        """Notes which tracks a sweep saw, and which it should have seen and did not."""
        self._disputed = (self._disputed - seen) | unseen

    @property
    def disputed(self) -> Set[int]:
        return frozenset(self._disputed)

    @property
    def undecided(self) -> Set[int]:
        """Tracks whose liveness was asked for and is open."""
        return frozenset(track_id for track_id, known in self._known.items() if known.history.is_liveness_open)

    def analyses(self, track_id: int, now_s: float) -> Analyses:
        known = self._known.get(track_id)
        return Analyses() if known is None else known.history.analyses(now_s)

    def landmarks(self, track: Track, now_s: float) -> tuple[Point, ...] | None:
        """The newest landmarks of a track, in pixels of the frame at which it is as given."""
        known = self._known.get(track.id)
        if known is None or known.points is None or now_s - known.points_s > LANDMARKS_FOR_S:
            return None
        x1, y1, x2, y2 = track.box
        points = known.points * np.array((x2 - x1, y2 - y1), np.float32) + np.array((x1, y1), np.float32)
        return tuple((float(x), float(y)) for x, y in points)

    def keep(self, alive: Set[int], now_s: float) -> None:
        """Forgets tracks that have been gone for FORGET_AFTER_S."""
        for track_id in alive & self._known.keys():
            self._known[track_id].last_s = now_s
        gone = [track_id for track_id, known in self._known.items() if now_s - known.last_s > FORGET_AFTER_S]
        for track_id in gone:
            del self._known[track_id]
        self._disputed &= alive

    def _of(self, track_id: int, at_s: float) -> _Known:
        known = self._known.setdefault(track_id, _Known())
        known.last_s = max(known.last_s, at_s)
        return known
