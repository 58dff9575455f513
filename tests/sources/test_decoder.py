"""Decoding one stream: the limit on size is kept before the picture costs memory, and the sender's clock is read."""

from __future__ import annotations

import io
from pathlib import Path

import av
import pytest

from streamapp.errors import SourceCodecUnsupported, SourceTooLarge
from streamapp.sources.decoder import PictureDecoder
from tests.coded_video import h264_pictures, index_of, write_video


def test_pictures_come_out_with_their_times(tmp_path: Path) -> None:
    with av.open(str(write_video(tmp_path / "clip.mp4", 5))) as container:
        decoder = PictureDecoder(container, "clip", max_pixels=160 * 120, live=False)
        pictures = [picture for packet in container.demux(decoder.stream) for picture in decoder.decode(packet)[0]]
    assert [index_of(picture.video) for picture in pictures] == list(range(5))
    assert [picture.pts_s for picture in pictures] == pytest.approx([index / 30 for index in range(5)], abs=1e-3)


def test_a_stream_known_to_be_too_large_is_not_decoded_at_all(tmp_path: Path) -> None:
    with (
        av.open(str(write_video(tmp_path / "clip.mp4", 5))) as container,
        pytest.raises(SourceTooLarge, match="160x120"),
    ):
        PictureDecoder(container, "clip", max_pixels=100, live=False)


def test_a_stream_that_grows_far_too_large_is_refused_before_it_is_decoded() -> None:
    small, huge = h264_pictures(2), h264_pictures(1, width=2048, height=1536)
    with av.open(io.BytesIO(b"".join([*small, *huge])), "r", format="h264") as container:
        decoder = PictureDecoder(container, "clip", max_pixels=160 * 120, live=True)
        with pytest.raises(SourceTooLarge, match="2048x1536"):
            for packet in container.demux(decoder.stream):
                for picture in decoder.decode(packet)[0]:
                    assert picture.video.width == 160


def test_garbage_is_counted_and_raises_nothing() -> None:
    with av.open(io.BytesIO(b"".join(h264_pictures(5))), "r", format="h264") as container:
        decoder = PictureDecoder(container, "clip", max_pixels=160 * 120, live=True)
        garbage = av.Packet(b"\x00\x00\x00\x01\x41" + bytes(50))
        garbage.stream = decoder.stream
        assert decoder.decode(garbage) == ([], 1)  # type: ignore[arg-type]  # its stream has just been set


def test_what_has_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame(format="s16", layout="mono", samples=800)
        sound.rate = 8000
        container.mux(stream.encode(sound))
    with av.open(str(path)) as opened, pytest.raises(SourceCodecUnsupported, match="audio"):
        PictureDecoder(opened, "sound", max_pixels=100, live=False)
