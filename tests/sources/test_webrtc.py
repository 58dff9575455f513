"""A peer's track as a source: what it makes of pictures, silence and the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from streamapp.errors import PublisherGone, SourceTooLarge
from streamapp.frame import Frame
from streamapp.results import DropReason
from streamapp.sources.aiortc_timing import CodedFrame, ReceiveTiming
from streamapp.sources.base import EncodedPicture, FrameNumbering
from streamapp.sources.webrtc import WebRtcSource
from tests.pictures import video_frame
from tests.webrtc_peers import no_ice_servers

BASE = (1 << 32) + 4_294_960_000
"""Where aiortc_timing counts on from: just before the 32-bit timestamp wraps."""


class ScriptedTrack(MediaStreamTrack):
    """Pictures from a list, then silence or the end."""

    kind = "video"

    def __init__(self, pictures: list[VideoFrame], *, then_end: bool) -> None:
        super().__init__()
        self.left = pictures
        self._then_end = then_end

    async def recv(self) -> VideoFrame:
        if not self.left and self._then_end:
            raise MediaStreamError
        if not self.left:
            await asyncio.Event().wait()
        return self.left.pop(0)


class Timing(ReceiveTiming):
    """Says what the test wants of every picture."""

    def __init__(self, captured_at: Callable[[int], float | None]) -> None:
        pc = RTCPeerConnection(no_ice_servers())
        super().__init__(pc.addTransceiver("video").receiver)
        self.captured = captured_at
        self.lost: Counter[DropReason] = Counter()
        self.kept: list[CodedFrame] = []
        self.iframes_asked = 0

    def take_coded(self, ticks: int) -> Iterator[CodedFrame]:
        while self.kept and self.kept[0].ticks <= ticks:
            yield self.kept.pop(0)

    def request_iframe(self) -> None:
        self.iframes_asked += 1

    @property
    def dropped(self) -> Counter[DropReason]:
        return self.lost

    def captured_at(self, rtp_timestamp: int) -> float | None:
        return self.captured(rtp_timestamp)

    def arrived_s(self, picture: VideoFrame) -> float | None:
        return 100.0 if picture.pts == BASE else None


class Collector:
    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.drops: Counter[DropReason] = Counter()
        self.connections = 0
        self.coded: list[EncodedPicture] = []
        self.wants_encoded = self.wants_iframe = False

    def offer(self, frame: Frame) -> None:
        self.frames.append(frame)

    async def deliver(self, frame: Frame) -> None:
        raise AssertionError("live sources never wait")

    def count_drop(self, reason: DropReason, count: int = 1) -> None:
        self.drops[reason] += count

    def connected(self) -> None:
        self.connections += 1

    def offer_encoded(self, picture: EncodedPicture) -> None:
        assert self.wants_encoded, "nobody wants these"
        self.coded.append(picture)


def pictures(count: int, size: tuple[int, int] = (64, 48)) -> list[VideoFrame]:
    made = []
    for n in range(count):
        picture = video_frame(*size)
        picture.pts = BASE + 3000 * n
        made.append(picture)
    return made


def source(track: ScriptedTrack, timing: Timing, *, idle_s: float = 5.0, connect_s: float = 5.0) -> WebRtcSource:
    numbering = FrameNumbering("browser")
    return WebRtcSource(
        track, timing, numbering, idle_timeout_s=idle_s, connect_timeout_s=connect_s, max_pixels=1920 * 1080
    )


async def test_pictures_become_frames_with_the_senders_times() -> None:
    outlet = Collector()
    timing = Timing(lambda timestamp: 1_700_000_000 + timestamp / 1e6)
    with pytest.raises(PublisherGone):
        await source(ScriptedTrack(pictures(4), then_end=True), timing).run(outlet)
    assert [frame.index for frame in outlet.frames] == [0, 1, 2, 3]
    assert [frame.pts_s for frame in outlet.frames] == pytest.approx([0, 1 / 30, 2 / 30, 3 / 30], abs=1e-6)
    timestamps = [(BASE + 3000 * n) % (1 << 32) for n in range(4)]
    assert timestamps[-1] < timestamps[0], "it wraps"
    assert [frame.rtp_timestamp for frame in outlet.frames] == timestamps
    assert [frame.captured_at for frame in outlet.frames] == [1_700_000_000 + t / 1e6 for t in timestamps]
    assert outlet.frames[0].arrived_s == 100.0
    assert outlet.connections == 1


async def test_before_the_first_report_the_time_of_arrival_stands_in() -> None:
    outlet = Collector()
    with pytest.raises(PublisherGone):
        await source(ScriptedTrack(pictures(2), then_end=True), Timing(lambda _: None)).run(outlet)
    frame = outlet.frames[1]
    assert frame.captured_at > 1_700_000_000
    assert frame.arrived_s <= frame.decoded_s


async def test_what_was_lost_on_the_way_is_counted_once() -> None:
    outlet, timing = Collector(), Timing(lambda _: None)
    timing.lost = Counter({DropReason.CORRUPT: 2, DropReason.QUEUE_FULL: 1})
    with pytest.raises(PublisherGone):
        await source(ScriptedTrack(pictures(3), then_end=True), timing).run(outlet)
    assert outlet.drops == {DropReason.CORRUPT: 2, DropReason.QUEUE_FULL: 1}


async def test_the_end_of_the_track_is_the_end_for_good() -> None:
    with pytest.raises(PublisherGone, match="ended") as caught:
        await source(ScriptedTrack([], then_end=True), Timing(lambda _: None)).run(Collector())
    assert not caught.value.retryable


async def test_silence_is_taken_for_the_end() -> None:
    outlet = Collector()
    track = ScriptedTrack(pictures(2), then_end=False)
    with pytest.raises(PublisherGone, match=r"no picture came for 0\.05 s"):
        await source(track, Timing(lambda _: None), idle_s=0.05, connect_s=60).run(outlet)
    assert len(outlet.frames) == 2


async def test_the_first_picture_may_take_as_long_as_connecting() -> None:
    track = ScriptedTrack([], then_end=False)
    with pytest.raises(PublisherGone, match=r"for 0\.08 s"):
        await source(track, Timing(lambda _: None), idle_s=0.05, connect_s=0.03).run(Collector())


async def test_a_picture_beyond_the_limit_is_refused() -> None:
    outlet = Collector()
    with pytest.raises(SourceTooLarge, match="2000x1200"):
        await source(ScriptedTrack(pictures(1, (2000, 1200)), then_end=False), Timing(lambda _: None)).run(outlet)
    assert outlet.frames == []


async def test_coded_pictures_have_the_times_of_their_frames() -> None:
    outlet, timing = Collector(), Timing(lambda _: None)
    outlet.wants_encoded = True
    timing.codec = "vp8"
    timing.kept = [CodedFrame(BASE + 3000 * n, bytes([n]), "vp8", n == 1) for n in range(1, 4)]
    with pytest.raises(PublisherGone):
        await source(ScriptedTrack([p for n, p in enumerate(pictures(4)) if n != 2], then_end=True), timing).run(outlet)
    assert [picture.data for picture in outlet.coded] == [b"\1", b"\2", b"\3"]
    assert [picture.pts_s for picture in outlet.coded] == pytest.approx([1 / 30, 2 / 30, 3 / 30], abs=1e-6)
    times_s = {frame.pts_s for frame in outlet.frames}
    assert {outlet.coded[0].pts_s, outlet.coded[2].pts_s} <= times_s, "exactly, not nearly"
    assert {frame.codec for frame in outlet.frames} == {"vp8"}


async def test_coded_pictures_are_kept_and_an_iframe_asked_for_only_while_somebody_wants_them() -> None:
    outlet, timing = Collector(), Timing(lambda _: None)
    with pytest.raises(PublisherGone):
        await source(ScriptedTrack(pictures(2), then_end=True), timing).run(outlet)
    assert not timing.keeps_coded
    assert timing.iframes_asked == 0
    outlet.wants_encoded = outlet.wants_iframe = True
    with pytest.raises(PublisherGone):
        await source(ScriptedTrack(pictures(2), then_end=True), timing).run(outlet)
    assert timing.keeps_coded
    assert timing.iframes_asked == 2
