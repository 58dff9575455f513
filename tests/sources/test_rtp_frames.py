"""Frames out of scripted packet sequences: loss, reordering, duplicates, padding, wrap. All time is simulated."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.sources.rtp_frames import (
    GIVE_UP_S,
    MAX_HELD_PACKETS,
    NACK_DELAY_S,
    PLI_INTERVAL_S,
    FrameAssembler,
    MediaFrame,
    MediaPacket,
)

FRAME_S = 1 / 30
FRAME_TICKS = 3000
IFRAME, PFRAME = 0, 1


def is_iframe(frame: MediaFrame) -> bool:
    return frame.data[0] == IFRAME


@dataclass
class Camera:
    """Makes frames of numbered packets. The first byte says I or P, then come the frame's number and random bytes."""

    sequence: int = 0
    timestamp: int = 0
    say_start: bool = True
    """Whether P-frames too say which packet is their first, as VP8 does and H264 does not."""
    marks: bool = True
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    frames: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    number: int = 0

    def frame(self, packets: int = 3, *, iframe: bool = False) -> list[MediaPacket]:
        kind = IFRAME if iframe else PFRAME
        chunks = [self.rng.randbytes(self.rng.randint(1, 8)) for _ in range(packets)]
        chunks[0] = bytes([kind]) + self.number.to_bytes(3, "big") + chunks[0]
        self.frames[self.timestamp] = (self.number, b"".join(chunks))
        made = [
            self._packet(chunk, marker=self.marks and i == packets - 1, starts=i == 0 and (iframe or self.say_start))
            for i, chunk in enumerate(chunks)
        ]
        self.number += 1
        self.timestamp = (self.timestamp + FRAME_TICKS) % (1 << 32)
        return made

    def padding(self, count: int = 1) -> list[MediaPacket]:
        """Empty packets with the last frame's timestamp, as Chromium probes for bandwidth."""
        last = (self.timestamp - FRAME_TICKS) % (1 << 32)
        return [replace(self._packet(b"", marker=False, starts=False), timestamp=last) for _ in range(count)]

    def _packet(self, data: bytes, *, marker: bool, starts: bool) -> MediaPacket:
        packet = MediaPacket(self.sequence, self.timestamp, marker, data, starts, 96, 0.0)
        self.sequence = (self.sequence + 1) % (1 << 16)
        return packet


def feed(assembler: FrameAssembler, packets: list[MediaPacket], now: float = 0.0) -> list[MediaFrame]:
    for packet in packets:
        assembler.add(replace(packet, arrived_s=now))
    ready, assembler.ready = assembler.ready, []
    return ready


def started(camera: Camera) -> FrameAssembler:
    """An assembler that has had an I-frame."""
    assembler = FrameAssembler(is_iframe)
    assert len(feed(assembler, camera.frame(iframe=True))) == 1
    return assembler


# -- when nothing is missing ------------------------------------------------------------------------------------------


def test_a_frame_leaves_with_its_last_packet() -> None:
    camera = Camera()
    assembler = started(camera)
    for number in range(1, 20):
        *before, last = camera.frame(packets=number)
        assert feed(assembler, before) == []
        (frame,) = feed(assembler, [last], now=2.0)
        assert (number, frame.data) == camera.frames[frame.timestamp]
        assert frame.arrived_s == 2.0


def test_the_stock_buffer_holds_the_same_frame_until_the_next() -> None:
    """What this replaces; if aiortc ever changes, this says so."""
    camera = Camera()
    stock = JitterBuffer(capacity=512, is_video=True)

    def add(packets: list[MediaPacket]) -> list[int]:
        out = []
        for packet in packets:
            rtp = RtpPacket(sequence_number=packet.sequence, timestamp=packet.timestamp, marker=int(packet.marker))
            rtp._data = packet.data  # type: ignore[attr-defined]  # as aiortc's receiver does
            _, frame = stock.add(rtp)
            out += [frame.timestamp] if frame else []
        return out

    first = camera.frame()
    assert add(first) == []
    assert add(camera.frame()[:1]) == [first[0].timestamp]


def test_without_markers_a_frame_leaves_with_the_next_ones_first_packet() -> None:
    camera = Camera(marks=False)
    assembler = FrameAssembler(is_iframe)
    assert feed(assembler, camera.frame(iframe=True)) == []
    (frame,) = feed(assembler, camera.frame()[:1])
    assert camera.frames[frame.timestamp][0] == 0


def test_markers_inside_a_frame_are_found_out_and_not_believed() -> None:
    camera = Camera()
    assembler = started(camera)
    halves = [replace(packet, marker=True) for packet in camera.frame(packets=2)]
    feed(assembler, halves)
    assert not assembler.markers_trusted
    whole = [replace(packet, marker=True) for packet in camera.frame(packets=2, iframe=True)]
    assert feed(assembler, whole) == []
    (frame,) = feed(assembler, camera.frame())
    assert frame.data == camera.frames[whole[0].timestamp][1]


