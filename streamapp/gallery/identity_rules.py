"""When a face is somebody: thresholds, and what a decision says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from streamapp.errors import UsageError
from streamapp.gallery.calibration import level_of_rate
from streamapp.results import IdentityReason, IdentityState


class Skip(StrEnum):
    """Why a look at a face was not counted as a vote."""

    LOW_QUALITY = "low_quality"
    UNUSABLE = "unusable_embedding"
    NO_SHARED_MODEL = "no_shared_model"
    NOBODY_ENROLLED = "nobody_enrolled"


@dataclass(frozen=True, slots=True)
class VoteRules:
    """Levels are those of gallery/calibration.py. Raises UsageError for rates that are none."""

    false_match_rate: float = 0.01
    """How often the face of a stranger may reach the threshold for anybody, whatever the number of people."""
    min_margin: float = 0.5
    hysteresis: float = 0.5
    """A name stays while its level is at most this far below the threshold."""
    unknown_below: float = 1.0
    """A face whose best level is this far below the threshold is unknown, above that undecided."""
    min_weight: float = 1.0
    """Sum of qualities that a decision rests on."""
    min_votes: int = 2
    sure_above: float = 1.0
    """A face that is so far above the threshold is named by its first vote."""
    max_doubts: int = 2
    """After so many looks in a row in which a named face is not like that person, it is taken for another's."""
    min_quality: float = 0.2
    memory: int = 10
    """The newest votes count, so many."""
    max_attempts: int = 20
    identify_spoofs: bool = False

    def __post_init__(self) -> None:
        if (
            not 0 < self.false_match_rate < 0.5
            or self.min_quality <= 0
            or self.memory < self.min_votes
            or self.max_attempts < self.min_votes
        ):
            raise UsageError(
                "rules of identity: a false match rate between 0 and 0.5, a quality above 0, room for the votes"
            )

    @property
    def for_one_look(self) -> VoteRules:
        """For a picture, of which there is no second one."""
        return replace(self, min_votes=1, min_weight=0.0)

    def thresholds(self, people: int) -> Thresholds:
        """For a gallery of so many people: the rate of one comparison is the whole rate's share (Bonferroni)."""
        accept = level_of_rate(self.false_match_rate / max(people, 1))
        return Thresholds(accept, accept - self.hysteresis, accept - self.unknown_below, self.min_margin)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Levels. accept: a new name needs it; keep: a held one; unknown: what stays below is nobody known."""

    accept: float
    keep: float
    unknown: float
    margin: float


@dataclass(frozen=True, slots=True)
class ModelMean:
    """What one recogniser says of a face and a person, over the votes."""

    cosine: float
    level: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How one person does over the votes."""

    person_id: UUID
    level: float
    """Mean over all votes, weighted by quality. A vote that does not list the person counts as its last place."""
    votes: int
    """How many list the person."""
    models: Mapping[str, ModelMean]


@dataclass(frozen=True, slots=True)
class Vote:
    """One look that counted."""

    frame: int
    at_s: float
    quality: float
    people: int
    levels: Mapping[UUID, float]
    """The best matches of that look."""
    vetoed: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class SkippedVote:
    frame: int
    at_s: float
    quality: float
    reason: Skip


@dataclass(frozen=True, slots=True)
class IdentityDecision:
    """Who a face is, with all that it rests on."""

    state: IdentityState
    reason: IdentityReason
    person_id: UUID | None
    """Only where identified."""
    level: float | None
    """Of the one most alike; None if nobody was found."""
    margin: float | None
    """Above the runner-up; None without one."""
    thresholds: Thresholds
    standings: tuple[Standing, ...]
    """Best first."""
    votes: tuple[Vote, ...]
    skipped: tuple[SkippedVote, ...]
    attempts: int
    rejected: tuple[UUID, ...]
    """People this face was said not to be."""
