"""Embeddings are compared only with their like, and broken ones match nobody."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.errors import EmbeddingMismatch
from streamapp.findings import NO_MATCH, Embedding, Gender, GenderAge


def embedding(*numbers: float, model: str = "a") -> Embedding:
    return Embedding.of(model, np.array(numbers, np.float32))


def test_similarity_is_the_cosine_whatever_the_lengths() -> None:
    assert embedding(3, 0).similarity(embedding(0.5, 0.5)) == pytest.approx(np.sqrt(0.5))
    assert embedding(1, 2).similarity(embedding(-2, -4)) == pytest.approx(-1)


def test_the_length_before_normalisation_is_kept() -> None:
    made = embedding(3, 4)
    assert made.norm == pytest.approx(5)
    assert np.linalg.norm(made.vector) == pytest.approx(1)


def test_embeddings_of_different_models_are_never_compared() -> None:
    with pytest.raises(EmbeddingMismatch, match="a cannot be compared with one of b"):
        embedding(1, 0).similarity(embedding(1, 0, model="b"))
    with pytest.raises(EmbeddingMismatch):
        embedding(1, 0).similarity(embedding(1, 0, 0))


@pytest.mark.parametrize("broken", [(0.0, 0.0), (np.nan, 1.0), (np.inf, 1.0)])
def test_what_is_no_vector_matches_nobody_not_even_itself(broken: tuple[float, float]) -> None:
    made = embedding(*broken)
    assert not made.is_usable
    assert np.isfinite(made.vector).all()
    assert made.similarity(made) == made.similarity(embedding(1, 0)) == embedding(1, 0).similarity(made) == NO_MATCH
    assert not made.similarity(made) >= -1


def test_gender_is_the_likelier_class() -> None:
    assert GenderAge(0.7, 30).gender is Gender.MALE
    assert GenderAge(0.3, 30).gender is Gender.FEMALE
