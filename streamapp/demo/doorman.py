"""What of Gradio's own HTTP interface is open: the page, its files, and the queue that runs our functions.

Gradio serves more than its page needs: files by path, a proxy, uploads, functions of components, the API without the
queue, monitoring, a code editor. None of it gets past this list. And its queue takes, for any input, a description of a
file that it then copies or downloads; here only plain values get through to it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamapp.server.problems import problem

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Looser than that of our own pages, for this path only: Gradio writes its settings into the page as a script and
styles as attributes, and makes functions of the templates of its HTML component."""

MAX_CALL_BYTES = 16_384
_NAME = r"[A-Za-z0-9_-]{1,64}"
_FILE = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_OPEN = {
    "GET": (
        r"/",
        r"/(config|theme\.css)/?",
        rf"/(assets|static)(/{_FILE}){{1,8}}",
        rf"/gradio_api/heartbeat/{_NAME}",
        r"/gradio_api/(queue/data|app_id)/?",
    ),
    "POST": (r"/gradio_api/queue/join", r"/gradio_api/cancel", r"/gradio_api/reset/?"),
}
_OPEN["HEAD"] = ("/",)
_PATHS = {method: re.compile("|".join(f"(?:{path})" for path in paths)) for method, paths in _OPEN.items()}
_JOIN = "/gradio_api/queue/join"


class _Call(BaseModel):
    """What the page sends to have a function run: plain values only, no descriptions of files."""

    model_config = ConfigDict(extra="ignore", strict=True)

    data: list[str | int | float | bool | None] = Field(max_length=16)
    fn_index: int
    trigger_id: int | None = None
    session_hash: str = Field(pattern=rf"^{_NAME}$")


class Doorman:
    """Stands before Gradio's app, which is at `prefix`."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(self._prefix)
        allowed = _PATHS.get(scope["method"])
        if allowed is None or not allowed.fullmatch(path):
            await problem(404, "not_found", "there is nothing here")(scope, receive, send)
            return
        if path == _JOIN:
            call = await _read_call(receive)
            if call is None:
                refusal = problem(422, "call_invalid", "this is not a call of the page: plain values only")
                await refusal(scope, receive, send)
                return
            scope, receive = _with_body(scope, receive, call.model_dump_json().encode())

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
            await send(message)

        await self._app(scope, receive, send_with_policy)


async def _read_call(receive: Receive) -> _Call | None:
    body = bytearray()
    async for chunk in _chunks(receive):
        body += chunk
        if len(body) > MAX_CALL_BYTES:
            return None
    try:
        return _Call.model_validate_json(bytes(body))
    except ValidationError:
        return None


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    while (message := await receive())["type"] == "http.request":
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


def _with_body(scope: Scope, receive: Receive, body: bytes) -> tuple[Scope, Receive]:
    """The same request with another body, which has been read to its end."""
    headers = [
        (name, value) for name, value in scope["headers"] if name not in (b"content-length", b"transfer-encoding")
    ]
    sent = False

    async def receive_other() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}, receive_other
