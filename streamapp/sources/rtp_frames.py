"""From RTP packets to whole frames: reordering, loss, retransmission requests and recovery. Pure: no I/O, no clock.

A frame leaves when its last packet (the marker bit, RFC 3550 section 5.1) and everything before it is in. What is
missing is asked for again (generic NACK, RFC 4585 section 6.2.1) until it is too old to wait for; then everything up to
the next I-frame is left out, so that no decoder sees a picture whose references are missing, and the sender is asked
for an I-frame (PLI, RFC 4585 section 6.3.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

NACK_DELAY_S = 0.005
"""A gap younger than this is most often only reordering."""
NACK_INTERVAL_S = 0.05
"""Between requests for the same packet: about one round trip."""
GIVE_UP_S = 0.25
"""A gap older than this is not waited for, and was asked for five times."""
PLI_INTERVAL_S = 0.3
MAX_HELD_PACKETS = 1500
"""More packets than this are not held back behind a gap."""
MAX_JUMP = 3000
MAX_MISORDER = 1000
"""A sequence number further ahead or behind is a restart of the sender if the next one follows it (RFC 3550 A.1)."""

_SEQUENCES = 1 << 16


@dataclass(frozen=True, slots=True)
class MediaPacket:
    """One RTP packet. `sequence` has 16 bits, `timestamp` 32; `data` is the payload without its format's header, empty
    for padding; `starts_frame`: the payload says that it is the first of its frame."""

    sequence: int
    timestamp: int
    marker: bool
    data: bytes
    starts_frame: bool
    payload_type: int
    arrived_s: float


@dataclass(frozen=True, slots=True)
class MediaFrame:
    """All of one coded picture. `timestamp` is the 32-bit RTP timestamp, `arrived_s` when its last byte came."""

    timestamp: int
    data: bytes
    payload_type: int
    arrived_s: float


@dataclass(frozen=True, slots=True)
class Feedback:
    """What to tell the sender now: 16-bit sequence numbers to send again, and whether an I-frame is needed."""

    nack: tuple[int, ...]
    pli: bool


@dataclass(slots=True)
class _Gap:
    since_s: float
    next_nack_s: float


class FrameAssembler:
    """Assembles one stream's frames. Give `add` every packet and call `poll` no later than `deadline_s`; both may put
    frames into `ready`, and `dropped` counts the frames that will never come."""

    def __init__(self, is_iframe: Callable[[MediaFrame], bool]) -> None:
        self.ready: list[MediaFrame] = []
        self.dropped = 0
        self.markers_trusted = True
        """False once the sender set the marker bit inside a frame; frames then wait for the next one's first packet."""
        self._is_iframe = is_iframe
        self._packets: dict[int, MediaPacket] = {}
        self._gaps: dict[int, _Gap] = {}
        self._head: int | None = None  # the next sequence number to leave, counted on beyond 16 bits
        self._scanned = 0  # everything from the head up to here is in and of one frame
        self._highest = 0
        self._head_starts_frame = False
        self._left_any = False
        self._restart_at: int | None = None
        self._last_timestamp: int | None = None
        self._last_dropped_timestamp: int | None = None
        self._needs_iframe = True
        self._next_pli_s = math.inf
        self._last_pli_s = -math.inf

    @property
    def deadline_s(self) -> float:
        """When `poll` has something to do; infinity when it has not."""
        gaps_s = min((min(gap.next_nack_s, gap.since_s + GIVE_UP_S) for gap in self._gaps.values()), default=math.inf)
        return min(gaps_s, self._next_pli_s) if self._needs_iframe else gaps_s

    def add(self, packet: MediaPacket) -> None:
        """Takes a packet as it arrives; late ones and duplicates are ignored."""
        now = packet.arrived_s
        sequence = self._extended(packet, now)
        if sequence is None or sequence in self._packets:
            return
        assert self._head is not None
        if sequence < self._head:
            if self._left_any or self._head - sequence > MAX_MISORDER:
                return
            self._mark_missing(sequence + 1, self._head, now)
            self._head = self._scanned = sequence
        elif sequence > self._highest:
            self._mark_missing(self._highest + 1, sequence, now)
            self._highest = sequence
        self._packets[sequence] = packet
        self._gaps.pop(sequence, None)
        self._release(now)
        if self._gaps:
            self._jump_to_iframe(sequence, now)
        if self._highest - self._head >= MAX_HELD_PACKETS:
            self._skip_past(max(self._gaps, default=self._highest), now)

    def poll(self, now: float) -> Feedback:
        """Gives up on what is too old and says what to ask the sender for."""
        too_old = [sequence for sequence, gap in self._gaps.items() if gap.since_s + GIVE_UP_S <= now]
        if too_old:
            self._skip_past(max(too_old), now)
        nack = []
        for sequence, gap in self._gaps.items():
            if gap.next_nack_s <= now:
                gap.next_nack_s = now + NACK_INTERVAL_S
                nack.append(sequence % _SEQUENCES)
        pli = self._needs_iframe and self._next_pli_s <= now
        if pli:
            self._last_pli_s, self._next_pli_s = now, now + PLI_INTERVAL_S
        return Feedback(tuple(sorted(nack)), pli)

    def require_iframe(self, now: float) -> None:
        """Nothing but an I-frame can be used next: the decoder lost its references."""
        self._needs_iframe = True
        self._next_pli_s = max(now, self._last_pli_s + PLI_INTERVAL_S)

    def restart(self) -> None:
        """Forgets everything: the sender began anew."""
        self._packets.clear()
        self._gaps.clear()
        self._head = None
        self._left_any = self._head_starts_frame = False
        self._restart_at = self._last_timestamp = None
        self._needs_iframe = True

    def _extended(self, packet: MediaPacket, now: float) -> int | None:
        """The packet's sequence number counted on beyond 16 bits, None if it is far off and not a restart."""
        if self._head is not None:
            ahead = (packet.sequence - self._highest + _SEQUENCES // 2) % _SEQUENCES - _SEQUENCES // 2
            if -MAX_MISORDER <= ahead <= MAX_JUMP:
                self._restart_at = None
                return self._highest + ahead
            if packet.sequence != self._restart_at:
                self._restart_at = (packet.sequence + 1) % _SEQUENCES
                return None
            self.restart()
        self._head = self._scanned = self._highest = packet.sequence + _SEQUENCES
        self._next_pli_s = max(now, self._last_pli_s) + PLI_INTERVAL_S
        return self._head

    def _mark_missing(self, first: int, end: int, now: float) -> None:
        for sequence in range(first, end):
            self._gaps[sequence] = _Gap(now, now + NACK_DELAY_S)

    def _release(self, now: float) -> None:
        assert self._head is not None
        while (packet := self._packets.get(self._scanned)) is not None:
            if self._scanned == self._head and not packet.data:
                del self._packets[self._head]  # padding between frames (bandwidth probes): never a frame of its own
                self._head = self._scanned = self._head + 1
                continue
            if packet.data and packet.timestamp != self._packets[self._head].timestamp:
                self._leave(self._scanned, now)
                continue
            self._scanned += 1
            if packet.marker and packet.data and self.markers_trusted:
                self._leave(self._scanned, now)

    def _leave(self, end: int, now: float) -> None:
        """The packets from the head up to `end` are a frame, or the rest of one whose beginning was lost."""
        assert self._head is not None
        parts = [self._packets.pop(sequence) for sequence in range(self._head, end)]
        first = parts[0]
        data = b"".join(part.data for part in parts)
        frame = MediaFrame(first.timestamp, data, first.payload_type, max(part.arrived_s for part in parts))
        whole = self._head_starts_frame or first.starts_frame
        if self._left_any and first.timestamp == self._last_timestamp:
            self.markers_trusted = False
            whole = False
        self._head = self._scanned = end
        self._head_starts_frame = self._left_any = True
        self._last_timestamp = first.timestamp
        if whole and (not self._needs_iframe or self._is_iframe(frame)):
            self._needs_iframe = False
            self._next_pli_s = math.inf
            self.ready.append(frame)
        else:
            self._count_drop(first.timestamp)
            self.require_iframe(now)

    def _skip_past(self, sequence: int, now: float) -> None:
        """Leaves out everything up to `sequence`, and what follows up to the next I-frame."""
        assert self._head is not None
        self._drop_before(sequence + 1)
        self._head_starts_frame = False
        self._left_any = True
        self.require_iframe(now)
        self._release(now)

    def _jump_to_iframe(self, sequence: int, now: float) -> None:
        """A whole I-frame behind a gap makes everything before it unnecessary."""
        if sequence not in self._packets or not self.markers_trusted:
            return
        timestamp = self._packets[sequence].timestamp
        first, last = sequence, sequence
        while (before := self._packets.get(first - 1)) is not None and before.timestamp == timestamp:
            first -= 1
        while (after := self._packets.get(last)) is not None and after.timestamp == timestamp and not after.marker:
            last += 1
        begins = self._packets[first]
        complete = after is not None and after.timestamp == timestamp and begins.data
        if not complete or not (begins.starts_frame or before is not None):
            return
        data = b"".join(self._packets[s].data for s in range(first, last + 1))
        if not self._is_iframe(MediaFrame(timestamp, data, begins.payload_type, now)):
            return
        self._drop_before(first)
        self._head_starts_frame = self._left_any = True
        self._release(now)

    def _drop_before(self, sequence: int) -> None:
        for lost in sorted(s for s, packet in self._packets.items() if s < sequence and packet.data):
            self._count_drop(self._packets[lost].timestamp)
        self._packets = {s: p for s, p in self._packets.items() if s >= sequence}
        self._gaps = {s: gap for s, gap in self._gaps.items() if s >= sequence}
        self._head = self._scanned = sequence

    def _count_drop(self, timestamp: int) -> None:
        if timestamp != self._last_dropped_timestamp:
            self.dropped += 1
        self._last_dropped_timestamp = timestamp
