"""What is refused, with which code, and that every refusal says what to do."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.findings import Embedding
from streamapp.gallery.gate import (
    COMPARABLE,
    MIN_QUALITY,
    FaceView,
    GateRules,
    Pose,
    Refusal,
    RefusalCode,
    face_meant,
    pose_of,
    refusals,
)
from streamapp.results import LivenessState
from tests.gallery.enrolments import MODELS, face

FACE = (100.0, 100.0, 300.0, 340.0)
FRONTAL = np.array([(160, 180), (240, 180), (200, 225), (170, 270), (230, 270)], np.float32)
GOOD = FaceView(FACE, 0.99, pose_of(FRONTAL), 0.0, 0.9, face(1), LivenessState.LIVE, 0.95)
BROKEN = Embedding.of("one", np.full(64, np.nan, np.float32))


def codes(view: FaceView, rules: GateRules = GateRules()) -> list[RefusalCode]:  # noqa: B008 - frozen
    return [refusal.code for refusal in refusals(view, MODELS, rules)]


def pose(**changes: float) -> Pose:
    assert GOOD.pose is not None
    return replace(GOOD.pose, **changes)


# -- one face ----------------------------------------------------------------------------------------------------------


def test_a_good_face_passes() -> None:
    assert codes(GOOD) == []
    assert codes(GOOD, GateRules(must_be_live=True)) == []
    assert GOOD.quality == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("view", "code"),
    [
        (replace(GOOD, pose=None), RefusalCode.NO_LANDMARKS),
        (replace(GOOD, pose=pose(eyes_px=31.9)), RefusalCode.TOO_SMALL),
        (replace(GOOD, outside=0.2), RefusalCode.CUT_OFF),
        (replace(GOOD, sharpness=0.4), RefusalCode.BLURRED),
        (replace(GOOD, pose=pose(sideways=0.35)), RefusalCode.TURNED_AWAY),
        (replace(GOOD, pose=pose(sideways=-0.35)), RefusalCode.TURNED_AWAY),
        (replace(GOOD, pose=pose(nose_height=0.2)), RefusalCode.TURNED_AWAY),
        (replace(GOOD, pose=pose(nose_height=0.95)), RefusalCode.TURNED_AWAY),
        (replace(GOOD, embeddings={}), RefusalCode.UNUSABLE_EMBEDDING),
        (replace(GOOD, embeddings=face(1, models=("two",))), RefusalCode.UNUSABLE_EMBEDDING),
        (replace(GOOD, embeddings=face(1) | {"one": BROKEN}), RefusalCode.UNUSABLE_EMBEDDING),
        (replace(GOOD, liveness=LivenessState.SPOOF, live=0.1), RefusalCode.SPOOF),
    ],
)
def test_each_fault_has_its_code(view: FaceView, code: RefusalCode) -> None:
    found = refusals(view, MODELS, GateRules())
    assert code in [refusal.code for refusal in found]
    assert all(len(refusal.detail) > 20 for refusal in found)
    assert {refusal.code for refusal in found} <= {code}


def test_what_is_not_a_number_passes_nowhere() -> None:
    nan = math.nan
    for view, code in (
        (replace(GOOD, pose=pose(eyes_px=nan)), RefusalCode.TOO_SMALL),
        (replace(GOOD, pose=pose(sideways=nan)), RefusalCode.TURNED_AWAY),
        (replace(GOOD, outside=nan), RefusalCode.CUT_OFF),
        (replace(GOOD, sharpness=nan), RefusalCode.BLURRED),
    ):
        assert codes(view) == [code]
        assert view.quality >= MIN_QUALITY


def test_all_faults_are_named_at_once() -> None:
    bad = replace(GOOD, sharpness=0.1, outside=0.5, liveness=LivenessState.SPOOF)
    assert codes(bad) == [RefusalCode.CUT_OFF, RefusalCode.BLURRED, RefusalCode.SPOOF]


@pytest.mark.parametrize(
    ("state", "photo", "live", "allowed"),
    [
        (LivenessState.LIVE, [], [], []),
        (LivenessState.UNDECIDED, [], [RefusalCode.NOT_LIVE], []),
        (None, [], [RefusalCode.NOT_LIVE], []),
        (LivenessState.SPOOF, [RefusalCode.SPOOF], [RefusalCode.SPOOF], []),
    ],
)
def test_a_photo_may_be_undecided_and_a_live_face_may_not(
    state: LivenessState | None, photo: list[RefusalCode], live: list[RefusalCode], allowed: list[RefusalCode]
) -> None:
    view = replace(GOOD, liveness=state)
    assert codes(view) == photo
    assert codes(view, GateRules(must_be_live=True)) == live
    assert codes(view, GateRules(must_be_live=True, allow_spoof=True)) == allowed


def test_a_comparison_asks_for_less_but_never_for_broken_embeddings() -> None:
    poor = replace(
        GOOD, pose=pose(eyes_px=14, sideways=0.6), sharpness=0.1, outside=0.4, liveness=LivenessState.SPOOF, live=0.0
    )
    assert codes(poor, COMPARABLE) == []
    assert codes(replace(poor, embeddings={"one": BROKEN}), COMPARABLE) == [RefusalCode.UNUSABLE_EMBEDDING]
    assert codes(replace(poor, pose=pose(eyes_px=11)), COMPARABLE) == [RefusalCode.TOO_SMALL]


def test_quality_falls_with_size_turn_and_blur() -> None:
    worse = (
        replace(GOOD, pose=pose(eyes_px=33)),
        replace(GOOD, pose=pose(sideways=0.25)),
        replace(GOOD, sharpness=0.6),
    )
    assert all(view.quality < GOOD.quality for view in worse)


# -- pose --------------------------------------------------------------------------------------------------------------


def test_the_pose_of_a_frontal_face() -> None:
    found = pose_of(FRONTAL)
    assert found is not None
    assert (found.eyes_px, found.sideways, found.nose_height) == (80, 0, 0.5)


@given(st.floats(-180, 180), st.floats(0.3, 5))
def test_turning_or_scaling_the_picture_does_not_change_the_pose(angle: float, scale: float) -> None:
    turned = np.deg2rad(angle)
    matrix = scale * np.array(((np.cos(turned), np.sin(turned)), (-np.sin(turned), np.cos(turned))))
    points = FRONTAL + np.array((0, 0), np.float32)
    points[2, 0] += 15
    found = pose_of((points @ matrix).astype(np.float32))
    assert found is not None
    assert found.eyes_px == pytest.approx(80 * scale, rel=1e-3)
    assert found.sideways == pytest.approx(15 / 80, abs=1e-3)
    assert found.nose_height == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 7.0])
def test_points_that_are_no_face_have_no_pose(bad: float) -> None:
    assert pose_of(np.full((5, 2), bad, np.float32)) is None
    upside_down = FRONTAL.copy()
    upside_down[3:, 1] = 90
    assert pose_of(upside_down) is None


@given(st.lists(st.floats(width=32), min_size=10, max_size=10))
def test_no_points_break_it(numbers: list[float]) -> None:
    found = pose_of(np.array(numbers, np.float32).reshape(5, 2))
    assert found is None or math.isfinite(found.eyes_px + found.sideways + found.nose_height)


# -- which face --------------------------------------------------------------------------------------------------------


def boxes(*of: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(of, np.float32).reshape(-1, 4)


def refused(found: int | Refusal) -> RefusalCode:
    assert isinstance(found, Refusal)
    return found.code


def test_the_only_face_is_meant() -> None:
    assert face_meant(boxes(FACE), [2]) == 0


def test_no_face_and_what_one_detector_alone_saw_are_none() -> None:
    assert refused(face_meant(boxes(), [])) is RefusalCode.NO_FACE
    assert refused(face_meant(boxes(FACE), [1])) is RefusalCode.NO_FACE


def test_a_face_twice_as_wide_as_all_others_is_meant() -> None:
    background = (600.0, 100.0, 695.0, 220.0)
    assert face_meant(boxes(background, FACE), [3, 2]) == 1
    near = (600.0, 100.0, 705.0, 220.0)
    assert refused(face_meant(boxes(near, FACE), [3, 2])) is RefusalCode.SEVERAL_FACES


def test_what_one_detector_alone_saw_is_no_second_face() -> None:
    assert face_meant(boxes(FACE, (600, 100, 900, 400)), [3, 1]) == 0


def test_a_second_box_on_the_same_face_is_no_second_face() -> None:
    assert face_meant(boxes(FACE, (105, 95, 310, 335)), [2, 3]) in (0, 1)
