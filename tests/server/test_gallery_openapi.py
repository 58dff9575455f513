"""The examples of /gallery's description are true to its types, and every code it can answer is described."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from streamapp.enrolment.enroller import RefusedBecause
from streamapp.server.gallery_openapi import ENROLL, IDENTIFY, SAMPLES, VERIFY, Description, described
from streamapp.server.people_answers import EnrolmentAnswer
from streamapp.server.problems import MEDIA_TYPE
from streamapp.server.recognition_answers import IdentificationAnswer, VerificationAnswer
from streamapp.server.schemas import Problem
from tests.server.conftest import StartBench

ROUTES = [
    (ENROLL, EnrolmentAnswer),
    (SAMPLES, EnrolmentAnswer),
    (IDENTIFY, IdentificationAnswer),
    (VERIFY, VerificationAnswer),
]


@pytest.mark.parametrize(("route", "answer"), ROUTES)
def test_example_answers_are_answers(route: Description, answer: type[BaseModel]) -> None:
    example = described(route)["responses"][route.status]["content"]["application/json"]["example"]
    assert answer.model_validate(example).model_dump(mode="json") == example


@pytest.mark.parametrize("route", [route for route, _ in ROUTES])
def test_example_problems_are_problems(route: Description) -> None:
    for status, documented in described(route)["responses"].items():
        for code, example in documented["content"].get(MEDIA_TYPE, {}).get("examples", {}).items():
            problem = Problem.model_validate(example["value"])
            assert (problem.status, problem.code) == (status, code)


def test_every_reason_to_refuse_somebody_is_described() -> None:
    of_enrolment = {code for found in described(ENROLL)["responses"].values() for code in codes(found)}
    of_samples = {code for found in described(SAMPLES)["responses"].values() for code in codes(found)}
    assert of_enrolment >= set(RefusedBecause) - {RefusedBecause.NOT_COMPARABLE}
    assert of_samples >= set(RefusedBecause)
    assert of_enrolment >= {"enrolment_invalid", "gallery_unusable", "model_missing", "picture_unsupported"}


def codes(documented: dict[str, dict[str, dict[str, object]]]) -> set[str]:
    examples = documented["content"].get(MEDIA_TYPE, {}).get("examples", {})
    assert isinstance(examples, dict)
    return set(examples)


async def test_forms_and_json_are_described_side_by_side(start_bench: StartBench, tmp_path: Path) -> None:
    async with start_bench() as bench:
        paths = (await bench.http.get("/openapi.json")).json()["paths"]
    content = paths["/gallery/people"]["post"]["requestBody"]["content"]
    form, track = content["multipart/form-data"]["schema"], content["application/json"]["schema"]
    assert {"image", "name", "consent_by", "consent_text", "consent_until"} <= set(form["required"])
    assert {"stream", "track", "consent_by"} <= set(track["required"])
    content = paths["/gallery/identify"]["post"]["requestBody"]["content"]
    assert content["multipart/form-data"]["schema"]["required"] == ["image"]
