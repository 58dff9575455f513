"""Recorded files: every frame as fast as possible, or paced like a camera."""

from __future__ import annotations

import asyncio
import itertools
import struct
import threading
import time
from pathlib import Path

import av
import pytest

from streamapp.errors import SourceCodecUnsupported, SourceNotFound, SourceTooLarge
from streamapp.results import DropReason
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, Pace
from streamapp.sources.file import FileSource
from tests.coded_video import index_of, write_video
from tests.fakes import CollectingOutlet
from tests.shared_data import shared_file
from tests.waiting import until

LATE_S = 0.1
"""The first frame may come this late on a busy machine, which shortens the measured time."""
ASAP, REALTIME = Pace.ASAP, Pace.REALTIME


def source(path: Path, *, pace: Pace = ASAP, loop: bool = False, max_pixels: int = 3840 * 2160) -> FileSource:
    return FileSource(path, FrameNumbering("clip"), SourceSettings(max_pixels=max_pixels), pace=pace, loop=loop)


async def played(path: Path, *, pace: Pace = ASAP, wants_encoded: bool = False) -> CollectingOutlet:
    outlet = CollectingOutlet(wants_encoded=wants_encoded)
    await source(path, pace=pace).run(outlet)
    return outlet


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.avi"])
async def test_as_fast_as_possible_loses_no_frame(tmp_path: Path, name: str) -> None:
    outlet = await played(write_video(tmp_path / name, 35))
    assert [index_of(frame.video) for frame in outlet.frames] == list(range(35))
    assert [frame.index for frame in outlet.frames] == list(range(35))
    assert not outlet.dropped
    assert outlet.connections == 1


async def test_b_frames_come_out_in_order_of_presentation(tmp_path: Path) -> None:
    outlet = await played(write_video(tmp_path / "clip.mp4", 35, b_frames=3))
    assert [index_of(frame.video) for frame in outlet.frames] == list(range(35))
    times_s = [frame.pts_s for frame in outlet.frames]
    assert times_s == pytest.approx([index / 30 for index in range(35)], abs=1e-3)


async def test_a_slow_reader_makes_the_file_wait(tmp_path: Path) -> None:
    room = asyncio.Event()
    outlet = CollectingOutlet(room=room)
    run = asyncio.ensure_future(source(write_video(tmp_path / "clip.mp4", 30)).run(outlet))
    await until(lambda: outlet.connections)
    assert outlet.frames == []
    room.set()
    await run
    assert len(outlet.frames) == 30


async def test_real_time_plays_at_the_recordings_own_speed(tmp_path: Path) -> None:
    began_s = time.monotonic()
    outlet = await played(write_video(tmp_path / "clip.mp4", 16), pace=REALTIME)
    assert time.monotonic() - began_s >= 15 / 30
    assert len(outlet.frames) + outlet.dropped[DropReason.STALE] == 16
    first = outlet.frames[0]
    for frame in outlet.frames:
        assert frame.arrived_s - first.arrived_s >= frame.pts_s - first.pts_s - LATE_S


async def test_real_time_gives_the_coded_pictures_too(tmp_path: Path) -> None:
    outlet = await played(write_video(tmp_path / "clip.mp4", 16, gop=8), pace=REALTIME, wants_encoded=True)
    assert [picture.is_iframe for picture in outlet.coded] == [index % 8 == 0 for index in range(16)]
    assert [picture.pts_s for picture in outlet.coded] == pytest.approx([index / 30 for index in range(16)], abs=1e-3)
    assert {picture.codec for picture in outlet.coded} == {"h264"}


async def test_a_loop_goes_on_where_it_ended(tmp_path: Path) -> None:
    outlet = CollectingOutlet()
    run = asyncio.ensure_future(source(write_video(tmp_path / "clip.mp4", 10), loop=True).run(outlet))
    await until(lambda: len(outlet.frames) >= 25)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert [index_of(frame.video) for frame in outlet.frames[:25]] == [index % 10 for index in range(25)]
    assert all(before.pts_s < after.pts_s for before, after in itertools.pairwise(outlet.frames))


async def test_cancelling_frees_the_thread(tmp_path: Path) -> None:
    outlet = CollectingOutlet(room=asyncio.Event())
    run = asyncio.ensure_future(source(write_video(tmp_path / "clip.mp4", 30)).run(outlet))
    await until(lambda: outlet.connections)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await until(lambda: "reader clip" not in {thread.name for thread in threading.enumerate()}, 2)


async def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="no file"):
        await played(tmp_path / "absent.mp4")


async def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound):
        await played(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"this is no video at all " * 100,
        b"",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.mp4\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile clip.mp4\n",
    ],
)
async def test_what_is_no_video_and_what_would_open_others_is_refused(tmp_path: Path, content: bytes) -> None:
    write_video(tmp_path / "clip.mp4", 5)
    path = tmp_path / "list.m3u8"
    path.write_bytes(content)
    with pytest.raises(SourceCodecUnsupported):
        await played(path)


async def test_a_file_without_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame(format="s16", layout="mono", samples=800)
        sound.rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(SourceCodecUnsupported, match="audio"):
        await played(path)


async def test_pictures_over_the_limit_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 5)
    with pytest.raises(SourceTooLarge, match="160x120"):
        await source(path, max_pixels=160 * 120 - 1).run(CollectingOutlet())
    await source(path, max_pixels=160 * 120).run(CollectingOutlet())


async def test_damage_in_the_middle_costs_pictures_and_not_the_rest(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.ts", 60)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(content)
    outlet = await played(path)
    assert 30 < len(outlet.frames) < 60
    assert index_of(outlet.frames[-1].video) == 59 % 40


MATRIX_OFFSET = 4 + 20 + 16
"""From a version 0 track header's flags to its display matrix (ISO/IEC 14496-12, 8.3.2)."""


@pytest.mark.parametrize(("matrix", "size"), [((0, 1, -1, 0), (120, 160)), ((-1, 0, 0, -1), (160, 120))])
async def test_a_phones_sideways_video_is_turned_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "clip.mp4", 12)
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + MATRIX_OFFSET
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", content, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    outlet = await played(path, pace=REALTIME, wants_encoded=True)
    assert {(frame.width, frame.height) for frame in outlet.frames} == {size}
    assert outlet.coded == []  # what is coded still lies on its side


@pytest.mark.media
@pytest.mark.parametrize("name", ["facenet_pytorch_video.mp4", "liveportrait_driving_d18.mp4"])
async def test_real_recordings_give_all_their_frames(name: str) -> None:
    path = shared_file(f"media/videos/{name}")
    with av.open(str(path)) as container:
        expected = container.streams.video[0].frames
    outlet = await played(path)
    assert len(outlet.frames) == expected
    assert all(before.pts_s < after.pts_s for before, after in itertools.pairwise(outlet.frames))


@pytest.mark.media
async def test_a_real_recording_is_paced() -> None:
    outlet = CollectingOutlet(wants_encoded=True)
    run = asyncio.ensure_future(
        source(shared_file("media/videos/liveportrait_driving_d18.mp4"), pace=REALTIME).run(outlet)
    )
    await until(lambda: len(outlet.frames) >= 20)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    first, last = outlet.frames[0], outlet.frames[-1]
    assert last.arrived_s - first.arrived_s >= last.pts_s - first.pts_s - LATE_S
    assert outlet.coded[0].is_iframe
