"""Operations that can be sent to another process, and a host in this one that takes them through a socket."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamapp.errors import ModelError
from streamapp.frame import Image
from streamapp.hosting.client import RemoteScheduler
from streamapp.hosting.host import ModelHost
from streamapp.hosting.program import take_askers
from streamapp.scheduler.api import Job, Priority
from streamapp.scheduler.local import LocalScheduler
from streamapp.scheduler.residency_view import ResidencySnapshot
from streamapp.zoo.base import Crop, ModelSession
from tests.fakes import ScriptedResidency
from tests.waiting import until

LONG_S = 60.0
WHY = "the models' process ended (SIGKILL) and is started again"

GATES: dict[str, tuple[threading.Event, threading.Event]] = {}
"""By operation: begun, and open."""


@dataclass(frozen=True, slots=True)
class Brightness:
    """The mean of each crop's pixels. One of `GATES` with its name holds it up; one named "broken" fails."""

    name: str = "brightness"

    @property
    def variants(self) -> tuple[str, ...]:
        return (self.name,)

    def run(self, sessions: Mapping[str, ModelSession], items: Sequence[Crop]) -> list[float]:
        if self.name in GATES:
            begun, opened = GATES[self.name]
            begun.set()
            assert opened.wait(LONG_S), "the test never opened the gate"
        if self.name == "broken":
            raise ModelError("it is broken")
        return [float(item.pixels.mean()) for item in items]


def gate(name: str) -> tuple[threading.Event, threading.Event]:
    GATES[name] = threading.Event(), threading.Event()
    return GATES[name]


def crop(value: int, side: int = 112) -> Crop:
    pixels: Image = np.full((side, side, 3), value, np.uint8)
    return Crop(pixels)


def job(*values: int, name: str = "brightness", within_s: float = LONG_S, side: int = 112) -> Job[Crop, float]:
    crops = [crop(value, side) for value in values]
    return Job(Brightness(name), crops, "cam", Priority.REFRESH, time.monotonic() + within_s, "asked for")


SNAPSHOT = ResidencySnapshot(
    device="test",
    lost=None,
    total_bytes=100,
    others_bytes=0,
    reserve_bytes=0,
    unaccounted_bytes=7,
    budget_bytes=100,
    committed_bytes=0,
    context_bytes=0,
    resident=(),
    degraded=(),
    changing=None,
    waiting=0,
    loads=0,
    load_failures=0,
    evictions={},
)


class Shown:
    def snapshot(self) -> ResidencySnapshot:
        return SNAPSHOT


class Elsewhere:
    """What is at the other end of the socket: it can go and come back."""

    def __init__(self, listener: socket.socket) -> None:
        self.residency = ScriptedResidency()
        self.why_calls = 0
        self.silenced = 0
        self.may_tell = asyncio.Event()
        """Why it is gone."""
        self.may_tell.set()
        self._listener = listener
        self._serving: asyncio.Task[None] | None = None

    async def come(self) -> None:
        ready = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(ready))
        await ready.wait()

    async def go(self) -> None:
        """As if killed: nobody is told anything."""
        assert self._serving is not None
        self._serving.cancel()
        await asyncio.wait((self._serving,))
        self._serving = None

    async def why_gone(self) -> str:
        self.why_calls += 1
        await self.may_tell.wait()
        return WHY

    def on_silence(self) -> None:
        self.silenced += 1

    async def _serve(self, ready: asyncio.Event) -> None:
        async with LocalScheduler.start(self.residency, lanes=1, capacity=8) as scheduler:
            ready.set()
            await take_askers(ModelHost(scheduler, Shown()), self._listener)


@asynccontextmanager
async def linked(folder: Path, *, max_jobs: int = 64) -> AsyncIterator[tuple[RemoteScheduler, Elsewhere]]:
    with socket.socket(socket.AF_UNIX) as listener:
        path = folder / "socket"
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        elsewhere = Elsewhere(listener)
        await elsewhere.come()
        async with RemoteScheduler.start(
            path, max_jobs=max_jobs, why_gone=elsewhere.why_gone, on_silence=elsewhere.on_silence
        ) as scheduler:
            yield scheduler, elsewhere
        if elsewhere._serving is not None:
            await elsewhere.go()


async def nothing_held(scheduler: RemoteScheduler) -> None:
    """Waits until every job is over and all of their memory is free."""
    await until(lambda: not scheduler.waiting and scheduler.free_bytes == scheduler.arena_bytes)


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))
