"""What is known, as it is told: rounded, in plain types, in one order."""

from __future__ import annotations

import numpy as np
from pydantic import TypeAdapter

from streamapp.faces import Detector, Mode, Track, TrackState
from streamapp.findings import Embedding, Gender, GenderAge
from streamapp.pipeline.aggregate import Findings, Identification
from streamapp.pipeline.examiner import Examination
from streamapp.pipeline.merging import SeenFace
from streamapp.pipeline.report import image_result, track_result
from streamapp.results import Analyses, FaceResult, ImageResult, ModelUse, Skipped, TrackResult
from streamapp.scheduler.api import ModelRun
from streamapp.zoo.manifest import load_manifest

VARIANTS = {variant.name: variant for variant in load_manifest().variants}
CPU = "CPUExecutionProvider"


def face(*, landmarks: bool = True) -> SeenFace:
    points = np.full((5, 2), 12.3456, np.float32) if landmarks else None
    box = np.array((10.04, 20.06, 30.123, 40.987), np.float32)
    return SeenFace(box, 0.98765, points, None, Detector.MTCNN, (Detector.YOLO, Detector.MTCNN))


def told(examination: Examination, mode: Mode = Mode.FULL) -> ImageResult:
    return image_result(examination, (640, 480), mode, VARIANTS)


def test_a_track_is_told_with_few_decimals() -> None:
    track = Track(
        4, (1.23456, 2.0, 3.99, 4.05), 0.123456, Detector.YOLO, TrackState.COASTING, None, ((1.26, 2.24),) * 6
    )
    assert track_result(track, Analyses(), {"deepfake": "model_missing"}) == TrackResult(
        4,
        (1.2, 2.0, 4.0, 4.0),
        0.123,
        None,
        ((1.3, 2.2),) * 6,
        Detector.YOLO,
        TrackState.COASTING,
        Analyses(),
        {"deepfake": "model_missing"},
    )


def test_a_face_of_a_picture_is_told_with_who_saw_it() -> None:
    (found,) = told(Examination(faces=[face()])).faces
    assert found == FaceResult(
        (10.0, 20.1, 30.1, 41.0),
        0.988,
        ((12.3, 12.3),) * 5,
        None,
        Detector.MTCNN,
        (Detector.YOLO, Detector.MTCNN),
        Analyses(),
    )
    assert {type(value) for value in found.box} == {float}
    assert told(Examination(faces=[face(landmarks=False)])).faces[0].landmarks is None


def test_findings_stay_with_their_face_and_have_the_age_nought() -> None:
    identification = Identification({"a": Embedding.of("a", np.ones(2, np.float32))}, ("b",))
    findings = [Findings(), Findings(identification, gender_age=("genderage", GenderAge(0.25, 40.26)))]
    first, second = told(Examination(faces=[face(), face()], findings=findings)).faces
    assert first.analyses == {}
    analysis = second.analyses["gender_age"]
    assert (analysis.gender, analysis.age_years, analysis.confidence) == (Gender.FEMALE, 40.3, 0.75)
    assert (analysis.model, analysis.frame, analysis.age_s, analysis.samples) == ("genderage", 0, 0.0, 1)
    assert second.analyses["identity"].missing == ("b",)


def test_models_are_named_with_their_licence_in_the_order_of_the_chain() -> None:
    names = ("genderage", "mtcnn-onet", "blazeface-short-range", "antispoof-bin-128", "yolov8n-face", "mtcnn-rnet")
    runs = {name: ModelRun(name, CPU) for name in names}
    uses = told(Examination(runs=runs)).models
    assert [use.task for use in uses] == ["mediapipe", "yolo", "mtcnn", "mtcnn", "antispoof", "gender_age"]
    assert uses[0] == ModelUse("mediapipe", "blazeface-short-range", "Apache-2.0", True, CPU)
    for use in uses:
        assert (use.licence, use.commercial_use) == (VARIANTS[use.model].licence, VARIANTS[use.model].commercial_use)


def test_what_was_skipped_and_how_long_it_took_is_told() -> None:
    skipped = Skipped("antispoof", "antispoof-mn3", "is not installed", "model_missing")
    result = told(Examination(skipped=[skipped], timing_ms={"detect": 1.23456}), Mode.STANDARD)
    assert (result.skipped, result.timing_ms, result.mode) == ((skipped,), {"detect": 1.235}, Mode.STANDARD)
    assert (result.width, result.height, result.faces, result.models) == (640, 480, (), ())


def test_who_answered_or_failed_first_does_not_show() -> None:
    runs = {name: ModelRun(name, CPU) for name in ("genderage", "arcface-mbf-w600k", "yolov8n-face")}
    skipped = [Skipped(task, "net", "why", "x", face) for task in ("yolo", "deepfake") for face in (None, 0, 1)]
    one = told(Examination(runs=runs, skipped=skipped))
    other = told(Examination(runs=dict(reversed(runs.items())), skipped=skipped[::-1]))
    assert one == other
    assert [(item.task, item.face) for item in one.skipped][:3] == [("yolo", None), ("yolo", 0), ("yolo", 1)]


def test_all_of_it_is_json() -> None:
    findings = [Findings(gender_age=("genderage", GenderAge(np.float32(0.3), np.float32(30))))]  # type: ignore[arg-type]
    result = told(Examination(faces=[face()], findings=findings, runs={"genderage": ModelRun("genderage", CPU)}))
    adapter = TypeAdapter(ImageResult)
    assert adapter.validate_json(adapter.dump_json(result)) == result
