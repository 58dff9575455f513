"""The receive path against real aiortc senders, over a network that loses, reorders and pads."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import aiortc.rtcrtpsender
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import HeaderExtensionsMap, RtcpSenderInfo, RtcpSrPacket, RtpPacket

from streamapp.results import DropReason
from streamapp.sources import aiortc_timing
from streamapp.sources.aiortc_timing import (
    CLOCK_RATE,
    MAX_DECODER_QUEUE,
    MAX_KEPT_CODED,
    CodedFrame,
    ReceiveTiming,
    discard_media,
    rtp_timestamp_origin,
    take_iframe_request,
    unfinished_bytes,
)
from streamapp.sources.bitrate import MAX_BPS, SenderBudget
from tests.waiting import until
from tests.webrtc_peers import BadNetwork, NumberedTrack, no_ice_servers, read_number, sender_of, use_loopback


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    use_loopback(monkeypatch)


@dataclass
class Reception:
    """What came out of the receiver's track."""

    timing: ReceiveTiming | None
    sender: RTCRtpSender
    track: NumberedTrack
    network: BadNetwork
    sending: RTCPeerConnection
    receiver: RTCRtpReceiver
    numbers: list[int] = field(default_factory=list)
    corrupt: int = 0
    before_next: int = 0
    """Pictures that came before the camera took the next one."""
    delays_s: list[float] = field(default_factory=list)
    capture_errors_s: list[float] = field(default_factory=list)
    timestamps: dict[int, int | None] = field(default_factory=dict)
    gaps_s: list[float] = field(default_factory=list)

    async def read(self, track: MediaStreamTrack) -> None:
        last_s = time.monotonic()
        while True:
            try:
                picture = await track.recv()
            except MediaStreamError:
                return
            now_s, now = time.monotonic(), time.time()
            self.gaps_s.append(now_s - last_s)
            last_s = now_s
            number = read_number(picture)  # type: ignore[arg-type]  # a video track gives VideoFrames
            if number is None:
                self.corrupt += 1
                continue
            self.numbers.append(number)
            self.delays_s.append(now - self.track.sent_at[number])
            self.before_next += number + 1 not in self.track.sent_at
            if self.timing is not None and self.timing.active:
                rtp_timestamp = self.timing.rtp_timestamp(picture)  # type: ignore[arg-type]
                self.timestamps[number] = rtp_timestamp
                captured_at = self.timing.captured_at(rtp_timestamp) if rtp_timestamp is not None else None
                if captured_at is not None:
                    self.capture_errors_s.append(captured_at - self.track.sent_at[number])
                arrived_s = self.timing.arrived_s(picture)  # type: ignore[arg-type]
                assert arrived_s is not None
                assert arrived_s <= now_s


@asynccontextmanager
async def session(
    codec: str = "video/VP8", *, loss: float = 0.0, jitter_s: float = 0.0, adapted: bool = True
) -> AsyncIterator[Reception]:
    """A sender of numbered pictures and a receiver, connected."""
    sending, receiving = RTCPeerConnection(no_ice_servers()), RTCPeerConnection(no_ice_servers())
    track = NumberedTrack()
    sender = sending.addTrack(track)
    network = BadNetwork(sending, loss=loss, jitter_s=jitter_s)
    try:
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        sending.getTransceivers()[0].setCodecPreferences(
            [c for c in capabilities if c.mimeType in (codec, "video/rtx")]
        )
        await sending.setLocalDescription(await sending.createOffer())
        await receiving.setRemoteDescription(sending.localDescription)
        (receiver,) = receiving.getReceivers()
        timing = ReceiveTiming(receiver) if adapted else None
        await receiving.setLocalDescription(await receiving.createAnswer())
        await sending.setRemoteDescription(receiving.localDescription)
        reception = Reception(timing, sender, track, network, sending, receiver)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(reception.read(receiver.track))]
            if timing is not None:
                tasks.append(group.create_task(timing.run()))
            await until(lambda: reception.numbers or reception.corrupt)
            yield reception
            for task in tasks:
                task.cancel()
    finally:
        await network.settle()
        await asyncio.gather(sending.close(), receiving.close())


