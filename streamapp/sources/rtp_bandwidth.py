"""How fast a sender may send, told from how long its packets are under way. Pure: no I/O, no clock.

A sender that is told less than it could use sends smaller or fewer pictures, so the limit begins high, falls only when
a queue *stands* somewhere on the path, and rises again by itself, whatever the sender makes of it. aiortc's estimate is
bounded by what comes in, and Chromium sends no more than it is told: the two hold each other down at 200 kbit/s. Short
queues, as from bursts and radio links, are left alone; loss is the sender's own business.
"""

from __future__ import annotations

import math
from collections import deque

MAX_BITS_PER_S = 8_000_000
MIN_BITS_PER_S = 150_000
REPORT_INTERVAL_MS = 500
STANDING_QUEUE_MS = 80
"""A queue is standing when not one packet of the last window was faster than this, beyond the path's own delay."""
WINDOW_MS = 400
BASE_WINDOW_MS = 30_000
"""The path's own delay is the least one in this time: a route that became longer is accepted after it."""
BACK_OFF = 0.85
RISE = 1.08
"""Per report."""

_SEND_TIME_UNITS_PER_MS = (1 << 18) / 1000
_SEND_TIME_WRAP_MS = 64_000


class BandwidthLimit:
    """Has the interface of aiortc's RemoteBitrateEstimator, in whose place it is put."""

    def __init__(self) -> None:
        self.bits_per_s = MAX_BITS_PER_S
        self._delay_ms: float | None = None  # of the last packet, plus the unknown difference of the two clocks
        self._delays: deque[tuple[int, float]] = deque()  # over the window: arrival and delay, ms
        self._base: deque[tuple[int, float]] = deque()  # over the long window: the least of each second
        self._sizes: deque[tuple[int, int]] = deque()  # over a second: arrival in ms and bytes
        self._ssrcs: set[int] = set()
        self._next_report_ms = -math.inf

    def add(
        self, abs_send_time: int, arrival_time_ms: int, payload_size: int, ssrc: int
    ) -> tuple[int, list[int]] | None:
        """Takes a packet with its abs_send_time header extension (24 bits, 6.18 fixed-point seconds). Returns the limit
        in bit/s and the streams it is for when it should be reported (REMB), else None."""
        now = arrival_time_ms
        self._ssrcs.add(ssrc)
        self._note(now, self._delay(abs_send_time, now), payload_size)
        if now < self._next_report_ms:
            return None
        self._next_report_ms = now + REPORT_INTERVAL_MS
        if self._queue_ms() > STANDING_QUEUE_MS:
            self.bits_per_s = max(MIN_BITS_PER_S, int(min(self.bits_per_s, self._incoming_bits_per_s()) * BACK_OFF))
        else:
            self.bits_per_s = min(MAX_BITS_PER_S, int(self.bits_per_s * RISE))
        return self.bits_per_s, sorted(self._ssrcs)

    def _delay(self, abs_send_time: int, now: int) -> float:
        delay_ms = now - abs_send_time / _SEND_TIME_UNITS_PER_MS
        if self._delay_ms is not None:
            half = _SEND_TIME_WRAP_MS / 2
            delay_ms = self._delay_ms + (delay_ms - self._delay_ms + half) % _SEND_TIME_WRAP_MS - half
        self._delay_ms = delay_ms
        return delay_ms

    def _note(self, now: int, delay_ms: float, payload_size: int) -> None:
        self._delays.append((now, delay_ms))
        while self._delays[0][0] < now - WINDOW_MS:
            self._delays.popleft()
        if not self._base or now - self._base[-1][0] >= 1000:
            self._base.append((now, delay_ms))
        elif delay_ms < self._base[-1][1]:
            self._base[-1] = self._base[-1][0], delay_ms
        while self._base[0][0] < now - BASE_WINDOW_MS:
            self._base.popleft()
        self._sizes.append((now, payload_size))
        while self._sizes[0][0] < now - 1000:
            self._sizes.popleft()

    def _queue_ms(self) -> float:
        return min(delay for _, delay in self._delays) - min(delay for _, delay in self._base)

    def _incoming_bits_per_s(self) -> float:
        return 8.0 * sum(size for _, size in self._sizes)
