"""Why a track is called what it is called: the JSON of `/streams/{name}/tracks/{id}/why`."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from streamapp.gallery.identity_rules import IdentityDecision, Skip
from streamapp.gallery.people import NameOf
from streamapp.results import IdentityReason, IdentityState, TrackResult


class ModelEvidence(BaseModel):
    """What one recogniser says of the face and a person, as the mean over the votes."""

    cosine: float
    level: float = Field(description="The cosine on the scale of all recognisers; docs/evaluation.md explains it.")


class Candidate(BaseModel):
    """Somebody this face was compared with."""

    person_id: UUID
    name: str | None
    level: float = Field(description="Mean over all votes, weighted by their quality.")
    votes: int = Field(description="How many votes list them among the people most alike.")
    models: dict[str, ModelEvidence]


class VoteCast(BaseModel):
    """One look at the face that counted."""

    frame: int
    pts_s: float
    quality: float = Field(description="0 to 1: its weight.")
    people: int = Field(description="In the gallery at that time.")
    levels: dict[UUID, float]
    vetoed: list[UUID] = Field(description="Left out: the face is like one that was said not to be them.")


class VoteSkipped(BaseModel):
    """One look at the face that did not count."""

    frame: int
    pts_s: float
    quality: float
    reason: Skip


class ThresholdsInUse(BaseModel):
    """Levels. accept: what a new name needs; keep: what a held one needs; unknown: below it, it is nobody known."""

    accept: float
    keep: float
    unknown: float
    margin: float


class IdentityExplanation(BaseModel):
    """Everything the decision about an identity rests on."""

    state: IdentityState
    because: IdentityReason
    person_id: UUID | None
    name: str | None
    level: float | None
    margin: float | None
    thresholds: ThresholdsInUse
    candidates: list[Candidate] = Field(description="The most alike first.")
    votes: list[VoteCast]
    skipped: list[VoteSkipped]
    attempts: int = Field(description="Looks so far, those included that did not count.")
    rejected: list[UUID] = Field(description="People this face was said not to be.")

    @classmethod
    def of(cls, decision: IdentityDecision, name_of: NameOf) -> IdentityExplanation:
        limits = decision.thresholds
        return cls(
            state=decision.state,
            because=decision.reason,
            person_id=decision.person_id,
            name=None if decision.person_id is None else name_of(decision.person_id),
            level=decision.level,
            margin=decision.margin,
            thresholds=ThresholdsInUse(
                accept=limits.accept, keep=limits.keep, unknown=limits.unknown, margin=limits.margin
            ),
            candidates=[
                Candidate(
                    person_id=standing.person_id,
                    name=name_of(standing.person_id),
                    level=standing.level,
                    votes=standing.votes,
                    models={
                        model: ModelEvidence(cosine=mean.cosine, level=mean.level)
                        for model, mean in standing.models.items()
                    },
                )
                for standing in decision.standings
            ],
            votes=[
                VoteCast(
                    frame=vote.frame,
                    pts_s=vote.at_s,
                    quality=vote.quality,
                    people=vote.people,
                    levels=dict(vote.levels),
                    vetoed=list(vote.vetoed),
                )
                for vote in decision.votes
            ],
            skipped=[
                VoteSkipped(frame=vote.frame, pts_s=vote.at_s, quality=vote.quality, reason=vote.reason)
                for vote in decision.skipped
            ],
            attempts=decision.attempts,
            rejected=list(decision.rejected),
        )


class TrackExplanation(BaseModel):
    """A track as it is in the newest result, and why."""

    stream: str
    frame: int
    track: TrackResult
    identity: IdentityExplanation | None = Field(description="Null where the face was compared with nobody.")
    not_said: dict[str, str] = Field(description="What the mode asks for and this face does not have: the code of why.")
    licences: dict[str, str] = Field(description="Of the weights of every model named here.")


def named_models(track: TrackResult, identity: IdentityExplanation | None) -> list[str]:
    """The models in what is said of a track, each once."""
    analyses = [getattr(analysis, "model", "") for analysis in track.analyses.values()]
    compared = [model for one in (identity.candidates if identity else ()) for model in one.models]
    named = " + ".join([*analyses, *compared]).split(" + ")
    return sorted({name for name in named if name})
