"""The app's side of the decoding process: starts it, checks what it says, makes frames of it, and sees it end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import streamapp
from streamapp.errors import (
    SourceAuthFailed,
    SourceCodecUnsupported,
    SourceDecoderFailed,
    SourceEnded,
    SourceError,
    SourceNotFound,
    SourceProtocolError,
    SourceRefused,
    SourceTimeout,
    SourceTooLarge,
)
from streamapp.log import one_line, redact
from streamapp.results import DropReason
from streamapp.sources.base import FrameNumbering, Outlet
from streamapp.sources.child.memory import PictureMemory
from streamapp.sources.child.messages import (
    HEADER,
    DecodedPicture,
    Garbled,
    Kind,
    Request,
    codec_name,
    coded_picture,
    count,
    header,
)
from streamapp.sources.child.slots import CLOSED, WANTS_ENCODED
from streamapp.sources.reading import MAX_CLOCK_ERROR_S

AVAILABLE = sys.platform == "linux"
"""Elsewhere there is no memory that cannot be made smaller under its reader."""
START_TIMEOUT_S = 10.0
"""A tenth of a second suffices on a machine that is not overloaded."""
HANG_MARGIN_S = 2.0
"""A process silent for so much longer than FFmpeg's own time limit hangs."""
FAREWELL_S = 0.5
"""What the process is given to take leave of the camera. Then it is killed."""
REAP_TIMEOUT_S = 1.0
PROGRAM = "streamapp.sources.child.program"
INHERITED = ("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""All that the process gets of the environment, which may hold secrets."""

_MAX_AGE_S = 60.0
_BUFFER_BYTES = 1 << 20
_REPORTED = {
    kind.code: kind
    for kind in (
        *(SourceAuthFailed, SourceCodecUnsupported, SourceDecoderFailed, SourceEnded, SourceNotFound),
        *(SourceProtocolError, SourceRefused, SourceTimeout, SourceTooLarge),
    )
}


async def read_in_process(
    request: Request,
    outlet: Outlet,
    numbering: FrameNumbering,
    *,
    on_open: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Delivers the source's frames until it is lost: raises SourceError then. The process is gone when this returns,
    at the latest 1.5 s after it was cancelled."""
    shown = request.opening.shown
    try:
        async with contextlib.AsyncExitStack() as stack:
            child = await stack.enter_async_context(_Child.started(request, outlet, numbering))
            try:
                async with asyncio.timeout(START_TIMEOUT_S):
                    await child.said(Kind.READY)
            except TimeoutError:
                raise SourceDecoderFailed(f"the decoder of {shown} did not start in {START_TIMEOUT_S:g} s") from None
            try:
                async with asyncio.timeout(request.opening.open_timeout_s):
                    await child.opened()
            except TimeoutError:
                raise SourceTimeout(f"{shown} did not open in time") from None
            if on_open is not None:
                await on_open()
            await child.forward()
    except Garbled:
        raise SourceDecoderFailed(f"the decoder of {shown} makes no sense; it is started anew") from None


class _Child:
    """One process, from the first message to the last."""

    def __init__(
        self,
        request: Request,
        outlet: Outlet,
        numbering: FrameNumbering,
        memory: PictureMemory,
        process: Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._opening = request.opening
        self._outlet = outlet
        self._numbering = numbering
        self._memory = memory
        self._process = process
        self._reader = reader
        self._writer = writer
        self._request = request
        self._codec: str | None = None
        self._offset_s = 0.0
        self._connected = False

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, request: Request, outlet: Outlet, numbering: FrameNumbering) -> AsyncIterator[_Child]:
        """Raises SourceDecoderFailed if there can be no process."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                memory = PictureMemory(request.opening.max_pixels)
                stack.callback(memory.close)
                ours, theirs = socket.socketpair()
                with theirs:
                    stack.callback(ours.close)
                    reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_BUFFER_BYTES)
                    stack.callback(writer.close)
                    process = await _spawn(theirs.fileno(), memory.descriptor)
                stack.push_async_callback(_end, process, memory)
            except OSError as error:
                raise SourceDecoderFailed(f"no process for decoding could be started: {error.strerror}") from None
            yield cls(request, outlet, numbering, memory, process, reader, writer)

    async def said(self, expected: Kind) -> bytes:
        """Waits for the next message, which must be of this kind. Raises SourceError if it tells an error, Garbled."""
        kind, body = await self._next()
        if kind is not expected:
            raise Garbled(kind.name)
        return body

    async def opened(self) -> None:
        """Has the source opened. Raises SourceError if it cannot be, and Garbled."""
        self._ask_for_coded()
        self._writer.write(self._request.encode())
        self._codec = codec_name(await self.said(Kind.OPENED))

    async def forward(self) -> None:
        """Hands on what comes. Raises SourceError in the end, or Garbled."""
        limit_s = None if self._opening.read_timeout_s is None else self._opening.read_timeout_s + HANG_MARGIN_S
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    kind, body = await self._next()
            except TimeoutError:
                raise SourceDecoderFailed(f"the decoder of {self._opening.shown} hangs; it is started anew") from None
            self._ask_for_coded()
            match kind:
                case Kind.PICTURE:
                    self._offer(DecodedPicture.decode(body))
                case Kind.CODED if self._connected and self._codec is not None:
                    self._outlet.offer_encoded(coded_picture(body, self._codec, self._offset_s))
                case Kind.CORRUPT:
                    self._outlet.count_drop(DropReason.CORRUPT, count(body))
                case Kind.ALIVE:
                    pass
                case _:
                    raise Garbled(kind.name)
            await asyncio.sleep(0)  # a flood of messages is not to keep the event loop from others

    def _ask_for_coded(self) -> None:
        self._memory.set_flag(WANTS_ENCODED, self._outlet.wants_encoded)

    async def _next(self) -> tuple[Kind, bytes]:
        """The next message. Raises SourceError if it is the last one, or there is none."""
        try:
            kind, length = header(await self._reader.readexactly(HEADER.size))
            body = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise await self._crashed() from None
        if kind is Kind.FAILED:
            code, _, text = body.decode("utf-8", "replace").partition(" ")
            raise _REPORTED.get(code, SourceError)(one_line(redact(text)))
        return kind, body

    def _offer(self, said: DecodedPicture) -> None:
        if said.slot < 0:
            self._offset_s = self._numbering.skip(said.pts_s) - said.pts_s
            self._outlet.count_drop(DropReason.STALE)
            return
        now_s, now = time.monotonic(), time.time()
        is_set = said.captured_at is not None and abs(said.captured_at - now) <= MAX_CLOCK_ERROR_S + _MAX_AGE_S
        frame = self._numbering.frame(
            self._memory.picture(said),
            said.pts_s,
            arrived_s=said.arrived_s if now_s - _MAX_AGE_S <= said.arrived_s <= now_s else now_s,
            captured_at=said.captured_at if is_set else None,
            codec=self._codec if said.has_coded else None,
        )
        self._offset_s = frame.pts_s - said.pts_s
        if not self._connected:
            self._connected = True
            self._outlet.connected()
        self._outlet.offer(frame)

    async def _crashed(self) -> SourceDecoderFailed:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REAP_TIMEOUT_S):
                await self._process.wait()
        status = self._process.returncode
        how = f"exit code {status}" if status is None or status >= 0 else signal.Signals(-status).name
        return SourceDecoderFailed(f"the decoder of {self._opening.shown} crashed ({how}); it is started anew")


async def _spawn(link: int, pictures: int) -> Process:
    """The process, with nothing of ours but those two descriptors. Raises OSError."""
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment["PYTHONPATH"] = str(Path(streamapp.__file__).parent.parent)
    environment["MALLOC_ARENA_MAX"] = "2"  # each more reserves address space
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-s", "-P", "-m", PROGRAM),
        *(str(os.getpid()), str(link), str(pictures)),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        env=environment,
        pass_fds=(link, pictures),
        start_new_session=True,  # Ctrl-C is for the app alone
    )


async def _end(process: Process, memory: PictureMemory) -> None:
    """Lets the process take leave of the camera, then kills it."""
    memory.set_flag(CLOSED, True)
    try:
        async with asyncio.timeout(FAREWELL_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REAP_TIMEOUT_S):
                await process.wait()
