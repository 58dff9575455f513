"""Figures of merit of scores with labels, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Scores = NDArray[np.float64]
Labels = NDArray[np.bool_]
Metric = Callable[[Scores, Labels], float]

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


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
    """The metric with the interval of its values on pairs drawn again, with replacement, within each class."""
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(same), np.flatnonzero(~same)]
    values = []
    for _ in range(_RESAMPLES):
        drawn = np.concatenate([rng.choice(members, len(members)) for members in classes])
        values.append(metric(scores[drawn], same[drawn]))
    low, high = np.quantile(values, (0.025, 0.975))
    return Estimate(metric(scores, same), float(low), float(high))
