"""Who a tracked face is, decided over many looks at it. Pure: no clock, no I/O; `at_s` is stream time.

Every look is a vote, weighted by its quality. A name needs a mean level above the threshold and a margin above the
runner-up; once given it stays until it falls clearly below (hysteresis). In one picture a person is one face at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from uuid import UUID

from streamapp.findings import NO_MATCH
from streamapp.gallery.identity_rules import (
    IdentityDecision,
    ModelMean,
    Skip,
    SkippedVote,
    Standing,
    Thresholds,
    Vote,
    VoteRules,
)
from streamapp.gallery.search import Match, SearchResult
from streamapp.results import IdentityReason, IdentityState, LivenessState

_SKIPPED_KEPT = 10
_VETO_LEVEL = 0.0
"""What a look counts that is more like a face said not to be the person: as much as any stranger's."""
_Judgement = tuple[IdentityState, IdentityReason]


class IdentityVotes:
    """The looks at one track's face. Bounded: the oldest votes are forgotten."""

    def __init__(self, rules: VoteRules) -> None:
        self._rules = rules
        self._ballots: deque[tuple[Vote, tuple[Match, ...]]] = deque(maxlen=rules.memory)
        self._skipped: deque[SkippedVote] = deque(maxlen=_SKIPPED_KEPT)
        self._rejected: set[UUID] = set()
        self._liveness: LivenessState | None = None
        self._attempts = 0
        self._people: int | None = None
        """In the gallery, at the last look."""
        self._state = IdentityState.UNDECIDED
        self._holds: UUID | None = None
        self._doubts = 0
        """Looks since the last one that was like the person it is said to be."""

    def add(self, frame: int, at_s: float, quality: float, result: SearchResult) -> None:
        """One look: what a search for the face found, and how good the picture was, 0 to 1."""
        self._attempts += 1
        self._people = result.people
        if result.problem is not None or result.people == 0 or not quality >= self._rules.min_quality:
            reason = Skip.LOW_QUALITY if result.people else Skip.NOBODY_ENROLLED
            reason = reason if result.problem is None else Skip(result.problem)
            self._skipped.append(SkippedVote(frame, at_s, quality, reason))
            return
        if any(vote.frame == frame for vote, _ in self._ballots):
            return  # the same picture again says nothing new
        self._note_doubt(result)
        levels = {match.person_id: match.score.level for match in result.matches}
        self._ballots.append((Vote(frame, at_s, quality, result.people, levels, result.vetoed), result.matches))

    def set_liveness(self, state: LivenessState | None) -> None:
        """What is known of the face being a living person's; None where that is not looked at."""
        self._liveness = state

    def start_over(self) -> None:
        """It is another face now: nothing is left but whom it was said not to be."""
        self._ballots.clear()
        self._skipped.clear()
        self._attempts, self._doubts = 0, 0
        self._liveness = self._people = self._holds = None
        self._state = IdentityState.UNDECIDED

    def reject(self, person_id: UUID) -> None:
        """This face is not that person, whatever the votes say."""
        self._rejected.add(person_id)
        self._drop(person_id)

    def forget(self, person_id: UUID) -> None:
        """Somebody was erased from the gallery: nothing of them stays here."""
        self._rejected.discard(person_id)
        self._drop(person_id)
        kept = [
            (
                replace(
                    vote,
                    levels={p: level for p, level in vote.levels.items() if p != person_id},
                    vetoed=tuple(p for p in vote.vetoed if p != person_id),
                ),
                tuple(match for match in matches if match.person_id != person_id),
            )
            for vote, matches in self._ballots
        ]
        self._ballots.clear()
        self._ballots.extend(kept)

    @property
    def wants_look(self) -> bool:
        """Whether another look at this face may decide who it is."""
        if self._liveness is LivenessState.SPOOF and not self._rules.identify_spoofs:
            return False
        is_open = self._state is IdentityState.UNDECIDED or self._doubts > 0
        return is_open and self._attempts < self._rules.max_attempts

    def _drop(self, person_id: UUID) -> None:
        if self._holds == person_id:
            self._holds, self._state, self._doubts = None, IdentityState.UNDECIDED, 0

    def _note_doubt(self, result: SearchResult) -> None:
        """A track that was handed over to another face goes on under that one's looks alone."""
        if self._holds is None:
            return
        level = next((match.score.level for match in result.matches if match.person_id == self._holds), NO_MATCH)
        alike = level >= self._rules.thresholds(result.people).unknown
        self._doubts = 0 if alike else self._doubts + 1
        if self._doubts == self._rules.max_doubts:
            for _ in range(len(self._ballots) - self._doubts + 1):
                self._ballots.popleft()
            self._holds, self._state, self._doubts = None, IdentityState.UNDECIDED, 0

    # -- deciding

    def _standings(self) -> tuple[Standing, ...]:
        """Everybody in the votes but those rejected, best first."""
        people = {p for vote, _ in self._ballots for p in vote.levels} - self._rejected
        return tuple(sorted(map(self._standing, people), key=lambda s: (-s.level, s.person_id)))

    def _standing(self, person_id: UUID) -> Standing:
        total = weights = 0.0
        cosines: dict[str, list[tuple[float, float, float]]] = {}
        votes = 0
        for vote, matches in self._ballots:
            mine = next((match for match in matches if match.person_id == person_id), None)
            if mine is not None:
                level = mine.score.level
            elif person_id in vote.vetoed:
                level = _VETO_LEVEL
            elif matches:
                level = matches[-1].score.level
            else:
                continue
            total += vote.quality * level
            weights += vote.quality
            votes += mine is not None
            for score in mine.score.scores if mine is not None else ():
                cosines.setdefault(score.model, []).append((vote.quality, score.cosine, score.level))
        models = {model: ModelMean(_mean(rows, 1), _mean(rows, 2)) for model, rows in cosines.items()}
        return Standing(person_id, total / weights, votes, models)

    def _decision(self) -> IdentityDecision:
        """As if no other face were in the picture."""
        thresholds = self._rules.thresholds(max((vote.people for vote, _ in self._ballots), default=0))
        standings = self._standings()
        level = standings[0].level if standings else None
        margin = standings[0].level - standings[1].level if len(standings) > 1 else None
        state, reason = self._judged(standings, thresholds, margin)
        return IdentityDecision(
            state,
            reason,
            standings[0].person_id if state is IdentityState.IDENTIFIED else None,
            level,
            margin,
            thresholds,
            standings,
            tuple(vote for vote, _ in self._ballots),
            tuple(self._skipped),
            self._attempts,
            tuple(sorted(self._rejected)),
        )

    def _judged(self, standings: tuple[Standing, ...], limits: Thresholds, margin: float | None) -> _Judgement:
        state, reason = self._judged_by_votes(standings, limits, margin)
        if self._rules.identify_spoofs or state is not IdentityState.IDENTIFIED:
            return state, reason
        if self._liveness is LivenessState.SPOOF:
            return IdentityState.UNDECIDED, IdentityReason.SPOOF
        if self._liveness is LivenessState.UNDECIDED and self._holds != standings[0].person_id:
            return IdentityState.UNDECIDED, IdentityReason.LIVENESS_OPEN
        return state, reason

    def _judged_by_votes(self, standings: tuple[Standing, ...], limits: Thresholds, margin: float | None) -> _Judgement:
        rules = self._rules
        if self._people == 0:
            return IdentityState.UNKNOWN, IdentityReason.NOBODY_ENROLLED
        weight = sum(vote.quality for vote, _ in self._ballots)
        used_up = self._attempts >= rules.max_attempts
        clear = margin is None or margin >= limits.margin
        if len(self._ballots) < rules.min_votes or weight < rules.min_weight:
            if clear and standings and standings[0].level >= limits.accept + rules.sure_above:
                return IdentityState.IDENTIFIED, IdentityReason.ALIKE
            return _open(IdentityReason.TOO_FEW_VOTES, used_up)
        if not standings or standings[0].level < limits.unknown:
            return IdentityState.UNKNOWN, IdentityReason.NOBODY_ALIKE
        first = standings[0]
        if first.level >= limits.accept and clear:
            return IdentityState.IDENTIFIED, IdentityReason.ALIKE
        if first.person_id == self._holds and first.level >= limits.keep:
            return IdentityState.IDENTIFIED, IdentityReason.HELD
        if self._state is IdentityState.UNKNOWN and first.level < limits.accept and not used_up:
            return IdentityState.UNKNOWN, IdentityReason.HELD
        alike = first.level >= limits.accept
        return _open(IdentityReason.TOO_CLOSE if alike else IdentityReason.NOT_ALIKE_ENOUGH, used_up)

    def _settle(self, decision: IdentityDecision) -> None:
        self._state, self._holds = decision.state, decision.person_id


