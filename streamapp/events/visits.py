"""Which faces come and go, told once each although detections flicker and tracks break."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from streamapp.choices import EventKind
from streamapp.events.event import Because, Event, MakeId
from streamapp.faces import TrackState
from streamapp.results import FrameResult, IdentityState, LivenessState, TrackResult

Box = tuple[float, float, float, float]

_NEAR = 1.0
"""A face that comes back lies within so many of its widths or heights of where it was lost."""
_ALIKE = 2.0
"""And is by at most this factor larger or smaller."""


@dataclass(frozen=True, slots=True)
class VisitTimes:
    """In the stream's time. A face that is gone and back within `gone_s` is the same visit."""

    appear_s: float
    """A face must be seen for so long,"""
    appear_frames: int
    """in so many results."""
    hold_s: float
    """An identity or a suspicion must last so long."""
    gone_s: float


@dataclass(slots=True)
class _Hold:
    """Something said of a face again and again. `what`: a person, or None for a spoof."""

    what: UUID | None
    since_s: float


@dataclass(slots=True)
class _Visit:
    track: int
    first_s: float
    first_at: float
    last_s: float
    last_at: float
    last_frame: int
    box: Box
    frames: int = 0
    id: UUID | None = None
    """None until it is told that the face appeared."""
    person_id: UUID | None = None
    identity: IdentityState | None = None
    claim: _Hold | None = None
    suspicion: _Hold | None = None
    is_spoof_told: bool = False

    def saw(self, track: TrackResult, result: FrameResult, at: float) -> None:
        self.track, self.box = track.id, track.box
        self.last_s, self.last_at, self.last_frame = result.pts_s, at, result.frame
        identity = track.analyses.get("identity")
        self.identity = self.identity if identity is None else identity.state
        self.frames += 1


