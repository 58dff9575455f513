"""What is known of each track of one stream: findings come in late and in any order, and are merged here. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from streamapp.faces import Floats, Point, Track
from streamapp.findings import Embedding
from streamapp.frame import Box
from streamapp.gallery.identity_rules import VoteRules
from streamapp.gallery.people import NameOf
from streamapp.pipeline.aggregate import FaceHistory, Findings, Moment
from streamapp.pipeline.answers import Answer
from streamapp.pipeline.identities import Identities, Identity, Look
from streamapp.pipeline.leaps import LeapWatch
from streamapp.results import Analyses, LivenessState

LANDMARKS_FOR_S = 2.0
"""Landmarks are shown for so long after their keyframe, moved and scaled with the box: until the next
sweep has brought new ones."""
FORGET_AFTER_S = 60.0
"""A track that is gone is remembered for so long: what was asked about it may still be under way."""


MAX_APPEARANCES = 8


@dataclass(frozen=True, slots=True)
class Appearance:
    """A track's face in one crop, as the recognisers saw it."""

    frame: int
    quality: float
    """0 to 1, of the crop."""
    embeddings: Mapping[str, Embedding]


@dataclass(slots=True)
class _Known:
    history: FaceHistory = field(default_factory=FaceHistory)
    points: Floats | None = None
    """float32 [5, 2]: landmarks as shares of the box."""
    points_s: float = float("-inf")
    last_s: float = float("-inf")
    skipped: dict[str, str] = field(default_factory=dict)
    appearances: deque[Appearance] = field(default_factory=lambda: deque(maxlen=MAX_APPEARANCES))


class ResultBoard:
    """Of one stream; `now_s` and `at_s` are seconds of the stream. rules, name_of: as in Identities. Used on one
    thread."""

    def __init__(self, rules: VoteRules | None = None, name_of: NameOf = lambda _: None) -> None:
        self._known: dict[int, _Known] = {}
        self._identities = Identities(rules or VoteRules(), name_of)
        self._disputed: set[int] = set()
        self._unanswered: set[int] = set()
        self._leaps = LeapWatch()

    def add(
        self, track_id: int, findings: Findings, skipped: Mapping[str, str], at: Moment, look: Look | None = None
    ) -> None:
        """What the models said of a track at that moment, what the gallery said to it, and what they did not say, with
        the code of why."""
        known = self._of(track_id, at.pts_s)
        known.history.add(findings, at)
        known.skipped = dict(skipped)
        if look is not None:
            self._identities.add(track_id, look)
        taken = findings.identification
        if taken is not None and all(before.frame != at.frame for before in known.appearances):
            known.appearances.append(Appearance(at.frame, at.quality, taken.embeddings))

    def appearances(self, track_id: int) -> tuple[Appearance, ...]:
        """The newest looks of a track's face, oldest first."""
        known = self._known.get(track_id)
        return () if known is None else tuple(known.appearances)

    def liveness(self, track_id: int) -> LivenessState | None:
        """Whether a track is a living person's face, as known by now; None where nothing was said of it."""
        known = self._known.get(track_id)
        return None if known is None else known.history.liveness

    def take_in(self, answer: Answer) -> None:
        """Everything that came of a step of a keyframe."""
        for refined in answer.refined:
            self.refine(refined.track_id, refined.box, refined.landmarks, at_s=refined.at_s)
        for found in answer.found:
            self.add(found.track_id, found.findings, found.skipped, found.at, found.look)
        if answer.answers is not None:
            self.note_answers(*answer.answers)
        if answer.dispute is not None:
            self.dispute(*answer.dispute)

    def decide(self, tracks: Sequence[Track], *, liveness_expected: bool) -> None:
        """Decides who the faces of a frame are. liveness_expected: whether a model tells the faces of living people, so
        that nobody is named before it did. What was known of a track that was handed to another face is forgotten."""
        for track_id in self._leaps.observe(tracks):
            self._known.pop(track_id, None)
            self._identities.start_over(track_id)
        default = LivenessState.UNDECIDED if liveness_expected else None
        self._identities.decide(
            {track.id: known.history.liveness or default for track in tracks if (known := self._known.get(track.id))}
        )

    def identity(self, track_id: int) -> Identity | None:
        """Who a track is, with everything that decision rests on; None if it was never compared with anybody."""
        return self._identities.of(track_id)

    def reject(self, track_id: int, person_id: UUID) -> None:
        """This track is not that person."""
        self._identities.reject(track_id, person_id)

    def look_again(self) -> None:
        """Somebody was enrolled in the gallery."""
        self._identities.look_again()

    def forget(self, person_id: UUID) -> None:
        """Somebody was erased from the gallery."""
        self._identities.forget(person_id)

    def refine(self, track_id: int, box: Box, landmarks: Floats, *, at_s: float) -> None:
        """The landmarks of a track, float32 [5, 2] in the same pixels as its box."""
        known = self._of(track_id, at_s)
        if at_s >= known.points_s:
            x1, y1, x2, y2 = box
            sides = np.array((max(x2 - x1, 1.0), max(y2 - y1, 1.0)), np.float32)
            known.points = np.asarray((landmarks - np.array((x1, y1), np.float32)) / sides, np.float32)
            known.points_s = at_s

    def dispute(self, seen: Set[int], unseen: Set[int]) -> None:
        """Notes which tracks a sweep saw, and which it should have seen and did not."""
        self._disputed = (self._disputed - seen) | unseen

    def note_answers(self, answered: Set[int], unanswered: Set[int]) -> None:
        """Notes about which tracks the models were asked, and for which some of the jobs were dropped."""
        self._unanswered = (self._unanswered - answered) | unanswered

    @property
    def disputed(self) -> Set[int]:
        return frozenset(self._disputed)

    @property
    def undecided(self) -> Set[int]:
        """Tracks whose liveness is open, of which only one crop was analysed, or about which some model did not come to
        answer."""
        undecided = {track_id for track_id, known in self._known.items() if known.history.is_open}
        return frozenset(undecided | self._unanswered)

    @property
    def unidentified(self) -> Set[int]:
        """Tracks of which another look may tell who they are."""
        return self._identities.unsettled

    def analyses(self, track_id: int, now_s: float) -> Analyses:
        known = self._known.get(track_id)
        return Analyses() if known is None else known.history.analyses(now_s, self._identities.of(track_id))

    def skipped(self, track_id: int) -> Mapping[str, str]:
        """What the last time brought no answer for a track, and the code of why."""
        known = self._known.get(track_id)
        return {} if known is None else known.skipped

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
            self._identities.drop(track_id)
        self._disputed &= alive
        self._unanswered &= alive

    def _of(self, track_id: int, at_s: float) -> _Known:
        known = self._known.setdefault(track_id, _Known())
        known.last_s = max(known.last_s, at_s)
        return known
