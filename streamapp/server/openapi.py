"""What the OpenAPI description says of pictures beyond what the types say: the form, examples, problems."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter

from streamapp.errors import (
    DeviceLost,
    ModelError,
    ModelHung,
    ModelInvalid,
    ModelMissing,
    ModelOutOfMemory,
    ModelSuspended,
    OverBudget,
    PictureInvalid,
    PictureTooLarge,
    PictureUnsupported,
    RuntimeMissing,
)
from streamapp.faces import Detector, Mode
from streamapp.findings import Gender
from streamapp.results import (
    Analyses,
    FaceResult,
    GenderAgeAnalysis,
    ImageResult,
    LivenessAnalysis,
    LivenessState,
    ModelUse,
    Skipped,
)
from streamapp.server.problems import MEDIA_TYPE
from streamapp.server.schemas import Problem
from streamapp.server.uploads import FIELD

FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "string", "format": "binary", "description": "JPEG, PNG or WebP."}},
                },
                "encoding": {FIELD: {"contentType": "image/jpeg, image/png, image/webp"}},
                "example": {FIELD: "portrait.jpg"},
            }
        },
    }
}
MODEL_PROBLEMS: Mapping[str, str] = {
    ModelMissing.code: "a model that is needed is not installed; `detail` has the command that gets it",
    ModelInvalid.code: "a model's file is not the one that the manifest names",
    RuntimeMissing.code: "the library that runs the models is not installed",
    OverBudget.code: "a model does not fit into scheduler.budget_mb",
    ModelOutOfMemory.code: "the device had no room for a model",
    ModelHung.code: "a model did not answer in time",
    ModelSuspended.code: "a model failed too often and is left alone for a while",
    DeviceLost.code: "the GPU does not answer any more",
    ModelError.code: "a model failed; the log says how",
}
"""All 503: the server cannot do what is asked, now."""
PICTURE_PROBLEMS: Mapping[int, Mapping[str, str]] = {
    400: {"bad_request": "the form cannot be read: no boundary, or more files or fields than are taken"},
    408: {"request_timeout": "the picture did not come in time"},
    413: {
        "body_too_large": "the body is larger than server.max_body_bytes",
        PictureTooLarge.code: "the picture has more pixels than server.max_image_pixels",
    },
    415: {
        "media_type_unsupported": "the body is not multipart/form-data",
        PictureUnsupported.code: "the file is not a JPEG, PNG or WebP picture",
    },
    422: {
        "request_invalid": f"the form has no file named {FIELD}, or several",
        PictureInvalid.code: "the picture is cut off or broken",
    },
    503: {
        "overloaded": "too many pictures are in hand; come back after Retry-After seconds",
        **MODEL_PROBLEMS,
    },
}
_FACE = FaceResult(
    box=(412.5, 180.0, 538.25, 344.75),
    score=0.93,
    landmarks=None,
    keypoints=((451.0, 240.5), (502.0, 241.0), (478.5, 270.0), (477.0, 299.5), (420.0, 252.0), (531.0, 254.5)),
    detector=Detector.MEDIAPIPE,
    seen_by=(Detector.MEDIAPIPE,),
)
_SCREENER = ModelUse("screen", "blazeface-short-range", "Apache-2.0", True, "cpu (litert)")


def responses(mode: Mode) -> dict[int | str, dict[str, Any]]:
    """The answers of one route, each with an example."""
    result = TypeAdapter(ImageResult).dump_python(_example(mode), mode="json")
    described: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": result}}}}
    return described | problem_responses(PICTURE_PROBLEMS)


def sends(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """As `responses` of a route: what a good answer is made of, where its type does not say so."""
    return {200: {"content": {media_type: {} for media_type in media_types}}}


def problem_responses(problems: Mapping[int, Mapping[str, str]]) -> dict[int | str, dict[str, Any]]:
    """By status, then by code what it means: the problem documents of a route, each with an example."""
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: _problem(status, found)}}
        for status, found in problems.items()
    }


def _problem(status: int, details: Mapping[str, str]) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    return {
        "schema": Problem.model_json_schema(),
        "examples": {
            code: {
                "value": Problem(type="about:blank", title=title, status=status, code=code, detail=text).model_dump()
            }
            for code, text in details.items()
        },
    }


def _example(mode: Mode) -> ImageResult:
    if mode is not Mode.FULL:
        return ImageResult(1280, 720, mode, (_FACE,), (_SCREENER,), (), {"total": 3.8})
    analyses = Analyses(
        gender_age=GenderAgeAnalysis("genderage", 0, "asked_for", 0.0, 1, 0.87, Gender.FEMALE, 34.0),
        liveness=LivenessAnalysis(
            "antispoof-mn3", 0, "asked_for", 0.0, 1, 0.94, LivenessState.LIVE, 0.94, {"spoof": 0.06}
        ),
    )
    face = FaceResult(
        _FACE.box, _FACE.score, None, _FACE.keypoints, Detector.MEDIAPIPE, (Detector.MEDIAPIPE,), analyses
    )
    models = (
        _SCREENER,
        ModelUse("gender_age", "genderage", "InsightFace: non-commercial research", False, "CPUExecutionProvider"),
    )
    missing = Skipped("deepfake", None, "no model is installed; run `streamapp models pull`", ModelMissing.code)
    return ImageResult(1280, 720, mode, (face,), models, (missing,), {"total": 48.0})