def decide(tracks: Mapping[int, IdentityVotes]) -> Mapping[int, IdentityDecision]:
    """Who each of the faces of one picture is, and remembers it in the tracks.

    As a name needs a margin above the runner-up, every face has at most one person it can be; where two faces have the
    same, the one more alike gets the name, a face that has it already counting as more alike by the hysteresis.
    """
    decisions = {track: votes._decision() for track, votes in sorted(tracks.items())}
    winners: dict[UUID, int] = {}
    for track, person_id, _ in sorted(_claims(tracks, decisions), key=lambda claim: (-claim[2], claim[0])):
        winners.setdefault(person_id, track)
    for track, decision in decisions.items():
        if decision.person_id is not None and winners[decision.person_id] != track:
            decisions[track] = replace(
                decision, state=IdentityState.UNDECIDED, reason=IdentityReason.CONTESTED, person_id=None
            )
        tracks[track]._settle(decisions[track])
    return decisions


def _claims(
    tracks: Mapping[int, IdentityVotes], decisions: Mapping[int, IdentityDecision]
) -> Iterable[tuple[int, UUID, float]]:
    """Track, person, and how strong the claim is."""
    for track, decision in decisions.items():
        if decision.person_id is not None and decision.level is not None:
            votes = tracks[track]
            bonus = votes._rules.hysteresis if votes._holds == decision.person_id else 0.0
            yield track, decision.person_id, decision.level + bonus


def _open(reason: IdentityReason, used_up: bool) -> _Judgement:
    """Undecided; unknown once there were as many looks as are worth it."""
    if used_up:
        return IdentityState.UNKNOWN, IdentityReason.ATTEMPTS_USED_UP
    return IdentityState.UNDECIDED, reason


def _mean(rows: Iterable[tuple[float, float, float]], column: int) -> float:
    rows = list(rows)
    return sum(row[0] * row[column] for row in rows) / sum(row[0] for row in rows)
