"""How fast a sender may send, as told to it in REMB messages (draft-alvestrand-rmcat-remb-03). It answers to aiortc's
receiver in place of aiortc's own estimate.

That one never allows more than 1.5 times what came in. A browser's encoder sends no more than it is allowed, so on a
quiet scene the two talk each other down: Chromium ended at 0.2 Mbit/s and 4 pictures a second on a loopback link, for
ever. This one starts at the limit, goes down only for a queue that stands on the way, and comes back by itself.
"""

from __future__ import annotations

from collections import deque

MAX_BPS = 6_000_000
MIN_BPS = 150_000
INTERVAL_MS = 200
"""A queue stands if no packet of such an interval got through quickly: a pause of ours delays some, not all."""
STANDING_QUEUE_MS = 60
BASE_INTERVALS = 50
"""The quickest packet of the last 10 s says how long the way takes with no queue on it."""
RATE_INTERVALS = 3
REPORT_MS = 500
DECREASE = 0.85
INCREASE = 1.06
HOLD_MS = 600
"""After going down, what is on the way already needs time to get through."""

_SEND_TIME_BITS = 24
_TICKS_PER_MS = (1 << 18) / 1000  # abs-send-time is 6.18 fixed point seconds, it wraps at 64 s


class SenderBudget:
    """The rate one sender may use. `add` has the signature of aiortc's RemoteBitrateEstimator."""

    def __init__(self, max_bps: int = MAX_BPS) -> None:
        self._max_bps = max_bps
        self.bps = float(max_bps)
        self._ssrcs: dict[int, None] = {}
        self._send_ticks: int | None = None
        self._interval_began_ms: int | None = None
        self._interval_delay_ms = float("inf")
        self._interval_bytes = 0
        self._delays_ms: deque[float] = deque(maxlen=BASE_INTERVALS)
        self._bytes: deque[int] = deque(maxlen=RATE_INTERVALS)
        self._reported_ms: int | None = None
        self._held_until_ms = 0

    def add(
        self, abs_send_time: int, arrival_time_ms: int, payload_size: int, ssrc: int
    ) -> tuple[int, list[int]] | None:
        """Notes a packet: abs_send_time as in its header, arrival in ms of any clock. Returns the rate in bit/s and
        the SSRCs it is for when it is time to tell the sender, else None."""
        self._ssrcs[ssrc] = None
        delay_ms = arrival_time_ms - self._sent_ms(abs_send_time)
        if self._interval_began_ms is None:
            self._interval_began_ms = arrival_time_ms
        lowered = False
        if arrival_time_ms - self._interval_began_ms >= INTERVAL_MS:
            lowered = self._close_interval(arrival_time_ms)
        self._interval_delay_ms = min(self._interval_delay_ms, delay_ms)
        self._interval_bytes += payload_size
        due = self._reported_ms is None or arrival_time_ms - self._reported_ms >= REPORT_MS
        if not due and not lowered:
            return None
        self._reported_ms = arrival_time_ms
        return int(self.bps), list(self._ssrcs)

    def _close_interval(self, now_ms: int) -> bool:
        """Judges the interval that is over. True if the rate went down."""
        assert self._interval_began_ms is not None
        span_ms = now_ms - self._interval_began_ms
        self._delays_ms.append(self._interval_delay_ms)
        self._bytes.append(round(self._interval_bytes * INTERVAL_MS / span_ms))
        queue_ms = self._interval_delay_ms - min(self._delays_ms)
        self._interval_began_ms, self._interval_delay_ms, self._interval_bytes = now_ms, float("inf"), 0
        if queue_ms < STANDING_QUEUE_MS:
            if now_ms >= self._held_until_ms:
                self.bps = min(self._max_bps, self.bps * INCREASE)
            return False
        if now_ms < self._held_until_ms:
            return False
        incoming_bps = sum(self._bytes) * 8000 / (INTERVAL_MS * len(self._bytes))
        self.bps = max(MIN_BPS, DECREASE * min(self.bps, incoming_bps))
        self._held_until_ms = now_ms + HOLD_MS
        return True

    def _sent_ms(self, abs_send_time: int) -> float:
        """The sender's time in ms, from any origin, counted on when it wraps; packets may come out of order."""
        if self._send_ticks is None:
            self._send_ticks = abs_send_time
        half = 1 << (_SEND_TIME_BITS - 1)
        ahead = (abs_send_time - self._send_ticks + half) % (2 * half) - half
        sent_ticks = self._send_ticks + ahead
        self._send_ticks = max(self._send_ticks, sent_ticks)
        return sent_ticks / _TICKS_PER_MS
