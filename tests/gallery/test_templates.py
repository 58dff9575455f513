"""One embedding per person and model: the mean of the samples, by quality."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest

from streamapp.findings import Embedding
from streamapp.gallery.people import Consent, Person, PersonRecord, Rejection, Sample
from streamapp.gallery.templates import pooled, template_of
from tests.gallery.enrolments import NOW, consent, face, sample


def plain(model: str, *numbers: float) -> Embedding:
    return Embedding.of(model, np.array(numbers, np.float32))


def test_better_pictures_weigh_more() -> None:
    mean = pooled([Sample((plain("m", 1, 0),), 0.9, NOW), Sample((plain("m", 0, 1),), 0.3, NOW)])["m"]
    np.testing.assert_allclose(mean.vector, np.array([3, 1]) / np.sqrt(10), rtol=1e-5)


def test_a_mean_is_closer_to_a_new_picture_than_the_samples_are() -> None:
    samples = [sample(1, take=take, noise=0.8) for take in range(8)]
    new = face(1, take=99, noise=0.8)["one"]
    singles = [new.similarity(s.embeddings[0]) for s in samples]
    assert new.similarity(pooled(samples)["one"]) > max(singles)


def test_models_are_pooled_apart_and_may_differ_between_samples() -> None:
    both, only = Sample((plain("a", 1, 0), plain("b", 0, 1, 0)), 0.5, NOW), Sample((plain("a", 1, 0),), 0.5, NOW)
    means = pooled([both, only])
    assert {model: len(mean.vector) for model, mean in means.items()} == {"a": 2, "b": 3}


def test_samples_that_cancel_out_leave_nothing_to_match() -> None:
    assert pooled([Sample((plain("a", 1, 0),), 0.5, NOW), Sample((plain("a", -1, 0),), 0.5, NOW)]) == {}


def test_embeddings_of_another_length_are_left_out() -> None:
    means = pooled([Sample((plain("a", 1, 0),), 0.5, NOW), Sample((plain("a", 0, 1, 0),), 0.5, NOW)])
    assert means["a"].vector.tolist() == [1, 0]


def test_a_template_has_the_faces_said_not_to_be_the_person() -> None:
    given: Consent = consent()
    person = Person(UUID(int=1), "Ada", given, NOW, NOW)
    rejections = (Rejection("door", 1, NOW, sample(9)), Rejection("door", 2, NOW, None))
    template = template_of(PersonRecord(person, (sample(1),), rejections))
    assert template.expires_at == given.expires_at
    assert [set(faces) for faces in template.rejected] == [{"one", "two"}]
    assert template.rejected[0]["one"].similarity(face(9)["one"]) == pytest.approx(1)
