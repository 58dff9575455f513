"""The vectors of one model, twice: as float32, and as 8-bit numbers that are read four times as fast.

A search reads the small ones for everybody and the large ones for the few that can be among the best. How far the
small ones may be off is known (Cauchy-Schwarz), so the result is that of reading all the large ones.
"""

from __future__ import annotations

import numpy as np
import simsimd
from numpy.typing import NDArray

from streamapp.faces import Floats

_SMALLEST_CAPACITY = 256
_STEPS = 127
_COLUMNS = ("_exact", "_small", "_scales", "_present")


class VectorRows:
    """Rows that are only ever appended, or zeroed. Row i is the i-th person's in all models; zeros where a model has no
    embedding of them. Vectors have length 1."""

    def __init__(self, dimensions: int, rows: int) -> None:
        """`rows` of zeros."""
        self.dimensions = dimensions
        self.count = rows
        self.worst_error = 0.0
        """Length of the largest difference between a row and what its 8-bit form stands for."""
        self._exact = np.zeros((max(rows, _SMALLEST_CAPACITY), dimensions), np.float32)
        self._small = np.zeros(self._exact.shape, np.int8)
        self._scales = np.zeros(len(self._exact), np.float32)
        self._present = np.zeros(len(self._exact), np.float32)

    def append(self, vector: Floats | None) -> None:
        if self.count == len(self._exact):
            self._grow()
        self.count += 1
        if vector is not None:
            self.fill(self.count - 1, vector)

    def fill(self, row: int, vector: Floats) -> None:
        """Writes a row that is zeros. A vector of another length is of another make under the same name: left out."""
        if len(vector) != self.dimensions:
            return
        small, scale, error = _quantised(vector)
        self._exact[row], self._small[row], self._scales[row], self._present[row] = vector, small, scale, 1
        self.worst_error = max(self.worst_error, error)

    def wipe(self, row: int) -> None:
        self._exact[row], self._small[row], self._scales[row], self._present[row] = 0, 0, 0, 0

    def present(self, count: int) -> Floats:
        """float32 [count]: 1 where there is a vector, else 0."""
        return self._present[:count]

    def estimates(self, vector: Floats, count: int) -> tuple[Floats, float]:
        """Cosines of the first `count` rows, float32 [count], and how far they may be off: the length of what the 8-bit
        form of a row leaves out. The query is taken as two 8-bit numbers per element, so it adds next to nothing."""
        coarse, scale, _ = _quantised(vector)
        fine, fine_scale, error = _quantised(vector - coarse * np.float32(scale))
        query, weights = np.stack([coarse, fine]), np.array([scale, fine_scale], np.float32)
        # Not its `out` parameter: simsimd 6.5 then returns a None it does not own, and Python 3.11 dies of it.
        parts = np.asarray(simsimd.cdist(query, self._small[:count], metric="dot", out_dtype="float32"))
        cosines: Floats = weights[0] * parts[0]
        cosines += weights[1] * parts[1]
        cosines *= self._scales[:count]
        return cosines, self.worst_error + 2 * error + 1e-5  # and rounding

    def cosines(self, vector: Floats, rows: NDArray[np.intp]) -> Floats:
        """Exact, float32 [len(rows)]."""
        # Not `@`: it hands even this little to several threads, and waiting for them takes longer on a busy machine.
        found: Floats = np.einsum("ij,j->i", self._exact[rows], vector)
        return found.clip(-1.0, 1.0)

    def of(self, rows: NDArray[np.intp]) -> VectorRows:
        """A copy with these rows only."""
        copy = VectorRows(self.dimensions, len(rows))
        copy.worst_error = self.worst_error
        for name in _COLUMNS:
            getattr(copy, name)[: len(rows)] = getattr(self, name)[rows]
        return copy

    def _grow(self) -> None:
        """Searches that are under way keep the old arrays, whose rows never change but to zeros."""
        for name in _COLUMNS:
            old = getattr(self, name)
            grown = np.zeros((len(old) * 3 // 2, *old.shape[1:]), old.dtype)
            grown[: len(old)] = old
            setattr(self, name, grown)


def _quantised(vector: Floats) -> tuple[NDArray[np.int8], float, float]:
    """int8 [D], what to multiply it by, and the length of what is lost."""
    scale = float(np.abs(vector).max()) / _STEPS
    if scale == 0:
        return np.zeros(len(vector), np.int8), 0.0, 0.0
    small = np.round(vector / np.float32(scale)).astype(np.int8)
    return small, scale, float(np.linalg.norm(vector - small * np.float32(scale)))
