"""Real clips, real recognisers, a real gallery: who is named, who is not, and how the erased vanish."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from streamapp.faces import Mode
from streamapp.findings import Embedding
from streamapp.frame import Image
from streamapp.gallery.people import Consent, Enrolment, Person, Sample
from streamapp.gallery_settings import GallerySettings
from streamapp.models import Models
from streamapp.pipeline.examiner import Asker
from streamapp.pipeline.session import StreamSession
from streamapp.results import UNKNOWN, FrameResult, IdentityAnalysis, IdentityReason, IdentityState
from streamapp.scheduler.api import Priority
from streamapp.sections import ModelSettings
from streamapp.settings import Settings
from streamapp.sinks.base import Inbox
from streamapp.sources.base import Pace
from streamapp.sources.file import FileSource
from streamapp.zoo.registry import open_screener
from tests.sessions import picture
from tests.shared_data import shared_file
from tests.weights import models_folder

pytestmark = [pytest.mark.weights, pytest.mark.media]

CLIP = "media/videos/liveportrait_driving_d9.mp4"
FRAMES = 150


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    gallery = GallerySettings(file=tmp_path / "gallery.db", key_file=tmp_path / "gallery.key", identify_spoofs=True)
    return Settings(models=ModelSettings(dir=models_folder(tmp_path)), gallery=gallery)


def first_picture(clip: Path) -> Image:
    with av.open(str(clip)) as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


async def looks_of(models: Models, rgb: Image) -> list[dict[str, Embedding]]:
    """What the recognisers see in each face of a picture."""
    asker = Asker("test", Priority.IMAGE, time.monotonic() + 60, "asked for")
    examination = await models.examiner.examine(rgb, Mode.FULL, asker)
    return [dict(found.identification.embeddings) for found in examination.findings if found.identification]


async def enrolled(models: Models, name: str, rgb: Image) -> Person:
    embeddings = (await looks_of(models, rgb))[0]
    now = time.time()
    consent = Consent("themselves", "v1", now - 1, now + 1000)
    sample = Sample(tuple(embeddings.values()), 0.9, now)
    return await models.identification.gallery.enroll(Enrolment(name, consent, (sample,)), actor="test", now=now)


class Watching:
    """A lossless sink that keeps results and may do something at one of them."""

    lossless = True

    def __init__(self, at: int | None = None, act: object = None) -> None:
        self.results: list[FrameResult] = []
        self._at, self._act = at, act

    async def run(self, inbox: Inbox) -> None:
        while (output := await inbox.get()) is not None:
            self.results.append(output.result)
            if len(self.results) == self._at:
                await self._act()  # type: ignore[operator]  # given with `at`


@asynccontextmanager
async def stream(models: Models, settings: Settings, clip: Path) -> AsyncIterator[StreamSession]:
    yield StreamSession(
        "clip",
        lambda numbering: FileSource(clip, numbering, settings.sources, pace=Pace.ASAP),
        mode=Mode.FULL,
        settings=settings,
        make_screener=lambda: open_screener(settings),
        models=models,
        max_frames=FRAMES,
        lossless=True,
    )


def identities(results: list[FrameResult]) -> list[tuple[int, IdentityAnalysis]]:
    """Of every face of every frame, with the track."""
    return [
        (track.id, identity)
        for result in results
        for track in result.tracks
        if (identity := track.analyses.get("identity")) is not None
    ]


def names(results: list[FrameResult]) -> Counter[str | None]:
    return Counter(identity.name for _, identity in identities(results))


async def test_who_is_enrolled_is_named_all_along_and_everything_says_why(settings: Settings) -> None:
    clip = shared_file(CLIP)
    async with Models.start(settings) as models:
        person = await enrolled(models, "Ada", first_picture(clip))
        async with stream(models, settings, clip) as session:
            sink = Watching()
            session.attach(sink)
            await session.run()
            counted = names(sink.results)
            assert set(counted) <= {"Ada", None, UNKNOWN}
            assert counted["Ada"] > 0.5 * counted.total()
            track_id, identity = next(pair for pair in identities(sink.results)[::-1] if pair[1].name == "Ada")
            assert (identity.state, identity.person_id) == (IdentityState.IDENTIFIED, person.id)
            assert identity.confidence is not None
            assert identity.confidence > 0.99
            assert set(identity.scores) == set(identity.model.split(" + "))
            assert session.escalator is not None
            why = session.escalator.board.identity(track_id)
            assert why is not None
            assert len(why.decision.votes) >= 2
            assert why.decision.level is not None
            assert why.decision.level >= why.decision.thresholds.keep
        await models.identification.keep_up()
        record = await models.identification.gallery.record(person.id)
        assert record.person.last_seen_at > record.person.created_at


async def test_strangers_are_unknown_and_not_undecided(settings: Settings) -> None:
    clip = shared_file(CLIP)
    async with Models.start(settings) as models:
        for name in ("uniface_src_man1", "uniface_src_man2", "uniface_src_portrait1"):
            await enrolled(models, name, picture(f"portraits/{name}.jpg"))
        async with stream(models, settings, clip) as session:
            sink = Watching()
            session.attach(sink)
            await session.run()
        counted = names(sink.results)
        assert set(counted) <= {UNKNOWN, None}
        assert counted[UNKNOWN] > 0.7 * counted.total()


async def test_an_empty_gallery_leaves_everybody_unknown_and_makes_no_file(settings: Settings) -> None:
    clip = shared_file(CLIP)
    async with Models.start(settings) as models, stream(models, settings, clip) as session:
        sink = Watching()
        session.attach(sink)
        await session.run()
    found = {(identity.name, identity.because) for _, identity in identities(sink.results)}
    assert found == {(UNKNOWN, IdentityReason.NOBODY_ENROLLED)}
    assert not settings.gallery.file.exists()
    assert not settings.gallery.key_file.exists()


async def test_somebody_erased_while_in_the_picture_is_not_named_from_then_on(settings: Settings) -> None:
    clip = shared_file(CLIP)
    async with Models.start(settings) as models:
        person = await enrolled(models, "Ada", first_picture(clip))
        async with stream(models, settings, clip) as session:
            gallery, escalator = models.identification.gallery, session.escalator
            assert escalator is not None
            models.identification.watch_erasures(escalator.board.forget)
            erased_at: list[int] = []

            async def erase() -> None:
                await gallery.erase(person.id, actor="test", now=time.time())
                erased_at.append(session.frames)

            sink = Watching(80, erase)
            session.attach(sink)
            await session.run()
        before, after = sink.results[:80], sink.results[erased_at[0] + 1 :]
        assert names(before)["Ada"] > 0
        assert len(after) > 30
        assert set(names(after)) <= {UNKNOWN, None}
        assert str(person.id) not in "".join(result.to_json() for result in after)