@pytest.mark.parametrize("count", [1, 2, 50])
def test_padding_between_frames_makes_no_frame_and_delays_none(count: int) -> None:
    camera = Camera()
    assembler = started(camera)
    for _ in range(10):
        assert feed(assembler, camera.padding(count)) == []
        packets = camera.frame()
        assert [frame.data for frame in feed(assembler, packets)] == [camera.frames[packets[0].timestamp][1]]
    assert assembler.dropped == 0


def test_padding_may_come_first_and_may_be_lost() -> None:
    camera = Camera(timestamp=FRAME_TICKS)
    assembler = FrameAssembler(is_iframe)
    assert feed(assembler, camera.padding(3)) == []
    assert len(feed(assembler, camera.frame(iframe=True))) == 1
    camera.padding(2)  # lost: cannot be told from a picture until asked for
    assert feed(assembler, camera.frame()) == []
    assert len(assembler.poll(NACK_DELAY_S).nack) == 2


@pytest.mark.parametrize("sequence", [65533, 65535, 0])
@pytest.mark.parametrize("timestamp", [(1 << 32) - 2 * FRAME_TICKS, (1 << 32) - 1])
def test_sequence_and_timestamp_wrap_without_notice(sequence: int, timestamp: int) -> None:
    camera = Camera(sequence=sequence, timestamp=timestamp)
    assembler = FrameAssembler(is_iframe)
    out = [f for i in range(8) for f in feed(assembler, camera.frame(iframe=i == 0))]
    assert [camera.frames[f.timestamp] for f in out] == [(i, out[i].data) for i in range(8)]


# -- the start ---------------------------------------------------------------------------------------------------------


def test_nothing_leaves_before_the_first_iframe_and_one_is_asked_for() -> None:
    camera = Camera()
    assembler = FrameAssembler(is_iframe)
    assert feed(assembler, camera.frame() + camera.frame()) == []
    assert assembler.poll(0.0).pli
    assert not assembler.poll(PLI_INTERVAL_S / 2).pli, "asked too often"
    assert assembler.poll(PLI_INTERVAL_S).pli, "asked once only"
    assert assembler.dropped == 2
    assert len(feed(assembler, camera.frame(iframe=True), now=1.0)) == 1
    assert not assembler.poll(9.0).pli


def test_the_very_first_packets_may_be_in_disorder() -> None:
    camera = Camera(sequence=65535)
    assembler = FrameAssembler(is_iframe)
    a, b, c = camera.frame(iframe=True)
    assert len(feed(assembler, [b, a, c])) == 1
    assert assembler._gaps == {}


def test_a_stream_of_which_the_end_of_the_first_frame_came_first_asks_for_another_iframe() -> None:
    camera = Camera()
    assembler = FrameAssembler(is_iframe)
    a, b, c = camera.frame(iframe=True)
    assert feed(assembler, [c, a, b]) == []
    assert assembler.poll(0.0).pli
    assert len(feed(assembler, camera.frame(iframe=True))) == 1


def test_a_first_frame_of_which_the_beginning_is_lost_is_not_used() -> None:
    camera = Camera()
    assembler = FrameAssembler(is_iframe)
    _, *rest = camera.frame(iframe=True)
    rest = [
        replace(rest[0], data=bytes([IFRAME]) + rest[0].data),
        *rest[1:],
    ]  # looks like an I-frame, is a piece of one
    assert feed(assembler, rest) == []
    assert assembler.poll(0.0).pli


# -- loss --------------------------------------------------------------------------------------------------------------


def test_a_gap_is_asked_for_again_until_it_is_too_old() -> None:
    camera = Camera()
    assembler = started(camera)
    a, b, c = camera.frame()
    assert feed(assembler, [a, c]) == []
    assert assembler.poll(0.0).nack == (), "reordering is given a moment"
    asked: list[int] = []
    while (now := assembler.deadline_s) < GIVE_UP_S:
        asked += assembler.poll(now).nack
    assert asked == [b.sequence] * 5
    feedback = assembler.poll(GIVE_UP_S)
    assert feedback.nack == ()
    assert feedback.pli
    assert feed(assembler, [b]) == [], "too late"
    assert assembler.dropped == 1
    assert feed(assembler, camera.frame(), now=0.3) == [], "its reference is missing"
    assert assembler.dropped == 2
    assert len(feed(assembler, camera.frame(iframe=True), now=0.31)) == 1


