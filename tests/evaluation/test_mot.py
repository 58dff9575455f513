"""Tracks against labels: CLEAR MOT and IDF1, as py-motmetrics counts them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from streamapp.evaluation.clips import FrameLabels
from streamapp.evaluation.mot import Tally, TrackedFrame, tally
from streamapp.faces import Floats

Box = tuple[float, float, float, float]
Rows = Sequence[tuple[int, Box]]
HERE, NEAR, FAR = (0.0, 0.0, 10.0, 10.0), (2.0, 0.0, 12.0, 10.0), (50.0, 0.0, 60.0, 10.0)


def labels(rows: Rows, ignored: Sequence[Box] = ()) -> FrameLabels:
    return FrameLabels(ids(rows), boxes([box for _, box in rows]), boxes(ignored))


def tracks(rows: Rows) -> TrackedFrame:
    return TrackedFrame(ids(rows), boxes([box for _, box in rows]))


def ids(rows: Rows) -> NDArray[np.int64]:
    return np.array([number for number, _ in rows], np.int64)


def boxes(rows: Sequence[Box]) -> Floats:
    return np.array(rows, np.float32).reshape(-1, 4)


def told(*frames: tuple[Rows, Rows], min_iou: float = 0.5) -> Tally:
    return tally([labels(known) for known, _ in frames], [tracks(found) for _, found in frames], min_iou)


def test_a_person_keeps_the_track_that_had_it_though_another_is_closer() -> None:
    found = told(([(1, HERE)], [(7, HERE)]), ([(1, HERE)], [(8, HERE), (7, NEAR)]))
    assert found.switches.tolist() == [0, 0]
    assert (found.found.sum(), found.reported.sum()) == (2, 3)


def test_another_id_is_a_switch_also_after_a_gap_and_a_gap_is_a_fragment_once_it_ends() -> None:
    found = told(([(1, HERE)], [(7, HERE)]), ([(1, HERE)], []), ([(1, HERE)], []), ([(1, HERE)], [(8, HERE)]))
    assert found.switches.tolist() == [0, 0, 0, 1]
    assert found.fragments.tolist() == [0, 0, 0, 1]
    assert found.found.tolist() == [1, 0, 0, 1]
    assert told(([(1, HERE)], [(7, HERE)]), ([(1, HERE)], [])).fragments.sum() == 0


def test_somebody_who_is_not_in_the_picture_is_not_missed() -> None:
    found = told(([(1, HERE)], [(7, HERE)]), ([], []), ([(1, HERE)], [(7, HERE)]))
    assert (found.fragments.sum(), found.switches.sum(), found.labelled.sum()) == (0, 0, 2)


def test_the_one_id_of_a_person_is_the_one_that_fits_most_frames() -> None:
    first, then = ([(1, HERE)], [(7, HERE)]), ([(1, HERE)], [(8, HERE)])
    assert told(first, then, then, then).kept.tolist() == [0, 1, 1, 1]


def test_the_overlap_counts_from_the_threshold_on() -> None:
    assert told(([(1, HERE)], [(7, NEAR)]), min_iou=0.66).found.sum() == 1
    assert told(([(1, HERE)], [(7, NEAR)]), min_iou=0.67).found.sum() == 0


def test_boxes_on_faces_that_are_not_judged_are_left_out() -> None:
    found = tally([labels([(1, HERE)], ignored=[FAR])], [tracks([(7, HERE), (8, FAR)])], 0.5)
    assert (found.found.sum(), found.reported.sum()) == (1, 1)


def test_a_box_on_a_judged_face_counts_though_one_that_is_not_judged_is_near() -> None:
    found = tally([labels([(1, HERE)], ignored=[NEAR])], [tracks([(7, HERE)])], 0.5)
    assert (found.found.sum(), found.reported.sum()) == (1, 1)


def test_clips_without_anybody_or_anything_are_counted() -> None:
    assert told(([], []), ([], [(1, HERE)]), ([(1, HERE)], [])).reported.tolist() == [0, 1, 0]
    joined = Tally.joined([told(([], [])), told(([(1, HERE)], [(7, HERE)]))])
    assert joined.kept.tolist() == [0, 1]


def scene(people: int, frames: int) -> list[tuple[Rows, Rows]]:
    """People on their ways, with ids that change hands, boxes that are off, missing or made up: nothing is drawn."""
    made: list[tuple[Rows, Rows]] = []
    for frame in range(frames):
        known, found = [], []
        for person in range(people):
            x = 100 + 80 * math.sin(0.05 * frame * (person + 1) + person)
            y = 100 + 60 * math.cos(0.07 * frame * (person + 2) + 2 * person)
            if (frame + 5 * person) % 17:
                known.append((person + 1, (x, y, x + 60, y + 60)))
            holder = (person + frame // 23) % people if person < 2 else person + 10 * (frame // (29 + person))
            off_x, off_y = 14 * math.sin(1.3 * frame + person), 14 * math.cos(0.9 * frame + person)
            if (frame + 3 * person) % 11:
                found.append((100 + holder, (x + off_x, y + off_y, x + off_x + 60, y + off_y + 60)))
        if frame % 9 == 4:
            found.append((900 + frame, (5.0 * frame, 10.0, 5.0 * frame + 60, 70.0)))
        kept = dict(reversed(found))
        made.append((known, list(kept.items())[::-1]))
    return made


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        (2, (225, 82, 88, 10, 62, 0.2, 0.350877)),
        (4, (451, 163, 155, 21, 124, 0.248337, 0.210291)),
        (6, (677, 232, 217, 41, 182, 0.276219, 0.183719)),
    ],
)
def test_the_counts_are_those_of_py_motmetrics(people: int, expected: tuple[float, ...]) -> None:
    """By motmetrics 1.4.0, `MOTAccumulator` with `distances.iou_matrix(max_iou=0.5)`: num_objects, num_misses,
    num_false_positives, num_switches, num_fragmentations, mota, idf1."""
    found = told(*scene(people, 120))
    objects, reported, matched = found.labelled.sum(), found.reported.sum(), found.found.sum()
    switches = found.switches.sum()
    mota = 1 - (objects - matched + reported - matched + switches) / objects
    idf1 = 2 * found.kept.sum() / (objects + reported)
    counts = (objects, objects - matched, reported - matched, switches, found.fragments.sum(), mota, idf1)
    assert counts == pytest.approx(expected, abs=1e-6)
