"""Records as bytes come back as they were; anything else is refused."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest

from streamapp.errors import GalleryUnusable
from streamapp.gallery.people import Rejection
from streamapp.gallery.record_format import (
    pack_profile,
    pack_rejection,
    pack_sample,
    unpack_person,
    unpack_rejection,
    unpack_sample,
)
from tests.gallery.enrolments import NOW, consent, sample

ID = UUID(int=1)


def test_a_sample_comes_back() -> None:
    given = sample(3)
    back = unpack_sample(pack_sample(given))
    assert (back.quality, back.taken_at) == (given.quality, given.taken_at)
    for a, b in zip(back.embeddings, given.embeddings, strict=True):
        assert (a.model, a.norm) == (b.model, b.norm)
        np.testing.assert_array_equal(a.vector, b.vector)


def test_a_rejection_comes_back_with_and_without_a_face() -> None:
    assert unpack_rejection(pack_rejection(Rejection("door", 7, NOW, None))) == Rejection("door", 7, NOW, None)
    back = unpack_rejection(pack_rejection(Rejection("door", 7, NOW, sample(3))))
    assert back.sample is not None
    assert back.sample.embeddings[0].similarity(sample(3).embeddings[0]) == pytest.approx(1)


def test_a_profile_comes_back_whatever_the_name() -> None:
    for name in ("Ada", "名前", '<img onerror="x">', "a\nb"):
        person = unpack_person(pack_profile(name, consent()), ID, NOW, NOW + 1)
        assert (person.name, person.consent, person.created_at, person.last_seen_at) == (name, consent(), NOW, NOW + 1)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]\n", b"{", pack_sample(sample(1))[:-4], pack_sample(sample(1)) + b"1234"]
)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(GalleryUnusable):
        unpack_sample(data)
    with pytest.raises(GalleryUnusable):
        unpack_rejection(data)
    with pytest.raises(GalleryUnusable):
        unpack_person(data, ID, NOW, NOW)
