"""Profiles name variants that exist, and take the best of what is installed."""

from __future__ import annotations

import pytest

from streamapp.choices import Profile
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.profiles import Choice, candidates, choose, slots
from streamapp.zoo.session import Device
from streamapp.zoo.spec import Task

MANIFEST = load_manifest()
STAND_INS = {"yolov8-lite-t-face", "mtcnn-rnet", "mtcnn-onet", "arcface-mbf-w600k-int8", "mobilefacenet-insightface-y1"}


def chosen(profile: Profile, installed: set[str], device: Device = Device.CPU) -> dict[Task, list[str]]:
    found: dict[Task, list[str]] = {}
    for choice in choose(profile, MANIFEST, device, lambda variant: variant.name in installed):
        if choice.variant is not None:
            found.setdefault(choice.slot.task, []).append(choice.variant.name)
    return found


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("device", Device)
@pytest.mark.parametrize("everything", [True, False])
def test_every_name_is_a_variant_of_its_task(profile: Profile, device: Device, everything: bool) -> None:
    for slot in slots(profile, MANIFEST, device, lambda _: everything):
        assert candidates(slot, MANIFEST)


def test_the_full_set_is_an_ensemble_weighted_a_quarter_a_half_a_quarter() -> None:
    choices = choose(Profile.FULL, MANIFEST, Device.CUDA, lambda _: True)
    ensemble = {c.variant.name: c.slot.weight for c in choices if c.slot.task is Task.RECOGNISE and c.variant}
    assert ensemble == {"adaface-ir101": 0.25, "facenet-vggface2": 0.5, "arcface-r100-glint": 0.25}


def test_what_is_missing_is_named() -> None:
    choices = choose(Profile.FULL, MANIFEST, Device.CPU, lambda variant: variant.name != "antispoof-mn3")
    assert [choice.missing for choice in choices if choice.missing] == ["antispoof-mn3"]


def test_the_stand_ins_never_take_a_place_of_the_full_set() -> None:
    assert set(chosen(Profile.FULL, STAND_INS)) == {Task.REFINE, Task.LANDMARK}


def test_auto_takes_what_is_there_and_misses_nothing_optional() -> None:
    assert chosen(Profile.AUTO, STAND_INS) == {
        Task.DETECT: ["yolov8-lite-t-face"],
        Task.REFINE: ["mtcnn-rnet"],
        Task.LANDMARK: ["mtcnn-onet"],
        Task.RECOGNISE: ["arcface-mbf-w600k-int8", "mobilefacenet-insightface-y1"],
    }
    choices = choose(Profile.AUTO, MANIFEST, Device.CPU, lambda variant: variant.name in STAND_INS)
    missing = {choice.missing for choice in choices if choice.missing}
    assert missing == {"blazeface-short-range", "antispoof-mn3", "genderage"}


def test_auto_uses_the_large_recognisers_only_where_there_is_a_gpu_or_nothing_else() -> None:
    both = {"adaface-ir101", "facenet-vggface2", "arcface-mbf-w600k"}
    assert chosen(Profile.AUTO, both, Device.CUDA)[Task.RECOGNISE] == ["adaface-ir101", "facenet-vggface2"]
    assert chosen(Profile.AUTO, both, Device.CPU)[Task.RECOGNISE] == ["arcface-mbf-w600k"]
    assert chosen(Profile.AUTO, {"adaface-ir101"}, Device.CPU)[Task.RECOGNISE] == ["adaface-ir101"]


def test_a_small_input_is_preferred_without_a_gpu() -> None:
    both = {"yolov10n-face", "yolov10n-face-480"}
    assert chosen(Profile.AUTO, both, Device.CPU)[Task.DETECT] == ["yolov10n-face-480"]
    assert chosen(Profile.AUTO, both, Device.CUDA)[Task.DETECT] == ["yolov10n-face"]


def test_nets_that_cry_wolf_are_never_chosen_by_themselves() -> None:
    everything = {variant.name for variant in MANIFEST.variants}
    for profile in Profile:
        for device in Device:
            assert not {"meso-inception-df", "meso4-df"} & set(chosen(profile, everything, device)[Task.DEEPFAKE])


def test_an_optional_place_is_not_missed() -> None:
    (deepfake,) = [s for s in slots(Profile.LIGHT, MANIFEST, Device.CPU, lambda _: False) if s.task is Task.DEEPFAKE]
    assert Choice(deepfake, None).missing is None
