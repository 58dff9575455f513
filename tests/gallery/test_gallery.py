"""Store and index as one: what was changed is searched at once, and what was erased is nowhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from streamapp.choices import GalleryBackend
from streamapp.errors import NotFound, UsageError
from streamapp.gallery.gallery import Gallery, store_of, vote_rules_of
from streamapp.gallery.people import Rejection
from streamapp.gallery_settings import GallerySettings
from tests.gallery.enrolments import DAY_S, FUSION, NOW, enrolment, face, sample


@pytest.fixture
def settings(tmp_path: Path) -> GallerySettings:
    return GallerySettings(file=tmp_path / "gallery.db", key_file=tmp_path / "gallery.key")


@pytest.fixture
async def gallery(settings: GallerySettings) -> AsyncIterator[Gallery]:
    gallery = Gallery(store_of(settings), FUSION, settings)
    await gallery.open(NOW)
    yield gallery
    await gallery.close()


async def best(gallery: Gallery, seed: int, now: float = NOW) -> str | None:
    result = await gallery.search(face(seed, noise=0.3, take=77), 1, now)
    near = [match for match in result.matches if match.score.level > 4]
    return gallery.name(near[0].person_id) if near else None


async def test_every_change_is_searched_at_once(gallery: Gallery) -> None:
    assert await best(gallery, 1) is None
    ada = await gallery.enroll(enrolment("Ada", 1), actor="test", now=NOW)
    grace = await gallery.enroll(enrolment("Grace", 2), actor="test", now=NOW)
    assert (await best(gallery, 1), await best(gallery, 2), await best(gallery, 3)) == ("Ada", "Grace", None)
    await gallery.rename(ada.id, "Ada L.", actor="test", now=NOW)
    assert await best(gallery, 1) == "Ada L."
    await gallery.add_samples(grace.id, (sample(3),) * 6, actor="test", now=NOW)
    assert await best(gallery, 3) == "Grace"
    await gallery.erase(ada.id, actor="test", now=NOW)
    assert await best(gallery, 1) is None
    assert gallery.name(ada.id) is None
    with pytest.raises(NotFound):
        await gallery.erase(ada.id, actor="test", now=NOW)


async def test_opened_again_it_finds_the_same(gallery: Gallery, settings: GallerySettings) -> None:
    for seed in range(5):
        await gallery.enroll(enrolment(f"p{seed}", seed), actor="test", now=NOW)
    before = await gallery.search(face(3), 5, NOW)
    await gallery.close()
    again = Gallery(store_of(settings), FUSION, settings)
    await again.open(NOW)
    after = await again.search(face(3), 5, NOW)
    assert [m.person_id for m in after.matches] == [m.person_id for m in before.matches]
    assert after.version == before.version
    await again.close()


async def test_the_retention_job_empties_the_index_too(gallery: Gallery) -> None:
    await gallery.enroll(enrolment("Ada", 1, until=NOW + DAY_S), actor="test", now=NOW)
    await gallery.enroll(enrolment("Grace", 2), actor="test", now=NOW)
    swept = await gallery.sweep(actor="job", now=NOW + 2 * DAY_S)
    assert len(swept.erased) == 1
    assert (await best(gallery, 1), await best(gallery, 2)) == (None, "Grace")


async def test_a_rejected_face_is_kept_or_not_as_the_settings_say(settings: GallerySettings) -> None:
    for keep in (True, False):
        chosen = settings.model_copy(update={"keep_rejected_faces": keep})
        gallery = Gallery(store_of(chosen), FUSION, chosen)
        await gallery.open(NOW)
        person = await gallery.enroll(enrolment("Ada", 1), actor="test", now=NOW)
        await gallery.reject(person.id, Rejection("door", 1, NOW, sample(1, take=77, noise=0.3)), actor="test")
        (rejection,) = (await gallery.store.record(person.id)).rejections
        assert (rejection.sample is not None) is keep
        assert await best(gallery, 1) == (None if keep else "Ada")
        await gallery.erase(person.id, actor="test", now=NOW)
        await gallery.close()


async def test_changes_made_at_once_are_all_there(gallery: Gallery) -> None:
    people = await asyncio.gather(
        *(gallery.enroll(enrolment(f"p{seed}", seed), actor="test", now=NOW) for seed in range(20))
    )
    await asyncio.gather(*(gallery.erase(person.id, actor="test", now=NOW) for person in people[:10]))
    assert [await best(gallery, seed) for seed in range(20)] == [None] * 10 + [f"p{seed}" for seed in range(10, 20)]


def test_the_rules_of_voting_are_the_settings(settings: GallerySettings) -> None:
    chosen = settings.model_copy(update={"false_match_rate": 0.2, "min_margin": 0.1, "max_attempts": 7})
    rules = vote_rules_of(chosen)
    assert (rules.false_match_rate, rules.min_margin, rules.max_attempts, rules.identify_spoofs) == (0.2, 0.1, 7, False)
    assert vote_rules_of(chosen.model_copy(update={"identify_spoofs": True})).identify_spoofs


def test_settings_that_do_not_fit_together_are_refused(settings: GallerySettings) -> None:
    with pytest.raises(UsageError, match="pgvector needs"):
        store_of(settings.model_copy(update={"pgvector": True}))
    with pytest.raises(UsageError, match=r"needs gallery\.postgres_url"):
        store_of(settings.model_copy(update={"backend": GalleryBackend.POSTGRES}))


def test_a_missing_psycopg_is_named_with_its_remedy(settings: GallerySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streamapp.gallery.postgres_store", None)
    update = {"backend": GalleryBackend.POSTGRES, "postgres_url": SecretStr("postgresql:///x")}
    with pytest.raises(UsageError, match="streamapp\\[postgres\\]"):
        store_of(settings.model_copy(update=update))
