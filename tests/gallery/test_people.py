"""Records refuse what must not get into a gallery."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from streamapp.errors import EnrolmentInvalid
from streamapp.findings import Embedding
from streamapp.gallery.people import MAX_NAME_LENGTH, MAX_SAMPLES, Consent, Enrolment, Sample, is_sound
from tests.gallery.enrolments import NOW, consent, enrolment, face, sample

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Consent("", "text", NOW, NOW + 1),
        lambda: Consent("Ada", " ", NOW, NOW + 1),
        lambda: Consent("Ada", "text", NOW, NOW),
        lambda: Consent("Ada", "text", NOW, INF),
        lambda: Consent("Ada", "text", NAN, NOW),
    ],
)
def test_consent_says_who_to_what_and_until_when(make: Callable[[], Consent]) -> None:
    with pytest.raises(EnrolmentInvalid) as caught:
        make()
    assert caught.value.http_status == 422


@pytest.mark.parametrize("raw", [[0.0, 0.0], [NAN, 1.0], [INF, 1.0]])
def test_a_broken_embedding_cannot_be_enrolled(raw: list[float]) -> None:
    broken = Embedding.of("one", np.array(raw, np.float32))
    assert not is_sound(broken)
    with pytest.raises(EnrolmentInvalid, match="zero or not a number"):
        Sample((broken,), 0.5, NOW)


def test_a_vector_that_only_claims_to_be_usable_is_not() -> None:
    assert not is_sound(Embedding("one", np.array([NAN, 1], np.float32), 1.0))
    assert not is_sound(Embedding("one", np.zeros(4, np.float32), 1.0))
    assert is_sound(face(1)["one"])


@pytest.mark.parametrize("quality", [0.0, -1.0, 1.1, NAN])
def test_quality_is_a_share(quality: float) -> None:
    with pytest.raises(EnrolmentInvalid):
        Sample(sample(1).embeddings, quality, NOW)


def test_a_sample_has_one_embedding_per_model() -> None:
    with pytest.raises(EnrolmentInvalid):
        Sample((), 0.5, NOW)
    with pytest.raises(EnrolmentInvalid):
        Sample((face(1)["one"], face(2)["one"]), 0.5, NOW)


@pytest.mark.parametrize("name", ["", "  ", "x" * (MAX_NAME_LENGTH + 1)])
def test_a_name_is_neither_empty_nor_endless(name: str) -> None:
    with pytest.raises(EnrolmentInvalid):
        Enrolment(name, consent(), (sample(1),))


@pytest.mark.parametrize("count", [0, MAX_SAMPLES + 1])
def test_an_enrolment_has_some_samples_and_not_too_many(count: int) -> None:
    with pytest.raises(EnrolmentInvalid):
        Enrolment("Ada", consent(), (sample(1),) * count)
    assert len(enrolment("Ada", 1).samples) == 2
