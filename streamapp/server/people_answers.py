"""The people of the gallery as /gallery tells of them: never an embedding."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from uuid import UUID

from pydantic import BaseModel, Field

from streamapp.enrolment.appraisal import Appraisal
from streamapp.enrolment.enroller import Enrolled, Similar
from streamapp.frame import Box
from streamapp.gallery.changes import Erasure
from streamapp.gallery.gate import FaceView, RefusalCode
from streamapp.gallery.people import Person, PersonRecord
from streamapp.pipeline.report import rounded_box
from streamapp.results import LivenessState

DECIMALS = 3


class ConsentInfo(BaseModel):
    given_by: str
    text_version: str
    given_at: datetime
    expires_at: datetime


class PersonInfo(BaseModel):
    """Somebody in the gallery."""

    id: UUID
    name: str
    consent: ConsentInfo
    created_at: datetime
    last_seen_at: datetime

    @classmethod
    def of(cls, person: Person) -> PersonInfo:
        consent = person.consent
        return cls(
            id=person.id,
            name=person.name,
            consent=ConsentInfo(
                given_by=consent.given_by,
                text_version=consent.text_version,
                given_at=_time(consent.given_at),
                expires_at=_time(consent.expires_at),
            ),
            created_at=_time(person.created_at),
            last_seen_at=_time(person.last_seen_at),
        )


class SampleInfo(BaseModel):
    taken_at: datetime
    quality: float
    models: list[str]


class PersonDetails(BaseModel):
    person: PersonInfo
    samples: list[SampleInfo]
    rejections: int = Field(description="How many faces were said not to be this person.")

    @classmethod
    def of(cls, record: PersonRecord) -> PersonDetails:
        samples = [
            SampleInfo(
                taken_at=_time(sample.taken_at),
                quality=round(sample.quality, DECIMALS),
                models=[embedding.model for embedding in sample.embeddings],
            )
            for sample in record.samples
        ]
        return cls(person=PersonInfo.of(record.person), samples=samples, rejections=len(record.rejections))


class PeoplePage(BaseModel):
    people: list[PersonInfo]
    total: int
    next_offset: int | None = Field(description="Where the next page begins; null on the last.")


class RefusalInfo(BaseModel):
    code: RefusalCode
    detail: str


class LivenessInfo(BaseModel):
    state: LivenessState
    score: float | None = Field(description="0 to 1: how much it looks like a living person.")

    @classmethod
    def of(cls, view: FaceView | None) -> LivenessInfo | None:
        """None where no model tells."""
        if view is None or view.liveness is None:
            return None
        return cls(state=view.liveness, score=rounded(view.live))


class PictureReport(BaseModel):
    """What became of one picture, or of one shot of a track."""

    accepted: bool
    refusals: list[RefusalInfo]
    box: Box | None = Field(description="Of the face that was meant; null if that cannot be told.")
    quality: float | None
    eyes_px: float | None = Field(description="Distance between the eyes in pixels.")
    sharpness: float | None
    liveness: LivenessInfo | None = Field(description="Null where no model is installed that tells.")

    @classmethod
    def of(cls, appraisal: Appraisal) -> PictureReport:
        view = appraisal.view
        pose = view.pose if view else None
        return cls(
            accepted=appraisal.good is not None,
            refusals=[RefusalInfo(code=refusal.code, detail=refusal.detail) for refusal in appraisal.refusals],
            box=rounded_box(view.box) if view else None,
            quality=round(view.quality, DECIMALS) if view else None,
            eyes_px=round(pose.eyes_px, 1) if pose else None,
            sharpness=round(view.sharpness, DECIMALS) if view else None,
            liveness=LivenessInfo.of(appraisal.view),
        )


class SimilarPerson(BaseModel):
    """Somebody else in the gallery who looks much alike."""

    person_id: UUID
    name: str | None
    similarity: float

    @classmethod
    def of(cls, similar: Similar) -> SimilarPerson:
        return cls(person_id=similar.person_id, name=similar.name, similarity=round(similar.similarity, DECIMALS))


class EnrolmentAnswer(BaseModel):
    person: PersonInfo
    pictures: list[PictureReport] = Field(description="In the order they were sent; only accepted ones are kept of.")
    similar: list[SimilarPerson]

    @classmethod
    def of(cls, enrolled: Enrolled) -> EnrolmentAnswer:
        return cls(
            person=PersonInfo.of(enrolled.person),
            pictures=[PictureReport.of(appraisal) for appraisal in enrolled.pictures],
            similar=[SimilarPerson.of(similar) for similar in enrolled.similar],
        )


class ErasureInfo(BaseModel):
    person_id: UUID
    scrubbed: bool = Field(
        description="False: another program reads the database; its log is cleaned at the next change or start."
    )

    @classmethod
    def of(cls, erasure: Erasure) -> ErasureInfo:
        return cls(person_id=erasure.person_id, scrubbed=erasure.is_scrubbed)


def rounded(value: float | None) -> float | None:
    """None for what is not a finite number, which JSON does not have."""
    return None if value is None or not math.isfinite(value) else round(value, DECIMALS)


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)
