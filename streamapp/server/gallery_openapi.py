"""What the OpenAPI description says of /gallery beyond what the types say: forms beside JSON, examples, problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from streamapp.enrolment.enroller import RefusedBecause
from streamapp.errors import (
    Conflict,
    EnrolmentInvalid,
    GalleryError,
    GalleryInUse,
    GalleryUnusable,
    NotFound,
    Overloaded,
)
from streamapp.server.gallery_requests import NewPerson, NewPersonOfTrack, Permissions, TrackSamples
from streamapp.server.openapi import MODEL_PROBLEMS, PICTURE_PROBLEMS, problem_responses, sends
from streamapp.server.uploads import FIELD

_ADA = "6a1c1f0e-6f0e-4a53-9a39-0f6f7a1f8a11"
_PERSON: dict[str, Any] = {
    "id": _ADA,
    "name": "Ada Lovelace",
    "consent": {
        "given_by": "Ada Lovelace, in writing",
        "text_version": "faces-2026-01",
        "given_at": "2026-11-23T10:00:00Z",
        "expires_at": "2027-12-31T23:59:59Z",
    },
    "created_at": "2026-11-23T10:00:00Z",
    "last_seen_at": "2026-11-23T10:00:00Z",
}
_PICTURE: dict[str, Any] = {
    "accepted": True,
    "refusals": [],
    "box": [412.5, 180.0, 538.2, 344.8],
    "quality": 0.87,
    "eyes_px": 58.4,
    "sharpness": 0.94,
    "liveness": {"state": "live", "score": 0.97},
}
_BLURRED = _PICTURE | {
    "accepted": False,
    "refusals": [{"code": "face_blurred", "detail": "the face is blurred (sharpness 0.31, 0.6 is needed): hold still"}],
    "sharpness": 0.31,
}
_SCORES = [{"model": "arcface-mbf-w600k-int8", "cosine": 0.71, "level": 8.93}]
_ENROLLED: dict[str, Any] = {"person": _PERSON, "pictures": [_PICTURE, _BLURRED], "similar": []}
_IDENTIFIED: dict[str, Any] = {
    "looks": 1,
    "people": 12,
    "thresholds": {"accept": 3.14, "unknown": 2.14, "margin": 0.5},
    "faces": [
        {
            "box": [412.5, 180.0, 538.2, 344.8],
            "score": 0.99,
            "state": "identified",
            "because": "alike",
            "person_id": _ADA,
            "name": "Ada Lovelace",
            "similarity": 8.93,
            "margin": 7.2,
            "scores": _SCORES,
            "quality": 0.87,
            "liveness": {"state": "live", "score": 0.97},
            "refusals": [],
        }
    ],
}
_VERIFIED: dict[str, Any] = {
    "same": True,
    "similarity": 8.93,
    "threshold": 2.326,
    "scores": _SCORES,
    "missing": [],
    "pictures": [_PICTURE, _PICTURE],
}
_CLOSED: Mapping[str, str] = {
    Overloaded.code: "too much is asked at once; come back after Retry-After seconds",
    GalleryUnusable.code: "the gallery's file or key is damaged, of a newer version or not the right one",
    GalleryInUse.code: "another process has the gallery open",
    GalleryError.code: "the gallery could not be read or written",
}
_UNAVAILABLE: Mapping[str, str] = {
    **_CLOSED,
    **MODEL_PROBLEMS,
    Overloaded.code: "too many pictures are in hand; come back after Retry-After seconds",
}
_REFUSED = {
    RefusedBecause.PICTURES: "no picture passes; `pictures` says why, one by one, each with its codes",
    RefusedBecause.DIFFERENT_PEOPLE: "the pictures show different people, or not the one enrolled",
    EnrolmentInvalid.code: "the consent has run out, or a time is none",
}
_CONFLICTS = {
    RefusedBecause.ALREADY_ENROLLED: "the face is like somebody's who is there; `similar` names them",
    Conflict.code: "the stream takes no pictures of faces, or the face was not seen for long enough",
}


@dataclass(frozen=True, slots=True)
class Description:
    """Of one route. form, track: the fields beside the pictures, and what may be sent as JSON in their place. files:
    how many pictures, at most."""

    example: Mapping[str, Any]
    status: int = 200
    files: int = 1
    form: type[BaseModel] | None = None
    track: type[BaseModel] | None = None
    problems: Mapping[int, Mapping[str, str]] = field(default_factory=dict)


ENROLL = Description(
    _ENROLLED, 201, 10, NewPerson, NewPersonOfTrack, {404: {NotFound.code: "no such stream or track"}, 409: _CONFLICTS}
)
SAMPLES = Description(
    _ENROLLED,
    201,
    10,
    Permissions,
    TrackSamples,
    {
        404: {NotFound.code: "no such person, stream or track"},
        409: _CONFLICTS
        | {RefusedBecause.NOT_COMPARABLE: "they were enrolled with other recognisers than are installed"},
    },
)
IDENTIFY = Description(_IDENTIFIED)
VERIFY = Description(_VERIFIED, files=2, problems={422: {RefusedBecause.PICTURES: _REFUSED[RefusedBecause.PICTURES]}})

_NO_PERSON = {404: {NotFound.code: "nobody in the gallery has this id"}, 503: _CLOSED}
OF_PEOPLE = problem_responses({503: _CLOSED})
"""Of routes with neither pictures nor a person, as `responses`; the others likewise."""
OF_PERSON = problem_responses(_NO_PERSON)
RENAME = problem_responses(_NO_PERSON | {422: {EnrolmentInvalid.code: "the name is empty or too long"}})
EXPORT = sends("application/json") | OF_PERSON
REJECT = problem_responses(
    {404: {NotFound.code: "no such person, stream or track"}, 503: {**_CLOSED, **MODEL_PROBLEMS}}
)


def described(route: Description) -> dict[str, Any]:
    """What is handed to FastAPI beside the path."""
    problems: dict[int, Mapping[str, str]] = {**PICTURE_PROBLEMS, **route.problems, 503: _UNAVAILABLE}
    refused: Mapping[str, str] = _REFUSED if route.form else route.problems.get(422, {})
    problems[422] = {**PICTURE_PROBLEMS[422], **refused}
    answers = {route.status: {"content": {"application/json": {"example": dict(route.example)}}}}
    return {"responses": answers | problem_responses(problems), "openapi_extra": {"requestBody": _body(route)}}


def _body(route: Description) -> dict[str, Any]:
    picture = {"type": "string", "format": "binary", "description": "JPEG, PNG or WebP."}
    several = {"type": "array", "items": picture, "minItems": 1, "maxItems": route.files}
    fields: dict[str, Any] = route.form.model_json_schema() if route.form else {"type": "object", "properties": {}}
    form = {
        **fields,
        "properties": {FIELD: picture if route.files == 1 else several, **fields["properties"]},
        "required": [FIELD, *fields.get("required", [])],
    }
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    if route.track is not None:
        content["application/json"] = {"schema": route.track.model_json_schema()}
    return {"required": True, "content": content}
