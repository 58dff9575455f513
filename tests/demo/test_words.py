"""What is written on the demo page cannot become part of it."""

from __future__ import annotations

from streamapp.demo import words
from streamapp.errors import PictureInvalid
from streamapp.faces import Detector, Mode
from streamapp.results import (
    FaceResult,
    IdentityAnalysis,
    IdentityReason,
    IdentityState,
    ImageResult,
    ModelUse,
    Skipped,
)

NASTY = "<img src=x onerror=alert(1)> \" ' &"


def result_of(name: str) -> ImageResult:
    identity = IdentityAnalysis(
        model=NASTY, frame=0, reason="asked for", age_s=0, samples=1, confidence=0.9, state=IdentityState.IDENTIFIED,
        because=IdentityReason.TOO_CLOSE, name=name, person_id=None, similarity=1, margin=1, scores={}, missing=(),
    )  # fmt: skip
    face = FaceResult(
        (1, 1, 9, 9), 0.9, None, None, Detector.YOLO, (Detector.YOLO, Detector.MTCNN), {"identity": identity}
    )
    use = ModelUse("yolo", "yolov8", "GPL-3.0", False, "CPUExecutionProvider")
    skipped = Skipped("deepfake", None, f"not installed {NASTY}", "model_missing", 0)
    return ImageResult(10, 10, Mode.FULL, (face,), (use,), (skipped,), {"total": 3.0})


def test_everything_is_escaped() -> None:
    result = result_of(NASTY)
    pieces = words.faces_table(result) + words.models_table(result) + words.note(NASTY) + words.warning(NASTY)
    pieces += words.trouble(PictureInvalid(NASTY)) + words.progress(NASTY, 0.5)
    assert "<img" not in pieces
    assert pieces.count("&lt;img") == 6


def test_faces_are_numbered_as_drawn_and_unknowns_are_dashes() -> None:
    table = words.faces_table(result_of("Ada"))
    cells = ["1", "0.90", "yolo, mtcnn", "Ada (too_close)", "–", "–", "–"]
    assert "".join(f"<td>{cell}</td>" for cell in cells) in table


def test_licences_stand_beside_models() -> None:
    table = words.models_table(result_of("Ada"))
    assert "<td>yolov8</td><td>GPL-3.0</td><td>not allowed</td>" in table
    assert "<td>deepfake</td><td>1</td>" in table


def test_an_empty_table_says_so() -> None:
    assert "No face was found" in words.faces_table(ImageResult(1, 1, Mode.FAST, (), (), (), {"total": 1.0}))


def test_a_bar_stays_between_its_ends() -> None:
    assert 'value="1.000"' in words.progress("", 1.7)
    assert "value=" not in words.progress("", None)
