"""Search inside PostgreSQL, against a real server with the vector extension: what the index in memory finds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from pydantic import SecretStr

from streamapp.choices import GalleryBackend
from streamapp.findings import Embedding
from streamapp.gallery.gallery import Gallery, store_of
from streamapp.gallery.people import Rejection
from streamapp.gallery.search import SearchProblem
from streamapp.gallery_settings import GallerySettings
from tests.gallery.enrolments import DAY_S, FUSION, NOW, enrolment, face, sample
from tests.postgres_server import PostgresServer

PEOPLE = 40


@dataclass(frozen=True, slots=True)
class Place:
    url: str
    settings: GallerySettings


@pytest.fixture
def place(vector_postgres: PostgresServer, tmp_path: Path) -> Place:
    url = vector_postgres.fresh_database("vectors")
    settings = GallerySettings.model_validate(
        {"backend": GalleryBackend.POSTGRES, "postgres_url": SecretStr(url), "key_file": tmp_path / "gallery.key"}
    )
    return Place(url, settings)


def searching(place: Place, *, in_database: bool) -> Gallery:
    settings = place.settings.model_copy(update={"pgvector": in_database})
    return Gallery(store_of(settings), FUSION, settings)


@pytest.fixture
async def gallery(place: Place) -> AsyncIterator[Gallery]:
    gallery = searching(place, in_database=True)
    await gallery.open(NOW)
    yield gallery
    await gallery.close()


async def filled(gallery: Gallery) -> list[UUID]:
    return [
        (await gallery.enroll(enrolment(f"person {seed}", seed), actor="test", now=NOW)).id for seed in range(PEOPLE)
    ]


async def test_the_database_finds_what_the_memory_finds(place: Place, gallery: Gallery) -> None:
    await filled(gallery)
    probes = [face(seed, noise=0.7, take=50) for seed in (0, 7, 39, 1000)] + [{"two": face(3)["two"]}]
    ours = [await gallery.search(probe, 4, NOW) for probe in probes]
    await gallery.close()
    memory = searching(place, in_database=False)
    await memory.open(NOW)
    for probe, result in zip(probes, ours, strict=True):
        wanted = await memory.search(probe, 4, NOW)
        assert [m.person_id for m in result.matches] == [m.person_id for m in wanted.matches]
        levels = [m.score.level for m in result.matches]
        assert levels == pytest.approx([m.score.level for m in wanted.matches], abs=1e-3)
        assert (result.people, result.version) == (PEOPLE, wanted.version)
    await memory.close()


async def test_erased_expired_and_broken_match_nobody(gallery: Gallery) -> None:
    erased = (await gallery.enroll(enrolment("Ada", 1), actor="test", now=NOW)).id
    ends = (await gallery.enroll(enrolment("Grace", 2, until=NOW + DAY_S), actor="test", now=NOW)).id
    assert (await gallery.search(face(1), 1, NOW)).matches[0].person_id == erased
    await gallery.erase(erased, actor="test", now=NOW)
    assert [m.person_id for m in (await gallery.search(face(1), 5, NOW)).matches] == [ends]
    assert (await gallery.search(face(2), 5, NOW + DAY_S)).matches == ()
    zeros = Embedding.of("one", 0 * face(2)["one"].vector)
    assert (await gallery.search({"one": zeros}, 5, NOW)).problem is SearchProblem.UNUSABLE


async def test_a_rejected_face_is_obeyed(gallery: Gallery) -> None:
    person, other = [(await gallery.enroll(enrolment(f"p{s}", s), actor="test", now=NOW)).id for s in (1, 2)]
    await gallery.reject(person, Rejection("door", 1, NOW, sample(1, take=9, noise=0.3)), actor="test")
    result = await gallery.search(face(1, take=9, noise=0.3), 1, NOW)
    assert ([m.person_id for m in result.matches], result.vetoed) == ([other], (person,))


async def test_plain_vectors_are_there_only_while_the_setting_is_on(place: Place, gallery: Gallery) -> None:
    await filled(gallery)
    await gallery.close()

    def vectors() -> int | None:
        with psycopg.connect(place.url) as connection:
            (there,) = connection.execute("SELECT to_regclass('streamapp.vectors')").fetchall()[0]
            return (
                None if there is None else connection.execute("SELECT count(*) FROM streamapp.vectors").fetchall()[0][0]
            )

    assert vectors() == PEOPLE * 2
    for in_database, expected in ((False, None), (True, PEOPLE * 2)):
        again = searching(place, in_database=in_database)
        await again.open(NOW)
        assert (await again.search(face(5), 1, NOW)).matches
        await again.close()
        assert vectors() == expected
