"""A full disk ends the recording, not the analysis; what was written plays."""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamapp.errors import RecordingFailed
from streamapp.recording.entry import RecordingEntry, RecordingState
from streamapp.recording.recordings import Recordings
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, Pace, Source
from streamapp.sources.file import FileSource
from tests.coded_video import write_video
from tests.fakes import NumberedSource
from tests.recording.recorded import RecordedStream, check_each_result_has_its_picture, header, streaming
from tests.waiting import until


async def record_until_it_ends(stream: RecordedStream) -> RecordingEntry:
    """Returns the entry once the recording has ended by itself and ten further frames were analysed."""
    entry = await stream.start()
    await until(lambda: not stream.recordings.active, 120)
    seen = len(stream.sink.outputs)
    await until(lambda: len(stream.sink.outputs) >= seen + 10)
    shown = stream.recordings.of(stream.session)
    assert shown is not None
    assert (shown.id, shown.state) == (entry.id, RecordingState.DISK_FULL)
    assert stream.recordings.figures.ended == {RecordingState.DISK_FULL: 1}
    return shown


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB; skips where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("coded_here", [False, True])
async def test_no_space_left_on_the_device(tmp_path: Path, small_disk: Path, coded_here: bool) -> None:
    clip = write_video(tmp_path / "clip.mp4", 60, width=640, height=480, gop=1)

    def source(numbering: FrameNumbering) -> Source:
        if coded_here:
            return NumberedSource(numbering)
        return FileSource(clip, numbering, SourceSettings(), pace=Pace.REALTIME, loop=True)

    async with streaming(small_disk, source, segment_s=0.3) as stream:
        shown = await record_until_it_ends(stream)
        assert shown.reason is not None
        assert "No space left" in shown.reason
        folder = stream.folder(shown)
        max_error = 4 if coded_here else 0
        assert check_each_result_has_its_picture(folder, stream.sink.outputs, max_error=max_error, entry=shown) > 0
        on_disk = RecordingEntry.load(folder)
        assert on_disk.state in (RecordingState.DISK_FULL, RecordingState.RECORDING)  # no room to write it down


def _record_with_a_limit(folder: Path) -> None:
    async def run() -> None:
        clip = write_video(folder / "clip.mp4", 60, width=640, height=480, gop=1)

        def source(numbering: FrameNumbering) -> Source:
            return FileSource(clip, numbering, SourceSettings(), pace=Pace.REALTIME, loop=True)

        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
        async with streaming(folder, source, segment_s=0.3) as stream:
            shown = await record_until_it_ends(stream)
            kept = stream.folder(shown)
            assert RecordingEntry.load(kept).state is RecordingState.DISK_FULL
            assert check_each_result_has_its_picture(kept, stream.sink.outputs) > 0

    asyncio.run(run())


def test_files_may_not_grow_further(tmp_path: Path) -> None:
    """A quota, in a process of its own."""
    process = multiprocessing.get_context("forkserver").Process(target=_record_with_a_limit, args=(tmp_path,))
    process.start()
    process.join(180)
    assert process.exitcode == 0


async def test_it_stops_before_the_disk_is_full(tmp_path: Path) -> None:
    free_bytes = [10**9]
    async with streaming(tmp_path, lambda n: NumberedSource(n, codec="h264"), min_free_bytes=10**6) as stream:
        stream.recordings = Recordings(stream.settings.recording, free_bytes=lambda _: free_bytes[0])
        entry = await stream.start()
        await stream.until_seconds(1)
        free_bytes[0] = 10
        await until(lambda: not stream.recordings.active)
        on_disk = RecordingEntry.load(stream.folder(entry))
        assert on_disk.state is RecordingState.DISK_FULL
        assert on_disk.reason == "the recording stopped: only 0 MB are free, 1 are kept"
        assert check_each_result_has_its_picture(stream.folder(entry), stream.sink.outputs, max_error=4) > 20
        with pytest.raises(RecordingFailed, match="are free"):
            await stream.recordings.start(stream.session, header())
        free_bytes[0] = 10**9
        await stream.start()
        assert stream.recordings.is_on(stream.session)
