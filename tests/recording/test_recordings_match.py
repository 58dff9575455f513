"""Whatever the source, a recording has the picture of each of its results, at its time, exactly as it was analysed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from streamapp.recording.entry import RecordingEntry, RecordingState
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, Pace, Source
from streamapp.sources.file import FileSource
from streamapp.sources.open import open_source
from tests.coded_video import write_video
from tests.fakes import NumberedSource
from tests.recording.recorded import check_each_result_has_its_picture, results_in, streaming
from tests.rtsp_server import gst_server
from tests.waiting import until


@pytest.mark.e2e
@pytest.mark.parametrize("codec", ["h264", "h265"])
async def test_a_camera_over_rtsp(tmp_path: Path, codec: str) -> None:
    with gst_server("--codec", codec) as camera:

        def source(numbering: FrameNumbering) -> Source:
            return open_source(camera.url(), numbering, SourceSettings())

        async with streaming(tmp_path, source) as stream:
            entry = await stream.start()
            await stream.until_seconds(3)
            await stream.recordings.stop(stream.session)
            folder = stream.folder(entry)
            assert check_each_result_has_its_picture(folder, stream.sink.outputs) > 20
            done = RecordingEntry.load(folder)
            assert done.state is RecordingState.COMPLETE
            assert [(part.encoded, part.codec) for part in done.parts] == [(False, {"h265": "hevc"}.get(codec, codec))]


@pytest.mark.e2e
async def test_a_camera_that_sends_jpegs_is_coded_anew(tmp_path: Path) -> None:
    with gst_server("--codec", "jpeg") as camera:

        def source(numbering: FrameNumbering) -> Source:
            return open_source(camera.url(), numbering, SourceSettings())

        async with streaming(tmp_path, source) as stream:
            entry = await stream.start()
            await stream.until_seconds(2)
            await stream.recordings.stop(stream.session)
            folder = stream.folder(entry)
            assert check_each_result_has_its_picture(folder, stream.sink.outputs, max_error=3) > 10
            assert [(part.encoded, part.codec) for part in RecordingEntry.load(folder).parts] == [(True, "h264")]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
@pytest.mark.parametrize("b_frames", [0, 2])
async def test_a_file_that_loops(tmp_path: Path, name: str, b_frames: int) -> None:
    clip = write_video(tmp_path / name, 25, gop=12, b_frames=b_frames)

    def source(numbering: FrameNumbering) -> Source:
        return FileSource(clip, numbering, SourceSettings(), pace=Pace.REALTIME, loop=True)

    async with streaming(tmp_path, source) as stream:
        entry = await stream.start()
        await stream.until_seconds(2.6)
        await stream.recordings.stop(stream.session)
        assert check_each_result_has_its_picture(stream.folder(entry), stream.sink.outputs) > 10
        assert RecordingEntry.load(stream.folder(entry)).dropped == 0


async def test_frames_of_a_source_without_coded_pictures(tmp_path: Path) -> None:
    async with streaming(tmp_path, NumberedSource) as stream:
        entry = await stream.start()
        await stream.until_seconds(1.5)
        await stream.recordings.stop(stream.session)
        folder = stream.folder(entry)
        assert check_each_result_has_its_picture(folder, stream.sink.outputs, max_error=4) > 10
        frames = [result.frame for result in results_in(folder)]
        assert frames == list(range(frames[0], frames[-1] + 1))


@pytest.mark.e2e
async def test_a_camera_that_changes_its_size_goes_on_in_a_second_part(tmp_path: Path) -> None:
    with gst_server() as camera:

        def source(numbering: FrameNumbering) -> Source:
            return open_source(camera.url(), numbering, SourceSettings())

        async with streaming(tmp_path, source) as stream:
            entry = await stream.start()
            await stream.until_seconds(1)
            camera.send(signal.SIGUSR1)
            await until(lambda: stream.sink.outputs[-1].frame.width == 480, 20)
            seen = len(stream.sink.outputs)
            await until(lambda: len(stream.sink.outputs) > seen + 30)
            await stream.recordings.stop(stream.session)
            folder = stream.folder(entry)
            assert check_each_result_has_its_picture(folder, stream.sink.outputs) > 20
            parts = RecordingEntry.load(folder).parts
            assert [(part.width, part.height) for part in parts] == [(320, 240), (480, 272)]
