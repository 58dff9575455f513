"""Weights follow what the members can tell, not how many they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamapp.errors import UsageError
from streamapp.evaluation.degradation import Degradation
from streamapp.evaluation.statistics import Scores
from streamapp.evaluation.weights import fisher_weights, fit_weights
from tests.evaluation.judges import find_face, grey


def levels(distances: tuple[float, ...], correlation: float, count: int = 50_000) -> tuple[Scores, Scores]:
    """Of pairs of the same and of different people, with unit spread; the means lie `distances` apart."""
    rng = np.random.default_rng(2)
    size = len(distances)
    spread = np.full((size, size), correlation) + np.eye(size) * (1 - correlation)
    different = rng.multivariate_normal(np.zeros(size), spread, count).T
    return rng.multivariate_normal(distances, spread, count).T, different


def test_independent_members_weigh_by_their_distance() -> None:
    assert fisher_weights(*levels((2.0, 4.0, 2.0), 0.0)) == pytest.approx([0.25, 0.5, 0.25], abs=0.01)


def test_a_member_that_errs_with_a_better_one_gets_nothing() -> None:
    # With correlation r, a second member helps only if its distance is more than r times the first one's.
    assert fisher_weights(*levels((4.0, 2.0), 0.7)) == pytest.approx([1, 0], abs=1e-9)
    assert fisher_weights(*levels((4.0, 3.5), 0.7))[1] > 0.1


def test_a_few_people_are_too_few(tmp_path: Path) -> None:
    files = [grey(tmp_path / f"{index}.png", 50 + index) for index in range(5)]
    with pytest.raises(UsageError, match="5 pictures"):
        fit_weights(files, [], {}, find_face, Degradation())
