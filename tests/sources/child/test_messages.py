"""What a decoding process says, taken apart by somebody who believes nothing."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import pytest

from streamapp.sources.child.messages import (
    HEADER,
    LENGTH,
    MAX_CODED_BYTES,
    DecodedPicture,
    Garbled,
    Kind,
    Request,
    codec_name,
    coded_message,
    coded_picture,
    count,
    count_message,
    header,
    message,
)
from streamapp.sources.encoded import EncodedPicture
from streamapp.sources.reading import Opening

PICTURE = DecodedPicture(3, 640, 480, "yuv420p", 1, 5, (704, 352, 352), 1.5, 77.25, None, has_coded=True)
OPENING = Opening("rtsp://a:b@c/d", "rtsp://***@c/d", "rtsp", {"rtsp_transport": "tcp"}, 1.0, 2.0, 100)


def body_of(data: bytes, kind: Kind) -> bytes:
    assert header(data[: HEADER.size]) == (kind, len(data) - HEADER.size)
    return data[HEADER.size :]


def test_what_was_said_is_understood() -> None:
    assert DecodedPicture.decode(body_of(PICTURE.encode(), Kind.PICTURE)) == PICTURE
    assert count(body_of(count_message(7), Kind.CORRUPT)) == 7
    request = Request(OPENING, 1_000_000, 554)
    assert Request.decode(request.encode()[LENGTH.size :]) == request


@pytest.mark.parametrize("dts_s", [None, 2.0])
def test_coded_pictures_take_the_streams_time(dts_s: float | None) -> None:
    picture = EncodedPicture(b"\0\0\1abc", 2.5, True, "h264", has_b_frames=dts_s is not None, dts_s=dts_s)
    read = coded_picture(body_of(coded_message(picture), Kind.CODED), "h264", 10.0)
    assert (read.data, read.pts_s, read.is_iframe, read.codec) == (b"\0\0\1abc", 12.5, True, "h264")
    assert read.dts_s == (None if dts_s is None else 12.0)


@pytest.mark.parametrize(("length", "kind"), [(5000, Kind.PICTURE), (MAX_CODED_BYTES + 1, Kind.CODED), (0, 99)])
def test_a_length_or_kind_that_cannot_be_is_refused(length: int, kind: int) -> None:
    with pytest.raises(Garbled):
        header(struct.pack("=IB", length, kind))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_times_that_are_no_times_are_refused(value: float) -> None:
    said = DecodedPicture(0, 2, 2, "gray", 0, 0, (2, 0, 0), value, 0.0, None, has_coded=False)
    with pytest.raises(Garbled):
        DecodedPicture.decode(body_of(said.encode(), Kind.PICTURE))
    coded = coded_message(EncodedPicture(b"x", value, False, "h264", has_b_frames=False))
    with pytest.raises(Garbled):
        coded_picture(body_of(coded, Kind.CODED), "h264", 0.0)


@pytest.mark.parametrize("name", [b"h264\n", b"../x", b"x" * 33, b"H264", b"\xff"])
def test_a_coding_has_a_plain_name(name: bytes) -> None:
    with pytest.raises(Garbled):
        codec_name(name)
    assert codec_name(b"") is None
    assert codec_name(b"h264") == "h264"


@pytest.mark.parametrize(
    "read", [DecodedPicture.decode, count, codec_name, lambda body: coded_picture(body, "h264", 0)]
)
def test_noise_is_understood_or_refused_and_nothing_else(read: Callable[[bytes], object]) -> None:
    noise = random.Random(5)
    whole = message(Kind.PICTURE, PICTURE.encode())
    for number in range(2000):
        body = noise.randbytes(noise.randrange(90)) if number % 2 else bytearray(whole[2 * HEADER.size :])
        if isinstance(body, bytearray):
            body[noise.randrange(len(body))] = noise.randrange(256)
        try:
            read(bytes(body))
        except Garbled:
            continue
