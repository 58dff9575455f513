"""The only file that reaches inside aiortc; everything else uses its public interface.

aiortc's jitter buffer lets a video frame go when the first packet of the *next* one arrives, a frame interval late; it
asks for a lost packet once, and stands still for up to 512 packets if that fails. `ReceiveTiming` puts a
`FrameAssembler` in its place, bounds the decoder's queue, lets the sender have the rate it needs (`SenderBudget`), and
keeps what aiortc throws away: when each frame arrived and when its sender took it (RTCP sender reports, RFC 3550
section 6.4.1).

Checked against aiortc 1.15 and 1.16. With any other version, or where a name is gone, everything here does nothing,
says so once in the log, and aiortc works as it comes.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from aiortc import RTCRtpReceiver, RTCRtpSender, RTCSctpTransport
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket, RtpPacket
from av import VideoFrame

from streamapp.results import DropReason
from streamapp.sources.bitrate import SenderBudget
from streamapp.sources.rtp_frames import FrameAssembler, MediaFrame, MediaPacket
from streamapp.sources.rtp_payloads import is_iframe, starts_frame

_log = logging.getLogger(__name__)

CLOCK_RATE = 90_000
"""Of every video format in RTP."""
MAX_DECODER_QUEUE = 8
"""Frames waiting for the decoder; beyond, it is too slow and goes on at an I-frame."""
MAX_REMEMBERED_ARRIVALS = 128
MAX_KEPT_CODED = 64
"""Coded pictures waiting for what they decode to; beyond, all are left out up to the next I-frame."""
IFRAME_REQUEST_INTERVAL_S = 1.0
SSRC_SILENCE_S = 1.0
"""Another sender (SSRC) is listened to once the present one was silent for so long."""

_NTP_TO_UNIX_S = 2_208_988_800
_WRAP = 1 << 32
_RECEIVER = "_RTCRtpReceiver__"
_SENDER = "_RTCRtpSender__"
_PARTS = ("jitter_buffer", "nack_generator", "codecs", "decoder_queue", "decoder_thread", "remote_bitrate_estimator")
_METHODS = ("_send_rtcp_nack", "_send_rtcp_pli", "_handle_rtcp_packet")
_NEEDED = {
    RTCRtpReceiver: (*(_RECEIVER + part for part in _PARTS), *_METHODS, "_enabled"),
    RTCRtpSender: tuple(_SENDER + part for part in ("rtp_timestamp", "packet_count", "force_keyframe")),
    RTCSctpTransport: ("_inbound_streams",),
}


def _knows(part: RTCRtpReceiver | RTCRtpSender | RTCSctpTransport) -> bool:
    """Whether this aiortc is one of those this file was written for. Warns once if not."""
    if _version_is_known() and all(hasattr(part, name) for name in _NEEDED[type(part)]):
        return True
    _warn(type(part).__name__)
    return False


@cache
def _version_is_known() -> bool:
    return (1, 15) <= tuple(int(number) for number in version("aiortc").split(".")[:2]) < (1, 17)


@cache
def _warn(part: str) -> None:
    _log.warning("aiortc %s is not one this app adapts (%s): video comes a frame later", version("aiortc"), part)


def _signed32(difference: int) -> int:
    return (difference + _WRAP // 2) % _WRAP - _WRAP // 2


class _AssemblingBuffer(JitterBuffer):
    """Stands where aiortc's buffer was, and never gives a frame: they go to the decoder from `ReceiveTiming`."""

    def __init__(self, take: Callable[[RtpPacket], None]) -> None:
        super().__init__(capacity=1, is_video=True)
        self._take = take

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        self._take(packet)
        return False, None


@dataclass(frozen=True, slots=True)
class CodedFrame:
    """One coded picture as it came. `ticks` is the `pts` of the picture it decodes to."""

    ticks: int
    data: bytes
    codec: str
    """FFmpeg's name."""
    is_iframe: bool


