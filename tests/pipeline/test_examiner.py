"""A picture through a mode's chain: who is asked what, and that whatever is left out is named."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from streamapp.errors import ModelError, ModelSuspended
from streamapp.faces import Detector, Mode
from streamapp.findings import Embedding
from streamapp.frame import Image
from streamapp.pipeline import examiner as examiner_module
from streamapp.pipeline.aggregate import Findings
from streamapp.pipeline.examiner import MIN_ALONE, MIN_FACE_PX, MIN_RECOGNISED_PX, Examination, Examiner
from streamapp.results import DropReason, Skipped
from streamapp.scheduler.api import Dropped, Failed
from streamapp.zoo.registry import PULL_COMMAND
from tests.fakes import ScriptedScheduler
from tests.pipeline.lineups import (
    ADAFACE,
    ANALYSTS,
    ANTISPOOF,
    ARCFACE,
    CASCADE,
    DEEPFAKE,
    DETECTORS,
    EVERYTHING,
    FACENET,
    GENDER_AGE,
    REFINEMENT,
    SCREENER,
    YOLO,
    answers,
    asker,
    lineup,
    seen,
)
from tests.waiting import until

NEAR, FAR = (100.0, 100.0, 200.0, 220.0), (400.0, 50.0, 440.0, 95.0)


@pytest.fixture
def rgb() -> Image:
    return np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)


async def examined(scheduler: ScriptedScheduler, folder: Path, rgb: Image, mode: Mode, *names: str) -> Examination:
    return await Examiner(scheduler, lineup(folder, *names)).examine(rgb, mode, asker())


@pytest.mark.parametrize(
    ("mode", "asked"),
    [
        (Mode.FAST, {SCREENER}),
        (Mode.STANDARD, {SCREENER, YOLO}),
        (Mode.PRECISION, {SCREENER, YOLO, CASCADE, REFINEMENT}),
        (Mode.FULL, {SCREENER, YOLO, CASCADE, REFINEMENT} | set(ANALYSTS)),
    ],
)
async def test_each_mode_asks_its_own_models_once(tmp_path: Path, rgb: Image, mode: Mode, asked: set[str]) -> None:
    scheduler = ScriptedScheduler(answers(mediapipe=(NEAR,), yolo=(NEAR, FAR), mtcnn=(NEAR,)))
    found = await examined(scheduler, tmp_path, rgb, mode)
    assert sorted(scheduler.asked) == sorted(asked)
    assert set(found.runs) == {name for job in scheduler.jobs for name in job.operation.variants}
    assert [face.detector for face in found.faces] == {
        Mode.FAST: [Detector.MEDIAPIPE],
        Mode.STANDARD: [Detector.YOLO] * 2,
    }.get(mode, [Detector.MTCNN] * 2)
    assert len(found.findings) == (2 if mode is Mode.FULL else 0)
    assert not found.failures
    assert set(found.timing_ms) == {
        "detect",
        *(["refine"] if mode in (Mode.PRECISION, Mode.FULL) else []),
        *(["analyse"] if mode is Mode.FULL else []),
    }


async def test_a_face_that_far_detectors_saw_is_refined_in_one_job_with_its_like(tmp_path: Path, rgb: Image) -> None:
    scheduler = ScriptedScheduler(answers(mediapipe=(NEAR,), yolo=(FAR,)))
    found = await examined(scheduler, tmp_path, rgb, Mode.PRECISION)
    assert [len(job.items) for job in scheduler.jobs if job.operation.name == REFINEMENT] == [2]
    assert all(face.landmarks is not None for face in found.faces)
    assert [face.seen_by for face in found.faces] == [
        (Detector.MEDIAPIPE, Detector.MTCNN),
        (Detector.YOLO, Detector.MTCNN),
    ]


async def test_on_a_keyframe_the_stream_has_screened_and_mtcnn_only_refines(tmp_path: Path, rgb: Image) -> None:
    scheduler, examination = ScriptedScheduler(answers(yolo=(FAR,))), Examination()
    screened = seen(Detector.MEDIAPIPE, NEAR)
    await Examiner(scheduler, lineup(tmp_path)).find_faces(rgb, Mode.PRECISION, asker(), examination, screened)
    assert scheduler.asked == [YOLO, REFINEMENT]
    assert {face.seen_by[0] for face in examination.faces} == {Detector.MEDIAPIPE, Detector.YOLO}


async def test_who_asks_how_urgently_and_why_is_told_with_every_job(tmp_path: Path, rgb: Image) -> None:
    scheduler, by = ScriptedScheduler(answers(yolo=(NEAR,))), asker("stream-7")
    await Examiner(scheduler, lineup(tmp_path)).examine(rgb, Mode.FULL, by)
    assert len(scheduler.jobs) > 6
    for job in scheduler.jobs:
        assert (job.owner, job.priority, job.deadline_s, job.reason) == (
            by.owner,
            by.priority,
            by.deadline_s,
            by.reason,
        )


async def test_jobs_own_their_pixels(tmp_path: Path, rgb: Image) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,)))
    await examined(scheduler, tmp_path, rgb, Mode.FULL)
    for job in scheduler.jobs:
        for item in job.items:
            pixels = item.view.pixels if job.operation.name == REFINEMENT else item.pixels
            assert not np.shares_memory(pixels, rgb), job.operation.name


async def test_pixels_are_scaled_and_cut_beside_the_loop(
    tmp_path: Path, rgb: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, int] = {}
    for name in ("squared", "letterbox", "whole_view", "face_patch", "_cut_all"):
        work = getattr(examiner_module, name)

        def noted(*given: object, name: str = name, work: object = work) -> object:
            threads[name] = threading.get_ident()
            return work(*given)  # type: ignore[operator]  # any of them

        monkeypatch.setattr(examiner_module, name, noted)
    await examined(ScriptedScheduler(answers(yolo=(NEAR,))), tmp_path, rgb, Mode.FULL)
    assert len(threads) == 5
    assert threading.get_ident() not in threads.values()


async def test_detectors_and_then_all_analysts_are_asked_side_by_side(tmp_path: Path, rgb: Image) -> None:
    gate = asyncio.Event()
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,), mtcnn=(NEAR,)), gate=gate)
    running = asyncio.ensure_future(examined(scheduler, tmp_path, rgb, Mode.FULL))
    await until(lambda: len(scheduler.jobs) == 3)
    assert set(scheduler.asked) == {SCREENER, YOLO, CASCADE}
    scheduler.gate = second = asyncio.Event()
    gate.set()
    await until(lambda: len(scheduler.jobs) == 3 + len(ANALYSTS))
    assert set(scheduler.asked[3:]) == set(ANALYSTS)
    assert not running.done()
    second.set()
    await running


async def test_what_mtcnn_does_not_confirm_stays_and_faces_without_landmarks_are_said_so(
    tmp_path: Path, rgb: Image
) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,), refines=False))
    found = await examined(scheduler, tmp_path, rgb, Mode.FULL)
    assert [(face.detector, face.landmarks) for face in found.faces] == [(Detector.YOLO, None)]
    skipped = {item.model: item for item in found.skipped}
    assert set(skipped) == {ADAFACE, ARCFACE}, "FaceNet needs none"
    for item in skipped.values():
        assert (item.task, item.code, item.face) == ("recognition", "model_input_invalid", 0)
        assert "landmarks" in item.reason
    assert found.findings[0].identification is not None
    assert found.findings[0].identification.missing == (ADAFACE, ARCFACE)
    assert found.findings[0].liveness is not None
    assert not found.failures


@pytest.mark.parametrize(
    ("width", "skips"),
    [
        (MIN_FACE_PX - 1, set(ANALYSTS)),
        (MIN_RECOGNISED_PX - 1, {ADAFACE, FACENET, ARCFACE}),
        (MIN_RECOGNISED_PX, set()),
    ],
)
async def test_small_faces_are_named_and_not_analysed_and_the_others_keep_their_answers(
    tmp_path: Path, rgb: Image, width: float, skips: set[str]
) -> None:
    small = (20.0, 20.0, 20.0 + width, 50.0)
    scheduler = ScriptedScheduler(answers(mtcnn=(small, NEAR)))
    found = await examined(scheduler, tmp_path, rgb, Mode.FULL)
    assert {(item.model, item.face, item.code) for item in found.skipped} == {
        (name, 0, "model_input_invalid") for name in skips
    }
    assert all(f"{width:.0f} pixels wide" in item.reason for item in found.skipped)
    assert (found.findings[0] == Findings()) is (skips == set(ANALYSTS))
    assert found.findings[1].gender_age is not None
    assert found.findings[1].gender_age[0] == GENDER_AGE


async def test_a_face_that_only_mtcnn_saw_must_be_a_sure_one(tmp_path: Path, rgb: Image) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,), mtcnn=(NEAR, FAR), mtcnn_score=MIN_ALONE - 0.05))
    assert len((await examined(scheduler, tmp_path, rgb, Mode.PRECISION)).faces) == 1
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,), mtcnn=(NEAR, FAR), mtcnn_score=MIN_ALONE + 0.01))
    assert len((await examined(scheduler, tmp_path, rgb, Mode.PRECISION)).faces) == 2


async def test_absent_models_are_named_with_the_command_that_helps(tmp_path: Path, rgb: Image) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,)))
    found = await examined(scheduler, tmp_path, rgb, Mode.FULL, *DETECTORS, ADAFACE)
    absent = {item.model: item for item in found.skipped}
    assert {ANTISPOOF, GENDER_AGE, DEEPFAKE, FACENET} <= set(absent)
    for name, item in absent.items():
        assert (item.code, item.face) == ("model_missing", None)
        assert f"{PULL_COMMAND} {name}" in item.reason
    identification = found.findings[0].identification
    assert identification is not None
    assert set(identification.embeddings) == {ADAFACE}
    assert set(identification.missing) == {FACENET, ARCFACE}


async def test_a_member_that_gave_nothing_is_named_and_the_rest_of_the_ensemble_goes_on(
    tmp_path: Path, rgb: Image
) -> None:
    script = answers(yolo=(NEAR,)) | {FACENET: Dropped(DropReason.NO_MEMORY, "no room for it")}
    found = await examined(ScriptedScheduler(script), tmp_path, rgb, Mode.FULL)
    assert Skipped("recognition", FACENET, "no room for it", DropReason.NO_MEMORY) in found.skipped
    identification = found.findings[0].identification
    assert identification is not None
    assert set(identification.embeddings) == {ADAFACE, ARCFACE}
    assert identification.missing == (FACENET,)


async def test_an_embedding_that_is_no_vector_takes_no_part(tmp_path: Path, rgb: Image) -> None:
    script = answers(yolo=(NEAR,)) | {ADAFACE: lambda _: Embedding.of(ADAFACE, np.zeros(4, np.float32))}
    found = await examined(ScriptedScheduler(script), tmp_path, rgb, Mode.FULL)
    identification = found.findings[0].identification
    assert identification is not None
    assert set(identification.embeddings) == {FACENET, ARCFACE}
    assert identification.missing == (ADAFACE,)


async def test_an_analyst_that_failed_is_named_and_the_others_answer(tmp_path: Path, rgb: Image) -> None:
    script = answers(yolo=(NEAR,)) | {ANTISPOOF: Failed(ModelSuspended("failed too often"))}
    found = await examined(ScriptedScheduler(script), tmp_path, rgb, Mode.FULL)
    assert Skipped("antispoof", ANTISPOOF, "failed too often", "model_suspended") in found.skipped
    assert found.findings[0].liveness is None
    assert found.findings[0].deepfake is not None
    assert [type(failure) for failure in found.failures.values()] == [Failed]


@pytest.mark.parametrize("name", [SCREENER, YOLO, CASCADE, REFINEMENT])
@pytest.mark.parametrize(
    "outcome", [Dropped(DropReason.STALE, "too late"), Failed(ModelError("broken"))], ids=["dropped", "failed"]
)
async def test_a_detector_that_gave_nothing_is_noted_and_what_the_others_saw_is_kept(
    tmp_path: Path, rgb: Image, name: str, outcome: Dropped | Failed
) -> None:
    script = answers(mediapipe=(NEAR,), yolo=(NEAR, FAR), mtcnn=(NEAR,)) | {name: outcome}
    found = await examined(ScriptedScheduler(script), tmp_path, rgb, Mode.PRECISION)
    assert list(found.failures.values()) == [outcome]
    (noted,) = found.skipped
    assert noted.code == (outcome.reason if isinstance(outcome, Dropped) else "model_failed")
    assert noted.face is None
    assert len(found.faces) == (1 if name == YOLO else 2)


async def test_a_picture_without_faces_asks_no_analyst(tmp_path: Path, rgb: Image) -> None:
    scheduler = ScriptedScheduler(answers())
    found = await examined(scheduler, tmp_path, rgb, Mode.FULL)
    assert set(scheduler.asked) == {SCREENER, YOLO, CASCADE}
    assert (found.faces, found.findings) == ([], [])


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (128, 128), (480, 480)])
async def test_pictures_of_any_size_are_looked_at(tmp_path: Path, size: tuple[int, int]) -> None:
    scheduler = ScriptedScheduler(answers(yolo=(NEAR,)))
    found = await examined(scheduler, tmp_path, np.zeros((*size, 3), np.uint8), Mode.FULL, *EVERYTHING)
    assert {SCREENER, YOLO, CASCADE} <= set(scheduler.asked)
    assert len(found.findings) == 1


async def test_a_box_beside_the_picture_is_named_not_analysed(tmp_path: Path, rgb: Image) -> None:
    scheduler = ScriptedScheduler(answers(yolo=((900.0, 900.0, 960.0, 980.0),)))
    found = await examined(scheduler, tmp_path, rgb, Mode.FULL)
    assert REFINEMENT not in scheduler.asked
    assert {item.model for item in found.skipped} == set(ANALYSTS)
    assert {item.face for item in found.skipped} == {0}
