"""How the WebRTC benchmark turns a page's log into latencies: a mistake here would flatter every figure."""

from __future__ import annotations

import math

import pytest

from benchmarks.glass import Latencies, Message, Seen, display_latencies, message_latencies

CAMERA = tuple(Seen(number % 240, 1000 + number * 100 / 3) for number in range(600))


def captured(index: int) -> float:
    return CAMERA[index].at_ms


def test_display_is_timed_from_the_capture_of_the_same_picture() -> None:
    shown = [Seen(index, captured(index) + 40) for index in range(10)]
    assert display_latencies(CAMERA, shown).values_ms == pytest.approx([40.0] * 10)


def test_a_picture_back_before_the_next_one_is_taken_is_counted() -> None:
    """The earliest samples are the ones that a comparison with the local preview used to lose."""
    found = display_latencies(CAMERA, [Seen(5, captured(5) + 1)])
    assert found.values_ms == pytest.approx([1.0])
    assert found.kept == 1.0


def test_numbers_that_begin_again_mean_the_newest_capture() -> None:
    found = display_latencies(CAMERA, [Seen(3, captured(243) + 30)])
    assert found.values_ms == pytest.approx([30.0])


def test_a_repeated_picture_counts_when_it_was_first_displayed() -> None:
    found = display_latencies(CAMERA, [Seen(7, captured(7) + 20), Seen(7, captured(7) + 60)])
    assert found.values_ms == pytest.approx([20.0])
    assert found.total == 1


def test_a_picture_whose_capture_was_not_seen_is_missing_not_wrong() -> None:
    camera = [seen for seen in CAMERA[:20] if seen.number != 4]
    found = display_latencies(camera, [Seen(4, captured(4) + 30), Seen(5, captured(5) + 30)])
    assert found.values_ms == pytest.approx([30.0])
    assert found.kept == 0.5


@pytest.mark.parametrize("clock_error_ms", [-12.0, 0.0, 12.0])
def test_results_use_the_cameras_clock_not_the_servers(clock_error_ms: float) -> None:
    messages = [
        Message(
            arrived_ms=captured(index) + 9,
            captured_ms=captured(index) + clock_error_ms,
            pts_ms=index * 100 / 3,
            detector_ms=2.0,
        )
        for index in range(100)
    ]
    found = message_latencies(CAMERA, messages)
    assert found.values_ms == pytest.approx([9.0] * 100)
    assert found.clock_error_ms == pytest.approx(clock_error_ms)
    assert message_latencies(CAMERA, messages, without_detector=True).values_ms == pytest.approx([7.0] * 100)


def test_results_sent_before_the_server_knew_the_cameras_clock_are_counted() -> None:
    messages = [
        Message(
            arrived_ms=captured(index) + 9,
            captured_ms=captured(index) + (7 if index < 30 else 0),  # at first the time of arrival
            pts_ms=index * 100 / 3,
        )
        for index in range(100)
    ]
    assert message_latencies(CAMERA, messages).values_ms == pytest.approx([9.0] * 100)


def test_results_with_a_number_are_matched_by_it() -> None:
    found = message_latencies(CAMERA, [Message(captured(50) + 41, number=50)])
    assert found.values_ms == pytest.approx([41.0])
    assert found.clock_error_ms is None


def test_percentiles_lie_between_samples_and_nothing_has_none() -> None:
    assert Latencies((10.0, 20.0, 30.0, 40.0), 4).percentile(50) == 25.0
    assert Latencies((10.0, 20.0, 30.0, 40.0), 4).percentile(100) == 40.0
    assert math.isnan(Latencies((), 3).percentile(50))
