"""The limit against simulated paths. A sender sends as much as it is told, up to what it wants."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from streamapp.sources.rtp_bandwidth import MAX_BITS_PER_S, MIN_BITS_PER_S, REPORT_INTERVAL_MS, BandwidthLimit

PACKET = 1200


class Path:
    """A bottleneck with an endless queue, a fixed delay, jitter behind it, and two clocks that differ."""

    def __init__(self, bits_per_s: float, *, jitter_ms: float = 0, clock_ms: float = 12_345_678, seed: int = 1) -> None:
        self.bits_per_s = bits_per_s
        self.limit = BandwidthLimit()
        self.told = 300_000.0
        self.queue_ms = 0.0
        self.reports: list[tuple[float, int]] = []
        self._now_ms = 0.0
        self._free_at_ms = 0.0
        self._jitter_ms = jitter_ms
        self._clock_ms = clock_ms
        self._rng = random.Random(seed)

    def run(self, seconds: float, *, wanted: float = 2_500_000) -> None:
        end_ms = self._now_ms + seconds * 1000
        while self._now_ms < end_ms:
            self._now_ms += 8_000 * PACKET / min(self.told, wanted)
            self._free_at_ms = max(self._free_at_ms, self._now_ms) + 8_000 * PACKET / self.bits_per_s
            self.queue_ms = self._free_at_ms - self._now_ms
            arrival_ms = self._free_at_ms + 20 + self._rng.random() * self._jitter_ms
            sent = int((self._now_ms + self._clock_ms) / 1000 * (1 << 18)) & 0xFFFFFF
            report = self.limit.add(abs_send_time=sent, arrival_time_ms=int(arrival_ms), payload_size=PACKET, ssrc=7)
            if report is not None:
                self.told, ssrcs = report[0], report[1]
                assert ssrcs == [7]
                self.reports.append((arrival_ms, report[0]))


@pytest.mark.parametrize("jitter_ms", [0, 30, 150])
def test_a_path_without_a_standing_queue_is_never_limited(jitter_ms: float) -> None:
    path = Path(100e6, jitter_ms=jitter_ms)
    path.run(130)  # over two wraps of the send time
    assert {bits for _, bits in path.reports} == {MAX_BITS_PER_S}


def test_a_slow_start_does_not_hold_the_sender_down() -> None:
    """What comes in does not bound the limit, as it does in aiortc's estimate."""
    path = Path(100e6)
    path.run(5, wanted=100_000)
    assert path.told == MAX_BITS_PER_S


@pytest.mark.parametrize("bits_per_s", [300_000, 1_000_000, 2_000_000])
def test_a_bottleneck_is_found_and_its_queue_drains(bits_per_s: float) -> None:
    path = Path(bits_per_s)
    path.run(20)
    queues = []
    for _ in range(100):
        path.run(0.3)
        queues.append(path.queue_ms)
    assert sorted(queues)[50] < 250, "the queue stands"
    assert max(queues) < 1500
    told = [bits for _, bits in path.reports[-60:]]
    assert 0.6 * bits_per_s < sum(told) / len(told) < 1.4 * bits_per_s


def test_the_limit_rises_again_when_the_path_is_free() -> None:
    path = Path(500_000)
    path.run(20)
    path.bits_per_s = 100e6
    path.run(30)
    assert path.told == MAX_BITS_PER_S


def test_a_longer_route_is_accepted_in_time() -> None:
    path = Path(100e6)
    path.run(10)
    path._clock_ms -= 200  # every packet takes 200 ms longer from now on
    path.run(100)
    assert path.told > 2_500_000


def test_reports_come_regularly_and_stay_within_bounds() -> None:
    path = Path(50_000)
    path.run(60)
    times = [at for at, _ in path.reports]
    assert all(b - a >= REPORT_INTERVAL_MS - 1 for a, b in pairwise(times))
    assert min(bits for _, bits in path.reports) == MIN_BITS_PER_S
