"""A camera that is made up: faces come and go, and the real keyframe policy says what is asked of the models. Pure but
for its own seeded numbers; takes `now_s`."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from streamapp.capacity.costs import Lineup
from streamapp.faces import Detector, Mode, Track, TrackState
from streamapp.pipeline.keyframes import KeyframePolicy, KeyframeRequest

LOOKS = 2
"""Analyses until nothing about a face is left open: benchmarks.escalation, hall, has as many undecided as new ones."""
_SIDE_PX, _GAP_PX = 120.0, 200.0
_SCORE, _QUALITY = 0.9, 0.5
"""A near face, well to be seen: nothing but the policy's times and open questions asks for another look."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """How many faces come by, as a Poisson process, and how long each stays on average (exponential)."""

    faces_per_s: float = 0.1
    stay_s: float = 8.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A job to be: an operation on so many items."""

    operation: str
    items: int


@dataclass(frozen=True, slots=True)
class _Visit:
    track: Track
    until_s: float


class Camera:
    """Begins with as many faces as there are on average."""

    def __init__(self, name: str, traffic: Traffic, lineup: Lineup, seed: str) -> None:
        self.name = name
        self.is_idle = True
        """Whether the last keyframe is done with."""
        self._traffic = traffic
        self._lineup = lineup
        self._random = random.Random(seed)  # noqa: S311 - for a simulation
        self._policy = KeyframePolicy(Mode.FULL)
        self._looks: Counter[int] = Counter()
        self._visits: list[_Visit] = []
        self._ids = 0
        at_first_s = 0.0
        while traffic.faces_per_s > 0:
            at_first_s += self._random.expovariate(traffic.faces_per_s * traffic.stay_s)
            if at_first_s > 1.0:
                break
            self._enter(0.0)
        self._next_s = self._wait_s()

    def decide(self, now_s: float) -> KeyframeRequest | None:
        """What to do with the frame of that time, if anything; then the camera is busy until `finish`."""
        while self._next_s <= now_s:
            self._enter(self._next_s)
            self._next_s += self._wait_s()
        self._visits = [visit for visit in self._visits if visit.until_s > now_s]
        tracks = tuple(visit.track for visit in self._visits)
        request = self._policy.decide(
            tracks,
            now_s,
            is_idle=self.is_idle,
            undecided={track.id for track in tracks if self._looks[track.id] < LOOKS},
            qualities={track.id: _QUALITY for track in tracks},
        )
        if request is not None:
            self.is_idle = False
        return request

    def steps(self, request: KeyframeRequest) -> tuple[tuple[Ask, ...], ...]:
        """The jobs of a keyframe in the steps of pipeline/escalation.py; those of a step side by side."""
        lineup, faces, steps = self._lineup, len(request.targets), list[tuple[Ask, ...]]()
        if faces:
            steps.append((Ask(lineup.refinement, faces),))
            steps.append(tuple(Ask(analyser, faces) for analyser in lineup.analysers))
        if request.sweep is not None:
            steps.append((Ask(lineup.detector, 1),))
            if self._visits:
                steps.append((Ask(lineup.refinement, len(self._visits)),))
        return tuple(steps)

    def answered(self, request: KeyframeRequest) -> None:
        """The analyses of a keyframe came back."""
        self._looks.update(track_id for track_id, _ in request.targets)

    def finish(self, cost_s: float, now_s: float) -> None:
        """The keyframe is done with, however its jobs ended."""
        self._policy.spent(cost_s, now_s)
        self.is_idle = True

    def _enter(self, now_s: float) -> None:
        self._ids += 1
        left = self._ids * _GAP_PX
        box = (left, 0.0, left + _SIDE_PX, _SIDE_PX)
        track = Track(self._ids, box, _SCORE, Detector.MEDIAPIPE, TrackState.CONFIRMED)
        self._visits.append(_Visit(track, now_s + self._random.expovariate(1 / self._traffic.stay_s)))

    def _wait_s(self) -> float:
        return self._random.expovariate(self._traffic.faces_per_s) if self._traffic.faces_per_s > 0 else float("inf")
