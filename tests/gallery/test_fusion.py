"""Weighted levels of several recognisers; what is missing is made up for and named, what is broken matches nobody."""

from __future__ import annotations

import numpy as np
import pytest

from streamapp.errors import EmbeddingMismatch, UsageError
from streamapp.findings import NO_MATCH, Embedding
from streamapp.gallery.calibration import Calibration
from streamapp.gallery.fusion import Fusion, Member

A = Member(Calibration("a", (0.0, 0.1), (0.0, 1.0), 1000), 0.25)
B = Member(Calibration("b", (0.0, 0.2), (0.0, 1.0), 1000), 0.5)
C = Member(Calibration("c", (0.0, 0.5), (0.0, 1.0), 1000), 0.25)
FUSION = Fusion((A, B, C))


def embedding(model: str, *numbers: float) -> Embedding:
    return Embedding.of(model, np.array(numbers, np.float32))


def test_levels_are_averaged_by_weight_not_cosines() -> None:
    fused = FUSION.fuse({"a": 0.2, "b": 0.2, "c": 0.5})
    assert [score.level for score in fused.scores] == pytest.approx([2, 1, 1])
    assert fused.level == pytest.approx(0.25 * 2 + 0.5 * 1 + 0.25 * 1)
    assert fused.missing == ()


def test_a_missing_member_is_named_and_its_weight_goes_to_the_others() -> None:
    fused = FUSION.fuse({"a": 0.2, "c": 0.5})
    assert fused.missing == ("b",)
    assert [score.weight for score in fused.scores] == pytest.approx([0.5, 0.5])
    assert fused.level == pytest.approx(1.5)


def test_without_any_member_nobody_matches() -> None:
    fused = FUSION.fuse({"other": 0.99})
    assert fused.level == float("-inf")
    assert fused.missing == ("a", "b", "c")


@pytest.mark.parametrize("broken", [(0.0, 0.0), (float("nan"), 1.0)])
def test_an_unusable_embedding_outvotes_all_others(broken: tuple[float, float]) -> None:
    good = {model: embedding(model, 1, 0) for model in "abc"}
    assert FUSION.compare(good, good).level > 1
    assert FUSION.compare(good, {**good, "a": embedding("a", *broken)}).level == float("-inf")


def test_only_members_both_faces_have_are_compared() -> None:
    fused = FUSION.compare(
        {model: embedding(model, 1, 0) for model in "abc"}, {"b": embedding("b", 1, 0), "d": embedding("d", 1, 0)}
    )
    assert [score.model for score in fused.scores] == ["b"]
    assert fused.missing == ("a", "c")


def test_an_embedding_under_a_wrong_name_is_noticed() -> None:
    with pytest.raises(EmbeddingMismatch):
        FUSION.compare({"a": embedding("a", 1, 0)}, {"a": embedding("b", 1, 0)})


def test_an_ensemble_of_nobody_compares_nobody() -> None:
    fused = Fusion(()).compare({"a": embedding("a", 1, 0)}, {"a": embedding("a", 1, 0)})
    assert (fused.scores, fused.level) == ((), NO_MATCH)


@pytest.mark.parametrize("members", [(A, A), (Member(A.calibration, 0.0),)])
def test_an_ensemble_needs_different_members_with_weights(members: tuple[Member, ...]) -> None:
    with pytest.raises(UsageError):
        Fusion(members)
