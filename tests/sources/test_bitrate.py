"""The rate allowed to a sender, on links made of arithmetic: no clock and no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from streamapp.sources.bitrate import MAX_BPS, MIN_BPS, STANDING_QUEUE_MS, SenderBudget

SSRC = 7
PACKET_BYTES = 1000


@dataclass
class Link:
    """A sender that sends what it wants but no more than it may, over a queue that empties at `capacity_bps`."""

    budget: SenderBudget
    capacity_bps: float
    wanted_bps: Callable[[float], float] = lambda now_s: 2_500_000
    pause_ms: Callable[[float], float] = lambda now_s: 0
    way_ms: float = 20
    now_s: float = 30.0  # so that abs-send-time wraps soon
    queue_ms: float = 0
    reports: int = 0

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        allowed_bps = self.budget.bps
        while self.now_s < end_s:
            rate_bps = min(self.wanted_bps(self.now_s), allowed_bps)
            step_s = PACKET_BYTES * 8 / rate_bps
            self.now_s += step_s
            self.queue_ms = max(0.0, self.queue_ms - step_s * 1000) + PACKET_BYTES * 8000 / self.capacity_bps
            arrival_ms = self.now_s * 1000 + self.way_ms + self.queue_ms + self.pause_ms(self.now_s)
            told = self.budget.add(int(self.now_s * (1 << 18)) % (1 << 24), int(arrival_ms), PACKET_BYTES, SSRC)
            if told is not None:
                self.reports += 1
                allowed_bps, ssrcs = told[0], told[1]
                assert ssrcs == [SSRC]


def test_a_quiet_sender_is_not_talked_down() -> None:
    link = Link(SenderBudget(), capacity_bps=50e6, wanted_bps=lambda now_s: 150_000)
    link.run(60)
    assert link.budget.bps == MAX_BPS


def test_the_sender_hears_twice_a_second() -> None:
    link = Link(SenderBudget(), capacity_bps=50e6)
    link.run(10)
    assert link.reports == pytest.approx(20, abs=1)


def test_a_narrow_link_gets_no_more_than_it_carries_and_its_queue_stays_short() -> None:
    link = Link(SenderBudget(), capacity_bps=800_000, wanted_bps=lambda now_s: 1_700_000)
    link.run(10)
    queues_ms = []
    for _ in range(100):
        link.run(0.2)
        queues_ms.append(link.queue_ms)
    assert sorted(queues_ms)[50] < 2 * STANDING_QUEUE_MS
    assert max(queues_ms) < 500
    assert 300_000 < link.budget.bps < 1_200_000


def test_the_rate_comes_back_when_the_link_does() -> None:
    link = Link(SenderBudget(), capacity_bps=400_000)
    link.run(10)
    assert link.budget.bps < 700_000
    link.capacity_bps = 50e6
    link.run(15)
    assert link.budget.bps == MAX_BPS


def test_a_pause_of_the_receiver_is_no_queue() -> None:
    """Every second the event loop is busy for up to 120 ms: packets of that time come late, all others in time."""
    link = Link(SenderBudget(), capacity_bps=50e6, pause_ms=lambda now_s: max(0.0, 120 - now_s % 1 * 1000))
    link.run(30)
    assert link.budget.bps == MAX_BPS


def test_the_rate_never_falls_below_what_a_picture_needs() -> None:
    link = Link(SenderBudget(), capacity_bps=40_000)
    link.run(20)
    assert link.budget.bps >= MIN_BPS


def test_packets_out_of_order_around_the_wrap_are_no_queue() -> None:
    budget = SenderBudget()
    for number in range(6000):
        sent_ms = 50_000 + number * 10 + (-15 if number % 7 == 0 else 0)
        budget.add(int(sent_ms * (1 << 18) / 1000) % (1 << 24), 50_000 + number * 10 + 30, 1000, SSRC)
    assert budget.bps == MAX_BPS
