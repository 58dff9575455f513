"""The gallery beside the recognisers: what is installed compares faces, and a bad gallery takes nothing down."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from streamapp.assets import asset
from streamapp.errors import GalleryUnusable, ModelMissing, UsageError
from streamapp.gallery.gallery import store_of
from streamapp.gallery.people import Consent, Enrolment
from streamapp.gallery_settings import GallerySettings
from streamapp.identification import Identification, fusion_of
from streamapp.models import CALIBRATIONS
from tests.gallery.enrolments import enrolment, face
from tests.pipeline.lineups import ANTISPOOF, RECOGNISERS, YOLO, lineup

SMALL = "arcface-mbf-w600k-int8"


@pytest.fixture
def settings(tmp_path: Path) -> GallerySettings:
    return GallerySettings(file=tmp_path / "gallery.db", key_file=tmp_path / "gallery.key")


def curves(folder: Path, *models: str) -> Path:
    """A calibration file that knows these models."""
    entry = '[[calibration]]\nmodel = "{}"\nimpostor_pairs = 100\ncosines = [0.0, 0.2]\nlevels = [0.0, 2.0]\n'
    path = folder / "calibration.toml"
    path.write_text("".join(map(entry.format, models)))
    return path


def test_the_ensemble_is_what_is_installed_with_its_weights(tmp_path: Path) -> None:
    fusion = fusion_of(lineup(tmp_path, *RECOGNISERS), curves(tmp_path, *RECOGNISERS))
    assert {member.model: member.weight for member in fusion.members} == dict(
        zip(RECOGNISERS, (0.25, 0.5, 0.25), strict=True)
    )


def test_a_recogniser_nobody_calibrated_takes_no_part(tmp_path: Path) -> None:
    fusion = fusion_of(lineup(tmp_path, *RECOGNISERS), curves(tmp_path, RECOGNISERS[1]))
    assert [member.model for member in fusion.members] == [RECOGNISERS[1]]
    with pytest.raises(ModelMissing, match="evaluate calibrate"):
        fusion_of(lineup(tmp_path, *RECOGNISERS), curves(tmp_path, "another"))


def test_without_a_recogniser_the_command_that_gets_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="streamapp models pull"):
        fusion_of(lineup(tmp_path, YOLO, ANTISPOOF), curves(tmp_path, *RECOGNISERS))


def test_the_calibrations_that_come_with_the_app_cover_the_light_set() -> None:
    assert SMALL in asset(CALIBRATIONS).read_text()


def test_a_calibration_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml"):
        fusion_of(lineup(tmp_path, *RECOGNISERS), tmp_path / "nowhere.toml")


async def test_a_gallery_nobody_was_enrolled_in_is_not_made(tmp_path: Path, settings: GallerySettings) -> None:
    installed, file = lineup(tmp_path, *RECOGNISERS), curves(tmp_path, *RECOGNISERS)
    async with Identification.start(settings, installed, file) as identification:
        found = await identification.search(face(1, models=RECOGNISERS))
        assert found is not None
        assert (found.matches, found.people, found.problem) == ((), 0, None)
        assert await identification.gallery.people(0, 10) == ()
    assert not settings.file.exists()


async def test_without_a_recogniser_people_are_shown_and_erased_but_nobody_is_compared(
    tmp_path: Path, settings: GallerySettings
) -> None:
    file, elsewhere = curves(tmp_path, *RECOGNISERS), tmp_path / "without"
    elsewhere.mkdir()
    async with Identification.start(settings, lineup(tmp_path, *RECOGNISERS), file) as identification:
        person = await identification.gallery.enroll(enrolment("Ada", 1), actor="test", now=time.time())
    async with Identification.start(settings, lineup(elsewhere, YOLO), file) as identification:
        assert isinstance(identification.error, ModelMissing)
        with pytest.raises(ModelMissing):
            _ = identification.gallery
        assert await identification.search(face(1, models=RECOGNISERS)) is None
        assert identification.name_of(person.id) == "Ada"
        assert [known.id for known in await identification.people.people(0, 10)] == [person.id]
        erased: list[UUID] = []
        identification.watch_erasures(erased.append)
        await identification.people.erase(person.id, actor="test", now=time.time())
        assert erased == [person.id]
        assert await identification.people.people(0, 10) == ()
    async with Identification.start(settings, lineup(tmp_path, *RECOGNISERS), file) as identification:
        found = await identification.search(face(1, models=RECOGNISERS))
        assert found is not None
        assert found.matches == ()


async def test_a_damaged_gallery_leaves_faces_undecided_and_says_why(
    tmp_path: Path, settings: GallerySettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.file.write_bytes(b"not a database" * 1000)
    installed, file = lineup(tmp_path, *RECOGNISERS), curves(tmp_path, *RECOGNISERS)
    async with Identification.start(settings, installed, file) as identification:
        assert await identification.search(face(1, models=RECOGNISERS)) is None
        assert isinstance(identification.error, GalleryUnusable)
        with pytest.raises(GalleryUnusable, match=r"gallery\.db"):
            _ = identification.gallery
    assert "gallery.db" in caplog.text
    assert settings.file.read_bytes() == b"not a database" * 1000


async def test_a_gallery_another_process_has_open_is_not_waited_for(tmp_path: Path, settings: GallerySettings) -> None:
    store = store_of(settings)
    await store.open(time.time())
    try:
        installed, file = lineup(tmp_path, *RECOGNISERS), curves(tmp_path, *RECOGNISERS)
        async with Identification.start(settings, installed, file) as identification:
            assert identification.error is not None
            assert identification.error.code == "gallery_in_use"
    finally:
        await store.close()


async def test_when_people_were_seen_is_kept_and_who_is_out_of_time_is_erased(
    tmp_path: Path, settings: GallerySettings
) -> None:
    installed, file = lineup(tmp_path, *RECOGNISERS), curves(tmp_path, *RECOGNISERS)
    now, erased = time.time(), list[UUID]()

    def agreed(name: str, seed: int, until: float) -> Enrolment:
        return replace(enrolment(name, seed), consent=Consent("themselves", "v1", now - 200, until))

    async with Identification.start(settings, installed, file) as identification:
        identification.watch_erasures(erased.append)
        gallery = identification.gallery
        stays = await gallery.enroll(agreed("Ada", 1, now + 1e6), actor="test", now=now - 100)
        goes = await gallery.enroll(agreed("Grace", 2, now - 10), actor="test", now=now - 100)
        identification.note_seen(stays.id)
        identification._swept_s = float("-inf")
        await identification.keep_up()
        assert (await gallery.record(stays.id)).person.last_seen_at >= now
        assert [person.id for person in await gallery.people(0, 10)] == [stays.id]
        assert erased == [goes.id]
        assert (identification.name_of(stays.id), identification.name_of(goes.id)) == ("Ada", None)
