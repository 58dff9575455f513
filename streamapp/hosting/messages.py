"""What the processes say to each other: length, then a pickle. Both are ours, by one user, and nobody else can reach
the socket between them; no byte that a stranger sent is read as a message. The only file that may use pickle.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from dataclasses import dataclass
from typing import Any

from streamapp.errors import StreamappError
from streamapp.hosting.arena import Region
from streamapp.scheduler.api import Job, Outcome
from streamapp.scheduler.record import SchedulerState
from streamapp.scheduler.residency_view import ResidencySnapshot
from streamapp.settings import Settings

MAX_BYTES = 64 << 20
_LENGTH = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class Submit:
    """A job. `pickled` has all of it but its large buffers, which lie in `parts`."""

    number: int
    pickled: bytes
    parts: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody waits for a job any more. It is answered as any other."""

    number: int


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a job. Each is told so once; one that was cancelled before its end: None."""

    number: int
    outcome: Outcome[Any] | None


@dataclass(frozen=True, slots=True)
class Released:
    """Nobody looks at a job's buffers any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Figures:
    """How the models are. Also a sign of life."""

    scheduler: SchedulerState
    residency: ResidencySnapshot


Message = Submit | Cancel | Ended | Released | Figures


def packed(message: object) -> bytes:
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def receive(reader: asyncio.StreamReader) -> Any:
    """Raises EOFError when the other side is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > MAX_BYTES:
            raise EOFError("a message of no sense")
        message = pickle.loads(await reader.readexactly(length))  # noqa: S301 - from a process of ours
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise EOFError(str(error)) from None
    return message


def pickled_job(job: Job[Any, Any]) -> tuple[bytes, list[memoryview]]:
    """A job as bytes, and its buffers beside it (PEP 574)."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(job, protocol=5, buffer_callback=buffers.append)
    return body, [buffer.raw() for buffer in buffers]


def unpickled_job(body: bytes, buffers: list[memoryview]) -> Job[Any, Any]:
    job: Job[Any, Any] = pickle.loads(body, buffers=buffers)  # noqa: S301 - from a process of ours
    return job


def dumped(value: Settings | StreamappError) -> bytes:
    """What goes to a process as it starts, or comes from it."""
    return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


def loaded_settings(data: bytes) -> Settings:
    settings: Settings = pickle.loads(data)  # noqa: S301 - from the process that started this one
    return settings


def loaded_error(data: bytes) -> StreamappError:
    error: StreamappError = pickle.loads(data)  # noqa: S301 - from a process of ours
    return error
