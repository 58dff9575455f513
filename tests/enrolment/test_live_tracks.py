"""Faces taken from a stream at work: several shots, of one person who lives; and what is said not to be somebody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streamapp.enrolment import live_tracks
from streamapp.enrolment.appraisal import Appraisal, FaceReader
from streamapp.enrolment.enroller import Enrolled, Enroller, Refused, RefusedBecause
from streamapp.enrolment.live_tracks import SessionTracks, appraised_track, rejected_track
from streamapp.errors import Conflict, NotFound
from streamapp.faces import Mode
from streamapp.gallery.gate import GateRules
from streamapp.models import Models
from streamapp.pipeline.session import StreamSession
from streamapp.results import IdentityState
from streamapp.settings import Settings
from tests.enrolment.scripted_people import FACE, NOW, PortraitSource, consent, script, scripted_models, view
from tests.fakes import ScriptedScheduler, ScriptedScreener
from tests.waiting import until

RULES = GateRules(must_be_live=True)


@asynccontextmanager
async def streaming(
    models: Models, person: Callable[[int], int] = lambda _: 3, *, mode: Mode = Mode.FULL, count: int = 1_000_000
) -> AsyncIterator[StreamSession]:
    """A stream that shows track 1."""
    session = StreamSession(
        "door",
        lambda numbering: PortraitSource(numbering, person, count=count),
        mode=mode,
        settings=Settings(),
        make_screener=lambda: ScriptedScreener([[FACE]]),
        models=models,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(session.run())
        await until(lambda: session.latest is not None and bool(session.latest.result.tracks))
        try:
            yield session
        finally:
            await session.stop()


def live(session: StreamSession) -> SessionTracks:
    return SessionTracks({session.name: session}.__getitem__)


async def taken(models: Models, session: StreamSession, track: int = 1) -> list[Appraisal]:
    return await appraised_track(FaceReader(models), live(session), session.name, track, RULES, client="test")


async def enrolled(models: Models, pictures: list[Appraisal], name: str = "Ada") -> Enrolled | Refused:
    return await Enroller(models).enroll(name, consent(), pictures, actor="test", now=NOW)


async def test_a_track_gives_several_shots_and_is_named_afterwards(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models, streaming(models) as session:
        pictures = await taken(models, session)
        assert len(pictures) >= live_tracks.MIN_SHOTS
        outcome = await enrolled(models, pictures)
        assert isinstance(outcome, Enrolled)
        record = await models.identification.gallery.record(outcome.person.id)
        assert len(record.samples) == len(pictures)
        assert session.escalator is not None
        session.escalator.ask()
        await until(lambda: name_of(session) == "Ada")


def name_of(session: StreamSession) -> str | None:
    assert session.latest is not None
    found = session.latest.result.tracks[0].analyses.get("identity")
    return found.name if found and found.state is IdentityState.IDENTIFIED else None


async def test_two_people_under_one_track_are_refused(tmp_path: Path) -> None:
    async with (
        scripted_models(tmp_path) as models,
        streaming(models, lambda number: 3 if number // 15 % 2 else 5) as session,
    ):
        outcome = await enrolled(models, await taken(models, session))
    assert isinstance(outcome, Refused)
    assert outcome.because is RefusedBecause.DIFFERENT_PEOPLE


async def test_a_print_in_front_of_the_camera_is_refused(tmp_path: Path) -> None:
    scheduler = ScriptedScheduler(script(live=0.02))
    async with scripted_models(tmp_path, scheduler) as models, streaming(models) as session:
        outcome = await enrolled(models, await taken(models, session))
    assert isinstance(outcome, Refused)
    assert {refusal.code for one in outcome.pictures for refusal in one.refusals} == {"spoof"}


async def test_no_such_track_and_streams_that_take_no_shots(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        async with streaming(models) as session:
            with pytest.raises(NotFound, match="track 99"):
                await taken(models, session, 99)
        async with streaming(models, mode=Mode.PRECISION) as session:
            with pytest.raises(Conflict, match="mode full"):
                await taken(models, session)


async def test_a_face_seen_too_shortly_is_a_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_tracks, "TAKE_FOR_S", 0.3)
    async with scripted_models(tmp_path) as models, streaming(models, count=3) as session:
        with pytest.raises(Conflict, match="long enough"):
            await taken(models, session)


# -- "this is not X" ---------------------------------------------------------------------------------------------------


async def test_who_is_rejected_loses_the_name_at_once_and_faces_like_it_never_get_it(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models, streaming(models) as session:
        gallery = models.identification.gallery
        outcome = await enrolled(models, [Appraisal(view(3, unlike=1), ())])
        assert isinstance(outcome, Enrolled)
        await until(lambda: name_of(session) == "Ada")
        await rejected_track(
            FaceReader(models), gallery, live(session), session.name, 1, outcome.person.id, actor="test", now=NOW
        )
        await until(lambda: name_of(session) is None)
        (rejection,) = (await gallery.record(outcome.person.id)).rejections
        assert (rejection.stream, rejection.track) == ("door", 1)
        assert rejection.sample is not None
        again = await gallery.search(view(3).embeddings, 1, NOW)
        assert (again.matches, again.vetoed) == ((), (outcome.person.id,))
        with pytest.raises(NotFound, match="track 99"):
            await rejected_track(
                FaceReader(models), gallery, live(session), session.name, 99, outcome.person.id, actor="test", now=NOW
            )
