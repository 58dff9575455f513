"""Video parts: what may follow in one file, what has no place in it, and when it plays."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from streamapp.recording.parts import CONTAINERS, RemuxedPart, described
from streamapp.recording.video_file import VideoFile
from streamapp.sections import RecordingSettings
from streamapp.sinks.webrtc_track import PictureEncoder
from streamapp.sources.base import EncodedPicture
from streamapp.sources.coded import CodedPictures
from tests.coded_video import FPS, LEVELS, h264_pictures, index_of, level_of, write_video
from tests.pictures import video_frame
from tests.recording.recorded import decoded

SETTINGS = RecordingSettings()


def h264(count: int, start: int = 0, **how: int) -> list[EncodedPicture]:
    pictures = h264_pictures(count, gop=10, **how)
    return [
        EncodedPicture(data, (start + index) / FPS, index % 10 == 0, "h264", has_b_frames=False)
        for index, data in enumerate(pictures)
    ]


def part_of(folder: Path, iframe: EncodedPicture, size: tuple[int, int] = (160, 120)) -> RemuxedPart:
    return RemuxedPart(VideoFile(folder / f"video-1.{CONTAINERS[iframe.codec]}"), iframe, size, SETTINGS)


def test_pictures_keep_their_bytes_and_times(tmp_path: Path) -> None:
    pictures = h264(30, start=1000)
    part = part_of(tmp_path, pictures[0])
    assert all(part.write(picture) for picture in pictures)
    part.close()
    shown = list(decoded(part.file.path))
    assert [index_of(picture) for picture in shown] == [index % LEVELS for index in range(30)]
    assert [picture.time for picture in shown] == pytest.approx([index / FPS for index in range(30)], abs=1e-5)
    told = described(part)
    assert (told.codec, told.width, told.height, told.pictures) == ("h264", 160, 120, 30)
    assert [told.start_pts_s, told.seconds] == pytest.approx([1000 / FPS, 1.0], abs=1e-6)


def test_other_parameter_sets_or_another_codec_need_another_part(tmp_path: Path) -> None:
    part = part_of(tmp_path, h264(1)[0])
    same, other = h264(12, start=1), h264(2, start=20, width=320, height=240)
    assert part.goes_on_with(same[10])
    assert not part.goes_on_with(other[0])
    assert part.goes_on_with(other[1]), "only I-frames have parameter sets"
    assert not part.goes_on_with(EncodedPicture(b"", 1, False, "vp8", has_b_frames=False))


def test_a_picture_out_of_order_has_no_place(tmp_path: Path) -> None:
    pictures = h264(6)
    part = part_of(tmp_path, pictures[0])
    assert part.write(pictures[0])
    assert part.write(pictures[2])
    assert not part.write(pictures[1])
    assert not part.write(pictures[2])
    assert not part.write(EncodedPicture(pictures[1].data, -1.0, False, "h264", has_b_frames=True))
    assert part.write(pictures[3])
    assert part.pictures == 3


def test_seeking_among_b_frames_finds_the_i_frame_before(tmp_path: Path) -> None:
    with av.open(str(write_video(tmp_path / "clip.mp4", 60, gop=20, b_frames=2))) as container:
        passing = CodedPictures(container.streams.video[0])
        pictures: list[EncodedPicture] = []
        for packet in container.demux(video=0):
            passing.add(packet)
            pictures += passing.take(5.0)
    part = part_of(tmp_path, pictures[0])
    assert all(part.write(picture) for picture in pictures)
    part.close()
    with av.open(str(part.file.path)) as container:
        stream = container.streams.video[0]
        assert [round(picture.time * FPS) for picture in container.decode(stream)] == list(range(60))
        for index in (17, 18, 19, 20, 21, 39):
            assert stream.time_base is not None
            container.seek(round((index + 0.25) / FPS / stream.time_base), stream=stream)
            first = next(container.decode(stream))
            assert index_of(first) == index // 20 * 20, index


def test_vp8_may_change_its_size_in_one_file(tmp_path: Path) -> None:
    coder = PictureEncoder("vp8", 500_000)
    pictures = []
    for index in range(20):
        video = video_frame(160, 120, level=level_of(index)) if index < 10 else video_frame(320, 240, level=100)
        data = coder.encode(video, index / FPS, iframe=index in (0, 10))
        pictures.append(EncodedPicture(data, index / FPS, index in (0, 10), "vp8", has_b_frames=False))
    part = part_of(tmp_path, pictures[0])
    assert all(part.goes_on_with(picture) and part.write(picture) for picture in pictures)
    part.close()
    assert [picture.width for picture in decoded(part.file.path)] == [160] * 10 + [320] * 10


def test_nothing_is_written_after_giving_up(tmp_path: Path) -> None:
    pictures = h264(90)
    part = part_of(tmp_path, pictures[0])
    for picture in pictures[:60]:
        part.write(picture)
    part.file.keep(sync=False)
    kept = part.file.path.read_bytes()
    part.file.write(b"half a fragment")
    part.file.give_up()
    part.close()
    assert part.file.path.read_bytes() == kept
    assert len(list(decoded(part.file.path))) >= 30


def test_a_video_file_is_new_and_private(tmp_path: Path) -> None:
    file = VideoFile(tmp_path / "video-1.mp4")
    assert (tmp_path / "video-1.mp4").stat().st_mode & 0o777 == 0o600
    file.done()
    with pytest.raises(FileExistsError):
        VideoFile(tmp_path / "video-1.mp4")
    (tmp_path / "video-2.mp4").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        VideoFile(tmp_path / "video-2.mp4")
    assert not (tmp_path / "elsewhere").exists()
