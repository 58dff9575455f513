"""One look at a picture: who is in it, and whether two show the same person."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from streamapp.enrolment.appraisal import Appraisal
from streamapp.enrolment.enroller import Enrolled, Enroller
from streamapp.enrolment.recognition import identified, verified
from streamapp.errors import ModelMissing
from streamapp.gallery.gate import FaceView, Refusal, RefusalCode
from streamapp.models import Models
from streamapp.results import IdentityReason, IdentityState, LivenessState
from tests.enrolment.scripted_people import NOW, consent, scripted_models, view


async def enroll(models: Models, person: int, name: str) -> None:
    outcome = await Enroller(models).enroll(name, consent(), [Appraisal(view(person), ())], actor="test", now=NOW)
    assert isinstance(outcome, Enrolled)


async def states(models: Models, *views: FaceView | None) -> list[tuple[IdentityState, IdentityReason, str | None]]:
    refusal = Refusal(RefusalCode.TOO_SMALL, "too small")
    faces = [Appraisal(view(1), (refusal,)) if one is None else Appraisal(one, ()) for one in views]
    found = await identified(models, faces, NOW)
    return [(face.identity.decision.state, face.identity.decision.reason, face.identity.name) for face in found.faces]


async def test_one_look_names_strangers_unknown_and_leaves_open_what_it_cannot_tell(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        await enroll(models, 1, "Ada")
        await enroll(models, 2, "Grace")
        found = await states(
            models,
            view(1, unlike=1),
            view(3),
            view(2, liveness=LivenessState.SPOOF),
            replace(view(2), sharpness=0.1),
            None,
        )
        named = await identified(models, [Appraisal(view(1), ())], NOW)
    assert found == [
        (IdentityState.IDENTIFIED, IdentityReason.ALIKE, "Ada"),
        (IdentityState.UNKNOWN, IdentityReason.NOBODY_ALIKE, None),
        (IdentityState.UNDECIDED, IdentityReason.SPOOF, None),
        (IdentityState.UNDECIDED, IdentityReason.TOO_FEW_VOTES, None),
        (IdentityState.UNDECIDED, IdentityReason.TOO_FEW_VOTES, None),
    ]
    assert named.people == 2
    assert named.thresholds == models.vote_rules.thresholds(2)


async def test_one_person_is_one_face_of_a_picture(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        await enroll(models, 1, "Ada")
        found = await states(models, view(1, unlike=1), view(1))
    assert [reason for _, reason, _ in found] == [IdentityReason.CONTESTED, IdentityReason.ALIKE]


async def test_an_empty_gallery_knows_nobody(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        assert await states(models, view(1)) == [(IdentityState.UNKNOWN, IdentityReason.NOBODY_ENROLLED, None)]


async def test_without_calibrated_recognisers_nothing_can_be_verified(tmp_path: Path) -> None:
    async with scripted_models(tmp_path) as models:
        with pytest.raises(ModelMissing, match="calibration"):
            await verified(models, view(1), view(1))


async def test_the_same_face_is_the_same_and_another_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_models(tmp_path) as models:
        fusion = models.identification.gallery.fusion
        monkeypatch.setattr("streamapp.enrolment.recognition.fusion_of", lambda *_: fusion)
        same = await verified(models, view(1), view(1, unlike=1))
        other = await verified(models, view(1), view(2))
        none = await verified(models, view(1), replace(view(1), embeddings={}))
    assert (same.is_same, other.is_same, none.is_same) == (True, False, False)
    assert same.score.level > same.threshold == models.vote_rules.thresholds(1).accept > other.score.level
    assert none.score.level == -math.inf
