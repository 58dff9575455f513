"""A recording's life: begun, gone on with in a new one, ended with its stream, and honest about what it missed."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from streamapp.errors import Conflict, NotFound
from streamapp.recording.entry import RecordingEntry, RecordingState
from streamapp.recording.recorder import WRITE_INTERVAL_S
from streamapp.recording.sidecar import read_header
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, Pace, Source
from streamapp.sources.file import FileSource
from tests.fakes import NumberedSource
from tests.recording.killed import Kind, clip_of
from tests.recording.recorded import check_each_result_has_its_picture, header, results_in, streaming
from tests.waiting import until


def coded_source(numbering: FrameNumbering) -> Source:
    return NumberedSource(numbering, codec="h264", gop=15)


def uncoded_source(numbering: FrameNumbering) -> Source:
    return NumberedSource(numbering)


async def test_nothing_is_recorded_unless_asked_for(tmp_path: Path) -> None:
    async with streaming(tmp_path, coded_source) as stream:
        await until(lambda: len(stream.sink.outputs) > 5)
        assert not stream.session.wants_encoded
        assert stream.recordings.of(stream.session) is None
        with pytest.raises(NotFound):
            await stream.recordings.stop(stream.session)
    assert not (tmp_path / "recordings").exists()


async def test_one_recording_per_stream(tmp_path: Path) -> None:
    async with streaming(tmp_path, coded_source) as stream:
        starts = await asyncio.gather(*(stream.start() for _ in range(3)), return_exceptions=True)
        assert sorted(type(one).__name__ for one in starts) == ["Conflict", "Conflict", "RecordingEntry"]
        await stream.recordings.stop(stream.session)
        await until(lambda: not stream.session.wants_encoded)
        await stream.start()
        with pytest.raises(Conflict):
            await stream.recordings.start(stream.session, header())


@pytest.mark.parametrize("source", [coded_source, uncoded_source])
async def test_a_long_one_goes_on_in_a_new_one_with_nothing_between_them(tmp_path: Path, source: type[Source]) -> None:
    async with streaming(tmp_path, source, max_seconds=1) as stream:
        await stream.start()
        await until(lambda: stream.recordings.figures.ended[RecordingState.COMPLETE] >= 2)
        await stream.recordings.stop(stream.session)
        entries = (await stream.recordings.entries())[::-1]
        assert len(entries) >= 3
        assert all(entry.seconds < 2 for entry in entries)
        frames = []
        for entry in entries:
            check_each_result_has_its_picture(stream.folder(entry), stream.sink.outputs, max_error=5)
            frames += [result.frame for result in results_in(stream.folder(entry))]
        analysed = [output.result.frame for output in stream.sink.outputs]
        first, last = analysed.index(frames[0]), analysed.index(frames[-1])
        assert frames == analysed[first : last + 1]


async def test_it_ends_with_its_stream(tmp_path: Path) -> None:
    async with streaming(tmp_path, coded_source) as stream:
        entry = await stream.start()
        await stream.until_seconds(0.5)
    on_disk = RecordingEntry.load(stream.folder(entry))
    assert (on_disk.state, on_disk.reason, on_disk.dropped) == (RecordingState.COMPLETE, None, 0)
    assert check_each_result_has_its_picture(stream.folder(entry), stream.sink.outputs, max_error=5) > 10


async def test_coded_pictures_that_come_before_the_first_result_are_kept(tmp_path: Path) -> None:
    clip = clip_of(Kind.VP8, tmp_path)
    gate = threading.Event()

    def source(numbering: FrameNumbering) -> Source:
        return FileSource(clip, numbering, SourceSettings(), pace=Pace.REALTIME)

    async with streaming(tmp_path, source, gate=gate) as stream:
        entry = await stream.start()
        await asyncio.sleep(3 * WRITE_INTERVAL_S)  # what was coded is written now, if it is not kept
        gate.set()
        await stream.until_seconds(1.0)
        done = await stream.recordings.stop(stream.session)
        assert (done.state, done.parts[0].start_pts_s) == (RecordingState.COMPLETE, 0.0)
        assert (done.parts[0].width, done.parts[0].height) == (160, 120)
        assert check_each_result_has_its_picture(stream.folder(entry), stream.sink.outputs, max_error=5) > 1


async def test_every_result_from_the_first_i_frame_on_is_in_the_sidecar(tmp_path: Path) -> None:
    async with streaming(tmp_path, coded_source) as stream:
        entry = await stream.start()
        await stream.until_seconds(1.5)
        done = await stream.recordings.stop(stream.session)
        results = results_in(stream.folder(entry))
        first = results[0].frame
        assert first % 15 == 0
        written = {output.result.frame: output.result for output in stream.sink.outputs}
        assert results == [written[result.frame] for result in results]
        analysed = [frame for frame in written if first <= frame <= results[-1].frame]
        assert [result.frame for result in results] == analysed
        assert done.results == len(results)
        begun = read_header(stream.folder(entry) / "results.jsonl")
        assert (begun.codec, begun.width, begun.height) == ("h264", 320, 240)


async def test_a_frame_rate_beyond_what_can_be_coded_here_is_told(tmp_path: Path) -> None:
    async with streaming(tmp_path, uncoded_source) as stream:
        entry = await stream.start()
        await stream.until_seconds(0.3)
        recorder = next(a.sink for a in stream.session.sinks if type(a.sink).__name__ == "StreamRecorder")
        recorder._thread.submit(lambda: asyncio.run(asyncio.sleep(1)))  # type: ignore[attr-defined]  # a slow disk
        seen = len(stream.sink.outputs)
        await until(lambda: len(stream.sink.outputs) > seen + 45)
        done = await stream.recordings.stop(stream.session)
        assert done.dropped > 5
        assert check_each_result_has_its_picture(stream.folder(entry), stream.sink.outputs, max_error=5) > 10
