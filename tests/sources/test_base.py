"""Frames are numbered in one order and one time, whatever the source's clock does."""

from __future__ import annotations

import json
from collections.abc import Set
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamapp.sources.base import FrameNumbering
from tests.pictures import video_frame

PICTURE = video_frame()


def numbered(times_s: list[float], restarts: Set[int] = frozenset()) -> list[tuple[int, float]]:
    numbering = FrameNumbering("cam")
    given_out = []
    for position, time_s in enumerate(times_s):
        if position in restarts:
            numbering.restart()
        frame = numbering.frame(PICTURE, time_s, arrived_s=0.0)
        given_out.append((frame.index, frame.pts_s))
    return given_out


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.sets(st.integers(1, 30), max_size=3))
def test_time_only_increases_and_what_is_written_of_it_is_all_of_it(times_s: list[float], restarts: set[int]) -> None:
    frames = numbered(times_s, restarts)
    assert [index for index, _ in frames] == list(range(len(times_s)))
    pts = [pts_s for _, pts_s in frames]
    assert pts[0] == 0.0
    assert all(after > before for before, after in pairwise(pts))
    assert [round(pts_s, 6) for pts_s in pts] == pts
    assert json.loads(json.dumps(pts)) == pts


def test_the_times_of_a_recording_are_kept_from_its_first_picture_on() -> None:
    assert [pts_s for _, pts_s in numbered([7.0, 7 + 1 / 3, 7 + 2 / 3])] == [0.0, 0.333333, 0.666667]


def test_a_jump_of_the_clock_and_a_new_beginning_are_taken_out() -> None:
    assert [pts_s for _, pts_s in numbered([5.0, 5.1, 900.0, 900.1, 3.0], {4})] == [0.0, 0.1, 0.101, 0.201, 0.241]
