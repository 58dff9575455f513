"""A live session recorded from its first picture on, and run again from nothing but the recording's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.assets import asset
from streamapp.faces import Mode
from streamapp.recording.description import header_of
from streamapp.recording.entry import RecordingState
from streamapp.replay.clip import open_clip
from streamapp.replay.differences import EXACT, differences
from streamapp.replay.golden import read_record
from streamapp.replay.run import replay
from streamapp.results import FrameResult, IdentityState
from streamapp.runtime import Runtime
from streamapp.sections import RecordingSettings
from streamapp.settings import Settings
from streamapp.sources.base import Pace
from streamapp.sources.file import FileSource
from tests.pipeline.test_identity_on_streams import enrolled, first_picture
from tests.replay.sessions import settings_of
from tests.shared_data import shared_file
from tests.waiting import until
from tests.weights import models_folder

pytestmark = [pytest.mark.weights, pytest.mark.timeout(240)]
FRAMES = 100
DEMO = asset("recordings/demo.mp4")


async def recorded(clip: Path, settings: Settings, name: str | None = None) -> Path:
    """The folder of a recording of a stream at its own pace, with somebody enrolled by its first picture."""
    async with Runtime.start(settings) as runtime, runtime.recordings.kept():
        models = runtime.models
        if name is not None:
            await enrolled(models, name, first_picture(clip))
        session = runtime.open_stream(
            "cam",
            lambda numbering: FileSource(clip, numbering, settings.sources, pace=Pace.REALTIME),
            mode=Mode.FULL,
        )
        header = header_of(
            session, settings, models.lineup, models.registry, gallery_version=models.identification.version
        )
        await runtime.recordings.start(session, header)
        await until(lambda: session.frames >= FRAMES, 120)
        entry = await runtime.recordings.stop(session)
        assert entry.state is RecordingState.COMPLETE
    return settings.recording.dir / str(entry.id)


def settings_for(folder: Path, recordings: Path) -> Settings:
    settings = settings_of(models_folder(folder))
    return settings.model_copy(
        update={
            "recording": RecordingSettings(dir=recordings, min_free_bytes=0),
            "gallery": settings.gallery.model_copy(update={"identify_spoofs": True}),
        }
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, tmp_path / "recordings")


async def again(folder: Path, settings: Settings) -> tuple[list[FrameResult], list[FrameResult]]:
    """The results in the recording, and those of its replay."""
    clip = open_clip(folder)
    assert clip.sidecar is not None
    record = read_record(clip.sidecar)
    assert record.is_live
    return list(record.results), list((await replay(clip, record.mode, settings, record)).results)


async def test_it_decides_again_what_it_decided(settings: Settings) -> None:
    was, now = await again(await recorded(DEMO, settings), settings)
    assert was[0].frame == 0, "from the first picture on"
    assert len(was) > FRAMES / 3
    assert any(result.keyframe for result in was)
    assert differences(was, now, EXACT) == []


@pytest.mark.media
async def test_who_was_named_is_in_the_recording_by_id_alone_and_is_found_again(settings: Settings) -> None:
    folder = await recorded(shared_file("media/videos/liveportrait_driving_d9.mp4"), settings, "Ada Lovelace")
    assert b"Ada" not in b"".join(path.read_bytes() for path in folder.iterdir())
    was, now = await again(folder, settings)
    who = [track.analyses["identity"] for result in was for track in result.tracks if "identity" in track.analyses]
    assert IdentityState.IDENTIFIED in {identity.state for identity in who}
    assert differences(was, now, EXACT) == []
