"""Of Gradio's interface the page's own part is open; calls carry plain values only."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from streamapp.demo.doorman import CONTENT_SECURITY_POLICY, MAX_CALL_BYTES, Doorman

CALL: dict[str, Any] = {"data": ["token", 1, 2.5, True, None], "fn_index": 0, "session_hash": "abc123", "trigger_id": 4}
JOIN = "/demo/gradio_api/queue/join"


class Inside:
    """What is behind the door: says what got in."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.requests.append((request.method, request.url.path))
        self.body = await request.body()
        assert len(self.body) == int(request.headers.get("content-length", "0"))
        await JSONResponse({}, headers={"Content-Security-Policy": "default-src *"})(scope, receive, send)


@pytest.fixture
def inside() -> Inside:
    return Inside()


async def ask(inside: Inside, method: str, path: str, **content: Any) -> httpx.Response:
    transport = httpx.ASGITransport(Doorman(inside, "/demo"))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        return await http.request(method, path, **content)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/demo/"),
        ("HEAD", "/demo/"),
        ("GET", "/demo/theme.css"),
        ("GET", "/demo/assets/index-DphvyggB.js"),
        ("GET", "/demo/static/js/iframeResizer.contentWindow.min.js"),
        ("GET", "/demo/gradio_api/queue/data?session_hash=abc"),
        ("GET", "/demo/gradio_api/heartbeat/abc123"),
        ("POST", "/demo/gradio_api/cancel"),
    ],
)
async def test_what_the_page_needs_gets_in(inside: Inside, method: str, path: str) -> None:
    answer = await ask(inside, method, path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/demo/gradio_api/file=/etc/passwd"),
        ("GET", "/demo/gradio_api/file=http://127.0.0.1:22/"),
        ("HEAD", "/demo/gradio_api/file=/etc/passwd"),
        ("GET", "/demo/gradio_api/file/etc/passwd"),
        ("GET", "/demo/gradio_api/proxy=http://127.0.0.1/"),
        ("GET", "/demo/proxy=http://127.0.0.1/"),
        ("POST", "/demo/gradio_api/upload"),
        ("GET", "/demo/gradio_api/upload_progress"),
        ("POST", "/demo/gradio_api/component_server"),
        ("POST", "/demo/gradio_api/component_server/"),
        ("POST", "/demo/gradio_api/run/predict"),
        ("POST", "/demo/gradio_api/api/predict"),
        ("POST", "/demo/gradio_api/call/predict"),
        ("POST", "/demo/gradio_api/queue/join/"),
        ("POST", "/demo/gradio_api/vibe-edit"),
        ("POST", "/demo/gradio_api/process_recording"),
        ("GET", "/demo/gradio_api/stream/a/b/1/playlist.m3u8"),
        ("GET", "/demo/gradio_api/openapi.json"),
        ("GET", "/demo/gradio_api/dev/reload"),
        ("GET", "/demo/gradio_api/mcp/sse"),
        ("GET", "/demo/monitoring"),
        ("GET", "/demo/monitoring/summary"),
        ("GET", "/demo/static/../../secret"),
        ("GET", "/demo/assets/..%2f..%2fsecret"),
        ("GET", "/demo/assets/%2e%2e/secret"),
        ("GET", "/demo/static//etc/passwd"),
        ("POST", "/demo/login"),
        ("PUT", "/demo/"),
        ("OPTIONS", "/demo/"),
    ],
)
async def test_nothing_else_does(inside: Inside, method: str, path: str) -> None:
    answer = await ask(inside, method, path)
    assert answer.status_code == 404
    assert inside.requests == []


async def test_a_call_arrives_as_it_was_meant(inside: Inside) -> None:
    answer = await ask(
        inside, "POST", JOIN, json={**CALL, "event_data": {"path": "/etc/passwd"}, "simple_format": True}
    )
    assert answer.status_code == 200
    assert json.loads(inside.body) == CALL


FILE = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
ADDRESS = {"path": "http://127.0.0.1:9/", "url": "http://127.0.0.1:9/", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize(
    "call",
    [
        {**CALL, "data": [FILE]},
        {**CALL, "data": [ADDRESS]},
        {**CALL, "data": [[FILE]]},
        {**CALL, "data": {"0": FILE}},
        {**CALL, "data": ["x"] * 17},
        {**CALL, "session_hash": "../x"},
        {**CALL, "fn_index": "0"},
        {"data": []},
        [],
    ],
)
async def test_files_and_nonsense_do_not_get_through(inside: Inside, call: object) -> None:
    answer = await ask(inside, "POST", JOIN, json=call)
    assert answer.status_code == 422
    assert inside.requests == []


@pytest.mark.parametrize("body", [b"", b"{", b'{"data":["' + b"x" * MAX_CALL_BYTES + b'"]}'])
async def test_broken_and_endless_calls_are_refused(inside: Inside, body: bytes) -> None:
    assert (await ask(inside, "POST", JOIN, content=body)).status_code == 422
    assert inside.requests == []
