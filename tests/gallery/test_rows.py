"""Vectors kept twice: the small copy estimates, and says truly how far it may be off."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.faces import Floats
from streamapp.gallery.rows import VectorRows


def unit_vectors(count: int, dimensions: int, seed: int = 0) -> Floats:
    drawn = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    lengths: Floats = np.linalg.norm(drawn, axis=1, keepdims=True)
    return (drawn / lengths).astype(np.float32)


def filled(vectors: Floats) -> VectorRows:
    rows = VectorRows(vectors.shape[1], 0)
    for vector in vectors:
        rows.append(vector)
    return rows


@pytest.mark.parametrize("dimensions", [1, 3, 128, 512, 1000])
@pytest.mark.parametrize("spiky", [False, True])
def test_an_estimate_is_never_further_off_than_it_says(dimensions: int, spiky: bool) -> None:
    vectors = unit_vectors(3000, dimensions)
    if spiky:  # one large element leaves little of the 8 bits for the others
        vectors[:, 0] += 3
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = np.concatenate([vectors[:3], unit_vectors(3, dimensions, 1)])
    rows = filled(vectors)
    for query in queries:
        estimates, error = rows.estimates(query, len(vectors))
        truth = vectors.astype(np.float64) @ query.astype(np.float64)
        assert np.abs(estimates - truth).max() <= error
        assert error < 0.1
        np.testing.assert_allclose(rows.cosines(query, np.arange(len(vectors))), truth, atol=1e-5)


def test_rows_that_came_later_are_not_looked_at() -> None:
    vectors = unit_vectors(2000, 64)
    rows = filled(vectors[:700])
    before, _ = rows.estimates(vectors[0], 700)
    for vector in vectors[700:]:
        rows.append(vector)
    after, _ = rows.estimates(vectors[0], 700)
    np.testing.assert_allclose(after, before)
    assert len(rows.estimates(vectors[0], rows.count)[0]) == 2000


def test_wiped_rows_are_zero_in_every_copy() -> None:
    rows = filled(unit_vectors(5, 16))
    rows.wipe(3)
    assert rows.present(5).tolist() == [1, 1, 1, 0, 1]
    for name in ("_exact", "_small", "_scales"):
        assert not getattr(rows, name)[3].any()
        assert getattr(rows, name)[4].any()


def test_a_row_without_a_vector_or_of_another_length_is_absent() -> None:
    rows = filled(unit_vectors(2, 16))
    rows.append(None)
    rows.append(unit_vectors(1, 8)[0])
    assert rows.count == 4
    assert rows.present(4).tolist() == [1, 1, 0, 0]


def test_a_copy_has_the_rows_asked_for() -> None:
    vectors = unit_vectors(600, 32)
    copy = filled(vectors).of(np.array([5, 1, 599]))
    assert copy.count == 3
    np.testing.assert_array_equal(copy.cosines(vectors[599], np.arange(3)).argmax(), 2)
    assert copy.estimates(vectors[5], 3)[0].argmax() == 0