class ReceiveTiming:
    """The receive path of one negotiated video receiver. Make it before the local description is set; `run` it along
    with the connection. Where aiortc is not one we know, `active` is False and every answer is None."""

    def __init__(self, receiver: RTCRtpReceiver, clock: Callable[[], float] = time.monotonic) -> None:
        self.active = _knows(receiver)
        self.last_packet_s: float | None = None
        """When the last packet came, by `clock`."""
        self.codec: str | None = None
        """FFmpeg's name of what the sender sends, once it does."""
        self.keeps_coded = False
        """Whether `take_coded` is being called: coded pictures are kept for it."""
        self._coded: deque[CodedFrame] = deque()
        self._coded_begun = False
        self._iframe_asked_s = -math.inf
        self._iframe_due = False
        self._receiver: Any = receiver
        self._clock = clock
        self._assembler = FrameAssembler(self._is_iframe)
        self._drops: Counter[DropReason] = Counter()
        self._ssrc: int | None = None
        self._timestamp: int | None = None  # of the last frame, counted on beyond 32 bits
        self._arrivals_s: dict[int, float] = {}
        self._report: tuple[float, int] | None = None  # Unix time and RTP timestamp of the same instant
        self._wake = asyncio.Event()
        self._sleeping_until_s = math.inf
        if self.active:
            self._handle_rtcp = receiver._handle_rtcp_packet
            setattr(receiver, _RECEIVER + "jitter_buffer", _AssemblingBuffer(self._on_packet))
            setattr(receiver, _RECEIVER + "nack_generator", None)
            setattr(receiver, _RECEIVER + "remote_bitrate_estimator", SenderBudget())
            vars(receiver)["_handle_rtcp_packet"] = self._on_rtcp  # found before the method of its class

    @property
    def dropped(self) -> Mapping[DropReason, int]:
        """Coded frames that were lost, could not be decoded, or came faster than the decoder, since the start."""
        return self._drops + Counter({DropReason.CORRUPT: self._assembler.dropped})

    def rtp_timestamp(self, picture: VideoFrame) -> int | None:
        """The 32-bit RTP timestamp under which the sender sent this decoded picture."""
        return picture.pts % _WRAP if self.active and picture.pts is not None else None

    def arrived_s(self, picture: VideoFrame) -> float | None:
        """When the last byte of this decoded picture came, by `clock`."""
        return self._arrivals_s.get(picture.pts) if picture.pts is not None else None

    def captured_at(self, rtp_timestamp: int) -> float | None:
        """Unix time, by the sender's clock, of an RTP timestamp; None before the first sender report."""
        if self._report is None:
            return None
        unix_s, reported = self._report
        return unix_s + _signed32(rtp_timestamp - reported) / CLOCK_RATE

    def take_coded(self, ticks: int) -> Iterator[CodedFrame]:
        """The coded pictures up to that of `ticks`, beginning with an I-frame. Each is given once."""
        while self._coded and self._coded[0].ticks <= ticks:
            yield self._coded.popleft()

    def request_iframe(self) -> None:
        """Asks the sender for an I-frame, once a second at most; nothing is left out until it comes."""
        now = self._clock()
        if now - self._iframe_asked_s >= IFRAME_REQUEST_INTERVAL_S:
            self._iframe_asked_s, self._iframe_due = now, True
            self._wake.set()

    async def run(self) -> None:
        """Asks the sender for what is missing. Runs until cancelled."""
        while True:
            now = self._clock()
            feedback = self._assembler.poll(now)
            self._hand_on(now)
            if self._ssrc is not None and feedback.nack:
                await self._receiver._send_rtcp_nack(self._ssrc, list(feedback.nack))
            if self._ssrc is not None and (feedback.pli or self._iframe_due):
                self._iframe_due = False
                await self._receiver._send_rtcp_pli(self._ssrc)
            self._wake.clear()
            self._sleeping_until_s = self._assembler.deadline_s
            wait_s = max(0.0, self._sleeping_until_s - self._clock())
            try:
                async with asyncio.timeout(wait_s if math.isfinite(wait_s) else None):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _on_packet(self, packet: RtpPacket) -> None:
        now = self._clock()
        if packet.ssrc != self._ssrc:
            silent_s = math.inf if self.last_packet_s is None else now - self.last_packet_s
            if self._ssrc is not None and silent_s < SSRC_SILENCE_S:
                return
            self._ssrc, self._report = packet.ssrc, None
            self._assembler.restart()
        self.last_packet_s = now
        codec = self._codec(packet.payload_type)
        self._assembler.add(
            MediaPacket(
                sequence=packet.sequence_number,
                timestamp=packet.timestamp,
                marker=bool(packet.marker),
                data=packet._data,  # type: ignore[attr-defined]  # aiortc sets it, the payload without its header
                starts_frame=starts_frame(codec.name, packet.payload),
                payload_type=packet.payload_type,
                arrived_s=now,
            )
        )
        failed = getattr(self._receiver, _RECEIVER + "decoder_error", None)
        if failed is not None and failed.is_set():
            failed.clear()
            self._drops[DropReason.CORRUPT] += 1
            self._assembler.require_iframe(now)
        self._hand_on(now)
        if self._assembler.deadline_s < self._sleeping_until_s:
            self._wake.set()

    def _hand_on(self, now: float) -> None:
        """Gives whole frames to aiortc's decoder thread, as aiortc does."""
        frames, self._assembler.ready = self._assembler.ready, []
        queue = getattr(self._receiver, _RECEIVER + "decoder_queue")
        for done, frame in enumerate(frames):
            if queue.qsize() >= MAX_DECODER_QUEUE:
                self._drops[DropReason.QUEUE_FULL] += len(frames) - done
                self._assembler.require_iframe(now)
                return
            if self._timestamp is None:
                self._timestamp = frame.timestamp + _WRAP
            self._timestamp += _signed32(frame.timestamp - self._timestamp)
            self._arrivals_s[self._timestamp] = frame.arrived_s
            while len(self._arrivals_s) > MAX_REMEMBERED_ARRIVALS:
                del self._arrivals_s[next(iter(self._arrivals_s))]
            if getattr(self._receiver, _RECEIVER + "decoder_thread"):
                self._keep_coded(frame, self._timestamp)
                queue.put((self._codec(frame.payload_type), JitterFrame(frame.data, self._timestamp)))

    def _keep_coded(self, frame: MediaFrame, ticks: int) -> None:
        self.codec = str(self._codec(frame.payload_type).name).lower()
        if not self.keeps_coded or len(self._coded) >= MAX_KEPT_CODED:
            self._coded.clear()
            self._coded_begun = False
        begins = self._is_iframe(frame) if self.keeps_coded else False
        self._coded_begun = self._coded_begun or begins
        if self._coded_begun:
            self._coded.append(CodedFrame(ticks, frame.data, self.codec, begins))

    async def _on_rtcp(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket) and packet.ssrc == self._ssrc and packet.sender_info.ntp_timestamp:
            unix_s = packet.sender_info.ntp_timestamp / _WRAP - _NTP_TO_UNIX_S
            self._report = unix_s, packet.sender_info.rtp_timestamp
        await self._handle_rtcp(packet)

    def _is_iframe(self, frame: MediaFrame) -> bool:
        return is_iframe(self._codec(frame.payload_type).name, frame.data)

    def _codec(self, payload_type: int) -> Any:
        return getattr(self._receiver, _RECEIVER + "codecs")[payload_type]


def discard_media(receiver: RTCRtpReceiver) -> bool:
    """Has a receiver throw away what it gets, undecoded. False if it cannot: then its track must be read."""
    if not _knows(receiver):
        return False
    receiver._enabled = False
    return True


def rtp_timestamp_origin(sender: RTCRtpSender, previous_timestamp: int) -> int | None:
    """What aiortc adds to our timestamps (a random number), given the timestamp of the last picture sent."""
    if not _knows(sender) or not getattr(sender, _SENDER + "packet_count"):
        return None
    return int(getattr(sender, _SENDER + "rtp_timestamp") - previous_timestamp) % _WRAP


def take_iframe_request(sender: RTCRtpSender) -> bool:
    """Whether the peer asked for an I-frame (PLI or FIR) since the last call."""
    if not _knows(sender) or not getattr(sender, _SENDER + "force_keyframe"):
        return False
    setattr(sender, _SENDER + "force_keyframe", False)
    return True


def unfinished_bytes(transport: RTCSctpTransport) -> int:
    """Bytes held of data channel messages whose end has not come."""
    if not _knows(transport):
        return 0
    streams = transport._inbound_streams.values()
    return sum(len(chunk.user_data) for stream in streams for chunk in stream.reassembly)
