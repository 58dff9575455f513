"""A first look at an RTSP server (RFC 2326): OPTIONS and DESCRIBE, redirects refused, errors in exact terms."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto

from streamapp.errors import (
    SourceAuthFailed,
    SourceCodecUnsupported,
    SourceError,
    SourceNotFound,
    SourceProtocolError,
    SourceRefused,
)
from streamapp.sources.av_errors import mapped
from streamapp.sources.rtsp_auth import authorization
from streamapp.sources.url import RtspUrl

MAX_HEADER_BYTES = 16_384
MAX_BODY_BYTES = 65_536


class PreflightStep(Enum):
    """How far it has come."""

    CONNECTED = auto()
    ANSWERED = auto()
    """As an RTSP server does."""
    CHALLENGED = auto()
    """It asks for credentials, and some are sent."""
    DESCRIBED = auto()
    """It lets us in and offers video."""


Progress = Callable[[PreflightStep], None]


def unwatched(_: PreflightStep) -> None:
    """For who only wants to know whether it worked."""


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: str

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


@asynccontextmanager
async def preflight(
    url: RtspUrl, host: str, *, verify_tls: bool, progress: Progress = unwatched
) -> AsyncIterator[None]:
    """Asks the server, which is reached at `host`, to describe the stream and stays connected within the context: some
    servers take a moment to tidy up after a client and refuse the next one until then. Raises SourceError unless there
    is video to be had at this very address. Sets no time limit of its own. A server that redirects only later is not
    caught: FFmpeg then follows it. progress: told of each step that worked."""
    writer: asyncio.StreamWriter | None = None
    error: SourceError | None = None
    try:
        try:
            context = _tls_context(verify=verify_tls) if url.secure else None
            name = url.host if url.secure else None
            reader, writer = await asyncio.open_connection(
                host, url.port, ssl=context, server_hostname=name, limit=MAX_HEADER_BYTES
            )
            progress(PreflightStep.CONNECTED)
            await _describe(reader, writer, url, progress)
        except ssl.SSLCertVerificationError:
            error = SourceRefused(f"{url.redacted} has a certificate not trusted here (setting sources.verify_tls)")
        except ssl.SSLError:
            error = SourceProtocolError(f"{url.redacted} does not speak TLS here; is it rtsp:// instead?")
        except socket.gaierror:
            error = SourceRefused(f"the host of {url.redacted} is not known; check its name")
        except OSError as foreign:
            error = mapped(foreign, url.redacted, live=True)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            error = SourceProtocolError(f"{url.redacted} does not answer as an RTSP server does")
        if error is not None:
            raise error
        yield
    finally:
        if writer is not None:
            writer.close()


async def _describe(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: RtspUrl, progress: Progress
) -> None:
    _refuse_redirect(url, await _ask(reader, writer, url, "OPTIONS", 1, None))
    progress(PreflightStep.ANSWERED)
    response = await _ask(reader, writer, url, "DESCRIBE", 2, None)
    if response.status == 401 and url.username is not None:
        challenges = response.values("www-authenticate")
        answer = authorization(challenges, "DESCRIBE", url.without_credentials, url.username, url.password or "")
        if answer is not None:
            progress(PreflightStep.CHALLENGED)
            response = await _ask(reader, writer, url, "DESCRIBE", 3, answer)
    _refuse_redirect(url, response)
    _check(url, response)
    progress(PreflightStep.DESCRIBED)


def _tls_context(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:  # the default, as in other players: cameras come with certificates that they signed themselves
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    url: RtspUrl,
    method: str,
    sequence: int,
    credentials: str | None,
) -> _Response:
    lines = [f"{method} {url.without_credentials} RTSP/1.0", f"CSeq: {sequence}", "User-Agent: streamapp"]
    if method == "DESCRIBE":
        lines.append("Accept: application/sdp")
    if credentials is not None:
        lines.append(f"Authorization: {credentials}")
    writer.write("\r\n".join([*lines, "", ""]).encode())
    await writer.drain()
    return await _read_response(reader)


async def _read_response(reader: asyncio.StreamReader) -> _Response:
    """Raises ValueError, IncompleteReadError or LimitOverrunError if what comes is not a response."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.split("\r\n")
    version, _, rest = status_line.partition(" ")
    if not version.startswith("RTSP/1."):
        raise ValueError("not RTSP")
    headers = tuple(
        (name.strip().lower(), value.strip()) for name, colon, value in (line.partition(":") for line in lines) if colon
    )
    response = _Response(int(rest[:3]), headers, "")
    lengths = response.values("content-length")
    length = int(lengths[0]) if lengths else 0
    if not 0 <= length <= MAX_BODY_BYTES:
        raise ValueError("body too long")
    body = (await reader.readexactly(length)).decode("utf-8", "replace")
    return _Response(response.status, headers, body)


def _refuse_redirect(url: RtspUrl, response: _Response) -> None:
    if 300 <= response.status < 400:
        raise SourceProtocolError(f"{url.redacted} redirects to another address, which is refused; give that address")


def _check(url: RtspUrl, response: _Response) -> None:
    shown = url.redacted
    if response.status in (401, 403):
        if url.username is None:
            raise SourceAuthFailed(f"{shown} wants credentials; give rtsp://user:password@host/path")
        raise SourceAuthFailed(f"{shown} refuses the user name or password")
    if response.status in (404, 410):
        raise SourceNotFound(f"{shown} does not exist; the server is there, check the path")
    if response.status in (453, 503):
        raise SourceRefused(f"{shown} is busy (RTSP status {response.status})")
    if response.status != 200:
        raise SourceProtocolError(f"{shown} answers with RTSP status {response.status}")
    if "m=video" not in response.body:
        raise SourceCodecUnsupported(f"{shown} offers no video")
