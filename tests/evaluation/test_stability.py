"""Labels that change are counted once there was one, by face, and set against those of crops alone."""

from __future__ import annotations

import math

import pytest

from streamapp.evaluation.crop_log import GENDER, LIVENESS
from streamapp.evaluation.shown_faces import ShownFace
from streamapp.evaluation.stability import NAME, Comparison, compare
from tests.evaluation.shown import ACCEPT, FRAME_S, OPEN, UNKNOWN, WAY, crop, face, named


def labelled(shown: list[str | None], alone: list[str | None], label: str = GENDER) -> list[ShownFace]:
    return [
        face(
            frame,
            None,
            crop(labels={} if one is None else {label: one}),
            labels={} if mine is None else {label: mine},
        )
        for frame, (mine, one) in enumerate(zip(shown, alone, strict=True))
    ]


def compared(*faces: ShownFace) -> Comparison:
    return compare(faces, WAY, video_s=60.0)


def test_each_change_of_a_label_counts_and_frames_without_one_are_passed_over() -> None:
    found = compared(*labelled(["male"] * 5, ["male", "female", None, "male", "male"]))
    (row,) = [row for row in found.flicker if row.label == GENDER]
    assert (row.app.count, row.alone.count) == (0, 2)
    assert row.app.units == pytest.approx(5 * FRAME_S / 60)
    assert row.alone.units == pytest.approx(4 * FRAME_S / 60)
    assert row.ratio.value == 0


def test_the_way_to_the_first_decision_is_no_change_but_losing_it_is() -> None:
    opening = labelled(["undecided", "undecided", "live", "live"], ["live", "undecided", "live", "spoof"], LIVENESS)
    (row,) = [row for row in compared(*opening).flicker if row.label == LIVENESS]
    assert (row.app.count, row.alone.count) == (0, 3)


def test_faces_do_not_mix() -> None:
    two = [face(f, None, labels={GENDER: g}, person=p) for f in range(3) for g, p in (("male", "a"), ("female", "b"))]
    (row,) = [row for row in compared(*two).flicker if row.label == GENDER]
    assert row.app.count == 0


def test_names_that_come_and_go_are_changes_of_the_name() -> None:
    told = (OPEN, named("Ada"), named("Ada"), OPEN, named("Ada"), UNKNOWN)
    found = compared(*(face(frame, one, crop("Ada", ACCEPT + 1)) for frame, one in enumerate(told)))
    row = found.flicker[0]
    assert (row.label, row.app.count, row.alone.count) == (NAME, 3, 0)


def test_a_label_that_is_never_shown_has_no_row() -> None:
    assert [row.label for row in compared(*(face(f, named("Ada"), crop("Ada", 9.0)) for f in range(2))).flicker] == [
        NAME
    ]


def test_the_goal_is_a_third_of_the_errors_and_of_the_changes() -> None:
    calm = labelled(["male"] * 8, ["male", "female"] * 4)
    assert compared(*calm).meets_goal
    assert not compared(*labelled(["male", "female"] * 4, ["male"] * 8)).meets_goal
    wrong = [face(f, named("Grace") if f == 3 else named("Ada"), crop("Ada", 9.0)) for f in range(8)]
    assert compared(*wrong).error_ratio.value == float("inf")
    assert not compared(*wrong).meets_goal


def test_where_neither_errs_there_is_nothing_to_miss() -> None:
    quiet = compared(*(face(f, named("Ada"), crop("Ada", 9.0)) for f in range(4)))
    assert math.isnan(quiet.error_ratio.value)
    assert quiet.meets_goal
