"""A stream from source to sinks: nothing lost that must not be, nothing waited for that must not be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from streamapp.errors import ModelMissing, SourceNotFound
from streamapp.faces import Mode
from streamapp.pipeline.session import StreamSession
from streamapp.results import DropReason
from streamapp.sections import SourceSettings
from streamapp.settings import Settings
from streamapp.sources.base import EncodedPicture, FrameNumbering, Source, SourceState
from streamapp.zoo.base import FaceScreener
from tests.fakes import BrokenSink, CollectingSink, NoModels, ScriptedScreener, ScriptedSource
from tests.waiting import until

FACE = (10.0, 10.0, 30.0, 30.0)


def session(
    make_source: Callable[[FrameNumbering], Source],
    make_screener: Callable[[], FaceScreener] = ScriptedScreener,
    *,
    mode: Mode = Mode.FAST,
    max_frames: int | None = None,
) -> StreamSession:
    settings = Settings(sources=SourceSettings(backoff_s=(0.0,), backoff_jitter=0.0))
    return StreamSession(
        "test",
        make_source,
        mode=mode,
        settings=settings,
        make_screener=make_screener,
        models=NoModels(),
        max_frames=max_frames,
    )


async def test_every_frame_of_a_recording_reaches_a_lossless_sink_in_order() -> None:
    screener = ScriptedScreener([[FACE]])
    stream = session(lambda numbering: ScriptedSource(numbering, 100), lambda: screener)
    sink = CollectingSink()
    stream.attach(sink)
    await stream.run()
    assert [output.result.frame for output in sink.outputs] == list(range(100))
    assert [len(output.result.tracks) for output in sink.outputs] == [0] + [1] * 99
    assert {track.id for output in sink.outputs for track in output.result.tracks} == {1}
    assert stream.status.state is SourceState.ENDED
    assert not stream.dropped


async def test_all_frames_are_screened_on_one_thread_that_is_not_the_loop_and_the_model_is_closed() -> None:
    screener = ScriptedScreener()
    await session(lambda numbering: ScriptedSource(numbering, 20), lambda: screener).run()
    assert len(screener.threads) == 1
    assert threading.get_ident() not in screener.threads
    await until(lambda: screener.closed)


async def test_a_live_source_is_never_held_up_and_what_it_outran_is_counted() -> None:
    gate, hold = threading.Event(), asyncio.Event()
    screener = ScriptedScreener(gate=gate)
    stream = session(lambda numbering: ScriptedSource(numbering, 50, live=True, hold=hold), lambda: screener)
    sink = CollectingSink()
    stream.attach(sink)
    running = asyncio.ensure_future(stream.run())
    await until(lambda: stream.dropped[DropReason.STALE] >= 48)
    gate.set()
    await until(lambda: bool(sink.outputs) and sink.outputs[-1].result.frame == 49)
    await stream.stop()
    await running
    assert stream.frames + stream.dropped[DropReason.STALE] == 50
    assert sink.outputs[-1].result.dropped == {DropReason.STALE: stream.dropped[DropReason.STALE]}


async def test_the_boxes_are_in_pixels_of_the_full_picture() -> None:
    stream = session(lambda numbering: ScriptedSource(numbering, 3), lambda: ScriptedScreener([[FACE]]))
    sink = CollectingSink()
    stream.attach(sink)
    await stream.run()
    assert sink.outputs[-1].result.tracks[0].box == FACE
    assert (sink.outputs[-1].result.width, sink.outputs[-1].result.height) == (64, 48)


async def test_a_broken_sink_hurts_only_itself() -> None:
    stream = session(lambda numbering: ScriptedSource(numbering, 30))
    broken, sound = stream.attach(BrokenSink()), CollectingSink()
    stream.attach(sound)
    await stream.run()
    assert len(sound.outputs) == 30
    assert isinstance(broken.error, RuntimeError)


async def test_max_frames_gives_exactly_so_many_results_and_ends_the_source() -> None:
    stream = session(lambda numbering: ScriptedSource(numbering, 1000), max_frames=7)
    sink = CollectingSink()
    stream.attach(sink)
    await stream.run()
    assert [output.result.frame for output in sink.outputs] == list(range(7))


async def test_stop_lets_sinks_finish() -> None:
    hold = asyncio.Event()
    stream = session(lambda numbering: ScriptedSource(numbering, 5, hold=hold))
    sink = CollectingSink()
    stream.attach(sink)
    running = asyncio.ensure_future(stream.run())
    await until(lambda: len(sink.outputs) == 5)
    await stream.stop()
    await running
    assert sink.finished
    assert stream.status.state is SourceState.CLOSED


async def test_a_sink_can_come_and_go_while_the_stream_runs() -> None:
    hold = asyncio.Event()
    stream = session(lambda numbering: ScriptedSource(numbering, 5, hold=hold))
    running = asyncio.ensure_future(stream.run())
    await until(lambda: stream.frames == 5)
    late = CollectingSink()
    attachment = stream.attach(late)
    await asyncio.sleep(0)
    await attachment.close()
    assert late.finished
    assert not running.done()
    await stream.stop()
    await running


async def test_a_missing_model_ends_the_stream_with_its_own_error() -> None:
    def no_model() -> FaceScreener:
        raise ModelMissing("run `streamapp models pull`")

    hold = asyncio.Event()
    with pytest.raises(ModelMissing, match="models pull"):
        await session(lambda numbering: ScriptedSource(numbering, 5, hold=hold), no_model).run()


async def test_a_mode_whose_models_are_missing_ends_the_stream_and_its_sinks() -> None:
    hold, sink = asyncio.Event(), CollectingSink()
    stream = session(lambda numbering: ScriptedSource(numbering, 5, hold=hold), mode=Mode.STANDARD)
    attachment = stream.attach(sink)
    with pytest.raises(ModelMissing, match="mode standard"):
        await asyncio.wait_for(stream.run(), 10)
    await asyncio.wait_for(attachment.wait(), 10)
    assert not sink.outputs


async def test_a_source_that_is_not_there_shows_why_and_raises_nothing() -> None:
    stream = session(lambda numbering: ScriptedSource(numbering, 0, error=SourceNotFound("no file clip.mp4")))
    await stream.run()
    assert stream.status.state is SourceState.FAILED
    assert (stream.status.code, stream.status.reason) == ("source_not_found", "no file clip.mp4")


async def test_a_live_source_that_is_lost_comes_back_and_indices_and_times_go_on() -> None:
    hold = asyncio.Event()
    tries = 0

    def make(numbering: FrameNumbering) -> Source:
        nonlocal tries
        tries += 1
        if tries < 3:
            return ScriptedSource(numbering, 10, live=True, error=SourceNotFound("gone"))
        return ScriptedSource(numbering, 10, live=True, hold=hold)

    stream = session(make)
    states: list[SourceState] = []
    stream.watch_status(lambda status: states.append(status.state))
    sink = CollectingSink()
    stream.attach(sink)
    running = asyncio.ensure_future(stream.run())
    await until(lambda: bool(sink.outputs) and sink.outputs[-1].result.frame == 29)
    await stream.stop()
    await running
    times = [output.result.pts_s for output in sink.outputs]
    assert times == sorted(set(times))
    assert states.count(SourceState.LIVE) == 3
    assert states.count(SourceState.RECONNECTING) >= 2


def coded(index: int, *, is_iframe: bool = False) -> EncodedPicture:
    return EncodedPicture(bytes([index]), index / 30, is_iframe, "h264", has_b_frames=False)


async def test_a_viewer_of_coded_pictures_starts_at_an_iframe() -> None:
    stream = session(lambda numbering: ScriptedSource(numbering, 1))
    assert not stream.wants_encoded
    viewer = stream.encoded.subscribe()
    assert stream.wants_encoded
    for index in range(6):
        stream.offer_encoded(coded(index, is_iframe=index == 3))
    first = await viewer.get()
    assert first is not None
    assert first.is_iframe
    assert viewer.drops == 3


async def test_a_viewer_that_falls_behind_skips_to_an_iframe_and_its_queue_is_bounded() -> None:
    stream = session(lambda numbering: ScriptedSource(numbering, 1))
    viewer = stream.encoded.subscribe()
    for index in range(100):
        stream.offer_encoded(coded(index, is_iframe=index % 30 == 0))
    first = await viewer.get()
    assert first is not None
    assert (first.data[0], first.is_iframe) == (60, True)
    viewer.close()
    stream.offer_encoded(coded(101))
    assert not stream.wants_encoded


async def test_an_iframe_is_wanted_until_every_viewer_has_one_and_whenever_one_asks() -> None:
    stream = session(lambda numbering: ScriptedSource(numbering, 1))
    assert not stream.wants_iframe
    viewer = stream.encoded.subscribe()
    assert stream.wants_iframe
    stream.offer_encoded(coded(0))
    assert stream.wants_iframe
    stream.offer_encoded(coded(1, is_iframe=True))
    assert not stream.wants_iframe
    viewer.iframe_wanted = True
    stream.offer_encoded(coded(2))
    assert stream.wants_iframe
    assert [picture.data[0] for picture in viewer.take_all()] == [1, 2], "asking leaves nothing out"
    stream.offer_encoded(coded(3, is_iframe=True))
    assert not stream.wants_iframe
    assert [picture.data[0] for picture in viewer.take_all()] == [3]
    assert viewer.take_all() == []
