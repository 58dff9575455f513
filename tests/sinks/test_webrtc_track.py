"""Video towards peers: coded once, decodable, with the right times and I-frames."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count

import av
import pytest
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from streamapp.pipeline.mailbox import Mailbox
from streamapp.sinks.base import Output
from streamapp.sinks.webrtc_track import CodedTrack, PictureEncoder, PicturePlain, SharedEncoder, rtp_ticks
from tests.pictures import frame, output, video_frame
from tests.waiting import until
from tests.webrtc_peers import numbered_picture, read_number

CODECS = ["h264", "vp8"]


def decoded(codec: str, pictures: list[bytes]) -> Iterator[VideoFrame]:
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    for data in pictures:
        yield from decoder.decode(av.Packet(data))
    yield from decoder.decode(None)


def numbered(index: int, width: int = 320, height: int = 240) -> Output:
    return output(index, video=numbered_picture(index, width, height))


# -- one encoder -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
def test_each_picture_comes_out_at_once_and_as_it_was(codec: str) -> None:
    encoder = PictureEncoder(codec, 1_000_000)
    coded = [encoder.encode(numbered_picture(n), n / 30, iframe=False) for n in range(10)]
    assert all(coded)
    assert [read_number(picture) for picture in decoded(codec, coded)] == list(range(10))


@pytest.mark.parametrize("codec", CODECS)
def test_from_an_iframe_on_it_can_be_decoded(codec: str) -> None:
    encoder = PictureEncoder(codec, 1_000_000)
    coded = [encoder.encode(numbered_picture(n), n / 30, iframe=n == 6) for n in range(10)]
    assert [read_number(picture) for picture in decoded(codec, coded[6:])] == [6, 7, 8, 9]


@pytest.mark.parametrize("codec", CODECS)
def test_a_change_of_size_is_followed(codec: str) -> None:
    encoder = PictureEncoder(codec, 1_000_000)
    sizes = [(320, 240), (320, 240), (640, 360), (640, 360), (480, 640)]
    coded = [encoder.encode(numbered_picture(n, *size), n / 30, iframe=False) for n, size in enumerate(sizes)]
    pictures = list(decoded(codec, coded))
    assert [(picture.width, picture.height) for picture in pictures] == sizes
    assert [read_number(picture) for picture in pictures] == list(range(5))


def test_h264_is_what_browsers_are_promised() -> None:
    """Baseline, without B-frames, parameter sets before the I-frame."""
    encoder = PictureEncoder("h264", 1_000_000)
    data = encoder.encode(numbered_picture(0), 0.0, iframe=True)
    units = [part[0] & 0x1F for part in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if part]
    assert units.index(7) < units.index(8) < units.index(5)
    profile = next(part for part in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if part and part[0] & 31 == 7)
    assert profile[1] == 66


def test_the_rate_is_about_what_was_asked_for() -> None:
    for codec in CODECS:
        encoder = PictureEncoder(codec, 400_000)
        sizes = [len(encoder.encode(numbered_picture(n, 640, 480), n / 30, iframe=False)) for n in range(90)]
        assert sum(sizes[30:]) * 8 / 2.0 < 800_000, codec


@pytest.mark.parametrize(
    "video",
    [
        video_frame(64, 48),
        video_frame(65, 49),
        video_frame(64, 48, pixel_format="rgb24"),
        video_frame(63, 47, pixel_format="yuv444p"),
    ],
)
def test_plain_pictures_are_copies_that_the_encoder_takes(video: VideoFrame) -> None:
    one = output(video=video)
    painted = PicturePlain().paint(one)
    assert (painted.width, painted.height, painted.format.name) == (video.width & ~1, video.height & ~1, "yuv420p")
    assert painted is not video
    before = video.pts
    PictureEncoder("h264", 500_000).encode(painted, 5.0, iframe=True)
    assert video.pts == before, "the frame is everybody's"


# -- one encoder for everybody -----------------------------------------------------------------------------------------


@dataclass
class Published:
    data: bytes
    pts_s: float
    is_iframe: bool


async def test_joining_peers_get_an_iframe_and_share_it() -> None:
    published: list[Published] = []
    sink = SharedEncoder(
        PicturePlain(), PictureEncoder("vp8", 1_000_000), lambda *coded: published.append(Published(*coded))
    )
    inbox: Mailbox[Output] = Mailbox()
    async with asyncio.TaskGroup() as group:
        group.create_task(sink.run(inbox))
        for index in range(4):
            await inbox.deliver(numbered(index))
        await until(lambda: len(published) == 4)
        sink.request_iframe()
        sink.request_iframe()
        for index in count(4):  # it waits until the last one is long enough ago
            await inbox.deliver(numbered(index))
            await until(lambda: published[-1].pts_s == numbered(index).frame.pts_s)  # noqa: B023 - awaited in here
            if published[-1].is_iframe:
                break
        await inbox.deliver(numbered(len(published)))
        inbox.close()
    assert [one.is_iframe for one in published[:4]] == [True, False, False, False]
    assert not published[-1].is_iframe, "two requests, one I-frame"
    assert [one.pts_s for one in published] == [numbered(n).frame.pts_s for n in range(len(published))]
    since_join = [one.data for one in published[-2:]]
    last = len(published) - 1
    assert [read_number(picture) for picture in decoded("vp8", since_join)] == [last - 1, last]


async def test_a_new_size_is_announced_as_an_iframe() -> None:
    published: list[Published] = []
    sink = SharedEncoder(
        PicturePlain(), PictureEncoder("h264", 1_000_000), lambda *coded: published.append(Published(*coded))
    )
    inbox: Mailbox[Output] = Mailbox()
    async with asyncio.TaskGroup() as group:
        group.create_task(sink.run(inbox))
        for index, size in enumerate([(320, 240), (320, 240), (640, 360)]):
            await inbox.deliver(numbered(index, *size))
        inbox.close()
    assert [one.is_iframe for one in published] == [True, False, True]


# -- one peer's track --------------------------------------------------------------------------------------------------


class Pictures:
    """Hands out pictures of one byte."""

    def __init__(self, number: int) -> None:
        self.left = [Published(bytes([n]), n / 30, n == 0) for n in range(number)]
        self.iframe_requests = 0

    async def get(self) -> Published | None:
        return self.left.pop(0) if self.left else None

    def request_iframe(self) -> None:
        self.iframe_requests += 1


async def test_a_track_gives_packets_on_the_90_khz_clock_until_the_end() -> None:
    coded = CodedTrack(Pictures(3), iframe_requested=lambda: False, timestamp_origin=lambda _: None)
    packets = [await coded.recv() for _ in range(3)]
    assert [bytes(packet) for packet in packets] == [b"\0", b"\1", b"\2"]
    assert [packet.pts for packet in packets] == [0, 3000, 6000]
    assert {packet.time_base for packet in packets} == {Fraction(1, 90_000)}
    with pytest.raises(MediaStreamError):
        await coded.recv()
    assert coded.readyState == "ended"


async def test_a_peers_wish_for_an_iframe_is_passed_on_once() -> None:
    pictures, wishes = Pictures(3), [False, True, False]
    coded = CodedTrack(pictures, iframe_requested=lambda: wishes.pop(0), timestamp_origin=lambda _: None)
    for _ in range(3):
        await coded.recv()
    assert pictures.iframe_requests == 1


async def test_rtp_timestamps_are_known_once_a_picture_was_sent() -> None:
    origin = (1 << 32) - 3000
    asked: list[int] = []

    def timestamp_origin(previous: int) -> int | None:
        asked.append(previous)
        return None if previous == 0 else origin

    coded = CodedTrack(Pictures(4), iframe_requested=lambda: False, timestamp_origin=timestamp_origin)
    assert coded.rtp_timestamp(frame(1)) is None
    for _ in range(4):
        await coded.recv()
    assert asked == [0, 3000], "asked until it is known"
    assert coded.rtp_timestamp(frame(0)) == origin
    assert coded.rtp_timestamp(frame(1)) == 0, "wrapped"
    assert coded.rtp_timestamp(frame(2)) == rtp_ticks(2 / 30) - 3000
