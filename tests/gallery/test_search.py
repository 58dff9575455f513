"""What makes a face unfit for a search, and the order of what is found."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest

from streamapp.findings import Embedding
from streamapp.gallery.search import SearchProblem, problem_of, ranked
from tests.gallery.enrolments import FUSION, face

A, B, C = (UUID(int=number) for number in (1, 2, 3))


def test_only_members_of_the_ensemble_are_judged() -> None:
    zeros = Embedding.of("other", np.zeros(4, np.float32))
    assert problem_of({**face(1), "other": zeros}, FUSION) is None
    assert problem_of({"other": zeros}, FUSION) is SearchProblem.NO_SHARED_MODEL
    assert problem_of({"one": zeros}, FUSION) is SearchProblem.UNUSABLE


def test_the_best_come_first_and_ties_always_in_the_same_order() -> None:
    cosines = [(C, {"one": 0.5}), (B, {"one": 0.9}), (A, {"one": 0.5})]
    for order in (cosines, cosines[::-1]):
        matches, vetoed = ranked(face(1), order, {}, FUSION, 3)
        assert [match.person_id for match in matches] == [B, A, C]
        assert vetoed == ()


@pytest.mark.parametrize("cosine", [float("nan"), float("-inf")])
def test_what_is_no_match_is_not_listed(cosine: float) -> None:
    matches, _ = ranked(face(1), [(A, {"one": cosine}), (B, {}), (C, {"one": 0.1})], {}, FUSION, 3)
    assert [match.person_id for match in matches] == [C]


def test_a_veto_needs_a_rejected_face_at_least_as_much_alike() -> None:
    probe, stranger = face(1), face(2)
    for rejected, found in ((probe, [B]), (stranger, [A])):
        matches, vetoed = ranked(probe, [(A, {"one": 0.9}), (B, {"one": 0.2})], {A: (rejected,)}, FUSION, 1)
        assert [match.person_id for match in matches] == found
        assert vetoed == ((A,) if found == [B] else ())