def test_a_retransmission_lets_all_frames_behind_it_go_at_once() -> None:
    camera = Camera()
    assembler = started(camera)
    first, *rest = camera.frame()
    behind = [packet for _ in range(4) for packet in camera.frame()]
    assert feed(assembler, rest + behind) == []
    out = feed(assembler, [first], now=0.1)
    assert [camera.frames[f.timestamp][0] for f in out] == [1, 2, 3, 4, 5]
    assert assembler.deadline_s == float("inf")


def test_an_iframe_behind_a_gap_is_not_held_up_by_it() -> None:
    camera = Camera()
    assembler = started(camera)
    lost, *rest = camera.frame()
    camera.frame()  # all of it lost
    before = camera.frame()
    iframe = camera.frame(iframe=True)
    assert feed(assembler, rest + before) == []
    (frame,) = feed(assembler, iframe)
    assert frame.data == camera.frames[iframe[0].timestamp][1]
    assert feed(assembler, [lost]) == []
    assert len(feed(assembler, camera.frame())) == 1
    assert assembler.dropped == 2, "the two of which something came"


def test_a_lost_end_of_frame_is_not_mended_with_the_next_frame() -> None:
    camera = Camera(say_start=False)
    assembler = started(camera)
    a, _, _ = camera.frame()
    _, e, f = camera.frame()
    assert feed(assembler, [a, e, f]) == []
    assembler.poll(GIVE_UP_S)
    assert assembler.ready == []
    (frame,) = feed(assembler, camera.frame(iframe=True))
    assert camera.frames[frame.timestamp][0] == 3


def test_what_follows_a_gap_is_not_taken_for_a_frame() -> None:
    """Also when it looks like an I-frame: only its end is there."""
    camera = Camera()
    assembler = started(camera)
    _, middle, last = camera.frame(iframe=True)
    assert feed(assembler, [replace(middle, data=bytes([IFRAME]) + middle.data), last]) == []
    assembler.poll(GIVE_UP_S)
    assert assembler.ready == []
    assert assembler.dropped == 1


def test_duplicates_and_stragglers_change_nothing() -> None:
    camera = Camera()
    assembler = started(camera)
    packets = [packet for _ in range(5) for packet in camera.frame()]
    out = feed(assembler, [p for packet in packets for p in (packet, packet)])
    assert len(out) == 5
    assert feed(assembler, packets) == []
    assert assembler.dropped == 0


def test_a_sender_that_starts_anew_is_followed_at_its_iframe() -> None:
    camera = Camera()
    assembler = started(camera)
    camera.sequence = 30_000
    camera.timestamp = 5
    out = feed(assembler, camera.frame(iframe=True))
    assert out == [], "one packet far off may be a stray"
    assert len(feed(assembler, camera.frame(iframe=True))) == 1


def test_one_stray_packet_from_far_off_is_ignored() -> None:
    camera = Camera()
    assembler = started(camera)
    feed(assembler, [MediaPacket(40_000, 7, True, b"\0stray", True, 96, 0.0)])
    assert len(feed(assembler, camera.frame())) == 1


