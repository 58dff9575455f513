"""Which frames are chosen for escalation, for which faces, and why. Pure: takes `now_s`, in seconds of the stream.

A keyframe may sweep the whole picture for faces, analyse some tracks, or both. Each track has a cooldown and a cap of
attempts; the stream has a budget: what a keyframe cost is paid back by leaving the models alone for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from streamapp.faces import Mode, Track, TrackState
from streamapp.pipeline.leaps import LeapWatch
from streamapp.scheduler.api import Priority

SWEEP_S = 1.0
"""Between sweeps for faces that MediaPipe does not see."""
REFRESH_S = 10.0
"""Between analyses of a face about which nothing is in doubt."""
COOLDOWN_S = 0.5
"""Between analyses of one face whatever the reason."""
MAX_ATTEMPTS = 12
"""Analyses of one face because it is undecided or better to be seen."""
LOST_S = 0.3
"""A face not seen for so long is looked at anew when it comes back: it may be another."""
QUALITY_GAIN = 1.4
"""A shot of a face so much better than the one analysed last shows more."""
GOOD_QUALITY, PATIENCE_S = 0.3, 0.4
"""A new face is analysed once there is a shot as good as this, or after so long whatever it looks like."""
LOW_SCORE = 0.6
MAX_TARGETS = 8
"""Faces analysed on one keyframe: the largest batch."""
BUDGET_SHARE = 0.5
"""Share of the time a stream may keep the models busy."""


class Reason(StrEnum):
    """Why a frame was chosen."""

    NEW_TRACK = "new_track"
    LOST_AND_FOUND = "lost_and_found"
    DISAGREEMENT = "detectors_disagree"
    """A sweep did not see this face."""
    LOW_SCORE = "low_score"
    BETTER_VIEW = "better_view"
    UNDECIDED = "undecided"
    UNCERTAIN_IDENTITY = "uncertain_identity"
    """Who it is, another look may tell."""
    SCENE_CHANGE = "scene_change"
    INTERVAL = "interval"
    ASKED = "asked_for"


_PRIORITIES = {
    Reason.NEW_TRACK: Priority.NEW_FACE,
    Reason.LOST_AND_FOUND: Priority.NEW_FACE,
    Reason.SCENE_CHANGE: Priority.NEW_FACE,
    Reason.ASKED: Priority.NEW_FACE,
    Reason.INTERVAL: Priority.REFRESH,
}


def priority_of(reason: Reason) -> Priority:
    return _PRIORITIES.get(reason, Priority.UNCERTAIN)


@dataclass(frozen=True, slots=True)
class KeyframeRequest:
    """What to do with a frame. `targets`: the tracks to analyse, each with its reason, the most urgent first."""

    sweep: Reason | None
    targets: tuple[tuple[int, Reason], ...]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        found = [reason for _, reason in self.targets] + ([self.sweep] if self.sweep else [])
        return tuple(dict.fromkeys(found))

    @property
    def priority(self) -> Priority:
        return min(map(priority_of, self.reasons))


@dataclass(slots=True)
class _Looks:
    """What was done about a track so far."""

    since_s: float
    """When it was first seen."""
    attempts: int = 0
    last_s: float | None = None
    quality: float = 0.0
    unseen_since_s: float | None = None
    was_lost: bool = False


@dataclass(slots=True)
class KeyframePolicy:
    """Of one stream. Call `decide` for every frame, in order."""

    mode: Mode
    _looks: dict[int, _Looks] = field(default_factory=dict)
    _leaps: LeapWatch = field(default_factory=LeapWatch)
    _swept_s: float | None = None
    _scene_changed: bool = False
    _asked: bool = False
    _resting_until_s: float = float("-inf")

    def ask(self) -> None:
        """The next frame is a keyframe, whatever its faces."""
        self._asked = True

    def spent(self, cost_s: float, now_s: float) -> None:
        """Tells how long the last keyframe kept the models busy."""
        self._resting_until_s = now_s + cost_s * (1 - BUDGET_SHARE) / BUDGET_SHARE

    def decide(
        self,
        tracks: tuple[Track, ...],
        now_s: float,
        *,
        is_idle: bool,
        undecided: Set[int] = frozenset(),
        unidentified: Set[int] = frozenset(),
        disputed: Set[int] = frozenset(),
        scene_changed: bool = False,
        qualities: Mapping[int, float] = MappingProxyType({}),
    ) -> KeyframeRequest | None:
        """What to do with this frame, if anything. is_idle: whether the last keyframe is done with. undecided: tracks
        about which the answers so far leave something open; unidentified: those another look may name; disputed: those
        a sweep did not see. qualities: of the best shot of each track that has one, 0 to 1; only those can be analysed.
        """
        self._observe(tracks, now_s)
        self._scene_changed = self._scene_changed or scene_changed
        if self.mode is Mode.FAST or not is_idle:
            return None
        sweep = self._sweep_reason(now_s)
        doubts = dict.fromkeys(unidentified, Reason.UNCERTAIN_IDENTITY)
        doubts |= dict.fromkeys(undecided, Reason.UNDECIDED) | dict.fromkeys(disputed, Reason.DISAGREEMENT)
        targets = self._targets(tracks, now_s, doubts, qualities) if self.mode is Mode.FULL else ()
        urgent = self._asked or any(priority_of(reason) is Priority.NEW_FACE for _, reason in targets)
        if (sweep is None and not targets) or (now_s < self._resting_until_s and not urgent):
            return None
        if sweep is not None:
            self._swept_s, self._scene_changed = now_s, False
        self._asked = False
        for track_id, _ in targets:
            looks = self._looks[track_id]
            looks.attempts, looks.last_s, looks.was_lost = looks.attempts + 1, now_s, False
            looks.quality = max(looks.quality, qualities[track_id])
        return KeyframeRequest(sweep, targets)

    def _observe(self, tracks: tuple[Track, ...], now_s: float) -> None:
        known = {track.id for track in tracks}
        known -= self._leaps.observe(tracks)  # another face: a new one
        self._looks = {track_id: looks for track_id, looks in self._looks.items() if track_id in known}
        for track in tracks:
            looks = self._looks.setdefault(track.id, _Looks(now_s))
            if track.state is TrackState.COASTING:
                if looks.unseen_since_s is None:
                    looks.unseen_since_s = now_s
            elif looks.unseen_since_s is not None:
                looks.was_lost = looks.was_lost or now_s - looks.unseen_since_s >= LOST_S
                looks.unseen_since_s = None

    def _sweep_reason(self, now_s: float) -> Reason | None:
        if self._asked:
            return Reason.ASKED
        if self._scene_changed:
            return Reason.SCENE_CHANGE
        return Reason.INTERVAL if self._swept_s is None or now_s - self._swept_s >= SWEEP_S else None

    def _targets(
        self,
        tracks: tuple[Track, ...],
        now_s: float,
        doubts: Mapping[int, Reason],
        qualities: Mapping[int, float],
    ) -> tuple[tuple[int, Reason], ...]:
        wanted = []
        for track in tracks:
            if track.state is TrackState.CONFIRMED and track.id in qualities:
                reason = self._reason(track, now_s, doubts.get(track.id), qualities[track.id])
                if reason is not None:
                    wanted.append((track, reason))
        wanted.sort(key=lambda pair: (priority_of(pair[1]), -qualities[pair[0].id]))
        return tuple((track.id, reason) for track, reason in wanted[:MAX_TARGETS])

    def _reason(self, track: Track, now_s: float, doubt: Reason | None, quality: float) -> Reason | None:
        looks = self._looks[track.id]
        if self._asked:
            return Reason.ASKED
        if looks.last_s is None:
            is_time = quality >= GOOD_QUALITY or now_s - looks.since_s >= PATIENCE_S
            return Reason.NEW_TRACK if is_time else None
        since_s = now_s - looks.last_s
        if since_s < COOLDOWN_S:
            return None
        if looks.was_lost:
            return Reason.LOST_AND_FOUND
        if looks.attempts < MAX_ATTEMPTS:
            if doubt is Reason.DISAGREEMENT:
                return doubt
            if track.score < LOW_SCORE:
                return Reason.LOW_SCORE
            if quality >= QUALITY_GAIN * looks.quality:
                return Reason.BETTER_VIEW
            if doubt is not None:
                return doubt
        return Reason.INTERVAL if since_s >= REFRESH_S else None
