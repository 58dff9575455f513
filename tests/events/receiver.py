"""A web address on loopback that events are posted to, and that checks signatures as Standard Webhooks says."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass(frozen=True, slots=True)
class Posted:
    """One request. Header names are in lower case."""

    line: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed(self, key: bytes = KEY) -> bool:
        signed = b".".join((self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body))
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        versions = [entry.split(",", 1) for entry in self.headers["webhook-signature"].split(" ")]
        return any(version == "v1" and hmac.compare_digest(mac, expected) for version, mac in versions)


def answer(status: str = "204 No Content", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n".encode()


HANG = b""
"""Says nothing and keeps the connection open."""
DRIP = b"HTTP/1.1 200 OK\r\nX-Slow: "
"""Begins an answer and then sends a byte now and then, for ever."""
CUT = b"HTTP/1."
"""Ends the connection in the middle of the answer's first line."""


@dataclass
class Receiver:
    """Answers with what `script` says to the number of the request, from 0."""

    script: Callable[[int], bytes] = lambda _: answer()
    posted: list[Posted] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.posted]

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Receiver]:
        tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                self.connections += 1
                tasks.append(group.create_task(self._answer(reader, writer)))

            server = await asyncio.start_server(accept, "127.0.0.1", self.port, ssl=self.tls)
            self.port = server.sockets[0].getsockname()[1]
            try:
                yield self
            finally:
                server.close()
                for task in tasks:
                    task.cancel()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *rest = head.strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (entry.partition(": ") for entry in rest)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.posted.append(Posted(line, headers, body))
                said = self.script(len(self.posted) - 1)
                writer.write(said)
                await writer.drain()
                if said == CUT:
                    return
                while said in (HANG, DRIP):
                    await asyncio.sleep(0.05)
                    writer.write(b"x" if said == DRIP else b"")
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