def test_what_is_held_is_bounded() -> None:
    camera = Camera()
    assembler = started(camera)
    camera.frame()
    for _ in range(MAX_HELD_PACKETS // 50 + 1):
        feed(assembler, camera.frame(packets=50))
    assert len(assembler._packets) < 51
    assert assembler.poll(0.0).pli
    endless = Camera(marks=False, sequence=camera.sequence, timestamp=camera.timestamp)
    feed(assembler, endless.frame(packets=3 * MAX_HELD_PACKETS))
    assert len(assembler._packets) <= MAX_HELD_PACKETS


def test_a_decoder_that_lost_its_references_gets_an_iframe_next() -> None:
    camera = Camera()
    assembler = started(camera)
    assembler.require_iframe(0.0)
    assert feed(assembler, camera.frame()) == []
    assert assembler.poll(0.0).pli
    assert len(feed(assembler, camera.frame(iframe=True))) == 1


# -- everything at once ------------------------------------------------------------------------------------------------


@dataclass(order=True)
class _Event:
    at_s: float
    order: int
    packet: MediaPacket | None = field(compare=False)
    """None: the camera takes its next picture."""


@dataclass
class Network:
    """A camera and an assembler with a bad network between them, in simulated time."""

    rng: random.Random
    loss: float
    jitter_s: float
    duplicates: float
    padding: float
    camera: Camera
    one_way_s: float = 0.02
    released: list[tuple[float, MediaFrame]] = field(default_factory=list)
    sent_s: dict[int, float] = field(default_factory=dict)
    plis: list[float] = field(default_factory=list)
    nacks: int = 0

    def run(self, pictures: int, *, clean_from: int) -> FrameAssembler:
        assembler = FrameAssembler(is_iframe)
        history: dict[int, MediaPacket] = {}
        events = [_Event(i * FRAME_S, i, None) for i in range(pictures)]
        order, wants_iframe_from, taken = pictures, 0.0, 0
        wants_iframe = True

        def send(packets: list[MediaPacket], now: float) -> Iterator[_Event]:
            nonlocal order
            for i, packet in enumerate(packets):
                history[packet.sequence] = packet
                copies = 2 if self.rng.random() < self.duplicates else 1
                for _ in range(copies):
                    if taken < clean_from and self.rng.random() < self.loss:
                        continue
                    delay_s = self.one_way_s + i * 1e-4 + self.rng.random() * self.jitter_s
                    order += 1
                    yield _Event(now + delay_s, order, packet)

        while events or assembler.deadline_s < pictures * FRAME_S + 1:
            due_s = events[0].at_s if events else float("inf")
            now = min(due_s, assembler.deadline_s)
            if due_s <= now:
                event = heapq.heappop(events)
                if event.packet is not None:
                    assembler.add(replace(event.packet, arrived_s=now))
                else:
                    taken += 1
                    iframe = wants_iframe and now >= wants_iframe_from
                    wants_iframe &= not iframe
                    self.sent_s[self.camera.timestamp] = now
                    packets = self.camera.frame(self.rng.randint(1, 30 if iframe else 6), iframe=iframe)
                    if self.rng.random() < self.padding:
                        packets += self.camera.padding(self.rng.randint(1, 5))
                    for sent in send(packets, now):
                        heapq.heappush(events, sent)
            else:
                feedback = assembler.poll(now)
                if feedback.pli:
                    self.plis.append(now)
                    wants_iframe, wants_iframe_from = True, now + self.one_way_s
                if feedback.nack:
                    self.nacks += len(feedback.nack)
                    again = [history[s] for s in feedback.nack if s in history]
                    for sent in send(again, now + self.one_way_s):
                        heapq.heappush(events, sent)
            self.released += [(now, frame) for frame in assembler.ready]
            assembler.ready.clear()
        return assembler


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    loss=st.sampled_from([0.0, 0.02, 0.1, 0.3]),
    jitter_s=st.sampled_from([0.0, 0.005, 0.1]),
    duplicates=st.sampled_from([0.0, 0.2]),
    padding=st.sampled_from([0.0, 0.3]),
    sequence=st.sampled_from([0, 65_400, 33_000]),
    timestamp=st.sampled_from([0, (1 << 32) - 30 * FRAME_TICKS]),
    say_start=st.booleans(),
)
def test_every_frame_that_leaves_is_whole_in_order_and_decodable(
    seed: int,
    loss: float,
    jitter_s: float,
    duplicates: float,
    padding: float,
    sequence: int,
    timestamp: int,
    say_start: bool,
) -> None:
    rng = random.Random(seed)
    camera = Camera(sequence, timestamp, say_start=say_start, rng=rng)
    network = Network(rng, loss, jitter_s, duplicates, padding, camera)
    pictures, clean_from = 120, 75
    assembler = network.run(pictures, clean_from=clean_from)

    numbers = []
    for _, frame in network.released:
        number, data = camera.frames[frame.timestamp]
        assert frame.data == data, "not the bytes that were sent"
        numbers.append(number)
    assert numbers == sorted(set(numbers))
    for (previous, number), (_, frame) in zip(
        zip([-2, *numbers], numbers, strict=False), network.released, strict=True
    ):
        assert number == previous + 1 or is_iframe(frame), "a picture without its reference"

    assert numbers[-1] == pictures - 1, "the stream did not recover"
    assert len(numbers) + assembler.dropped <= pictures
    last_second = [number for number in numbers if number >= pictures - 15]
    assert len(last_second) == 15, "still losing pictures a second after the network mended"
    assert not assembler._gaps
    assert all(b - a >= PLI_INTERVAL_S - 1e-9 for a, b in zip(network.plis, network.plis[1:], strict=False))
    if loss == 0 and jitter_s == 0:
        assert len(numbers) == pictures
        assert not network.nacks


@pytest.mark.parametrize("burst", [1, 3, 20, 90])
def test_recovers_within_a_second_of_a_total_outage(burst: int) -> None:
    """Every packet of `burst` pictures is lost, NACKs or not."""
    camera = Camera()
    assembler = started(camera)
    now, shown = 0.0, []
    for number in range(1, 160):
        now = number * FRAME_S
        asked = False
        while assembler.deadline_s <= now:
            asked |= assembler.poll(assembler.deadline_s).pli
        packets = camera.frame(iframe=asked)
        if not 10 <= number < 10 + burst:
            shown += [camera.frames[f.timestamp][0] for f in feed(assembler, packets, now)]
    assert shown[:9] == list(range(1, 10))
    first_back = next(number for number in shown if number >= 10)
    assert (first_back - 10 - burst) * FRAME_S < 1.0
    assert shown[-1] == 159
