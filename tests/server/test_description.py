"""What the API's description says of every route: whom it lets in, and how it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from streamapp import api_reference
from streamapp.access.tokens import Scope
from streamapp.errors import LockedOut, ScopeMissing, TokenInvalid, TokenMissing
from streamapp.server.access_rules import AccessRules, Entry
from streamapp.server.description import COMMON_PROBLEMS, Api
from streamapp.server.problems import MEDIA_TYPE
from streamapp.server.schemas import Problem


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return api_reference.description()


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_route_says_which_scopes_it_needs(described: dict[str, Any]) -> None:
    rules = AccessRules(())
    for method, path, operation in operations(described):
        needs, said = rules.needs(method, path), operation["security"]
        if needs is Entry.ANYONE:
            assert said == [], path
        elif needs is Entry.REDUCED:
            assert said[0] == {}, path
        else:
            assert [set(way[name]) for way in said for name in way] == [set(needs)] * 2, path
            assert needs != frozenset(Scope), f"nobody thought about {path}"


def test_every_part_of_a_path_is_a_parameter(described: dict[str, Any]) -> None:
    for method, path, operation in operations(described):
        parts = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        named = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
        assert sorted(parts) == sorted(named), f"{method} {path}"


def test_every_route_says_what_it_is_for(described: dict[str, Any]) -> None:
    assert not [path for _, path, operation in operations(described) if not operation.get("description")]


def test_every_problem_is_one(described: dict[str, Any]) -> None:
    seen = 0
    for _, path, operation in operations(described):
        for status, response in operation["responses"].items():
            if int(status) < 400 or path == "/ready":
                continue
            assert list(response["content"]) == [MEDIA_TYPE], path
            for code, example in response["content"][MEDIA_TYPE]["examples"].items():
                problem = Problem.model_validate(example["value"])
                assert (problem.status, problem.code) == (int(status), code)
                seen += 1
    assert seen > len(operations(described))


def test_nothing_is_said_twice(described: dict[str, Any]) -> None:
    assert {"HTTPValidationError", "ValidationError"}.isdisjoint(described["components"]["schemas"])
    for error in (TokenMissing, TokenInvalid, ScopeMissing, LockedOut):
        assert error.code in COMMON_PROBLEMS[error.http_status]


def test_only_what_can_be_wrong_is_said_to_be_refused_as_invalid() -> None:
    app = Api()

    @app.get("/streams/{name}")
    def text(name: str) -> None:
        """Any text will do."""

    @app.get("/streams/{number}/number")
    def number(number: int) -> None:
        """Only numbers."""

    paths = app.openapi()["paths"]
    assert "422" not in paths["/streams/{name}"]["get"]["responses"]
    refused = paths["/streams/{number}/number"]["get"]["responses"]["422"]["content"]
    assert list(refused[MEDIA_TYPE]["examples"]) == ["request_invalid"]


def test_it_is_completed_once() -> None:
    app: FastAPI = Api()

    @app.get("/status")
    def status(count: int = 0) -> None:
        """Says how it is."""

    assert app.openapi() is app.openapi()
    assert list(app.openapi()["paths"]["/status"]["get"]["responses"]) == ["200", "422"]
