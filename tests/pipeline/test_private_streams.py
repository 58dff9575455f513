"""Of a private stream nobody gets a picture in which somebody can be seen who is not enrolled; what is decided is as on
any other stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import av
import numpy as np
import pytest

from streamapp.assets import asset
from streamapp.faces import Mode, TrackState
from streamapp.frame import Box, Image
from streamapp.gallery_settings import GallerySettings
from streamapp.models import Models
from streamapp.pipeline.lookout import for_lookout
from streamapp.pipeline.session import StreamSession
from streamapp.replay.differences import decision
from streamapp.results import FrameResult
from streamapp.sections import ModelSettings
from streamapp.settings import Settings
from streamapp.sinks.base import Inbox
from streamapp.sinks.veil import is_named
from streamapp.sources.base import EncodedPicture, Pace
from streamapp.sources.file import FileSource
from streamapp.zoo.base import FaceScreener
from streamapp.zoo.registry import open_screener
from tests.fakes import CollectingSink, NoModels, NumberedSource, ScriptedScreener
from tests.pipeline.test_identity_on_streams import CLIP, enrolled, first_picture
from tests.sessions import faces_in
from tests.shared_data import shared_file
from tests.waiting import until
from tests.weights import models_folder

FRAMES = 90
"""Of each clip."""
LOOK_EVERY = 5
WHOLE_FOR = 20
"""In the first frames all is blurred."""
SURE = 0.5
"""What the detector that looks at the outputs is at least as sure of is a face."""


def scripted(*, private: bool) -> StreamSession:
    face = (100.0, 60.0, 200.0, 180.0)
    return StreamSession(
        "test",
        lambda numbering: NumberedSource(numbering, codec="h264"),
        mode=Mode.FAST,
        settings=Settings(),
        make_screener=lambda: ScriptedScreener([[face]]),
        models=NoModels(),
        make_lookout=ScriptedScreener if private else None,
    )


@pytest.mark.parametrize("private", [True, False], ids=["private", "open"])
async def test_what_the_source_coded_reaches_nobody(private: bool) -> None:
    """NumberedSource hands on each picture as coded where that is wanted."""
    stream = scripted(private=private)
    sink, coded = CollectingSink(lossless=False), stream.encoded.subscribe()
    stream.attach(sink)
    running = asyncio.ensure_future(stream.run())
    await until(lambda: len(sink.outputs) >= 10)
    stream.offer_encoded(EncodedPicture(b"face", 0.0, True, "h264", has_b_frames=False))
    assert stream.wants_encoded is not private
    await stream.stop()
    await running
    assert bool(coded.take_all()) is not private
    assert {output.frame.codec for output in sink.outputs} == {None if private else "h264"}
    assert all((output.veiled is not None) is private for output in sink.outputs)
    assert all(("veil" in output.result.timing_ms) is private for output in sink.outputs)


async def test_the_first_pictures_are_blurred_as_a_whole() -> None:
    stream = scripted(private=True)
    sink = CollectingSink()
    stream.attach(sink)
    running = asyncio.ensure_future(stream.run())
    await until(lambda: len(sink.outputs) >= 30)
    await stream.stop()
    await running
    whole = [output.veiled == ((0.0, 0.0, 320.0, 240.0),) for output in sink.outputs]
    assert whole[0]
    assert not whole[-1]
    assert whole == sorted(whole, reverse=True)


# -- with real weights -------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    gallery = GallerySettings(file=tmp_path / "gallery.db", key_file=tmp_path / "gallery.key", identify_spoofs=True)
    return Settings(models=ModelSettings(dir=models_folder(tmp_path)), gallery=gallery)


def session(models: Models, settings: Settings, clip: Path, mode: Mode, *, private: bool = True) -> StreamSession:
    def lookout() -> FaceScreener:
        return open_screener(for_lookout(settings))

    return StreamSession(
        "clip",
        lambda numbering: FileSource(clip, numbering, settings.sources, pace=Pace.ASAP),
        mode=mode,
        settings=settings,
        make_screener=lambda: open_screener(settings),
        models=models,
        max_frames=FRAMES,
        lossless=True,
        make_lookout=lookout if private else None,
    )


class Watching:
    """Keeps every result, and what a detector finds in some of the pictures."""

    lossless = True

    def __init__(self, act_at: int | None = None, act: Callable[[], Awaitable[object]] | None = None) -> None:
        self.results: list[FrameResult] = []
        self.found: dict[int, list[Box]] = {}
        """The faces found in the pictures that were looked at, by the place of their result."""
        self._act_at, self._act = act_at, act

    async def run(self, inbox: Inbox) -> None:
        while (output := await inbox.get()) is not None:
            place = len(self.results)
            self.results.append(output.result)
            if place % LOOK_EVERY == 0 or place == self._act_at or place - 1 == self._act_at:
                self.found[place] = found_in(np.asarray(output.frame.video.to_ndarray(format="rgb24"), np.uint8))
            if place == self._act_at and self._act is not None:
                await self._act()


def found_in(rgb: Image) -> list[Box]:
    faces = faces_in(np.ascontiguousarray(rgb))
    return [tuple(box) for box in faces.boxes[faces.scores >= SURE].tolist()]


async def watched(models: Models, settings: Settings, clip: Path, mode: Mode, *, private: bool = True) -> Watching:
    stream, sink = session(models, settings, clip, mode, private=private), Watching()
    stream.attach(sink)
    await stream.run()
    return sink


@pytest.mark.weights
async def test_no_decision_depends_on_it(settings: Settings) -> None:
    clip = asset("recordings/demo.mp4")
    async with Models.start(settings) as models:
        apart = [await watched(models, settings, clip, Mode.STANDARD, private=private) for private in (True, False)]
    private, open_ = ([decision(result) for result in sink.results] for sink in apart)
    assert len(private) == FRAMES
    assert private == open_


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize(("clip", "lost"), [("facenet_pytorch_video.mp4", 0.03), ("liveportrait_driving_d18.mp4", 0.0)])
async def test_a_detector_finds_nobody_in_what_comes_out(settings: Settings, clip: str, lost: float) -> None:
    """One clip is of a crowd, near and far; who crosses it fast, in profile, may be seen for a moment."""
    path = shared_file(f"media/videos/{clip}")
    async with Models.start(settings) as models:
        plain = await watched(models, settings, path, Mode.FAST, private=False)
        veiled = await watched(models, settings, path, Mode.FAST)
    there = sum(map(len, plain.found.values()))
    assert there >= len(plain.found) / 2
    assert sum(map(len, veiled.found.values())) <= lost * there


def side_by_side(folder: Path, *clips: str) -> Path:
    """A clip with the pictures of others beside each other."""
    target, width, height = folder / "both.mp4", 512, 512
    containers = [av.open(str(shared_file(f"media/videos/{clip}"))) for clip in clips]
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "16", "preset": "superfast"})
        stream.width, stream.height, stream.pix_fmt = width * len(clips), height, "yuv420p"
        for pictures in zip(*(one.decode(video=0) for one in containers), range(FRAMES), strict=False):
            parts = [one.reformat(width, height).to_ndarray(format="rgb24") for one in pictures[:-1]]
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.hstack(parts)), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    for one in containers:
        one.close()
    return target


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.timeout(240)
async def test_who_is_enrolled_is_clear_beside_a_stranger_until_she_is_erased(
    settings: Settings, tmp_path: Path
) -> None:
    clip = side_by_side(tmp_path, Path(CLIP).name, "liveportrait_driving_d18.mp4")
    erased_at = 70
    async with Models.start(settings) as models:
        ada = await enrolled(models, "Ada", first_picture(shared_file(CLIP)))
        stream = session(models, settings, clip, Mode.FULL)
        models.identification.watch_erasures(stream.forget)

        async def erase() -> None:
            await models.identification.gallery.erase(ada.id, actor="test", now=time.time())
            assert stream.latest is None, "it shows her"

        sink = Watching(erased_at, erase)
        stream.attach(sink)
        await stream.run()
    half = sink.results[0].width / 2
    clear = 0
    for place, boxes in sink.found.items():
        named = any(
            is_named(track.analyses) and track.state is TrackState.CONFIRMED for track in sink.results[place].tracks
        )
        assert all(box[2] < half for box in boxes), "the stranger is seen"
        assert len(boxes) == named or (place < WHOLE_FOR and not boxes), (place, boxes)
        clear += len(boxes)
    assert clear > 5
    assert sink.found[erased_at]
    assert not any(boxes for place, boxes in sink.found.items() if place > erased_at + 1)
