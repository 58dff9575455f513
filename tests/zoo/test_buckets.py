"""A batch of any length is run in sizes a session knows, and its items get what they would get alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from streamapp.errors import ModelInputInvalid
from streamapp.faces import Floats
from streamapp.zoo.base import TensorShape
from streamapp.zoo.buckets import Buckets

FREE, FIXED = TensorShape("x", (None, 3, 2, 2)), TensorShape("x", (1, 3, 2, 2))
BATCH = np.arange(11 * 12, dtype=np.float32).reshape(11, 3, 2, 2)


class Runs:
    """Gives each item's sum and maximum, and notes the sizes it was run with."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, part: Floats) -> Sequence[Floats]:
        self.sizes.append(len(part))
        return part.sum(axis=(1, 2, 3)).astype(np.float64), part.max(axis=(1, 2, 3))[:, None]


@pytest.mark.parametrize(
    ("shape", "mixes_batch", "fill", "count", "sizes"),
    [
        (FREE, False, False, 11, [8, 2, 1]),
        (FREE, False, False, 4, [4]),
        (FREE, False, True, 11, [8, 4]),
        (FREE, False, True, 5, [8]),
        (FIXED, False, True, 3, [1, 1, 1]),
        (FREE, True, False, 3, [1, 1, 1]),
        (TensorShape("x", (4, 3, 2, 2)), False, False, 5, [4, 4]),
    ],
)
def test_batches_become_runs_of_known_sizes(
    shape: TensorShape, mixes_batch: bool, fill: bool, count: int, sizes: list[int]
) -> None:
    runs = Runs()
    sums, maxima = Buckets.of("net", shape, mixes_batch=mixes_batch, fill=fill).run(BATCH[:count], runs)
    assert runs.sizes == sizes
    assert sums.dtype == np.float32
    assert sums.tolist() == BATCH[:count].sum(axis=(1, 2, 3)).tolist()
    assert maxima.shape == (count, 1)


@pytest.mark.parametrize("shape", [(0, 3, 2, 2), (1, 3, 2, 3), (3, 2, 2), (1, 1, 2, 2)])
def test_batches_of_the_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelInputInvalid, match="net takes"):
        Buckets.of("net", FREE, mixes_batch=False, fill=False).run(np.zeros(shape, np.float32), Runs())


def test_warming_up_uses_only_sizes_that_are_run() -> None:
    blanks = list(
        Buckets.of("net", TensorShape("x", (None, 3, None, None)), mixes_batch=False, fill=True).blanks((1, 3, 8))
    )
    assert [blank.shape for blank in blanks] == [(1, 3, 64, 64), (8, 3, 64, 64)]
    assert [len(blank) for blank in Buckets.of("net", FIXED, mixes_batch=False, fill=True).blanks((1, 2, 8))] == [1]
