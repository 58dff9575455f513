"""Who the faces of one stream are: votes over each track, decided for all faces of a frame together. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from uuid import UUID

from streamapp.gallery.identity_rules import IdentityDecision, VoteRules
from streamapp.gallery.identity_votes import IdentityVotes, decide
from streamapp.gallery.people import NameOf
from streamapp.gallery.search import SearchResult
from streamapp.results import LivenessState


@dataclass(frozen=True, slots=True)
class Look:
    """What the gallery says of one crop of a face. quality: 0 to 1, of the crop."""

    frame: int
    at_s: float
    quality: float
    result: SearchResult


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a face is, with the name people gave them; None where nobody was identified."""

    decision: IdentityDecision
    name: str | None


class Identities:
    """name_of: the name of somebody in the gallery; None for those who are no longer there. Used on one thread."""

    def __init__(self, rules: VoteRules, name_of: NameOf) -> None:
        self._rules = rules
        self._name_of = name_of
        self._votes: dict[int, IdentityVotes] = {}
        self._decisions: Mapping[int, IdentityDecision] = {}
        self._decided_for: Mapping[int, LivenessState | None] | None = None
        self._outdated: set[int] = set()
        """Tracks that were not looked at since somebody was enrolled."""

    def add(self, track_id: int, look: Look) -> None:
        """One look at a track. Who was erased since the search does not come back by it."""
        matches = tuple(match for match in look.result.matches if self._name_of(match.person_id) is not None)
        vetoed = tuple(person_id for person_id in look.result.vetoed if self._name_of(person_id) is not None)
        self._outdated.discard(track_id)
        votes = self._votes.setdefault(track_id, IdentityVotes(self._rules))
        votes.add(look.frame, look.at_s, look.quality, replace(look.result, matches=matches, vetoed=vetoed))
        self._decided_for = None

    def decide(self, liveness: Mapping[int, LivenessState | None]) -> None:
        """Decides who the tracks of one frame are; given is what is known of them being living people's faces."""
        liveness = {track_id: state for track_id, state in liveness.items() if track_id in self._votes}
        if liveness == self._decided_for:
            return
        for track_id, state in liveness.items():
            self._votes[track_id].set_liveness(state)
        self._decisions = {**self._decisions, **decide({track_id: self._votes[track_id] for track_id in liveness})}
        self._decided_for = liveness

    def of(self, track_id: int) -> Identity | None:
        """As last decided; None for a track that was never looked at."""
        decision = self._decisions.get(track_id)
        if decision is None:
            return None
        return Identity(decision, None if decision.person_id is None else self._name_of(decision.person_id))

    @property
    def unsettled(self) -> Set[int]:
        """Tracks of which another look may tell who they are."""
        return frozenset(track_id for track_id, votes in self._votes.items() if votes.wants_look) | self._outdated

    def look_again(self) -> None:
        """Somebody was enrolled: everybody who is not identified may be them."""
        self._outdated.update(
            track_id
            for track_id in self._votes
            if (decision := self._decisions.get(track_id)) is None or decision.person_id is None
        )

    def start_over(self, track_id: int) -> None:
        """The track is of another face now: nothing is left but whom it was said not to be."""
        votes = self._votes.get(track_id)
        if votes is not None:
            votes.start_over()
            self._decisions = {other: decision for other, decision in self._decisions.items() if other != track_id}
            self._decided_for = None

    def reject(self, track_id: int, person_id: UUID) -> None:
        """This track is not that person, whatever the votes say."""
        self._votes.setdefault(track_id, IdentityVotes(self._rules)).reject(person_id)
        self._decided_for = None

    def forget(self, person_id: UUID) -> None:
        """Somebody was erased from the gallery: nothing of them stays here."""
        for votes in self._votes.values():
            votes.forget(person_id)
        if self._decided_for is not None:
            present, self._decided_for = self._decided_for, None
            self._decisions = {}
            self.decide(present)

    def drop(self, track_id: int) -> None:
        """The track is gone for good."""
        self._votes.pop(track_id, None)
        self._outdated.discard(track_id)
        self._decisions = {other: decision for other, decision in self._decisions.items() if other != track_id}
