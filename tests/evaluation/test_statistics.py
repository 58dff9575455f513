"""Figures of merit on scores whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.evaluation.statistics import (
    Rate,
    Share,
    accept_rate_at,
    auc,
    bootstrap,
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_median,
    bootstrap_ratio,
    separation,
    threshold_at,
    times_fewer,
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


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.025, 5.572), (10, 4.795, 18.390)])
def test_the_interval_of_a_rate_is_garwoods(count: int, low: float, high: float) -> None:
    estimate = Rate(count, 2.0).estimate
    assert estimate.value == count / 2
    assert (estimate.low * 2, estimate.high * 2) == pytest.approx((low, high), abs=1e-3)


def test_a_rate_over_no_time_is_not_known() -> None:
    assert np.isnan(Rate(0, 0.0).estimate.value)
    assert str(Rate(0, 0.0)) == "-"
    assert str(Rate(3, 2.0)) == "1.5 [0.3, 4.4] (3)"


def test_how_many_times_fewer_is_the_odds_of_the_share() -> None:
    found = times_fewer(2, 8)
    assert found.value == pytest.approx(0.25)
    share = Share(2, 10).estimate
    assert (found.low, found.high) == pytest.approx((share.low / (1 - share.low), share.high / (1 - share.high)))
    assert times_fewer(0, 4).value == 0
    assert times_fewer(4, 0).value == np.inf
    assert np.isnan(times_fewer(0, 0).value)


def test_a_ratio_of_frames_is_as_sure_as_its_blocks_are_many() -> None:
    parts = np.repeat(np.random.default_rng(1).random(40) < 0.5, 50).astype(np.float64)
    wholes = np.ones(len(parts))
    blocks = np.repeat(np.arange(40), 50)
    found = bootstrap_ratio(parts, wholes, blocks)
    assert found.value == pytest.approx(parts.mean())
    half = 1.96 * np.sqrt(found.value * (1 - found.value) / 40)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.15)
    by_frame = bootstrap_ratio(parts, wholes, np.arange(len(parts)))
    assert by_frame.high - by_frame.low < (found.high - found.low) / 4


def test_few_blocks_give_no_interval_and_nothing_no_ratio() -> None:
    some = np.ones(9)
    assert np.isnan(bootstrap_ratio(some, some, np.arange(9)).low)
    assert np.isnan(bootstrap_ratio(some * 0, some * 0, np.arange(9)).value)
    assert np.isnan(bootstrap_ratio(np.zeros(0), np.zeros(0), np.zeros(0, np.int64)).value)


def test_the_median_is_not_moved_by_one_that_is_far_off() -> None:
    values = np.append(np.linspace(0, 1, 11), 1000.0)
    found = bootstrap_median(values)
    assert found.value == pytest.approx(0.55)
    assert found.high <= 1
