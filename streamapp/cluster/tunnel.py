"""Connections to a worker on another machine: their bytes cross as calls, in order, either way."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from streamapp.errors import DeviceLost

PIECE_BYTES = 262_144


class Wire(StrEnum):
    """What a connection is to."""

    LINK = "link"
    HTTP = "http"


class Wires(Protocol):
    """The far end of all connections to one worker. All raise DeviceLost if it is gone."""

    async def connect(self, number: int, wire: Wire) -> None: ...

    async def send(self, number: int, data: bytes) -> None:
        """b"": that was all."""

    async def receive(self, number: int) -> bytes:
        """What came since; waits for it. b"": that was all."""


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class FarEnds:
    """Wires to sockets of this machine. Used on the event loop's thread."""

    def __init__(self, path: Path, link: socket.socket) -> None:
        """path: of the socket that takes HTTP; link: an end of the link, of which there is one."""
        self._path = path
        self._link = link
        self._streams: dict[int, Streams] = {}

    async def connect(self, number: int, wire: Wire) -> None:
        try:
            if wire is Wire.LINK:
                self._streams[number] = await asyncio.open_unix_connection(sock=self._link)
            else:
                self._streams[number] = await asyncio.open_unix_connection(str(self._path))
        except OSError as error:
            raise DeviceLost(f"the worker takes no connection: {error.strerror}") from error

    async def send(self, number: int, data: bytes) -> None:
        _, writer = self._streams[number]
        with contextlib.suppress(OSError):  # who has hung up is not listening
            if data:
                writer.write(data)
                await writer.drain()
            else:
                writer.close()

    async def receive(self, number: int) -> bytes:
        reader, writer = self._streams[number]
        data = b""
        with contextlib.suppress(OSError):
            data = await reader.read(PIECE_BYTES)
        if not data:
            writer.close()
            del self._streams[number]
        return data


class NearEnds:
    """Carries connections of this machine to a worker elsewhere."""

    def __init__(self, far: Wires) -> None:
        self._far = far
        self._numbers = itertools.count()
        self.sent_bytes = self.received_bytes = 0

    async def carry(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either side has hung up."""
        number = next(self._numbers)
        try:
            await self._far.connect(number, wire)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._there(number, reader))
                await self._back(number, writer)
        except* DeviceLost:
            pass
        finally:
            writer.close()

    async def _there(self, number: int, reader: asyncio.StreamReader) -> None:
        while data := await _read(reader):
            self.sent_bytes += len(data)
            await self._far.send(number, data)
        await self._far.send(number, b"")

    async def _back(self, number: int, writer: asyncio.StreamWriter) -> None:
        while data := await self._far.receive(number):
            self.received_bytes += len(data)
            with contextlib.suppress(OSError):
                writer.write(data)
                await writer.drain()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(OSError):
        return await reader.read(PIECE_BYTES)
    return b""
