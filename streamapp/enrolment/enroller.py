"""From judged pictures to somebody in the gallery: the same person on all of them, and nobody who is there already."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from uuid import UUID

from streamapp.enrolment.appraisal import Appraisal, sample_of
from streamapp.errors import EnrolmentInvalid
from streamapp.gallery.gallery import Gallery
from streamapp.gallery.gate import FaceView
from streamapp.gallery.people import Consent, Enrolment, Person, Sample, valid_name
from streamapp.gallery.templates import pooled, template_of
from streamapp.models import Models

MAX_SIMILAR = 5


class RefusedBecause(StrEnum):
    PICTURES = "pictures_refused"
    """None of them passes the gate; each says why."""
    DIFFERENT_PEOPLE = "not_the_same_person"
    ALREADY_ENROLLED = "already_enrolled"
    NOT_COMPARABLE = "not_comparable"
    """The person was enrolled with other recognisers than those that are installed."""


@dataclass(frozen=True, slots=True)
class Similar:
    """Somebody in the gallery who is much like the new face."""

    person_id: UUID
    name: str | None
    similarity: float
    """A level of gallery/calibration.py."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """pictures: of each picture, in order; those with refusals are not part of the person. similar: other people, most
    alike first."""

    person: Person
    pictures: tuple[Appraisal, ...]
    similar: tuple[Similar, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was kept."""

    because: RefusedBecause
    detail: str
    pictures: tuple[Appraisal, ...]
    similar: tuple[Similar, ...] = ()


def checked(name: str, consent: Consent, now: float) -> None:
    """Before the models are asked. Raises EnrolmentInvalid."""
    valid_name(name)
    if consent.expires_at <= now:
        raise EnrolmentInvalid("the consent has run out")
    if consent.given_at > now:
        raise EnrolmentInvalid("the consent lies in the future")


class Enroller:
    """One for a process: what it checks holds until the person is in. Raises what keeps the gallery from being used
    (GalleryError, ModelMissing), and the gallery's own errors."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._changing = asyncio.Lock()

    async def enroll(
        self,
        name: str,
        consent: Consent,
        pictures: Sequence[Appraisal],
        *,
        allow_duplicate: bool = False,
        actor: str,
        now: float,
    ) -> Enrolled | Refused:
        """A new person, by the good ones of the pictures. Raises EnrolmentInvalid."""
        checked(name, consent, now)
        gallery = self._models.identification.gallery
        samples = self._samples(gallery, pictures, now)
        if isinstance(samples, Refused):
            return samples
        async with self._changing:
            similar = await self._similar(gallery, samples, pictures, None, allow_duplicate=allow_duplicate, now=now)
            if isinstance(similar, Refused):
                return similar
            person = await gallery.enroll(Enrolment(name, consent, samples), actor=actor, now=now)
        return Enrolled(person, tuple(pictures), similar)

    async def add(
        self, person_id: UUID, pictures: Sequence[Appraisal], *, allow_duplicate: bool = False, actor: str, now: float
    ) -> Enrolled | Refused:
        """Further pictures of somebody. Raises NotFound, and EnrolmentInvalid if they are too many or the consent has
        run out."""
        gallery = self._models.identification.gallery
        samples = self._samples(gallery, pictures, now)
        if isinstance(samples, Refused):
            return samples
        async with self._changing:
            record = await gallery.record(person_id)
            checked(record.person.name, record.person.consent, now)
            score = gallery.fusion.compare(pooled(samples), template_of(record).embeddings)
            if not score.scores:
                detail = "they were enrolled with other recognisers than are installed; erase and enroll them anew"
                return Refused(RefusedBecause.NOT_COMPARABLE, detail, tuple(pictures))
            if not score.level >= self._same_from:
                detail = (
                    f"this is not like the person enrolled (similarity {score.level:.2f}, {self._same_from:.2f} is "
                    "needed); enroll somebody new, or erase and enroll them anew if their looks changed"
                )
                return Refused(RefusedBecause.DIFFERENT_PEOPLE, detail, tuple(pictures))
            similar = await self._similar(
                gallery, samples, pictures, person_id, allow_duplicate=allow_duplicate, now=now
            )
            if isinstance(similar, Refused):
                return similar
            person = await gallery.add_samples(person_id, samples, actor=actor, now=now)
        return Enrolled(person, tuple(pictures), similar)

    @property
    def _same_from(self) -> float:
        return self._models.vote_rules.thresholds(1).accept

    def _samples(self, gallery: Gallery, pictures: Sequence[Appraisal], now: float) -> tuple[Sample, ...] | Refused:
        """Of the good pictures, which must show the same person."""
        good = [(number, appraisal.good) for number, appraisal in enumerate(pictures, 1) if appraisal.good is not None]
        if not good:
            return Refused(RefusedBecause.PICTURES, complaints(pictures), tuple(pictures))
        worst = min(
            ((self._level(gallery, a, b), i, j) for (i, a), (j, b) in combinations(good, 2)),
            default=(self._same_from, 0, 0),
        )
        if not worst[0] >= self._same_from:
            detail = (
                f"pictures {worst[1]} and {worst[2]} do not show the same person (similarity {worst[0]:.2f}, "
                f"{self._same_from:.2f} is needed); leave out those that do not belong"
            )
            return Refused(RefusedBecause.DIFFERENT_PEOPLE, detail, tuple(pictures))
        return tuple(sample_of(view, now) for _, view in good)

    def _level(self, gallery: Gallery, first: FaceView, second: FaceView) -> float:
        return gallery.fusion.compare(first.embeddings, second.embeddings).level

    async def _similar(
        self,
        gallery: Gallery,
        samples: Sequence[Sample],
        pictures: Sequence[Appraisal],
        person_id: UUID | None,
        *,
        allow_duplicate: bool,
        now: float,
    ) -> tuple[Similar, ...] | Refused:
        """Other people who are much like the face."""
        found = await gallery.search(pooled(samples), MAX_SIMILAR + 1, now)
        limits = self._models.vote_rules.thresholds(found.people)
        similar = tuple(
            Similar(match.person_id, gallery.name(match.person_id), match.score.level)
            for match in found.matches
            if match.person_id != person_id and match.score.level >= limits.accept - limits.margin
        )[:MAX_SIMILAR]
        if similar and similar[0].similarity >= limits.accept and not allow_duplicate:
            detail = (
                f"this face is already in the gallery, as {similar[0].person_id} (similarity "
                f"{similar[0].similarity:.2f}, from {limits.accept:.2f} it is taken for the same); add the pictures "
                "there, or say allow_duplicate if these are two people"
            )
            return Refused(RefusedBecause.ALREADY_ENROLLED, detail, tuple(pictures), similar)
        return similar


def complaints(pictures: Sequence[Appraisal]) -> str:
    """What is wrong with each picture, in one line."""
    if len(pictures) == 1:
        return "; ".join(refusal.detail for refusal in pictures[0].refusals)
    return "; ".join(
        f"picture {number}: {', '.join(refusal.detail for refusal in appraisal.refusals)}"
        for number, appraisal in enumerate(pictures, 1)
    )
