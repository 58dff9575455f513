"""Who gets into the gallery, and who does not: one person on all pictures, nobody twice, all or nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from streamapp.enrolment.appraisal import Appraisal
from streamapp.enrolment.enroller import MAX_SIMILAR, Enrolled, Enroller, Refused, RefusedBecause, checked
from streamapp.errors import EnrolmentInvalid, NotFound
from streamapp.findings import Embedding
from streamapp.gallery.audit import AuditAction
from streamapp.gallery.gate import Refusal, RefusalCode
from streamapp.gallery.people import MAX_SAMPLES, Consent, Enrolment, Sample
from streamapp.models import Models
from tests.enrolment.scripted_people import NOW, consent, scripted_models, view


def good(person: int, unlike: int = 0) -> Appraisal:
    return Appraisal(view(person, unlike=unlike), ())


BAD = Appraisal(view(1), (Refusal(RefusalCode.BLURRED, "the face is blurred: hold still"),))
NOBODY = Appraisal(None, (Refusal(RefusalCode.NO_FACE, "no face was found: turn the light on"),))


async def enroll(models: Models, *pictures: Appraisal, name: str = "Ada", **options: bool) -> Enrolled | Refused:
    return await Enroller(models).enroll(name, consent(), pictures, actor="test", now=NOW, **options)


def enrolled(outcome: Enrolled | Refused) -> Enrolled:
    assert isinstance(outcome, Enrolled), outcome
    return outcome


def refused(outcome: Enrolled | Refused) -> Refused:
    assert isinstance(outcome, Refused), outcome
    return outcome


async def people(models: Models) -> int:
    return len(await models.identification.gallery.people(0, 100))


async def test_the_good_pictures_are_kept_and_the_others_are_reported(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        found = enrolled(await enroll(models, good(1), BAD, good(1, 1), NOBODY))
        record = await models.identification.gallery.record(found.person.id)
    assert len(record.samples) == 2
    assert found.pictures == (found.pictures[0], BAD, found.pictures[2], NOBODY)
    assert (record.person.name, record.person.consent, found.similar) == ("Ada", consent(), ())


async def test_without_a_good_picture_nobody_is_enrolled_and_each_says_why(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        found = refused(await enroll(models, BAD, NOBODY))
        assert not (await models.identification.gallery.people(0, 10))
    assert found.because is RefusedBecause.PICTURES
    assert found.detail == (
        "picture 1: the face is blurred: hold still; picture 2: no face was found: turn the light on"
    )
    assert found.pictures == (BAD, NOBODY)


async def test_pictures_of_two_people_are_refused_and_named(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        found = refused(await enroll(models, good(1), BAD, good(1, 1), good(2)))
        assert await people(models) == 0
    assert found.because is RefusedBecause.DIFFERENT_PEOPLE
    assert "4 do not show the same person" in found.detail


async def test_the_same_face_again_is_a_conflict_that_names_whom(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        first = enrolled(await enroll(models, good(1)))
        again = refused(await enroll(models, good(1, 1), name="Eve"))
        assert again.because is RefusedBecause.ALREADY_ENROLLED
        assert str(first.person.id) in again.detail
        assert [(one.person_id, one.name) for one in again.similar] == [(first.person.id, "Ada")]
        assert await people(models) == 1
        allowed = enrolled(await enroll(models, good(1, 1), name="Eve", allow_duplicate=True))
        assert [one.person_id for one in allowed.similar] == [first.person.id]
        assert await people(models) == 2


async def test_who_is_only_much_alike_is_reported_and_enrolled(tmp_path: Path) -> None:
    """Just below the threshold: the level of a cosine of 0.1 is 2.2, and 2.33 is needed."""
    async with scripted_models(tmp_path) as models:
        known = {name: alike(embedding, 0.1) for name, embedding in view(1).embeddings.items()}
        await models.identification.gallery.enroll(
            Enrolment("Twin", consent(), (Sample(tuple(known.values()), 0.9, NOW),)), actor="test", now=NOW
        )
        found = enrolled(await enroll(models, good(1)))
    (twin,) = found.similar
    assert twin.name == "Twin"
    assert twin.similarity == pytest.approx(2.2, abs=0.01)


def alike(embedding: Embedding, cosine: float) -> Embedding:
    """Another direction at exactly that cosine."""
    other = view(9).embeddings[embedding.model].vector
    across = other - (other @ embedding.vector) * embedding.vector
    across /= (across @ across) ** 0.5
    return Embedding.of(embedding.model, cosine * embedding.vector + (1 - cosine**2) ** 0.5 * across)


async def test_two_at_once_with_the_same_face_are_one(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        enroller = Enroller(models)
        outcomes = await asyncio.gather(
            *(enroller.enroll("Ada", consent(), [good(1)], actor="test", now=NOW) for _ in range(5))
        )
        assert await people(models) == 1
    assert sum(isinstance(outcome, Enrolled) for outcome in outcomes) == 1


async def test_so_many_alike_are_reported_at_most(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        for _ in range(MAX_SIMILAR + 2):
            found = enrolled(await enroll(models, good(1), allow_duplicate=True))
    assert len(found.similar) == MAX_SIMILAR


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("", consent()),
        ("x" * 10_000, consent()),
        ("Ada", consent(until=NOW)),
        ("Ada", Consent("herself", "v1", NOW + 60, NOW + 120)),
    ],
)
async def test_names_and_consents_that_do_not_hold_are_told_before_anything_is_asked(
    tmp_path: Path, name: str, given: Consent
) -> None:
    with pytest.raises(EnrolmentInvalid):
        checked(name, given, NOW)
    async with scripted_models(tmp_path) as models:
        with pytest.raises(EnrolmentInvalid):
            await Enroller(models).enroll(name, given, [good(1)], actor="test", now=NOW)
        assert await people(models) == 0


# -- further pictures --------------------------------------------------------------------------------------------------


async def test_further_pictures_must_be_like_the_person(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        enroller, gallery = Enroller(models), models.identification.gallery
        ada = enrolled(await enroll(models, good(1))).person
        added = enrolled(await enroller.add(ada.id, [good(1, 1), BAD], actor="test", now=NOW))
        assert (added.person.id, added.similar) == (ada.id, ())
        other = refused(await enroller.add(ada.id, [good(2)], actor="test", now=NOW))
        none = refused(await enroller.add(ada.id, [BAD], actor="test", now=NOW))
        assert (other.because, none.because) == (RefusedBecause.DIFFERENT_PEOPLE, RefusedBecause.PICTURES)
        assert len((await gallery.record(ada.id)).samples) == 2
        assert [entry.action for entry in await gallery.store.audit()][-1] is AuditAction.SAMPLES_ADDED


async def test_further_pictures_that_are_like_somebody_else_too_are_a_conflict(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        ada = enrolled(await enroll(models, good(1))).person
        twin = enrolled(await enroll(models, good(1), name="Twin", allow_duplicate=True)).person
        found = refused(await Enroller(models).add(ada.id, [good(1, 1)], actor="test", now=NOW))
        assert found.because is RefusedBecause.ALREADY_ENROLLED
        assert [one.person_id for one in found.similar] == [twin.id]
        enrolled(await Enroller(models).add(ada.id, [good(1, 1)], allow_duplicate=True, actor="test", now=NOW))


async def test_pictures_of_other_recognisers_cannot_be_compared(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        gallery = models.identification.gallery
        foreign = Sample((Embedding.of("retired-model", view(1).embeddings["adaface-ir101"].vector),), 0.9, NOW)
        old = await gallery.enroll(Enrolment("Ada", consent(), (foreign,)), actor="test", now=NOW)
        found = refused(await Enroller(models).add(old.id, [good(1)], actor="test", now=NOW))
        assert found.because is RefusedBecause.NOT_COMPARABLE


async def test_nobody_too_many_and_a_consent_that_ran_out(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        enroller = Enroller(models)
        with pytest.raises(NotFound):
            await enroller.add(uuid4(), [good(1)], actor="test", now=NOW)
        ada = enrolled(await enroll(models, good(1))).person
        with pytest.raises(EnrolmentInvalid, match="at most"):
            await enroller.add(ada.id, [good(1)] * MAX_SAMPLES, actor="test", now=NOW)
        with pytest.raises(EnrolmentInvalid, match="run out"):
            await enroller.add(ada.id, [good(1)], actor="test", now=consent().expires_at)
        assert len((await models.identification.gallery.record(ada.id)).samples) == 1


async def test_a_face_whose_consent_ran_out_is_nobody_s(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        await enroll(models, good(1))
        later = consent().expires_at + 1
        fresh = Consent("herself", "v2", later - 1, later + 100)
        outcome = await Enroller(models).enroll("Ada", fresh, [good(1)], actor="test", now=later)
    assert enrolled(outcome).similar == ()
