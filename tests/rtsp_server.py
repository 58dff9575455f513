"""RTSP servers for tests: a real one (GStreamer, in a process of its own) and one that misbehaves as scripted."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import signal
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

import pytest

from streamapp.sources.coded import nal_units

SYSTEM_PYTHON = "/usr/bin/python3"
_PROGRAM = Path(__file__).with_name("gst_rtsp_server.py")
_MAX_PAYLOAD = 1200


@functools.cache
def _gstreamer_missing() -> str | None:
    if shutil.which(SYSTEM_PYTHON) is None:
        return f"{SYSTEM_PYTHON} is absent"
    check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    ran = subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, check=False, timeout=60)
    return None if ran.returncode == 0 else "GStreamer's RTSP server is absent (Debian: gir1.2-gst-rtsp-server-1.0)"


class GstServer:
    """GStreamer's RTSP server with a test picture at /cam. Skips the test where GStreamer is absent."""

    def __init__(self, *arguments: str) -> None:
        missing = _gstreamer_missing()
        if missing is not None:
            pytest.skip(missing)
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        """Starts it, or starts it again on the port it had. Fails unless it says that it accepts connections."""
        command = [SYSTEM_PYTHON, str(_PROGRAM), "--port", str(self.port), *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        word, _, port = self._process.stdout.readline().partition(" ")
        assert word == "ready", "the RTSP server did not start"
        self.port = int(port)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def url(self, path: str = "/cam", *, credentials: str = "", scheme: str = "rtsp") -> str:
        return f"{scheme}://{credentials}127.0.0.1:{self.port}{path}"


@contextlib.contextmanager
def gst_server(*arguments: str) -> Iterator[GstServer]:
    server = GstServer(*arguments)
    try:
        server.start()
        yield server
    finally:
        server.kill()


class Fault(Enum):
    """What the fake does wrong."""

    NONE = auto()
    SILENT = auto()
    """Accepts connections and never answers."""
    DRIP = auto()
    """Answers with one byte every 50 ms."""
    NOT_RTSP = auto()
    SILENT_AFTER_DESCRIBE = auto()
    HANGS_UP = auto()
    """Closes the connection after the pictures; otherwise it falls silent."""


@dataclass
class FakeCamera:
    """A camera in the test's own event loop that sends given pictures (Annex B) over RTSP interleaved in TCP, once."""

    pictures: Sequence[bytes] = ()
    fps: float = 30
    fault: Fault = Fault.NONE
    describe_status: str = "200 OK"
    describe_headers: Sequence[str] = ()
    sdp_media: str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
    first_timestamp: int = 90_000
    later_redirect: str | None = None
    """Where every connection but the first is redirected."""
    requests: list[str] = field(default_factory=list)
    """The requests seen, whole."""
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[FakeCamera]:
        async with asyncio.TaskGroup() as connections:

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                self.connections += 1
                tasks.append(connections.create_task(self._answer(reader, writer)))

            tasks: list[asyncio.Task[None]] = []
            server = await asyncio.start_server(accept, "127.0.0.1", self.port)
            self.port = server.sockets[0].getsockname()[1]
            try:
                yield self
            finally:
                server.close()
                for task in tasks:
                    task.cancel()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            if self.fault is Fault.SILENT:
                await reader.read(-1)
            elif self.fault is Fault.NOT_RTSP:
                writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
                await reader.read(-1)
            else:
                await self._converse(reader, writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            method = request.split(" ", 1)[0]
            sequence = next(line for line in request.splitlines() if line.lower().startswith("cseq:"))
            if self.fault is Fault.DRIP:
                for byte in b"RTSP/1.0 200 OK\r\n" * 1000:
                    writer.write(bytes((byte,)))
                    await writer.drain()
                    await asyncio.sleep(0.05)
            status, headers, body = self._response(method)
            if method == "DESCRIBE" and self.later_redirect is not None and self.connections > 1:
                status, headers = "302 Moved Temporarily", [f"Location: {self.later_redirect}"]
            lines = [f"RTSP/1.0 {status}", sequence, *headers, f"Content-Length: {len(body)}", "", body]
            writer.write("\r\n".join(lines).encode())
            await writer.drain()
            if method == "DESCRIBE" and self.fault is Fault.SILENT_AFTER_DESCRIBE:
                await reader.read(-1)
            if method == "PLAY":
                heard = asyncio.ensure_future(self._hear(reader))
                try:
                    await self._play(writer)
                finally:
                    heard.cancel()
                    await asyncio.wait({heard})
                if self.fault is Fault.HANGS_UP:
                    return

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """Notes what is asked while it plays, and answers nothing."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())

    def _response(self, method: str) -> tuple[str, Sequence[str], str]:
        if method == "DESCRIBE":
            sdp = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=fake\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n{self.sdp_media}"
            return self.describe_status, ("Content-Type: application/sdp", *self.describe_headers), sdp
        if method == "SETUP":
            return "200 OK", ("Session: 7", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"), ""
        return "200 OK", ("Session: 7", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"), ""

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        sequence = 0
        for index, picture in enumerate(self.pictures):
            timestamp = (self.first_timestamp + round(index * 90_000 / self.fps)) % 2**32
            payloads = rtp_payloads(picture)
            for position, payload in enumerate(payloads):
                marker = 0x80 if position == len(payloads) - 1 else 0
                packet = struct.pack("!BBHII", 0x80, marker | 96, sequence % 2**16, timestamp, 0x1234) + payload
                writer.write(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
                sequence += 1
            await writer.drain()
            await asyncio.sleep(1 / self.fps)


def rtp_payloads(picture: bytes) -> list[bytes]:
    """One picture's RTP payloads: a NAL unit each, large ones in fragments (RFC 6184, FU-A)."""
    payloads: list[bytes] = []
    for unit in nal_units(picture):
        if len(unit) <= _MAX_PAYLOAD:
            payloads.append(unit)
            continue
        indicator, kind = (unit[0] & 0xE0) | 28, unit[0] & 0x1F
        parts = [unit[start : start + _MAX_PAYLOAD] for start in range(1, len(unit), _MAX_PAYLOAD)]
        for number, part in enumerate(parts):
            flags = (0x80 if number == 0 else 0) | (0x40 if number == len(parts) - 1 else 0)
            payloads.append(bytes((indicator, flags | kind)) + part)
    return payloads
