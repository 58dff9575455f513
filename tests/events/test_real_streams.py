"""Events of real streams through the runtime: the demo clip, and a camera that goes away and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streamapp.choices import EventKind
from streamapp.event_settings import EventSettings
from streamapp.events.message import EventMessage
from streamapp.events.search import EventQuery
from streamapp.faces import Mode
from streamapp.gallery_settings import GallerySettings
from streamapp.runtime import Runtime
from streamapp.sections import ModelSettings, SourceSettings
from streamapp.settings import Settings
from streamapp.sources.base import Pace
from streamapp.sources.open import open_source
from tests.events.test_store import files_of
from tests.fakes import ScriptedScreener
from tests.pipeline.test_identity_on_streams import CLIP, enrolled, first_picture
from tests.rtsp_server import gst_server
from tests.shared_data import shared_file
from tests.waiting import until
from tests.weights import SHORT_RANGE, models_folder, weights_of

FACE = (100.0, 60.0, 200.0, 180.0)


async def events_of(runtime: Runtime) -> list[EventMessage]:
    """Oldest first."""
    assert runtime.events is not None
    return (await runtime.events.search(EventQuery()))[::-1]


@pytest.mark.weights
async def test_faces_of_the_demo_come_and_go(tmp_path: Path) -> None:
    models = ModelSettings(dir=weights_of(*SHORT_RANGE)[1].parent)
    chosen = Settings(models=models, events=EventSettings(file=tmp_path / "events.db"))
    async with Runtime.start(chosen, with_events=True) as runtime:
        runtime.open_stream(
            "demo", lambda numbering: open_source("demo", numbering, chosen.sources, pace=Pace.ASAP), lossless=True
        )
        session = await runtime.wait_closed("demo")
        assert session.error is None
        events = await events_of(runtime)
    appeared = [one for one in events if one.kind is EventKind.APPEARED]
    left = [one for one in events if one.kind is EventKind.LEFT]
    assert appeared
    assert len(events) == len(appeared) + len(left), "nothing else is told in mode fast"
    assert sorted(str(one.visit) for one in left) == sorted(str(one.id) for one in appeared), "each came and left once"
    assert all(one.duration_s is not None and one.duration_s >= 0.5 for one in left)


@pytest.mark.weights
@pytest.mark.media
async def test_who_is_enrolled_is_identified_once_and_forgotten_when_erased(tmp_path: Path) -> None:
    """Real pictures, real recognisers, a real gallery."""
    clip, file = shared_file(CLIP), tmp_path / "events.db"
    gallery = GallerySettings(file=tmp_path / "gallery.db", key_file=tmp_path / "gallery.key", identify_spoofs=True)
    models = ModelSettings(dir=models_folder(tmp_path))
    chosen = Settings(models=models, gallery=gallery, events=EventSettings(file=file))
    async with Runtime.start(chosen, with_events=True) as runtime:
        assert runtime.events is not None
        person = await enrolled(runtime.models, "Ada", first_picture(clip))
        runtime.open_stream(
            "clip",
            lambda numbering: open_source(str(clip), numbering, chosen.sources, pace=Pace.ASAP),
            mode=Mode.FULL,
            max_frames=90,
            lossless=True,
        )
        session = await runtime.wait_closed("clip")
        assert session.error is None
        events = [one for one in await events_of(runtime) if one.kind is not EventKind.SPOOF_SUSPECTED]
        assert [one.kind for one in events] == [EventKind.APPEARED, EventKind.IDENTIFIED, EventKind.LEFT]
        assert [(one.person_id, one.name) for one in events[1:]] == [(person.id, "Ada")] * 2
        assert person.id.bytes in files_of(file)
        await runtime.models.identification.gallery.erase(person.id, actor="test", now=time.time())
        assert await runtime.events.settle()
        assert {one.person_id for one in await events_of(runtime)} == {None}
        assert person.id.bytes not in files_of(file)


@asynccontextmanager
async def watching(url: str, file: Path) -> AsyncIterator[Runtime]:
    """A runtime with a camera in which there is always a face."""
    sources = SourceSettings(open_timeout_s=5, read_timeout_s=1, backoff_s=(0.2,), backoff_jitter=0)
    times = EventSettings(file=file, lost_s=0.5, recovered_s=0.3, appear_s=0.2)
    chosen = Settings(sources=sources, events=times)
    async with Runtime.start(chosen, lambda: ScriptedScreener([[FACE]]), with_events=True) as runtime:
        runtime.open_stream("cam", lambda numbering: open_source(url, numbering, chosen.sources))
        yield runtime


@pytest.mark.e2e
async def test_a_camera_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    with gst_server() as server:
        async with watching(server.url(), tmp_path / "events.db") as runtime:
            assert runtime.events is not None
            told = runtime.events
            await until(lambda: told.state.by_kind[EventKind.APPEARED] == 1, 30)
            await asyncio.to_thread(server.kill)
            await until(lambda: told.state.by_kind[EventKind.STREAM_LOST] == 1, 20)
            await asyncio.to_thread(server.start)
            await until(lambda: told.state.by_kind[EventKind.STREAM_RECOVERED] == 1, 20)
            await until(lambda: told.state.by_kind[EventKind.APPEARED] == 2, 20)
            events = await events_of(runtime)
    assert [one.kind for one in events if "stream" in one.kind] == [EventKind.STREAM_LOST, EventKind.STREAM_RECOVERED]
    lost = next(one for one in events if one.kind is EventKind.STREAM_LOST)
    recovered = next(one for one in events if one.kind is EventKind.STREAM_RECOVERED)
    left = next(one for one in events if one.kind is EventKind.LEFT)
    assert lost.because is not None
    assert left.because == "stream_lost"
    assert recovered.duration_s == pytest.approx(recovered.at - lost.at, abs=0.5)
