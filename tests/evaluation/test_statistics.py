"""Figures of merit on scores whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.evaluation.statistics import accept_rate_at, auc, bootstrap, separation, threshold_at

SAME = np.array([True] * 4 + [False] * 100)
IMPOSTORS = np.linspace(0, 0.99, 100)


def scores(*same: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.concatenate([same, IMPOSTORS])


def test_auc_counts_pairs_in_the_right_order_and_ties_as_half() -> None:
    assert auc(scores(2, 2, 2, 2), SAME) == 1
    assert auc(scores(-1, -1, -1, -1), SAME) == 0
    assert auc(np.array([0.5, 0.5, 0.1]), np.array([True, False, False])) == pytest.approx(0.75)


def test_the_threshold_lets_through_no_more_than_the_rate() -> None:
    for rate, passed in ((0.01, 1), (0.05, 5), (0.001, 0), (0.0, 0)):
        threshold = threshold_at(scores(2, 2, 2, 2), SAME, rate)
        assert (threshold <= IMPOSTORS).sum() == passed


def test_accept_rate_is_the_share_above_that_threshold() -> None:
    assert accept_rate_at(0.01)(scores(0.985, 0.99, 0.5, 0.4), SAME) == pytest.approx(0.5)


def test_the_interval_holds_the_value_and_narrows_where_there_is_no_doubt() -> None:
    sure = bootstrap(auc, scores(2, 2, 2, 2), SAME)
    unsure = bootstrap(auc, scores(0.9, 0.2, 0.7, 0.5), SAME)
    assert (sure.low, sure.value, sure.high) == (1, 1, 1)
    assert unsure.low < unsure.value < unsure.high


def test_separation_grows_with_the_distance() -> None:
    assert separation(scores(3, 3.1, 2.9, 3), SAME) > separation(scores(1, 1.1, 0.9, 1), SAME) > 0
