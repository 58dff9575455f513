"""Figures of merit of scores with labels, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, rankdata

Scores = NDArray[np.float64]
Labels = NDArray[np.bool_]
Metric = Callable[[Scores, Labels], float]

SMALL_SAMPLE = 1000
"""Below so many cases a table says that its sample is small."""
_RESAMPLES = 1000
_MIN_RESAMPLED = 10
"""Drawing fewer cases than this again says nothing about others."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % confidence interval; not a number where nothing is known."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "-"
        interval = "too few for an interval" if np.isnan(self.low) else f"{self.low:.4f}, {self.high:.4f}"
        return f"{self.value:.4f} [{interval}]"


@dataclass(frozen=True, slots=True)
class Share:
    """`count` cases of `total`, and how sure their share is, by Wilson's score interval (1927)."""

    count: int
    total: int

    @property
    def estimate(self) -> Estimate:
        if not self.total:
            return Estimate(np.nan, np.nan, np.nan)
        interval = binomtest(self.count, self.total).proportion_ci(0.95, method="wilson")
        return Estimate(self.count / self.total, float(interval.low), float(interval.high))

    def __str__(self) -> str:
        """In percent."""
        share = self.estimate
        if not self.total:
            return "-"
        return f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}] of {self.total}"


def auc(scores: Scores, same: Labels) -> float:
    """Area under the ROC curve: how often a pair of the same person scores higher than one of different people."""
    ranks = rankdata(scores)
    positive, negative = int(same.sum()), int((~same).sum())
    return float((ranks[same].sum() - positive * (positive + 1) / 2) / (positive * negative))


def threshold_at(scores: Scores, same: Labels, rate: float) -> float:
    """The lowest threshold at which at most `rate` of the pairs of different people score as high or higher."""
    impostors = np.sort(scores[~same])[::-1]
    allowed = int(rate * len(impostors) + 1e-9)
    return float(np.nextafter(impostors[allowed], np.inf)) if allowed < len(impostors) else float("-inf")


def accept_rate_at(rate: float) -> Metric:
    """TAR at that FAR: the share of pairs of the same person that reach its threshold."""

    def metric(scores: Scores, same: Labels) -> float:
        return float((scores[same] >= threshold_at(scores, same, rate)).mean())

    return metric


def separation(scores: Scores, same: Labels) -> float:
    """d': distance of the two means in standard deviations. Tells models apart where none makes a mistake."""
    same_scores, other_scores = scores[same], scores[~same]
    return float((same_scores.mean() - other_scores.mean()) / np.sqrt((same_scores.var() + other_scores.var()) / 2))


def bootstrap(metric: Metric, scores: Scores, same: Labels, *, seed: int = 0) -> Estimate:
    """The metric with the interval of its values on pairs drawn again, with replacement, within each class. No
    interval for classes of fewer than 10."""
    return _bootstrapped(lambda drawn: metric(scores[drawn], same[drawn]), same, seed)


def bootstrap_difference(metric: Metric, first: Scores, second: Scores, same: Labels, *, seed: int = 0) -> Estimate:
    """The metric of `first` less that of `second`, with the interval of that difference on the same pairs."""

    def difference(drawn: NDArray[np.intp]) -> float:
        return metric(first[drawn], same[drawn]) - metric(second[drawn], same[drawn])

    return _bootstrapped(difference, same, seed)


def _bootstrapped(figure: Callable[[NDArray[np.intp]], float], same: Labels, seed: int) -> Estimate:
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(same), np.flatnonzero(~same)]
    value = figure(np.arange(len(same)))
    if min(map(len, classes)) < _MIN_RESAMPLED:
        return Estimate(value, np.nan, np.nan)
    values = [figure(np.concatenate([rng.choice(of, len(of)) for of in classes])) for _ in range(_RESAMPLES)]
    low, high = np.quantile(values, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def bootstrap_mean(values: Scores, *, seed: int = 0) -> Estimate:
    """The mean with the interval of means of values drawn again. No interval for fewer than 10."""
    if len(values) < _MIN_RESAMPLED:
        return Estimate(float(values.mean()) if len(values) else np.nan, np.nan, np.nan)
    means = np.random.default_rng(seed).choice(values, (_RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(values.mean()), float(low), float(high))
