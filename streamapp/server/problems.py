"""Errors as `application/problem+json` (RFC 9457), each with a stable `code`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from streamapp.errors import Overloaded, StreamappError
from streamapp.log import redact

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)
_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    412: "precondition_failed",
    413: "body_too_large",
    415: "media_type_unsupported",
    422: "request_invalid",
    428: "precondition_required",
}
_BODY_UNREAD = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
"""The rest of the body may be endless: the connection is closed, or it would be read and thrown away for ever."""


def problem(
    status: int,
    code: str,
    detail: str,
    headers: dict[str, str] | None = None,
    members: Mapping[str, object] | None = None,
) -> JSONResponse:
    """A problem document. `detail` says what is wrong and what to do, without secrets. members: further ones, as RFC
    9457 has them, in plain types."""
    title = HTTPStatus(status).phrase
    if status in _BODY_UNREAD:
        headers = (headers or {}) | {"Connection": "close"}
    content = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": redact(detail)}
    content |= members or {}
    return JSONResponse(content, status, headers, media_type=MEDIA_TYPE)


def problem_of(error: StreamappError) -> JSONResponse:
    """The problem document of one of our errors."""
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Overloaded) else None
    return problem(error.http_status, error.code, str(error), headers)


def install(app: FastAPI) -> None:
    """Makes every error that leaves a route a problem document."""

    @app.exception_handler(StreamappError)
    async def _ours(_: Request, error: StreamappError) -> JSONResponse:
        if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Overloaded):
            _log.error("%s: %s", error.code, error)
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        found = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
        return problem(422, "request_invalid", found)

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, _CODES.get(error.status_code, "http_error"), str(error.detail), headers)

    @app.exception_handler(ClientDisconnect)
    async def _gone(_: Request, __: ClientDisconnect) -> JSONResponse:
        return problem(400, "bad_request", "the client went away")

    @app.exception_handler(Exception)
    async def _unexpected(_: Request, error: Exception) -> JSONResponse:
        _log.error("unexpected error", exc_info=error)
        return problem(500, StreamappError.code, "something unexpected happened here; the log says what")
