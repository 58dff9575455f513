"""Figures of merit of scores with labels, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2, rankdata

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


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` events in so many units of time, and how sure their rate is, by the exact interval of a Poisson
    distribution (Garwood 1936)."""

    count: int
    units: float

    @property
    def estimate(self) -> Estimate:
        if not self.units > 0:
            return Estimate(np.nan, np.nan, np.nan)
        low = float(chi2.ppf(0.025, 2 * self.count)) / 2 if self.count else 0.0
        high = float(chi2.ppf(0.975, 2 * self.count + 2)) / 2
        return Estimate(self.count / self.units, low / self.units, high / self.units)

    def __str__(self) -> str:
        rate = self.estimate
        return f"{rate.value:.1f} [{rate.low:.1f}, {rate.high:.1f}] ({self.count})" if self.units > 0 else "-"


def times_fewer(count: int, other: int) -> Estimate:
    """`count` events to each of `other`, over the same time: the interval is that of the share (Wilson) as odds."""
    share = Share(count, count + other).estimate
    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high = (float(np.float64(p) / (1 - p)) for p in (share.value, share.low, share.high))
    return Estimate(value, low, high)


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


def bootstrap_ratio(parts: Scores, wholes: Scores, blocks: NDArray[np.int64], *, seed: int = 0) -> Estimate:
    """Sum of `parts` over sum of `wholes`, with the interval of that of blocks drawn again: neighbouring frames are
    alike, so that stretches of them are drawn, not frames. blocks: the number of each one's block, from 0 on. No
    interval for fewer than 10 blocks."""
    count = int(blocks.max()) + 1 if len(blocks) else 0
    sums = [np.bincount(blocks, weights=values, minlength=count) for values in (parts, wholes)]
    value = float(parts.sum() / wholes.sum()) if wholes.sum() else np.nan
    if count < _MIN_RESAMPLED or np.isnan(value):
        return Estimate(value, np.nan, np.nan)
    drawn = np.random.default_rng(seed).integers(count, size=(_RESAMPLES, count))
    top, bottom = (of[drawn].sum(axis=1) for of in sums)
    low, high = np.quantile(top[bottom > 0] / bottom[bottom > 0], (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def bootstrap_mean(values: Scores, *, seed: int = 0) -> Estimate:
    """The mean with the interval of means of values drawn again. No interval for fewer than 10."""
    return _of_values(np.mean, values, seed)


def bootstrap_median(values: Scores, *, seed: int = 0) -> Estimate:
    """As `bootstrap_mean`."""
    return _of_values(np.median, values, seed)


def _of_values(figure: Callable[..., Scores], values: Scores, seed: int) -> Estimate:
    if len(values) < _MIN_RESAMPLED:
        return Estimate(float(figure(values)) if len(values) else np.nan, np.nan, np.nan)
    drawn = np.random.default_rng(seed).choice(values, (_RESAMPLES, len(values)))
    low, high = np.quantile(figure(drawn, axis=1), (0.025, 0.975))
    return Estimate(float(figure(values)), float(low), float(high))
