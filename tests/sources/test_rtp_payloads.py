"""Real coded pictures, put into packets as senders do it."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest
from aiortc.codecs.h264 import H264Encoder, h264_depayload
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from av.video.frame import PictureType

from streamapp.sources.rtp_payloads import is_iframe, starts_frame
from tests.webrtc_peers import numbered_picture

IFRAMES = {0, 4}


def coded(codec: str) -> list[bytes]:
    """Six pictures, of which those in IFRAMES are I-frames."""
    encoder = av.CodecContext.create("libvpx" if codec == "VP8" else "libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = 320, 240, "yuv420p", Fraction(30)
    encoder.options = {"deadline": "realtime"} if codec == "VP8" else {"tune": "zerolatency", "forced-idr": "1"}
    packets = []
    for number in range(6):
        picture = numbered_picture(number)
        picture.pts = number
        picture.pict_type = PictureType.I if number in IFRAMES else PictureType.NONE
        packets += encoder.encode(picture)
    return [bytes(packet) for packet in packets + encoder.encode(None)]


def payloads(codec: str, picture: bytes) -> list[bytes]:
    if codec == "VP8":
        return Vp8Encoder._packetize(picture, 1)
    return H264Encoder._packetize(H264Encoder._split_bitstream(picture))


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_iframes_are_known_by_their_bytes(codec: str) -> None:
    depayload = vp8_depayload if codec == "VP8" else h264_depayload
    for number, picture in enumerate(coded(codec)):
        assert is_iframe(codec, picture) == (number in IFRAMES)
        received = b"".join(depayload(payload) for payload in payloads(codec, picture))
        assert is_iframe(codec, received) == (number in IFRAMES)


def test_vp8_says_which_packet_is_first() -> None:
    for picture in coded("VP8"):
        first, *rest = payloads("VP8", picture)
        assert starts_frame("VP8", first)
        assert not any(starts_frame("VP8", payload) for payload in rest)


def test_h264_says_so_where_parameter_sets_begin_the_picture() -> None:
    for number, picture in enumerate(coded("H264")):
        first, *rest = payloads("H264", picture)
        assert starts_frame("H264", first) == (number in IFRAMES)
        assert not any(starts_frame("H264", payload) for payload in rest)


def test_an_access_unit_delimiter_starts_a_picture() -> None:
    assert starts_frame("H264", b"\x09\xf0")


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x18", b"\x78\x00\x00", b"\x00\x00\x01", b"\x00\x00\x01\x67\x00\x00\x01"]
)
def test_scraps_are_neither_first_nor_a_whole_iframe(codec: str, data: bytes) -> None:
    if codec == "H264":
        assert not starts_frame(codec, data)
        assert not is_iframe(codec, data)
    else:
        assert not is_iframe(codec, b"")
        assert not starts_frame(codec, b"")
