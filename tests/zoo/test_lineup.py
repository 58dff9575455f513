"""What serves each task, and what is said where nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.choices import Profile
from streamapp.errors import ModelMissing, UsageError
from streamapp.faces import Mode
from streamapp.zoo.lineup import Absent, Lineup, System, systems_of
from streamapp.zoo.registry import PULL_COMMAND
from streamapp.zoo.session import Device
from streamapp.zoo.spec import Task
from tests.zoo.variants import hollow_registry

SCREENER, YOLO = "blazeface-short-range", "yolov10n-face-480"
REFINERS = ("mtcnn-rnet", "mtcnn-onet")


def lineup(
    folder: Path, *names: str, profile: Profile = Profile.AUTO, screener: str | None = None, min_score: float = 0.5
) -> Lineup:
    return Lineup.of(hollow_registry(folder, *names), profile, Device.CPU, screener=screener, min_score=min_score)


@pytest.mark.parametrize("task", Task)
def test_every_task_is_part_of_a_system(task: Task) -> None:
    assert System.of(task) in System


def test_each_mode_uses_the_systems_of_the_one_before() -> None:
    for less, more in zip(list(Mode), list(Mode)[1:], strict=False):
        assert set(systems_of(less)) < set(systems_of(more))
    assert systems_of(Mode.FULL) == tuple(System)
    assert all(system.is_detector for system in systems_of(Mode.PRECISION))


@pytest.mark.parametrize(
    ("installed", "mode", "missing"),
    [
        ((), Mode.FAST, SCREENER),
        ((SCREENER,), Mode.STANDARD, "yolov10n-face"),
        ((SCREENER, YOLO, "mtcnn-onet"), Mode.PRECISION, "mtcnn-rnet-folded"),
        ((SCREENER, YOLO, "mtcnn-rnet"), Mode.PRECISION, "mtcnn-onet-folded"),
    ],
)
def test_a_mode_whose_detector_is_missing_names_it_and_the_command_that_helps(
    tmp_path: Path, installed: tuple[str, ...], mode: Mode, missing: str
) -> None:
    found = lineup(tmp_path, *installed)
    with pytest.raises(ModelMissing, match=f"mode {mode} needs it: .* {missing} .*{PULL_COMMAND} {missing}"):
        found.require(mode)
    assert missing in {absent.variant for absent in found.absent}


def test_a_mode_asks_for_no_more_than_it_uses(tmp_path: Path) -> None:
    found = lineup(tmp_path, SCREENER)
    found.require(Mode.FAST)
    found = lineup(tmp_path, SCREENER, YOLO)
    found.require(Mode.STANDARD)
    found = lineup(tmp_path, SCREENER, YOLO, *REFINERS)
    found.require(Mode.PRECISION)
    assert found.cascade is None
    assert found.refinement is not None
    assert found.refinement.variants == REFINERS


def test_full_needs_one_model_that_analyses_faces(tmp_path: Path) -> None:
    detectors = (SCREENER, YOLO, *REFINERS)
    with pytest.raises(ModelMissing, match=r"no model that analyses faces is installed .*antispoof-mn3"):
        lineup(tmp_path, *detectors).require(Mode.FULL)
    lineup(tmp_path, *detectors, "genderage-v1").require(Mode.FULL)


def test_the_full_profile_takes_no_stand_ins_and_misses_what_is_its_own(tmp_path: Path) -> None:
    stand_ins = (SCREENER, "yolov8n-face", "mtcnn-pnet", *REFINERS, "arcface-mbf-w600k", "genderage-v1")
    found = lineup(tmp_path, *stand_ins, profile=Profile.FULL)
    assert found.detector is None
    assert (found.recognisers, found.gender_age) == ((), None)
    assert [absent.variant for absent in found.absent] == [
        "yolov10n-face",
        "adaface-ir101",
        "facenet-vggface2",
        "arcface-r100-glint",
        "antispoof-mn3",
        "genderage",
        "deepfake-vit-v2-fp16",
        "deepfake-vit-v2-labels",
    ]
    assert not any(absent.optional for absent in found.absent)


def test_members_of_the_ensemble_keep_their_weights(tmp_path: Path) -> None:
    found = lineup(tmp_path, "adaface-ir101", "facenet-vggface2", "arcface-r100-openmodelzoo", profile=Profile.FULL)
    assert {member.variant: member.weight for member in found.recognisers} == {
        "adaface-ir101": 0.25,
        "facenet-vggface2": 0.5,
        "arcface-r100-openmodelzoo": 0.25,
    }
    assert [variant.name for variant in found.of_system(System.RECOGNITION)] == [
        member.variant for member in found.recognisers
    ]


def test_the_three_nets_of_mtcnn_are_one_system(tmp_path: Path) -> None:
    found = lineup(tmp_path, "mtcnn-pnet", "mtcnn-pnet-folded", *REFINERS)
    assert found.cascade is not None
    assert found.cascade.variants == ("mtcnn-pnet-folded", *REFINERS)
    assert {variant.name for variant in found.of_system(System.MTCNN)} == set(found.cascade.variants)


def test_a_screener_by_name_takes_the_place_of_the_profile_s(tmp_path: Path) -> None:
    other = "blazeface-full-range-sparse"
    found = lineup(tmp_path, SCREENER, other, screener=other, min_score=0.7)
    assert found.screener is not None
    assert found.screener.name == other
    assert SCREENER not in found.variants
    assert found.screener.model.min_score == 0.7  # type: ignore[attr-defined]  # a BlazeFace


def test_a_screener_by_name_that_is_not_there_is_missing_whatever_else_is(tmp_path: Path) -> None:
    other = "blazeface-full-range-sparse"
    found = lineup(tmp_path, SCREENER, screener=other)
    with pytest.raises(ModelMissing, match=other):
        found.require(Mode.FAST)
    with pytest.raises(UsageError):
        lineup(tmp_path, screener="genderage")


def test_nothing_installed_is_a_lineup_that_names_everything(tmp_path: Path) -> None:
    found = lineup(tmp_path, profile=Profile.LIGHT)
    assert (found.screener, found.detector, found.cascade, found.refinement) == (None,) * 4
    assert {absent.system for absent in found.absent} == set(System)
    assert Absent(System.DEEPFAKE, "deepfake-vit-v2-int8", optional=True) in found.absent
    assert found.variants == {}
