"""Recordings play: complete, after a change of size, with a full disk, and when the process was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest

from streamapp.errors import RecordingFailed, UsageError
from streamapp.pipeline.mailbox import Mailbox
from streamapp.sections import RecordingSettings
from streamapp.sinks.base import Output
from streamapp.sinks.recorder import Recorder
from tests.pictures import output, track, video_frame

SETTINGS = RecordingSettings(min_free_bytes=0)


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


async def record(recorder: Recorder, outputs: list[Output]) -> None:
    inbox: Mailbox[Output] = Mailbox()

    async def feed() -> None:
        for item in outputs:
            await inbox.deliver(item)
        inbox.close()

    feeding = asyncio.ensure_future(feed())
    try:
        await recorder.run(inbox)
    finally:
        inbox.close()
        await feeding


async def test_every_frame_is_there_at_its_time(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    await record(Recorder(path, SETTINGS), [output(i, track(), video=video_frame(320, 240)) for i in range(45)])
    frames = decoded(path)
    assert len(frames) == 45
    assert [round(frame.time * 30) for frame in frames] == list(range(45))


async def test_each_segment_starts_with_an_iframe(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    await record(Recorder(path, SETTINGS), [output(i, video=video_frame(320, 240)) for i in range(90)])
    assert [i for i, frame in enumerate(decoded(path)) if frame.key_frame] == [0, 30, 60]


async def test_a_change_of_size_goes_on_in_a_second_file(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "out.mp4", SETTINGS)
    small = [output(i, video=video_frame(320, 240)) for i in range(10)]
    large = [output(i, video=video_frame(640, 480)) for i in range(10, 20)]
    await record(recorder, small + large)
    assert [path.name for path in recorder.paths] == ["out.mp4", "out-2.mp4"]
    assert [(len(decoded(path)), decoded(path)[0].width) for path in recorder.paths] == [(10, 320), (10, 640)]


async def test_a_full_disk_stops_the_recording_with_what_was_written_playable(tmp_path: Path) -> None:
    free = iter([10**9, 10**9, 5])
    recorder = Recorder(tmp_path / "out.mp4", RecordingSettings(min_free_bytes=1000), free_bytes=lambda _: next(free))
    with pytest.raises(RecordingFailed, match="are free"):
        await record(recorder, [output(i, video=video_frame(320, 240)) for i in range(90)])
    assert len(decoded(tmp_path / "out.mp4")) == 60


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"precious")
    with pytest.raises(UsageError, match="not overwritten"):
        Recorder(tmp_path / "out.mp4", SETTINGS)


def test_only_mp4_in_an_existing_folder_is_taken(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"end in \.mp4"):
        Recorder(tmp_path / "out.avi", SETTINGS)
    with pytest.raises(UsageError, match="no folder"):
        Recorder(tmp_path / "missing" / "out.mp4", SETTINGS)


ENDLESS = """
import asyncio, sys
from pathlib import Path
from streamapp.pipeline.mailbox import Mailbox
from streamapp.sections import RecordingSettings
from streamapp.sinks.recorder import Recorder
from tests.pictures import output, track, video_frame

async def main():
    inbox = Mailbox()
    recorder = Recorder(Path(sys.argv[1]), RecordingSettings(min_free_bytes=0))
    task = asyncio.ensure_future(recorder.run(inbox))
    index = 0
    while not task.done():
        await inbox.deliver(output(index, track(), video=video_frame(320, 240)))
        index += 1
        print(index, flush=True)

asyncio.run(main())
"""


def test_after_kill_9_all_but_the_open_segment_plays(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(path)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as child:
        assert child.stdout is not None
        written = 0
        while written < 100:
            written = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
    frames = decoded(path)
    assert len(frames) >= 60, "two whole segments of 30 frames were complete when the process was killed"
    assert written - len(frames) <= 62, "at most the open segment, and the one being flushed, is lost"
