"""When pictures of a recording are due."""

from __future__ import annotations

import pytest

from streamapp.sources.pacing import Pacer


def test_pictures_are_due_at_their_own_intervals() -> None:
    pacer = Pacer()
    assert [pacer.due_s(pts_s, 100.0) for pts_s in (7.0, 7.5, 7.6)] == pytest.approx([100.0, 100.5, 100.6])


@pytest.mark.parametrize("jumped_pts_s", [2.0, 7000.0])
def test_a_jump_of_the_clock_is_one_picture_interval(jumped_pts_s: float) -> None:
    pacer = Pacer()
    pacer.due_s(7.0, 100.0)
    assert pacer.due_s(jumped_pts_s, 100.0) == pytest.approx(100.04)
    assert pacer.due_s(jumped_pts_s + 0.5, 100.0) == pytest.approx(100.54)


def test_a_new_round_follows_on_from_the_last_one() -> None:
    pacer = Pacer()
    pacer.due_s(0.0, 100.0)
    pacer.due_s(0.5, 100.0)
    pacer.restart()
    assert pacer.due_s(0.0, 100.5) == pytest.approx(100.54)


def test_a_little_lateness_is_caught_up_and_much_is_not() -> None:
    pacer = Pacer()
    pacer.due_s(0.0, 100.0)
    assert pacer.due_s(0.1, 100.9) == pytest.approx(100.1)
    assert pacer.due_s(0.2, 160.0) == pytest.approx(160.0)
    assert pacer.due_s(0.3, 160.0) == pytest.approx(160.1)
