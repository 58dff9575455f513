"""A face on its way does not leap, however fast; one that another took the track of does."""

from __future__ import annotations

import math

import pytest

from streamapp.faces import Detector, Track, TrackState
from streamapp.pipeline.leaps import LeapWatch

WIDTH = 40.0


def at(x: float, y: float = 100.0, *, width: float = WIDTH, state: TrackState = TrackState.CONFIRMED) -> Track:
    half = width / 2
    return Track(7, (x - half, y - half, x + half, y + half), 0.9, Detector.MEDIAPIPE, state)


def leaps(*tracks: Track) -> list[int]:
    """The frames in which the track leapt."""
    watch = LeapWatch()
    return [index for index, track in enumerate(tracks) if watch.observe((track,))]


def test_a_fast_face_does_not_leap_once_it_is_on_its_way() -> None:
    assert leaps(*(at(100 + 9 * n) for n in range(20))) == []
    assert leaps(*(at(300 + 120 * math.sin(n / 8), width=40 + n / 2) for n in range(60))) == []


@pytest.mark.parametrize(
    "there", [at(140 + 0.45 * WIDTH), at(140, 100 - 0.45 * WIDTH), at(140, width=57), at(140, width=28)]
)
def test_a_box_that_is_elsewhere_or_of_another_size_has_leapt(there: Track) -> None:
    on_its_way = [at(100 + 4 * n) for n in range(10)]
    assert leaps(*on_its_way, there, there) == [10]


def test_the_same_frame_again_says_nothing() -> None:
    watch = LeapWatch()
    for n in range(10):
        for _ in range(3):
            assert not watch.observe((at(100 + 9 * n),))


def test_a_face_leaps_when_it_is_seen_again_and_not_while_it_is_only_guessed() -> None:
    gone = [at(100 + 60 * n, state=TrackState.COASTING) for n in range(1, 3)]
    assert leaps(at(96), at(98), at(100), *gone, at(100)) == [5]


def test_after_a_leap_the_way_begins_anew() -> None:
    assert leaps(at(100), at(104), at(160), at(180), at(200), at(220)) == [2]


def test_tracks_do_not_mix_and_one_that_is_gone_is_forgotten() -> None:
    watch = LeapWatch()
    other = Track(8, (300, 100, 340, 140), 0.9, Detector.MEDIAPIPE, TrackState.CONFIRMED)
    watch.observe((at(100), other))
    watch.observe((at(101), other))
    assert watch.observe((at(160), other)) == {7}
    watch.observe((at(161), other))
    watch.observe((other,))
    assert not watch.observe((at(400), other))
