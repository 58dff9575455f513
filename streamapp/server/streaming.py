"""Streams as plain HTTP responses: server-sent events, motion JPEG, a snapshot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from uuid import UUID

import cv2

from streamapp.events.event_log import EventLog
from streamapp.events.search import EventFilter
from streamapp.pipeline.session import StreamSession
from streamapp.sinks.base import Output
from streamapp.sinks.overlay import OverlayPainter
from streamapp.sinks.tap import Tap
from streamapp.sources.base import SourceStatus

HEARTBEAT_S = 5.0
"""As KEEP_ALIVE_S, of the events of all streams."""
RETRY_MS = 2000
"""After so long a browser that lost its connection comes back."""
BOUNDARY = "frame"
JPEG_QUALITY = 80
KEEP_ALIVE_S = 1.0
"""Without a result for so long, a comment is sent: a client that went away is noticed by it."""


async def events(session: StreamSession) -> AsyncIterator[str]:
    """Server-sent events (WHATWG HTML, 9.2): `result` with a FrameResult, `status` on every change of the source's
    state. A slow reader misses results, never the newest one."""
    tap = Tap()
    attachment = session.attach(tap)
    told: SourceStatus | None = None
    try:
        if attachment.inbox.closed:
            yield _status_event(session.status)
            return
        while True:
            output = await _next(tap)
            if session.status != told:
                told = session.status
                yield _status_event(told)
            if output is _QUIET:
                yield ": quiet\n\n"
            elif isinstance(output, Output):
                yield _event("result", output.result.to_json())
            else:
                return
    finally:
        tap.release()
        await attachment.close()


async def live_events(log: EventLog, wanted: EventFilter, after: UUID | None) -> AsyncIterator[str]:
    """Server-sent events of what happens on all streams, each named by its kind, with its id: a client that reconnects
    goes on from there."""
    yield f"retry: {RETRY_MS}\n\n"
    async with aclosing(log.follow(wanted, after, HEARTBEAT_S)) as messages:
        async for message in messages:
            if message is None:
                yield ": quiet\n\n"
            else:
                yield f"id: {message.id}\n" + _event(message.kind, message.model_dump_json())


async def motion_jpeg(session: StreamSession) -> AsyncIterator[bytes]:
    """The parts of a multipart/x-mixed-replace body: JPEGs with the overlay burnt in."""
    tap = Tap()
    attachment = session.attach(tap)
    painter = OverlayPainter()
    try:
        while not attachment.inbox.closed and (output := await tap.get()) is not None:
            picture = await asyncio.to_thread(jpeg, output, painter)
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            yield head.encode() + picture + b"\r\n"
    finally:
        tap.release()
        await attachment.close()


def jpeg(output: Output, painter: OverlayPainter, max_width: int | None = None) -> bytes:
    """An output's picture with the overlay burnt in, scaled down to at most `max_width` pixels, as JPEG. Takes
    milliseconds: not for the event loop."""
    painted = painter.paint(output)
    width = min(painted.width, max_width or painted.width)
    height = max(1, round(painted.height * width / painted.width))
    pixels = painted.to_ndarray(format="bgr24", width=width, height=height, interpolation="AREA")
    encoded, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert encoded, "OpenCV encodes every BGR picture"
    return data.tobytes()


def etag(output: Output) -> str:
    """Names a picture of a stream, also over its starts, each of which counts its frames anew."""
    return f'"{output.result.frame}-{output.result.captured_at:.3f}"'


_QUIET = object()


async def _next(tap: Tap) -> Output | object | None:
    try:
        async with asyncio.timeout(KEEP_ALIVE_S):
            return await tap.get()
    except TimeoutError:
        return _QUIET


def _status_event(status: SourceStatus) -> str:
    return _event("status", json.dumps(asdict(status)))


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