async def frames(reception: Reception, count: int, timeout_s: float = 15.0) -> None:
    target = len(reception.numbers) + count
    await until(lambda: len(reception.numbers) >= target, timeout_s)


# -- without trouble ---------------------------------------------------------------------------------------------------


async def test_a_picture_is_out_before_the_next_one_is_taken() -> None:
    """With aiortc as it comes that cannot be: it waits for the next one's first packet."""
    async with session() as adapted:
        await frames(adapted, 45)
    async with session(adapted=False) as stock:
        await frames(stock, 20)
    delays_ms = [sorted(of.delays_s)[len(of.delays_s) // 2] * 1e3 for of in (adapted, stock)]
    print("\nmedian delay: adapted {:.1f} ms, as it comes {:.1f} ms".format(*delays_ms))
    assert stock.before_next == 0
    assert adapted.before_next > len(adapted.numbers) // 2


@pytest.mark.parametrize("codec", ["video/VP8", "video/H264"])
async def test_every_picture_arrives_whole_and_in_order(codec: str) -> None:
    async with session(codec) as reception:
        await frames(reception, 40)
    assert reception.corrupt == 0
    assert reception.numbers == sorted(set(reception.numbers))
    assert len(reception.numbers) >= 0.95 * (reception.numbers[-1] - reception.numbers[0])
    assert reception.timing is not None
    assert not any(reception.timing.dropped.values())


async def test_rtp_and_capture_times_are_the_senders() -> None:
    async with session() as reception:
        await until(lambda: reception.capture_errors_s, 15)
        await frames(reception, 10)
        reception.network._loss = 1.0  # so that the last one sent stays the last one sent
        last = reception.track.number
        await until(lambda: reception.track.number > last + 1)
        origin = rtp_timestamp_origin(reception.sender, (reception.track.number - 1) * CLOCK_RATE // 30)
    assert origin is not None
    for number, timestamp in reception.timestamps.items():
        assert timestamp is not None
        off_by = (timestamp - origin - number * CLOCK_RATE // 30 + 1) % (1 << 32) - 1
        assert abs(off_by) <= 1, "aiortc's own encoders round"
    errors = sorted(reception.capture_errors_s)
    print(f"\ncapture time error: median {errors[len(errors) // 2] * 1e3:.2f} ms")
    assert abs(errors[len(errors) // 2]) < 0.05


# -- with trouble ------------------------------------------------------------------------------------------------------


class _PaddingRtpPacket(RtpPacket):
    """Sends what aiortc makes of an empty payload as Chromium's bandwidth probes: all padding, the old timestamp."""

    def serialize(self, extensions_map: HeaderExtensionsMap = HeaderExtensionsMap()) -> bytes:  # noqa: B008
        if self.payload:
            return super().serialize(extensions_map)
        self.padding_size = 200
        data = bytearray(super().serialize(extensions_map))
        data[4:8] = struct.pack("!L", (self.timestamp - CLOCK_RATE // 30) % (1 << 32))
        return bytes(data)


def send_padding(monkeypatch: pytest.MonkeyPatch, every: int = 3) -> None:
    """Before each third picture, three packets of nothing but padding."""
    stock = RTCRtpSender._next_encoded_frame
    count = 0

    async def padded(self: RTCRtpSender, codec: object) -> object:
        nonlocal count
        frame = await stock(self, codec)  # type: ignore[arg-type]
        count += 1
        if frame is not None and count % every == 0 and count > every:
            frame.payloads[:0] = [b"", b"", b""]
        return frame

    monkeypatch.setattr(RTCRtpSender, "_next_encoded_frame", padded)
    monkeypatch.setattr(aiortc.rtcrtpsender, "RtpPacket", _PaddingRtpPacket)


@pytest.mark.parametrize(
    ("codec", "loss", "jitter_s", "padding"),
    [
        ("video/VP8", 0.0, 0.0, True),
        ("video/VP8", 0.02, 0.02, False),
        ("video/VP8", 0.1, 0.05, True),
        ("video/H264", 0.1, 0.02, False),
    ],
)
async def test_a_bad_network_costs_pictures_but_never_shows_a_wrong_one(
    monkeypatch: pytest.MonkeyPatch, codec: str, loss: float, jitter_s: float, padding: bool
) -> None:
    if padding:
        send_padding(monkeypatch)
    async with session(codec, loss=loss, jitter_s=jitter_s) as reception:
        reception.gaps_s.clear()
        await frames(reception, 120, timeout_s=25)
    numbers = reception.numbers
    of = numbers[-1] - numbers[0] + 1
    assert reception.timing is not None
    print(
        f"\n{codec} loss {loss:.0%} jitter {jitter_s * 1e3:.0f} ms padding {padding}: {len(numbers)} of {of} pictures, "
        f"longest pause {max(reception.gaps_s) * 1e3:.0f} ms, median delay "
        f"{sorted(reception.delays_s)[len(numbers) // 2] * 1e3:.0f} ms, {dict(reception.timing.dropped)}, "
        f"{reception.network.lost} of {reception.network.sent} packets lost"
    )
    assert reception.corrupt == 0
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 0.6 * of
    assert max(reception.gaps_s) < 3.0, "stood still"


async def test_comes_back_after_everything_was_lost_for_a_while() -> None:
    async with session() as reception:
        await frames(reception, 10)
        reception.network._loss = 1.0
        before = reception.track.number
        await until(lambda: reception.track.number > before + 20)
        reception.network._loss = 0.0
        back = reception.track.number
        await until(lambda: reception.numbers[-1] > back + 10)
    assert reception.corrupt == 0
    assert reception.numbers == sorted(set(reception.numbers))


# -- the parts ---------------------------------------------------------------------------------------------------------


async def test_a_slow_decoder_loses_pictures_instead_of_time() -> None:
    async with session() as reception:
        assert reception.timing is not None
        queue = reception.receiver._RTCRtpReceiver__decoder_queue  # type: ignore[attr-defined]
        real_size = queue.qsize
        queue.qsize = lambda: MAX_DECODER_QUEUE
        await until(lambda: reception.timing and reception.timing.dropped[DropReason.QUEUE_FULL] >= 3)
        queue.qsize = real_size
        await frames(reception, 5)
    assert reception.corrupt == 0


async def test_a_decoder_error_asks_for_an_iframe_and_shows_nothing_until_then() -> None:
    async with session() as reception:
        assert reception.timing is not None
        failed = getattr(reception.receiver, "_RTCRtpReceiver__decoder_error", None)
        if failed is None:
            pytest.skip("this aiortc does not tell of decoder errors")
        failed.set()
        await until(lambda: reception.timing and reception.timing.dropped[DropReason.CORRUPT] >= 1)
        await frames(reception, 5)
        assert not failed.is_set()


async def test_capture_times_hold_over_a_timestamp_wrap() -> None:
    async with session() as reception:
        timing = reception.timing
        assert timing is not None
        assert timing._ssrc is not None
        ntp = int((1_700_000_000.5 + 2_208_988_800) * (1 << 32))
        await timing._on_rtcp(RtcpSrPacket(timing._ssrc, RtcpSenderInfo(ntp, (1 << 32) - 45_000, 1, 1)))
        assert timing.captured_at((1 << 32) - 45_000) == pytest.approx(1_700_000_000.5)
        assert timing.captured_at(45_000) == pytest.approx(1_700_000_001.5)
        assert timing.captured_at((1 << 32) - 135_000) == pytest.approx(1_699_999_999.5)


async def test_reports_of_another_sender_and_empty_ones_say_nothing_of_this_one() -> None:
    async with session() as reception:
        timing = reception.timing
        assert timing is not None
        assert timing._ssrc is not None
        timing._report = None
        await timing._on_rtcp(RtcpSrPacket(timing._ssrc ^ 1, RtcpSenderInfo(1 << 40, 1, 1, 1)))
        await timing._on_rtcp(RtcpSrPacket(timing._ssrc, RtcpSenderInfo(0, 0, 0, 0)))
        assert timing.captured_at(0) is None


async def test_the_sender_is_not_held_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiortc's own estimate keeps Chromium at 200 kbit/s on a free path."""
    told: list[int] = []
    real = SenderBudget.add

    def noting(budget: SenderBudget, **packet: int) -> tuple[int, list[int]] | None:
        report = real(budget, **packet)
        told.extend([] if report is None else [report[0]])
        return report

    monkeypatch.setattr(SenderBudget, "add", noting)
    async with session() as reception:
        await until(lambda: len(told) >= 3)
        assert set(told) == {MAX_BPS}
        await frames(reception, 1)


async def test_a_request_for_an_iframe_is_seen_once() -> None:
    async with session() as reception:
        sender = sender_of(reception.sending)
        take_iframe_request(sender)
        sender._send_keyframe()
        assert take_iframe_request(sender)
        assert not take_iframe_request(sender)


async def test_discarded_media_is_not_decoded() -> None:
    async with session() as reception:
        assert discard_media(reception.receiver)
        assert reception.timing is not None
        last_packet_s = reception.timing.last_packet_s
        sent = reception.network.sent
        await until(lambda: reception.network.sent > sent + 10)
        assert reception.timing.last_packet_s == last_packet_s


async def test_messages_without_an_end_are_counted() -> None:
    pc = RTCPeerConnection(no_ice_servers())
    pc.createDataChannel("results")
    assert pc.sctp is not None
    assert unfinished_bytes(pc.sctp) == 0
    stream = pc.sctp._get_inbound_stream(1)
    chunk = aiortc.rtcsctptransport.DataChunk(flags=aiortc.rtcsctptransport.SCTP_DATA_FIRST_FRAG)
    chunk.user_data = bytes(1000)
    stream.add_chunk(chunk)
    assert unfinished_bytes(pc.sctp) == 1000
    await pc.close()


# -- other versions of aiortc ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.14.0", "1.17.0", "2.0.1"])
async def test_an_unknown_aiortc_is_left_alone_with_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    monkeypatch.setattr(aiortc_timing, "version", lambda _: version)
    aiortc_timing._version_is_known.cache_clear()
    aiortc_timing._warn.cache_clear()
    try:
        async with session() as reception:
            assert reception.timing is not None
            assert not reception.timing.active
            await frames(reception, 5)
            assert reception.timing.captured_at(0) is None
            assert not any(reception.timing.dropped.values())
            assert rtp_timestamp_origin(reception.sender, 0) is None
            assert not discard_media(reception.receiver)
            ReceiveTiming(reception.receiver)
    finally:
        aiortc_timing._version_is_known.cache_clear()
        aiortc_timing._warn.cache_clear()
    assert [record.message.split(" is not")[0] for record in caplog.records if "adapts" in record.message] == [
        f"aiortc {version}"
    ] * 2, "one for each kind of part"


async def test_a_missing_name_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(RTCRtpReceiver, "_send_rtcp_nack")
    pc = RTCPeerConnection(no_ice_servers())
    assert not ReceiveTiming(pc.addTransceiver("video").receiver).active
    aiortc_timing._warn.cache_clear()
    await pc.close()


@pytest.mark.parametrize("codec", ["video/VP8", "video/H264"])
async def test_coded_pictures_are_kept_from_an_iframe_on_that_is_asked_for(codec: str) -> None:
    async with session(codec) as reception:
        timing = reception.timing
        assert timing is not None
        await until(lambda: len(reception.numbers) > 10)
        assert timing.codec == codec.removeprefix("video/").lower()
        assert list(timing.take_coded(1 << 62)) == []
        timing.keeps_coded = True
        timing.request_iframe()
        kept: list[CodedFrame] = []

        def take() -> bool:
            kept.extend(timing.take_coded(1 << 62))
            return len(kept) > 20

        await until(take)
        assert [frame.is_iframe for frame in kept] == [True, *[False] * (len(kept) - 1)]
        assert all(frame.ticks > before.ticks for before, frame in pairwise(kept))
        timing.keeps_coded = False
        await until(lambda: len(reception.numbers) > 60)
        assert len(list(timing.take_coded(1 << 62))) <= 1
        assert reception.corrupt == 0


async def test_coded_pictures_nobody_takes_are_bounded() -> None:
    async with session() as reception:
        timing = reception.timing
        assert timing is not None
        timing.keeps_coded = True
        await until(lambda: len(reception.numbers) > MAX_KEPT_CODED + 30)
        assert len(list(timing.take_coded(1 << 62))) <= MAX_KEPT_CODED
