"""One scale for the scores of all recognisers: how rarely two different people look that much alike.

The same cosine means different things in different models. A level is the number of standard deviations of a normal
distribution that is exceeded as rarely as that cosine is by pairs of different people: 2.33 is a false accept rate
(FAR) of 1 %, 3.09 of 0.1 %. Levels of several models can be averaged; a plain mean of cosines falls behind the best
member. The rates hold for faces like those of the calibration: small or blurred faces of different people look more
alike, so that false accepts are more frequent than their level says (docs/evaluation.md has figures).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from streamapp.errors import UsageError

Scores = NDArray[np.float64]

_RATES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_MIN_PAIRS_BEYOND = 3
"""A point of the curve rests on at least so many pairs with higher scores."""
_MIN_PAIRS = 20
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Calibration:
    """The curve of one model: cosines, rising, and the level of each. Straight between them, and beyond the ends along
    the line from the first point to the last."""

    model: str
    cosines: tuple[float, ...]
    levels: tuple[float, ...]
    impostor_pairs: int
    """How many pairs of different people it rests on: below a FAR of one in so many it is an extrapolation."""

    def __post_init__(self) -> None:
        rising = all(a < b for points in (self.cosines, self.levels) for a, b in pairwise(points))
        if len(self.cosines) < 2 or len(self.cosines) != len(self.levels) or not rising:
            raise UsageError(f"the calibration of {self.model} is not a rising curve of two points or more")

    @classmethod
    def fit(cls, model: str, impostors: Scores) -> Calibration:
        """From cosines of pairs of different people. Raises UsageError for too few, or for no spread."""
        finite = np.sort(impostors[np.isfinite(impostors)])
        if len(finite) < _MIN_PAIRS:
            raise UsageError(f"{len(finite)} pairs of different people are too few to calibrate {model}")
        points: list[tuple[float, float]] = []
        for rate in _RATES:
            if rate * len(finite) < _MIN_PAIRS_BEYOND:
                break
            cosine = float(np.quantile(finite, 1 - rate))
            if not points or cosine > points[-1][0]:
                points.append((cosine, _NORMAL.inv_cdf(1 - rate)))
        return cls(model, tuple(c for c, _ in points), tuple(level for _, level in points), len(finite))

    def level(self, cosine: float) -> float:
        """The level of a cosine; minus infinity for what is not a number or no match at all."""
        if not cosine > float("-inf"):
            return float("-inf")
        (first, *_, last), (low, *_, high) = self.cosines, self.levels
        slope = (high - low) / (last - first)
        if cosine <= first:
            return low + (cosine - first) * slope
        if cosine >= last:
            return high + (cosine - last) * slope
        return float(np.interp(cosine, self.cosines, self.levels))

    def levels_of(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `level`, for many numbers at once: one line, bent at each point of the curve."""
        slopes = self._slopes
        levels = cosines * np.float32(slopes[0])
        levels += np.float32(self.levels[0] - slopes[0] * self.cosines[0])
        beyond = np.empty_like(levels)
        for cosine, before, after in zip(self.cosines, slopes, slopes[1:], strict=False):
            np.subtract(cosines, np.float32(cosine), out=beyond)
            np.maximum(beyond, 0, out=beyond)
            beyond *= np.float32(after - before)
            levels += beyond
        return levels

    @property
    def steepest(self) -> float:
        """How much a level changes with a cosine, at most."""
        return max(self._slopes)

    @property
    def _slopes(self) -> tuple[float, ...]:
        """Before the first point, between each two, after the last."""
        points = list(zip(self.cosines, self.levels, strict=True))
        (first, low), (last, high) = points[0], points[-1]
        between = tuple((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairwise(points))
        ends = (high - low) / (last - first)
        return (ends, *between, ends)

    def to_toml(self) -> str:
        cosines = ", ".join(f"{cosine:.4f}" for cosine in self.cosines)
        levels = ", ".join(f"{level:.4f}" for level in self.levels)
        return (
            f'[[calibration]]\nmodel = "{self.model}"\nimpostor_pairs = {self.impostor_pairs}\n'
            f"cosines = [{cosines}]\nlevels = [{levels}]\n"
        )


def parse_calibrations(text: str) -> Mapping[str, Calibration]:
    """The curves of a calibration file, by model. Raises UsageError."""
    try:
        entries: Sequence[Mapping[str, object]] = tomllib.loads(text).get("calibration", [])
        curves = [_curve(entry) for entry in entries]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"the calibration file cannot be read: {error}") from error
    return {curve.model: curve for curve in curves}


def _curve(entry: Mapping[str, object]) -> Calibration:
    cosines, levels, pairs = entry["cosines"], entry["levels"], entry["impostor_pairs"]
    if not isinstance(cosines, list) or not isinstance(levels, list) or not isinstance(pairs, int):
        raise TypeError("cosines and levels are lists, impostor_pairs is a whole number")
    return Calibration(str(entry["model"]), tuple(map(float, cosines)), tuple(map(float, levels)), pairs)


def level_of_rate(rate: float) -> float:
    """The level that different people reach as rarely as `rate`, above 0 and below 1."""
    return -_NORMAL.inv_cdf(rate)


def false_accept_rate(level: float) -> float:
    """The FAR a level stands for."""
    return 1 - _NORMAL.cdf(level) if level < 8 else 0.5 * float(np.exp(-level * level / 2))
