"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from streamapp import errors
from streamapp.errors import Overloaded, SourceAuthFailed, StreamappError
from streamapp.server import problems


class Wanted(BaseModel):
    count: int


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    problems.install(app)

    @app.get("/ours")
    async def ours() -> None:
        raise SourceAuthFailed("rtsp://admin:secret@camera/live refused the password")

    @app.get("/full")
    async def full() -> None:
        raise Overloaded("all places are taken", retry_after_s=7)

    @app.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError("secret detail")

    @app.post("/wanted")
    async def wanted(wanted: Wanted) -> None:
        pass

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def test_our_errors_keep_their_code_and_lose_their_secrets(http: httpx.AsyncClient) -> None:
    response = await http.get("/ours")
    assert response.headers["content-type"] == problems.MEDIA_TYPE
    assert response.json() == {
        "type": "about:blank",
        "title": "Bad Gateway",
        "status": 502,
        "code": "source_auth_failed",
        "detail": "rtsp://***@camera/live refused the password",
    }


async def test_being_full_says_when_to_come_back(http: httpx.AsyncClient) -> None:
    response = await http.get("/full")
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")


async def test_a_bug_is_logged_and_not_told(http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    response = await http.get("/bug")
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "secret detail" not in response.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_body_that_does_not_fit_says_where(http: httpx.AsyncClient) -> None:
    response = await http.post("/wanted", json={"count": "many"})
    assert (response.status_code, response.json()["code"]) == (422, "request_invalid")
    assert "body.count" in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"), [("GET", "/x", 404, "not_found"), ("PUT", "/ours", 405, "method_not_allowed")]
)
async def test_what_is_not_there(http: httpx.AsyncClient, method: str, path: str, status: int, code: str) -> None:
    response = await http.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == problems.MEDIA_TYPE
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize("status", [408, 413])
def test_a_body_that_was_not_read_closes_the_connection(status: int) -> None:
    assert problems.problem(status, "x", "x").headers["connection"] == "close"
    assert "connection" not in problems.problem(404, "x", "x").headers


def test_every_error_has_a_code_of_its_own_and_a_status() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StreamappError)]
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert all(400 <= kind.http_status < 600 for kind in kinds)
