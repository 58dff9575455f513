"""What makes the processes of workers: here, on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from streamapp.errors import UsageError
from streamapp.hosting.child import AVAILABLE, Child
from streamapp.hosting.machine import THIS_MACHINE, MachineFigures
from streamapp.settings import Settings
from streamapp.workers.link import Link

PROGRAM = "streamapp.workers.program"
BACKLOG = 64
END_TIMEOUT_S = 9.0
"""Its streams have eight seconds to finish."""
COMING_BACK_S = 5.0
"""So long a request waits for a worker that is being started again."""


class WorkerProcess(Protocol):
    """The process of a worker, wherever it is."""

    async def wait(self) -> str:
        """Waits for its end; how it ended, in words."""

    def kill(self, why: str) -> None: ...

    async def end(self, timeout_s: float) -> None:
        """Asks it to end, then makes it; returns once it is gone. Idempotent."""


@dataclass(slots=True, eq=False)
class Running:
    """A worker at work."""

    process: WorkerProcess
    end: socket.socket
    """Ours, of the link."""
    http: httpx.AsyncClient
    machine: str = THIS_MACHINE
    crossed: Callable[[], tuple[MachineFigures, ...]] = tuple
    """What the server and it have sent each other, where it is on another machine."""
    link: Link | None = None
    pictures: int = 0
    """That it examines now."""


class Launcher(Protocol):
    async def launch(self, index: int) -> Running:
        """A new process of the worker with that number, ready. Raises what it cannot start for, and DeviceLost if it
        does not say."""


def http_over(path: Path) -> httpx.AsyncClient:
    """Asks the worker that listens on that socket."""
    transport = httpx.AsyncHTTPTransport(uds=str(path), limits=httpx.Limits(max_connections=None))
    timeout = httpx.Timeout(None, connect=COMING_BACK_S)  # events go on for ever
    return httpx.AsyncClient(transport=transport, base_url="http://worker", timeout=timeout)


async def start_worker(settings: Settings, index: int, path: Path, models: Path) -> tuple[Child, socket.socket]:
    """A process of this machine, and the end of its link. path: where it listens; models: the socket of the models'
    process. Raises as `Launcher.launch`."""
    ours, theirs = socket.socketpair()
    with contextlib.closing(theirs), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(BACKLOG)
        try:
            child = await Child.start(
                f"worker {index}",
                PROGRAM,
                settings,
                (listener.fileno(), theirs.fileno()),
                str(models),
                end_timeout_s=END_TIMEOUT_S,
            )
        except BaseException:
            ours.close()
            raise
    return child, ours


class LocalLauncher:
    """A Launcher of this machine."""

    def __init__(self, settings: Settings, models: Path, folder: Path) -> None:
        """models: the socket of the models' process; folder: for sockets, only the user's."""
        self._settings = settings
        self._models = models
        self._folder = folder
        self._numbers = itertools.count()

    async def launch(self, index: int) -> Running:
        path = self._folder / f"worker-{index}-{next(self._numbers)}"
        child, end = await start_worker(self._settings, index, path, self._models)
        return Running(child, end, http_over(path))


@asynccontextmanager
async def local_launcher(settings: Settings, models: Path | None) -> AsyncIterator[LocalLauncher]:
    """For the length of the block. models: the socket of the models' process. Raises UsageError where the system cannot
    do it."""
    if not AVAILABLE:
        raise UsageError("server.workers needs Linux; leave it at 0 here")
    assert models is not None, "workers need models in a process of their own"
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="streamapp-")  # only the user's
    with folder as name:
        yield LocalLauncher(settings, models, Path(name))
