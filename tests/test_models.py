"""Pictures through the models of the process: what each mode finds, and that nothing lost looks like nothing there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from streamapp.choices import Profile
from streamapp.errors import ModelError, ModelInvalid, ModelMissing, Overloaded
from streamapp.faces import Detector, Mode
from streamapp.findings import Gender
from streamapp.frame import Image
from streamapp.models import RETRY_AFTER_S, Models
from streamapp.results import AnalysisKind, DropReason, ImageResult
from streamapp.scheduler.api import Dropped, Failed, Priority
from streamapp.sections import ModelSettings
from streamapp.settings import Settings
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import Device
from tests.fakes import ScriptedScheduler
from tests.pipeline.lineups import ANTISPOOF, CASCADE, EVERYTHING, REFINEMENT, SCREENER, YOLO, answers
from tests.sessions import faces_in, picture
from tests.weights import models_folder
from tests.zoo.variants import hollow_registry

GROUPS = ("uniface_src_meeting", "uniface_src_friends", "facenet_pytorch_multiface", "obama_and_biden")
FACE = (100.0, 100.0, 200.0, 220.0)
GREY: Image = np.full((360, 640, 3), 128, np.uint8)


def settings(folder: Path, profile: Profile = Profile.AUTO, screener: str | None = None) -> Settings:
    return Settings(models=ModelSettings(dir=folder, profile=profile, screener=screener))


def scripted(folder: Path, scheduler: ScriptedScheduler, *names: str) -> Models:
    """Models whose answers come from a script."""
    registry = hollow_registry(folder, *(names or EVERYTHING))
    models = Models(settings(folder, Profile.FULL), registry, Device.CPU)
    models.scheduler = scheduler  # type: ignore[assignment]  # a Scheduler as well
    return models


@asynccontextmanager
async def real(folder: Path, **options: object) -> AsyncIterator[Models]:
    async with Models.start(settings(models_folder(folder), **options)) as models:  # type: ignore[arg-type]
        yield models


# -- what became of the jobs ------------------------------------------------------------------------------------------


async def test_a_picture_is_examined_for_its_client_in_the_class_of_pictures(tmp_path: Path) -> None:
    scheduler = ScriptedScheduler(answers(mediapipe=(FACE,), yolo=(FACE,)))
    result = await scripted(tmp_path, scheduler).examine(GREY, Mode.STANDARD, client="10.0.0.7")
    assert {(job.owner, job.priority) for job in scheduler.jobs} == {("10.0.0.7", Priority.IMAGE)}
    assert (result.width, result.height, result.mode, len(result.faces)) == (640, 360, Mode.STANDARD, 1)
    assert set(result.timing_ms) == {"detect", "total"}
    assert {use.model for use in result.models} == {SCREENER, YOLO}


@pytest.mark.parametrize("name", [SCREENER, YOLO, CASCADE, REFINEMENT])
async def test_a_detector_that_failed_is_an_error_and_never_a_picture_without_faces(tmp_path: Path, name: str) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(FACE,)) | {name: Failed(ModelInvalid("it is broken"))})
    with pytest.raises(ModelInvalid, match="it is broken"):
        await scripted(tmp_path, scheduler).examine(GREY, Mode.FULL, client="test")


@pytest.mark.parametrize("reason", [DropReason.STALE, DropReason.QUEUE_FULL, DropReason.NO_MEMORY, DropReason.CLOSED])
@pytest.mark.parametrize("name", [SCREENER, YOLO, CASCADE, REFINEMENT])
async def test_a_detector_without_time_or_memory_is_overload_with_a_time_to_come_back(
    tmp_path: Path, name: str, reason: DropReason
) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(FACE,)) | {name: Dropped(reason, "there was no way")})
    with pytest.raises(Overloaded, match="there was no way") as caught:
        await scripted(tmp_path, scheduler).examine(GREY, Mode.FULL, client="test")
    assert caught.value.retry_after_s == RETRY_AFTER_S


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(Dropped(DropReason.NO_MEMORY, "full"), "no_memory"), (Failed(ModelError("broken")), "model_failed")],
)
async def test_an_analysis_that_was_not_made_is_named_and_the_picture_is_answered(
    tmp_path: Path, outcome: Dropped | Failed, code: str
) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(FACE,)) | {ANTISPOOF: outcome})
    result = await scripted(tmp_path, scheduler).examine(GREY, Mode.FULL, client="test")
    assert set(result.faces[0].analyses) == {"identity", "gender_age", "deepfake"}
    assert [(item.task, item.model, item.code, item.face) for item in result.skipped] == [
        ("antispoof", ANTISPOOF, code, None)
    ]


async def test_a_face_that_cannot_be_analysed_is_no_failed_detector(tmp_path: Path) -> None:
    scheduler = ScriptedScheduler(answers(yolo=((10, 10, 20, 20),)))
    result = await scripted(tmp_path, scheduler).examine(GREY, Mode.FULL, client="test")
    assert {item.face for item in result.skipped} == {0}
    assert result.faces[0].analyses == {}


async def test_what_was_missing_is_found_once_it_is_pulled(tmp_path: Path) -> None:
    models = scripted(tmp_path, ScriptedScheduler(answers(yolo=(FACE,))), SCREENER)
    await models.require(Mode.FAST)
    with pytest.raises(ModelMissing, match=YOLO):
        await models.examine(GREY, Mode.STANDARD, client="test")
    hollow_registry(tmp_path, YOLO)
    assert len((await models.examine(GREY, Mode.STANDARD, client="test")).faces) == 1
    with pytest.raises(ModelMissing, match="mtcnn-pnet"):
        await models.require(Mode.PRECISION)


# -- real weights -----------------------------------------------------------------------------------------------------


def found(result: ImageResult, *, by: Detector) -> int:
    return sum(by in face.seen_by for face in result.faces)


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("name", GROUPS)
async def test_on_groups_standard_finds_what_fast_does_not_and_precision_adds_landmarks(
    tmp_path: Path, name: str
) -> None:
    rgb = picture(f"groups/{name}.jpg")
    expected = len(faces_in(rgb))
    async with real(tmp_path) as models:
        fast, standard, precision = [
            await models.examine(rgb, mode, client="test") for mode in (Mode.FAST, Mode.STANDARD, Mode.PRECISION)
        ]
    assert len(fast.faces) < len(standard.faces) == expected
    assert found(standard, by=Detector.MEDIAPIPE) == len(fast.faces)
    assert found(standard, by=Detector.YOLO) == expected
    assert {detector for face in fast.faces for detector in face.seen_by} <= {Detector.MEDIAPIPE}
    assert found(precision, by=Detector.YOLO) == expected
    assert found(precision, by=Detector.MTCNN) >= 2
    for face in precision.faces:
        assert face.landmarks is not None
        x1, y1, x2, y2 = face.box
        assert all(x1 - 2 <= x <= x2 + 2 and y1 - 2 <= y <= y2 + 2 for x, y in face.landmarks)
        assert face.landmarks[0][0] < face.landmarks[1][0]


@pytest.mark.weights
@pytest.mark.media
async def test_full_says_of_every_face_what_it_can_and_names_what_it_cannot(tmp_path: Path) -> None:
    rgb = picture("groups/obama_and_biden.jpg")
    async with real(tmp_path) as models:
        result = await models.examine(rgb, Mode.FULL, client="test")
        members = {member.variant for member in models.lineup.recognisers}
    assert len(result.faces) >= 2
    for face in result.faces:
        assert {AnalysisKind.IDENTITY, AnalysisKind.LIVENESS, AnalysisKind.GENDER_AGE} <= set(face.analyses)
        assert set(face.analyses["identity"].model.split(" + ")) == members
        assert 0 <= face.analyses["liveness"].score <= 1
    for face in sorted(result.faces, key=lambda face: face.box[2] - face.box[0])[-2:]:
        assert face.analyses["gender_age"].gender is Gender.MALE
        assert face.analyses["gender_age"].age_years > 35
    assert {use.task for use in result.models} >= {"mediapipe", "yolo", "mtcnn", "recognition", "antispoof"}
    assert all(use.provider in ("LiteRT", "CPUExecutionProvider") for use in result.models)
    absent = {absent.variant for absent in models.lineup.absent}
    assert {item.model for item in result.skipped if item.face is None} == absent
    assert all("streamapp models pull" in item.reason for item in result.skipped)


@pytest.mark.weights
@pytest.mark.media
async def test_the_same_picture_gives_the_same_result_side_by_side(tmp_path: Path) -> None:
    rgb = picture("groups/facenet_pytorch_multiface.jpg")
    async with real(tmp_path) as models:
        results = await asyncio.gather(
            *(models.examine(rgb, Mode.FULL, client=f"client-{number % 2}") for number in range(4))
        )
    for result in results:
        assert result.faces == results[0].faces
        assert result.models == results[0].models


@pytest.mark.weights
async def test_auto_takes_what_is_installed_for_every_system_it_can(tmp_path: Path) -> None:
    async with real(tmp_path) as models:
        lineup = models.lineup
        registry = Registry.from_settings(settings(tmp_path))
        assert all(registry.is_installed(variant) for variant in lineup.variants.values())
        assert all(absent.optional for absent in lineup.absent)
        assert not {absent.variant for absent in lineup.absent} & {v.name for v in lineup.variants.values()}
        for mode in Mode:
            await models.require(mode)


@pytest.mark.weights
@pytest.mark.parametrize(
    ("profile", "mode", "missing"),
    [(Profile.FULL, Mode.STANDARD, "yolov10n-face"), (Profile.LIGHT, Mode.STANDARD, "yolov10n-face")],
)
async def test_a_profile_whose_weights_are_not_there_is_not_served_by_stand_ins(
    tmp_path: Path, profile: Profile, mode: Mode, missing: str
) -> None:
    folder = models_folder(tmp_path)
    if Registry.from_settings(settings(folder)).is_installed(
        Registry.from_settings(settings(folder)).manifest.named(missing)
    ):
        pytest.skip(f"{missing} is installed here")
    async with Models.start(settings(folder, profile)) as models:
        with pytest.raises(ModelMissing, match=f"{missing} .*streamapp models pull {missing}"):
            await models.examine(GREY, mode, client="test")
        assert (await models.examine(GREY, Mode.FAST, client="test")).faces == ()


@pytest.mark.weights
@pytest.mark.media
async def test_a_file_of_wrong_content_is_not_used_and_named_and_the_picture_is_answered(tmp_path: Path) -> None:
    folder = models_folder(tmp_path, without="genderage-v1")
    (folder / "genderage_v1.onnx").write_bytes(b"no weights")
    async with Models.start(settings(folder)) as models:
        if models.lineup.gender_age is None or models.lineup.gender_age.variant != "genderage-v1":
            pytest.skip("another gender and age model is installed here")
        result = await models.examine(picture("groups/obama_and_biden.jpg"), Mode.FULL, client="test")
    (noted,) = [item for item in result.skipped if item.task == "gender_age"]
    assert (noted.model, noted.code) == ("genderage-v1", "model_invalid")
    assert "genderage_v1.onnx" in noted.reason
    assert all("liveness" in face.analyses and "gender_age" not in face.analyses for face in result.faces)


@pytest.mark.weights
@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (128, 128), (2000, 30)])
async def test_pictures_of_odd_shapes_have_no_faces(tmp_path: Path, shape: tuple[int, int]) -> None:
    async with real(tmp_path) as models:
        result = await models.examine(np.full((*shape, 3), 90, np.uint8), Mode.FULL, client="test")
    assert result.faces == ()
