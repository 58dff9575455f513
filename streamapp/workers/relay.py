"""Requests about streams and pictures, passed on to the workers that have them. Plain ASGI, behind all that guards the
server, before its own routes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from pydantic import TypeAdapter
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamapp.errors import StreamappError, WorkerLost
from streamapp.server.entrance import client_of, grant_of
from streamapp.server.problems import problem_of
from streamapp.server.schemas import StreamInfo
from streamapp.workers.crew import Crew
from streamapp.workers.launcher import Running
from streamapp.workers.member import Member

_STREAMS: TypeAdapter[tuple[StreamInfo, ...]] = TypeAdapter(tuple[StreamInfo, ...])
_STREAM = re.compile(r"/streams/(?P<stream>[^/]+)(/.*)?")
_PLAYED = re.compile(r"/whep/(?P<stream>[^/]+)")
_SESSION = re.compile(r"/(whip|whep/[^/]+)/(?P<session>[^/]+)")
_PICTURES = re.compile(r"/(detect|analyze)/.+")
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length"}
"""RFC 9110 section 7.6.1, and what is said anew."""
_ABOUT_CLIENTS = {"authorization", "cookie", "x-forwarded-for", "x-forwarded-proto", "forwarded"}
"""Workers do not need to know it, or are told by us."""


class Relay:
    def __init__(self, app: ASGIApp, crew: Crew) -> None:
        self._app = app
        self._crew = crew

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "OPTIONS" or not _is_relayed(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if (scope["method"], scope["path"]) in (("GET", "/streams"), ("HEAD", "/streams")):
            listed = _STREAMS.dump_json((await self._crew.census()).streams)
            await Response(listed, media_type="application/json")(scope, receive, send)
            return
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        async with AsyncExitStack() as held:
            try:
                running = await held.enter_async_context(self._place(request, body))
            except StreamappError as error:
                await problem_of(error)(scope, receive, send)
                return
            await self._pass_on(running, request, body, receive, send)

    @asynccontextmanager
    async def _place(self, request: Request, body: bytes) -> AsyncIterator[Running]:
        """The process that answers, for as long as it does. Raises StreamappError."""
        crew, path = self._crew, request.url.path
        if _PICTURES.fullmatch(path):
            async with _examining(crew.for_picture()) as running:
                yield running
        elif path == "/streams":
            async with crew.place_for_stream(_text(body, "name")) as member:
                yield await member.for_streams()
        elif path == "/streams/test":
            stream = _text(body, "stream")
            member = min(crew.members, key=lambda m: m.pictures) if stream is None else await crew.owner(stream)
            yield await member.for_streams()
        elif path == "/whip":
            async with crew.place_for_publisher(request.query_params.get("name")) as member:
                yield await member.for_streams()
        elif found := _PLAYED.fullmatch(path):
            async with crew.place_for_viewer(found["stream"]) as member:
                yield await member.for_streams()
        elif found := _SESSION.fullmatch(path):
            yield await (await crew.session_owner(found["session"])).for_streams()
        elif found := _STREAM.fullmatch(path):
            stream, renamed = found["stream"], _text(body, "name") if request.method == "PATCH" else None
            member = await crew.owner(stream)
            async with AsyncExitStack() as held:
                if renamed is not None and renamed != stream:
                    held.enter_context(crew.name_taken(renamed, await crew.census()))
                yield await member.for_streams()

    async def _pass_on(self, running: Running, request: Request, body: bytes, receive: Receive, send: Send) -> None:
        scope = request.scope
        query = scope["query_string"].decode("latin-1")
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        asked = running.http.build_request(
            request.method, f"{path}?{query}" if query else path, headers=_passed(request), content=body
        )
        leaving = _Leaving(receive)
        try:
            async with asyncio.TaskGroup() as group:
                gone = group.create_task(leaving.wait())
                answered = group.create_task(running.http.send(asked, stream=True))
                await asyncio.wait((gone, answered), return_when=asyncio.FIRST_COMPLETED)
                if not answered.done():
                    answered.cancel()
                gone.cancel()
        except* httpx.TransportError:
            pass
        if answered.cancelled():
            return
        if answered.exception() is not None:
            await problem_of(WorkerLost())(scope, receive, send)
            return
        response = answered.result()
        try:
            self._end_with_grant(request, response, running)
            streaming = StreamingResponse(_content(response), response.status_code)
            streaming.raw_headers = [
                (name.lower(), value)
                for name, value in response.headers.raw
                if name.lower().decode() not in _HOP_BY_HOP - {"content-length"} and name.lower() not in (b"date",)
            ]
            await streaming(scope, leaving.receive, send)
        finally:
            await response.aclose()

    def _end_with_grant(self, request: Request, response: httpx.Response, running: Running) -> None:
        """A connection ends when the grant ends under which it was made."""
        grant, session = grant_of(request), response.headers.get("location")
        if grant is not None and response.status_code == 201 and request.url.path.startswith(("/whip", "/whep/")):
            self._crew.end_with(grant, session, running)


class _Leaving:
    """Knows when the client goes away; the request's body has been read."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone: Message | None = None

    async def wait(self) -> None:
        self._gone = await self.receive()

    async def receive(self) -> Message:
        while self._gone is None:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return message
        return self._gone


def _is_relayed(method: str, path: str) -> bool:
    if path in ("/streams", "/streams/test"):
        return method in ("GET", "HEAD", "POST")
    if path == "/whip" or _PLAYED.fullmatch(path) or _PICTURES.fullmatch(path):
        return method == "POST"
    return bool(_SESSION.fullmatch(path) or _STREAM.fullmatch(path))


def _passed(request: Request) -> Mapping[str, str]:
    headers = Headers(scope=request.scope)
    left_out = _HOP_BY_HOP | _ABOUT_CLIENTS
    passed = {name: value for name, value in headers.items() if name not in left_out}
    client = client_of(request.scope)
    return passed | ({"x-forwarded-for": client} if client else {})


def _text(body: bytes, field: str) -> str | None:
    """A text in a JSON body; None if there is none: what is wrong with it the worker says."""
    try:
        content: Any = json.loads(body)
    except ValueError:
        return None
    found = content.get(field) if isinstance(content, dict) else None
    return found if isinstance(found, str) else None


async def _content(response: httpx.Response) -> AsyncIterator[bytes]:
    """Ends early if the worker does."""
    try:
        async for part in response.aiter_raw():
            yield part
    except httpx.TransportError:
        return


@asynccontextmanager
async def _examining(member: Member) -> AsyncIterator[Running]:
    running = await member.for_pictures()
    running.pictures += 1
    try:
        yield running
    finally:
        running.pictures -= 1