class VisitRules:
    """The visits of one stream. Knows no clock: the results carry the stream's time, `at` is Unix time in seconds.

    Results may be missing; those given are in order.
    """

    def __init__(self, stream: str, times: VisitTimes, make_id: MakeId) -> None:
        self._stream = stream
        self._times = times
        self._make_id = make_id
        self._visits: list[_Visit] = []

    def see(self, result: FrameResult, at: float) -> list[Event]:
        """What this result makes known. `at`: when its picture arrived."""
        events: list[Event] = []
        here = {track.id for track in result.tracks}
        self._visits = [visit for visit in self._visits if visit.id is not None or visit.track in here]
        for track in result.tracks:
            if track.state is not TrackState.CONFIRMED:
                continue
            visit = self._of(track, here, result, at)
            visit.saw(track, result, at)
            if visit.id is None and self._has_appeared(visit):
                visit.id = self._make_id()
                events.append(self._event(visit, EventKind.APPEARED, at=visit.first_at, id_=visit.id))
            events += self._suspected(visit, track)
            events += self._identified(visit, track, here)
        for visit in tuple(self._visits):
            if result.pts_s - visit.last_s >= self._times.gone_s:
                events += self._ended(visit, Because.GONE)
        return events

    def end(self, because: Because) -> list[Event]:
        """All visits are over."""
        return [event for visit in tuple(self._visits) for event in self._ended(visit, because)]

    def _of(self, track: TrackResult, here: set[int], result: FrameResult, at: float) -> _Visit:
        """The visit of a track: its own, one that lost its track near by, or a new one."""
        for visit in self._visits:
            if visit.track == track.id:
                return visit
        lost = [visit for visit in self._visits if visit.track not in here and _is_near(visit.box, track.box)]
        if lost:
            return min(lost, key=lambda visit: _distance(visit.box, track.box))
        visit = _Visit(track.id, result.pts_s, at, result.pts_s, at, result.frame, track.box)
        self._visits.append(visit)
        return visit

    def _has_appeared(self, visit: _Visit) -> bool:
        long_enough = visit.last_s - visit.first_s >= self._times.appear_s
        return long_enough and visit.frames >= self._times.appear_frames

    def _suspected(self, visit: _Visit, track: TrackResult) -> list[Event]:
        liveness = track.analyses.get("liveness")
        if liveness is None or liveness.state is not LivenessState.SPOOF:
            visit.suspicion = None
            return []
        visit.suspicion = visit.suspicion or _Hold(None, visit.last_s)
        if visit.is_spoof_told or visit.id is None or not self._holds(visit.suspicion, visit):
            return []
        visit.is_spoof_told = True
        return [self._event(visit, EventKind.SPOOF_SUSPECTED, score=liveness.score)]

    def _identified(self, visit: _Visit, track: TrackResult, here: set[int]) -> list[Event]:
        """Told once per visit and person, and anew only if somebody else was told in between."""
        identity = track.analyses.get("identity")
        if identity is None or identity.state is not IdentityState.IDENTIFIED or identity.person_id is None:
            visit.claim = None
            return []
        if visit.claim is None or visit.claim.what != identity.person_id:
            visit.claim = _Hold(identity.person_id, visit.last_s)
        if identity.person_id == visit.person_id or visit.id is None or not self._holds(visit.claim, visit):
            return []
        others = [other for other in self._visits if other is not visit and other.person_id == identity.person_id]
        if any(other.track in here for other in others):
            return []  # nobody is here twice: whose face it is shows once one of them goes
        if others:
            return self._merged(others[0], visit, track)
        visit.person_id = identity.person_id
        return [self._event(visit, EventKind.IDENTIFIED, score=identity.similarity)]

    def _merged(self, kept: _Visit, visit: _Visit, track: TrackResult) -> list[Event]:
        """A person lost from sight is back elsewhere: the visit goes on, and what began meanwhile is over."""
        events = self._ended(visit, Because.SAME_PERSON)
        kept.track, kept.box = track.id, track.box
        kept.last_s, kept.last_at, kept.last_frame = visit.last_s, visit.last_at, visit.last_frame
        kept.claim, kept.suspicion, kept.identity = visit.claim, visit.suspicion, visit.identity
        kept.is_spoof_told = kept.is_spoof_told or visit.is_spoof_told
        return events

    def _ended(self, visit: _Visit, because: Because) -> list[Event]:
        self._visits.remove(visit)
        if visit.id is None:
            return []
        duration_s = visit.last_s - visit.first_s
        identity = IdentityState.IDENTIFIED if visit.person_id is not None else visit.identity
        return [self._event(visit, EventKind.LEFT, because=because, duration_s=duration_s, identity=identity)]

    def _holds(self, hold: _Hold, visit: _Visit) -> bool:
        return visit.last_s - hold.since_s >= self._times.hold_s

    def _event(
        self,
        visit: _Visit,
        kind: EventKind,
        *,
        at: float | None = None,
        id_: UUID | None = None,
        because: Because | None = None,
        score: float | None = None,
        duration_s: float | None = None,
        identity: IdentityState | None = None,
    ) -> Event:
        return Event(
            id_ or self._make_id(),
            kind,
            self._stream,
            visit.last_at if at is None else at,
            visit.id,
            visit.track,
            visit.last_frame,
            visit.last_s,
            visit.person_id,
            because,
            score,
            duration_s,
            identity,
        )


def _sides(box: Box) -> tuple[float, float]:
    return max(box[2] - box[0], 1.0), max(box[3] - box[1], 1.0)


def _distance(one: Box, other: Box) -> float:
    """Between the middles, in sides of the larger."""
    wide, high = (max(a, b) for a, b in zip(_sides(one), _sides(other), strict=True))
    across = abs(one[0] + one[2] - other[0] - other[2]) / 2 / wide
    down = abs(one[1] + one[3] - other[1] - other[3]) / 2 / high
    return max(across, down)


def _is_near(one: Box, other: Box) -> bool:
    ratios = [a / b for a, b in zip(_sides(one), _sides(other), strict=True)]
    return all(1 / _ALIKE <= ratio <= _ALIKE for ratio in ratios) and _distance(one, other) <= _NEAR
