"""What is told survives its own JSON, whatever is known of a face."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from streamapp.faces import Detector, Mode, TrackState
from streamapp.findings import Gender
from streamapp.results import (
    UNKNOWN,
    Analyses,
    AnalysisKind,
    DeepfakeAnalysis,
    DeepfakeBand,
    DropReason,
    FaceResult,
    FrameResult,
    GenderAgeAnalysis,
    IdentityAnalysis,
    IdentityReason,
    IdentityState,
    ImageResult,
    Keyframe,
    LivenessAnalysis,
    LivenessState,
    ModelUse,
    Skipped,
    Target,
    TrackResult,
)

IDENTITY = IdentityAnalysis(
    "a + b",
    7,
    "new_track",
    0.5,
    3,
    None,
    state=IdentityState.UNKNOWN,
    because=IdentityReason.NOBODY_ALIKE,
    name=UNKNOWN,
    person_id=None,
    similarity=None,
    margin=None,
    scores={"a": 0.25, "b": -0.1},
    missing=("c",),
)
NAMED = replace(
    IDENTITY,
    confidence=0.9,
    state=IdentityState.IDENTIFIED,
    because=IdentityReason.ALIKE,
    name="Ada",
    person_id=UUID(int=7),
    similarity=0.8,
    margin=0.3,
)
LIVENESS = LivenessAnalysis("net", 7, "undecided", 0.0, 1, 0.9, LivenessState.SPOOF, 0.1, {"print": 0.8, "replay": 0.1})
GENDER_AGE = GenderAgeAnalysis("net", 7, "interval", 0.25, 2, 0.75, Gender.FEMALE, 41.5)
DEEPFAKE = DeepfakeAnalysis("net", 7, "interval", 1.0, 4, 0.6, 0.4, DeepfakeBand.MIDDLE)
EVERYTHING = Analyses(identity=IDENTITY, liveness=LIVENESS, gender_age=GENDER_AGE, deepfake=DEEPFAKE)


def result(analyses: Analyses, keyframe: Keyframe | None = None) -> FrameResult:
    points = ((1.0, 2.0),) * 5
    return FrameResult(
        stream="cam",
        frame=8,
        pts_s=0.25,
        captured_at=1_700_000_000.5,
        width=640,
        height=480,
        mode=Mode.FULL,
        tracks=(
            TrackResult(1, (1.5, 2.0, 3.0, 4.5), 0.9, points, None, Detector.MTCNN, TrackState.COASTING, analyses),
            TrackResult(2, (0, 0, 1, 1), 0.5, None, None, Detector.YOLO, TrackState.CONFIRMED),
        ),
        keyframe=keyframe,
        timing_ms={"total": 1.5},
        dropped={DropReason.NO_MEMORY: 2},
    )


@pytest.mark.parametrize(
    "analyses",
    [Analyses(), EVERYTHING, Analyses(identity=NAMED), Analyses(deepfake=DEEPFAKE)],
    ids=lambda a: ",".join(a),
)
def test_a_frame_s_result_comes_back_from_its_line_as_it_was(analyses: Analyses) -> None:
    told = result(analyses, Keyframe(("new_track", "interval")))
    line = told.to_json()
    assert "\n" not in line
    assert FrameResult.from_json(line) == told
    assert FrameResult.from_json(line.encode()).to_json() == line


def test_the_json_says_it_in_the_words_of_the_contract() -> None:
    told = json.loads(result(EVERYTHING, Keyframe(("new_track",), None, (Target(3, "new_track"),))).to_json())
    assert told["keyframe"] == {
        "reasons": ["new_track"],
        "sweep": None,
        "targets": [{"track": 3, "reason": "new_track"}],
    }
    assert told["dropped"] == {"no_memory": 2}
    first, second = told["tracks"]
    assert (first["box"], first["detector"], first["state"]) == ([1.5, 2.0, 3.0, 4.5], "mtcnn", "coasting")
    assert second["analyses"] == {}
    assert set(first["analyses"]) == set(AnalysisKind)
    for analysis in first["analyses"].values():
        assert {"model", "frame", "age_s", "samples", "confidence"} <= set(analysis)
    identity, liveness = first["analyses"]["identity"], first["analyses"]["liveness"]
    assert (identity["name"], identity["similarity"], identity["missing"]) == ("unknown", None, ["c"])
    assert (liveness["state"], liveness["attacks"]["print"]) == ("spoof", 0.8)
    assert "fake" not in first["analyses"]["deepfake"], "a score and a band, never a verdict"


@pytest.mark.parametrize("line", ["", "{}", "null", '{"stream": "cam"}'])
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        FrameResult.from_json(line)


def test_an_analysis_without_its_age_is_refused() -> None:
    told = json.loads(result(EVERYTHING).to_json())
    del told["tracks"][0]["analyses"]["liveness"]["age_s"]
    with pytest.raises(ValidationError, match="age_s"):
        FrameResult.from_json(json.dumps(told))


def test_the_schema_names_every_analysis() -> None:
    schema = json.dumps(FrameResult.json_schema())
    for kind in AnalysisKind:
        assert f'"{kind}"' in schema


def test_a_picture_s_result_comes_back_as_it_was() -> None:
    told = ImageResult(
        width=10,
        height=20,
        mode=Mode.FULL,
        faces=(
            FaceResult(
                (0, 0, 5, 5),
                0.8,
                None,
                ((1.0, 1.0),) * 6,
                Detector.YOLO,
                (Detector.MEDIAPIPE, Detector.YOLO),
                EVERYTHING,
            ),
        ),
        models=(ModelUse("yolo", "net", "AGPL-3.0", None, "CPUExecutionProvider"),),
        skipped=(Skipped("deepfake", None, "off", "model_missing"), Skipped("antispoof", "net", "small", "x", 0)),
        timing_ms={"total": 3.0},
    )
    adapter = TypeAdapter(ImageResult)
    assert adapter.validate_json(adapter.dump_json(told)) == told
