"""Who is in a picture, and whether two show the same person, as /gallery tells it."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from streamapp.enrolment.appraisal import Appraisal
from streamapp.enrolment.recognition import NamedFace, NamedFaces, Verification
from streamapp.frame import Box
from streamapp.gallery.fusion import MemberScore
from streamapp.pipeline.report import rounded_box
from streamapp.results import IdentityReason, IdentityState
from streamapp.server.people_answers import DECIMALS, LivenessInfo, PictureReport, RefusalInfo, rounded


class ModelScore(BaseModel):
    """What one recogniser says of two faces."""

    model: str
    cosine: float
    level: float

    @classmethod
    def of(cls, score: MemberScore) -> ModelScore:
        return cls(model=score.model, cosine=round(score.cosine, DECIMALS), level=round(score.level, DECIMALS))


class ThresholdsInfo(BaseModel):
    accept: float = Field(description="A name needs this similarity.")
    unknown: float = Field(description="Below it a face is nobody known.")
    margin: float = Field(description="A name needs to be so far above the runner-up.")


class IdentifiedFace(BaseModel):
    """A face and who it is, by this one look."""

    box: Box
    score: float
    state: IdentityState
    because: IdentityReason
    person_id: UUID | None
    name: str | None
    similarity: float | None = Field(description="To the person most alike, on the calibrated scale.")
    margin: float | None = Field(description="Above the runner-up.")
    scores: list[ModelScore] = Field(description="Of each recogniser, for the person most alike.")
    quality: float
    liveness: LivenessInfo | None
    refusals: list[RefusalInfo] = Field(description="Why it was compared with nobody, if it was not.")

    @classmethod
    def of(cls, face: NamedFace) -> IdentifiedFace:
        view, decision = face.appraisal.view, face.identity.decision
        assert view is not None, "every face of a picture has a view"
        best = decision.standings[0] if decision.standings else None
        return cls(
            box=rounded_box(view.box),
            score=round(view.score, DECIMALS),
            state=decision.state,
            because=decision.reason,
            person_id=decision.person_id,
            name=face.identity.name,
            similarity=rounded(decision.level),
            margin=rounded(decision.margin),
            scores=[
                ModelScore(model=model, cosine=round(mean.cosine, DECIMALS), level=round(mean.level, DECIMALS))
                for model, mean in sorted(best.models.items())
            ]
            if best
            else [],
            quality=round(view.quality, DECIMALS),
            liveness=LivenessInfo.of(view),
            refusals=[RefusalInfo(code=one.code, detail=one.detail) for one in face.appraisal.refusals],
        )


class IdentificationAnswer(BaseModel):
    """Who is in a picture. It rests on one look; on a stream, several are voted over."""

    looks: int = 1
    people: int = Field(description="How many the faces were compared with.")
    thresholds: ThresholdsInfo
    faces: list[IdentifiedFace]

    @classmethod
    def of(cls, named: NamedFaces) -> IdentificationAnswer:
        limits = named.thresholds
        return cls(
            people=named.people,
            thresholds=ThresholdsInfo(
                accept=round(limits.accept, DECIMALS),
                unknown=round(limits.unknown, DECIMALS),
                margin=limits.margin,
            ),
            faces=[IdentifiedFace.of(face) for face in named.faces],
        )


class VerificationAnswer(BaseModel):
    """Whether two pictures show the same person, by one look at each. It says nothing of either being a living one."""

    same: bool
    similarity: float | None
    threshold: float = Field(description="The similarity from which two faces are taken for the same person's.")
    scores: list[ModelScore]
    missing: list[str] = Field(description="Recognisers that took no part.")
    pictures: list[PictureReport]

    @classmethod
    def of(cls, verification: Verification, pictures: list[Appraisal]) -> VerificationAnswer:
        score = verification.score
        return cls(
            same=verification.is_same,
            similarity=rounded(score.level),
            threshold=round(verification.threshold, DECIMALS),
            scores=[ModelScore.of(one) for one in score.scores],
            missing=list(score.missing),
            pictures=[PictureReport.of(appraisal) for appraisal in pictures],
        )
