"""Figures of merit on scores whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.evaluation.statistics import (
    Share,
    accept_rate_at,
    auc,
    bootstrap,
    bootstrap_difference,
    bootstrap_mean,
    separation,
    threshold_at,
)

MANY = np.array([True] * 10 + [False] * 100)
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
    sure = bootstrap(auc, scores(*[2.0] * 10), MANY)
    unsure = bootstrap(auc, scores(*np.linspace(0.2, 0.9, 10)), MANY)
    assert (sure.low, sure.value, sure.high) == (1, 1, 1)
    assert unsure.low < unsure.value < unsure.high


def test_a_handful_of_cases_gets_no_interval() -> None:
    few = bootstrap(auc, scores(2, 2, 2, 2), SAME)
    assert few.value == 1
    assert np.isnan(few.low)
    assert "too few" in str(few)
    assert "too few" in str(bootstrap_mean(np.arange(9.0)))


def test_a_difference_is_taken_on_the_same_pairs() -> None:
    first = scores(*np.linspace(0.2, 0.9, 10))
    same_again = bootstrap_difference(auc, first, first * 2, MANY)
    assert (same_again.low, same_again.value, same_again.high) == (0, 0, 0)
    worse = bootstrap_difference(auc, scores(*np.linspace(-0.5, 0.2, 10)), first, MANY)
    assert worse.low < worse.value < worse.high < 0


def test_the_mean_has_about_the_interval_of_theory() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)
    estimate = bootstrap_mean(values)
    assert estimate.value == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert (estimate.value - estimate.low, estimate.high - estimate.value) == pytest.approx((half, half), rel=0.15)


@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (7, 8), (0, 30), (500, 1000)])
def test_the_interval_of_a_share_is_wilsons(count: int, total: int) -> None:
    share, z = count / total, 1.959964
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    estimate = Share(count, total).estimate
    assert estimate.value == pytest.approx(share)
    assert (estimate.low, estimate.high) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_a_share_of_nothing_is_not_known() -> None:
    assert np.isnan(Share(0, 0).estimate.value)
    assert str(Share(0, 0)) == "-"
    assert str(Share(1, 2)).startswith("50.0% [9.5%, 90.5%] of 2")


def test_separation_grows_with_the_distance() -> None:
    assert separation(scores(3, 3.1, 2.9, 3), SAME) > separation(scores(1, 1.1, 0.9, 1), SAME) > 0
