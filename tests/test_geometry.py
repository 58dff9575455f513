"""Overlap of boxes."""

from __future__ import annotations

import numpy as np

from streamapp.geometry import box_areas, pairwise_cover, pairwise_iou

UNIT = np.array([[0.0, 0.0, 10.0, 10.0]])


def test_a_box_overlaps_itself_fully_and_a_far_one_not_at_all() -> None:
    others = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0], [5.0, 0.0, 15.0, 10.0]])
    assert np.allclose(pairwise_iou(UNIT, others), [[1.0, 0.0, 1 / 3]])


def test_inverted_and_empty_boxes_have_no_area_and_no_overlap() -> None:
    broken = np.array([[10.0, 10.0, 0.0, 0.0], [5.0, 5.0, 5.0, 5.0]])
    assert box_areas(broken).tolist() == [0.0, 0.0]
    assert pairwise_iou(broken, broken).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_no_boxes_give_an_empty_table() -> None:
    assert pairwise_iou(np.zeros((0, 4)), UNIT).shape == (0, 1)


def test_a_box_inside_another_is_covered_however_large_that_is() -> None:
    others = np.array(
        [[-90.0, -90.0, 110.0, 110.0], [5.0, 0.0, 15.0, 10.0], [5.0, 5.0, 7.0, 7.0], [20.0, 0.0, 30.0, 10.0]]
    )
    assert np.allclose(pairwise_cover(UNIT, others), [[1.0, 0.5, 1.0, 0.0]])
    assert np.allclose(pairwise_cover(others, UNIT), pairwise_cover(UNIT, others).T)


def test_boxes_without_area_cover_nothing() -> None:
    assert pairwise_cover(np.array([[5.0, 5.0, 5.0, 5.0]]), UNIT).tolist() == [[0.0]]
    assert pairwise_cover(np.zeros((0, 4)), UNIT).shape == (0, 1)
