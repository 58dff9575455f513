"""The description of the whole API: what FastAPI finds in the routes, and what a request meets before its route."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from streamapp.access.tokens import Scope
from streamapp.errors import LockedOut, NotFound, ScopeMissing, StreamappError, TokenInvalid, TokenMissing
from streamapp.server.access_rules import AccessRules, Entry
from streamapp.server.openapi import problem_responses
from streamapp.server.problems import MEDIA_TYPE
from streamapp.server.schemas import Problem

COMMON_PROBLEMS: Mapping[int, Mapping[str, str]] = {
    400: {
        "host_not_allowed": "the server is addressed by a name that is not in server.allowed_hosts",
        "bad_request": "the request cannot be read, or its client went away",
    },
    401: {
        TokenMissing.code: "a token is needed, and there is none",
        TokenInvalid.code: "the token is not known, was revoked or has expired",
    },
    403: {
        ScopeMissing.code: "the token is valid, and not for this",
        "origin_not_allowed": "a page of another origin asks, which is not in server.allowed_origins",
    },
    404: {NotFound.code: "there is nothing at this path"},
    405: {"method_not_allowed": "the path is there, and this cannot be done with it"},
    408: {"request_timeout": "the body did not come in time"},
    413: {"body_too_large": "the body is larger than its limit"},
    429: {LockedOut.code: "too many wrong tokens came from this address; come back after Retry-After seconds"},
    500: {StreamappError.code: "a fault of the server's; its log says which"},
}
"""What any route may answer, by status and code, beside what its own description has."""
_INVALID = {"request_invalid": "a parameter or the body is not as described; `detail` says which and why"}
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch"})
_SECURITY_SCHEMES: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "For programs: `Authorization: Bearer TOKEN`."},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "streamapp", "description": "For pages: POST /login sets it."},
}


class Api(FastAPI):
    """An application whose description says what its routes need and how they refuse."""

    def openapi(self) -> dict[str, Any]:
        is_new = self.openapi_schema is None
        schema = super().openapi()
        if is_new:
            complete(schema)
        return schema


def complete(schema: dict[str, Any]) -> None:
    """Changes FastAPI's OpenAPI document in place: scopes by the access rules, and problem documents where it has its
    own idea of what an invalid request is answered with."""
    rules = AccessRules(())
    for path, methods in schema["paths"].items():
        for method in _METHODS & methods.keys():
            operation = methods[method]
            operation["security"] = _security(rules.needs(method.upper(), path))
            _describe_path(path, operation)
            _describe_invalid(operation)
            for response in operation["responses"].values():
                if MEDIA_TYPE in response.get("content", {}):
                    response["content"][MEDIA_TYPE]["schema"] = {"$ref": "#/components/schemas/Problem"}
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = _SECURITY_SCHEMES


def _security(needs: frozenset[Scope] | Entry) -> list[dict[str, list[str]]]:
    """An empty requirement: it answers without a token, too."""
    if needs is Entry.ANYONE:
        return []
    scopes = sorted(needs) if isinstance(needs, frozenset) else [Scope.VIEW]
    required = [{name: [scope.value for scope in scopes]} for name in _SECURITY_SCHEMES]
    return [{}, *required] if needs is Entry.REDUCED else required


def _describe_path(path: str, operation: dict[str, Any]) -> None:
    """FastAPI leaves out what the route's function does not take; OpenAPI wants every part of a path."""
    parameters = operation.get("parameters", [])
    known = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
    unknown = [name for name in re.findall(r"\{(\w+)\}", path) if name not in known]
    if unknown:
        added = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in unknown]
        operation["parameters"] = [*added, *parameters]


def _describe_invalid(operation: dict[str, Any]) -> None:
    """FastAPI says 422 of every route with a parameter, also where every text will do, and of its own form."""
    own = operation["responses"].pop("422", {}).get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
    common = _INVALID if _can_be_invalid(operation) else {}
    if own or common:
        described = problem_responses({422: common})[422]
        described["content"][MEDIA_TYPE]["examples"].update(own)
        operation["responses"]["422"] = described


def _can_be_invalid(operation: dict[str, Any]) -> bool:
    if "application/json" in operation.get("requestBody", {}).get("content", {}):
        return True
    schemas = (parameter["schema"] for parameter in operation.get("parameters", ()))
    return any(not _takes_any_text(schema) for schema in schemas)


def _takes_any_text(schema: dict[str, Any]) -> bool:
    if "anyOf" in schema:
        return any(_takes_any_text(one) for one in schema["anyOf"])
    return schema.get("type") == "string" and not schema.keys() & {
        "format",
        "pattern",
        "maxLength",
        "minLength",
        "enum",
    }
