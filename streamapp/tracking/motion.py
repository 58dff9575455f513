"""A constant-velocity Kalman filter over many boxes at once.

State of one box: centre x, centre y, width, height in pixels and their rates in pixels per second. The two-by-two
blocks (value, rate) of the four are independent, so the filter is four scalar filters run side by side as arrays.
Noise grows with the size of the box, as in SORT (Bewley et al. 2016, arXiv:1602.00763) and DeepSORT.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Columns = NDArray[np.float64]

POSITION_NOISE = 0.04
"""Standard deviation of a measured value, as a share of the box's height."""
ACCELERATION_NOISE = 10.0
"""Standard deviation of the unmodelled acceleration, in box heights per second squared."""
RATE_NOISE = 1.0
"""Standard deviation of a new track's unknown rate, in box heights per second."""
SIZE_RATE_DAMPING_S = 0.1
"""Rates of width and height die out in this time while nothing is measured: a face does not keep growing."""
MAX_SIZE_CHANGE = 1.5
"""Nor does it, while nothing is measured, become larger or smaller than by this factor."""


class BoxMotion:
    """Motion of N boxes. Rows are added, kept and dropped by the tracker; order is the caller's."""

    def __init__(self) -> None:
        self._values: Columns = np.zeros((0, 4))
        self._rates: Columns = np.zeros((0, 4))
        self._value_variance: Columns = np.zeros((0, 4))
        self._covariance: Columns = np.zeros((0, 4))
        """Of value with rate."""
        self._rate_variance: Columns = np.zeros((0, 4))
        self._measured_sizes: Columns = np.zeros((0, 2))
        """Width and height as of the last measurement."""

    def __len__(self) -> int:
        return len(self._values)

    def boxes(self) -> Columns:
        """The current estimate as x1 y1 x2 y2."""
        half = self._values[:, 2:] / 2
        return np.concatenate([self._values[:, :2] - half, self._values[:, :2] + half], axis=1)

    def add(self, boxes: Columns) -> None:
        """Starts a row for each box, at rest."""
        values = _centred(boxes)
        height = np.repeat(values[:, 3:], 4, axis=1)
        nothing = np.zeros_like(values)
        self._values = np.concatenate([self._values, values])
        self._rates = np.concatenate([self._rates, nothing])
        self._value_variance = np.concatenate([self._value_variance, (POSITION_NOISE * height) ** 2])
        self._covariance = np.concatenate([self._covariance, nothing])
        self._rate_variance = np.concatenate([self._rate_variance, (RATE_NOISE * height) ** 2])
        self._measured_sizes = np.concatenate([self._measured_sizes, values[:, 2:]])

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Drops every row where `rows` is False."""
        self._values, self._rates = self._values[rows], self._rates[rows]
        self._value_variance, self._covariance = self._value_variance[rows], self._covariance[rows]
        self._rate_variance, self._measured_sizes = self._rate_variance[rows], self._measured_sizes[rows]

    def predict(self, elapsed_s: float) -> None:
        """Moves every box on by `elapsed_s` seconds."""
        if not len(self):
            return
        self._values += self._rates * elapsed_s
        self._rates[:, 2:] *= math.exp(-elapsed_s / SIZE_RATE_DAMPING_S)
        smallest, largest = self._measured_sizes / MAX_SIZE_CHANGE, self._measured_sizes * MAX_SIZE_CHANGE
        np.clip(self._values[:, 2:], smallest, largest, out=self._values[:, 2:])
        noise = (ACCELERATION_NOISE * self._values[:, 3:]) ** 2
        moved = self._rate_variance * elapsed_s
        self._value_variance += (2 * self._covariance + moved) * elapsed_s + noise * (elapsed_s**4 / 4)
        self._covariance += moved + noise * (elapsed_s**3 / 2)
        self._rate_variance += noise * elapsed_s**2

    def correct(self, rows: NDArray[np.intp], boxes: Columns) -> None:
        """Takes in one measured box for each of `rows`."""
        if not len(rows):
            return
        measured = _centred(boxes)
        value_variance, covariance = self._value_variance[rows], self._covariance[rows]
        total = value_variance + (POSITION_NOISE * measured[:, 3:]) ** 2
        gain, rate_gain = value_variance / total, covariance / total
        surprise = measured - self._values[rows]
        self._values[rows] += gain * surprise
        self._rates[rows] += rate_gain * surprise
        self._value_variance[rows] = (1 - gain) * value_variance
        self._covariance[rows] = (1 - gain) * covariance
        self._rate_variance[rows] -= rate_gain * covariance
        self._measured_sizes[rows] = np.maximum(self._values[rows, 2:], 1.0)


def _centred(boxes: Columns) -> Columns:
    centred = np.empty((len(boxes), 4))
    np.subtract(boxes[:, 2:], boxes[:, :2], out=centred[:, 2:])
    np.add(boxes[:, 2:], boxes[:, :2], out=centred[:, :2])
    centred[:, :2] /= 2
    np.maximum(centred[:, 2:], 1.0, out=centred[:, 2:])
    return centred
