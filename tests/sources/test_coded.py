"""Coded pictures: Annex B, with parameter sets before every I-frame."""

from __future__ import annotations

import io
from pathlib import Path

import av
import pytest

from streamapp.sources.base import EncodedPicture
from streamapp.sources.coded import CodedPictures, ParameterSets, nal_units
from tests.coded_video import h264_pictures, index_of, write_video

SPS, PPS, IDR = 7, 8, 5


def coded(file: Path | io.BytesIO, *, wanted_from: int = 0) -> list[EncodedPicture]:
    pictures: list[EncodedPicture] = []
    with av.open(str(file) if isinstance(file, Path) else file, "r") as container:
        passing = CodedPictures(container.streams.video[0])
        for index, packet in enumerate(container.demux(video=0)):
            packet.decode()
            if index >= wanted_from:
                passing.add(packet)
            pictures += passing.take(0.0)
    return pictures


def kinds(picture: EncodedPicture) -> list[int]:
    return [unit[0] & 0x1F for unit in nal_units(picture.data)]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_every_iframe_has_its_parameter_sets_whatever_the_container(tmp_path: Path, name: str) -> None:
    pictures = coded(write_video(tmp_path / name, 20, gop=5))
    iframes = [picture for picture in pictures if picture.is_iframe]
    assert len(pictures) == 20
    assert len(iframes) == 4
    for picture in iframes:
        assert {SPS, PPS, IDR} <= set(kinds(picture))
        assert kinds(picture).index(SPS) < kinds(picture).index(PPS) < kinds(picture).index(IDR)


def test_parameter_sets_sent_once_are_put_before_later_iframes() -> None:
    first, *rest = h264_pictures(20, gop=5)
    stripped = [
        b"".join(b"\x00\x00\x00\x01" + unit for unit in nal_units(data) if unit[0] & 0x1F not in (SPS, PPS))
        for data in rest
    ]
    pictures = coded(io.BytesIO(b"".join([first, *stripped])))
    assert [set(kinds(picture)) >= {SPS, PPS} for picture in pictures if picture.is_iframe] == [True] * 4


def test_an_access_unit_delimiter_stays_first() -> None:
    delimiter = b"\x00\x00\x00\x01\x09\x10"
    first, *rest = h264_pictures(10, gop=5)
    stripped = [
        b"".join(b"\x00\x00\x00\x01" + unit for unit in nal_units(data) if unit[0] & 0x1F not in (SPS, PPS))
        for data in rest
    ]
    pictures = coded(io.BytesIO(b"".join(delimiter + data for data in [first, *stripped])))
    assert [kinds(picture)[:3] for picture in pictures if picture.is_iframe] == [[9, SPS, PPS]] * 2


def test_coded_pictures_can_be_decoded_on_their_own(tmp_path: Path) -> None:
    pictures = coded(write_video(tmp_path / "clip.mp4", 20, gop=5))
    decoder = av.CodecContext.create("h264", "r")
    videos = [video for data in pictures for video in decoder.decode(av.Packet(data.data))] + decoder.decode(None)
    assert [index_of(video) for video in videos] == list(range(20))


def test_they_begin_with_an_iframe(tmp_path: Path) -> None:
    pictures = coded(write_video(tmp_path / "clip.mp4", 20, gop=5), wanted_from=7)
    assert pictures[0].is_iframe
    assert len(pictures) == 10


def test_b_frames_are_said_to_be_there_and_keep_their_coding_order(tmp_path: Path) -> None:
    pictures = coded(write_video(tmp_path / "clip.mp4", 20, gop=10, b_frames=2))
    times_s = [picture.pts_s for picture in pictures]
    assert all(picture.has_b_frames for picture in pictures)
    assert times_s != sorted(times_s)


def test_nothing_comes_out_before_the_streams_clock_is_known(tmp_path: Path) -> None:
    with av.open(str(write_video(tmp_path / "clip.mp4", 5))) as container:
        passing = CodedPictures(container.streams.video[0])
        for packet in container.demux(video=0):
            passing.add(packet)
            assert list(passing.take(None)) == []
        assert [round(picture.pts_s * 30) for picture in passing.take(1.0)] == [30, 31, 32, 33, 34]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_with_b_frames_they_say_when_they_are_to_be_decoded(tmp_path: Path, name: str) -> None:
    pictures = coded(write_video(tmp_path / name, 20, gop=10, b_frames=2))
    decoded_s = [picture.dts_s for picture in pictures if picture.dts_s is not None]
    assert len(decoded_s) >= 18, "Matroska leaves out the first two"
    assert decoded_s == sorted(set(decoded_s))
    assert all(picture.dts_s <= picture.pts_s for picture in pictures if picture.dts_s is not None)


def test_without_b_frames_they_are_decoded_when_they_are_shown(tmp_path: Path) -> None:
    assert {picture.dts_s for picture in coded(write_video(tmp_path / "clip.mp4", 20))} == {None}


def test_parameter_sets_of_other_codecs_are_nothing() -> None:
    sets = ParameterSets("vp8")
    assert sets.before(b"picture") == b"picture"
    assert sets.annexb == b""
