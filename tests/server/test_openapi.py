"""The examples of the API's description are true to its types."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from streamapp.faces import Mode
from streamapp.results import ImageResult
from streamapp.server.openapi import responses
from streamapp.server.problems import MEDIA_TYPE
from streamapp.server.schemas import Problem


@pytest.mark.parametrize("mode", Mode)
def test_example_results_are_results(mode: Mode) -> None:
    example = responses(mode)[200]["content"]["application/json"]["example"]
    result = TypeAdapter(ImageResult).validate_python(example)
    assert result.mode is mode
    assert TypeAdapter(ImageResult).dump_python(result, mode="json") == example


def test_example_problems_are_problems() -> None:
    for status, documented in responses(Mode.FAST).items():
        for code, example in documented["content"].get(MEDIA_TYPE, {}).get("examples", {}).items():
            problem = Problem.model_validate(example["value"])
            assert (problem.status, problem.code) == (status, code)
