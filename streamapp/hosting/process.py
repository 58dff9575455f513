"""The models in a process of their own: what a model's library does to it, it does not do to the streams.

It is started again when it ends, sooner the first time than after several. The socket stays, so that whoever connects
meanwhile waits in its backlog.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from streamapp.errors import StreamappError, UsageError
from streamapp.hosting.child import AVAILABLE, Child, Pauses
from streamapp.hosting.client import RemoteScheduler
from streamapp.hosting.host import ModelHost
from streamapp.settings import Settings

_log = logging.getLogger(__name__)

PROGRAM = "streamapp.hosting.program"
BACKLOG = 64
REAP_TIMEOUT_S = 2.0
CLOSED = "the models' process has closed the connection"


@asynccontextmanager
async def process_host(settings: Settings) -> AsyncIterator[ModelHost]:
    """Runs models in a process of their own for the length of the block. Raises what `local_host` does, and UsageError
    where the system cannot do it."""
    if not AVAILABLE:
        raise UsageError("scheduler.process needs Linux; leave it off here")
    async with (
        _Supervisor.start(settings) as supervisor,
        RemoteScheduler.start(
            supervisor.path, max_jobs=max_jobs_of(settings), why_gone=supervisor.why_gone, on_silence=supervisor.kill
        ) as scheduler,
    ):
        yield ModelHost(scheduler, scheduler, supervisor.path)


@asynccontextmanager
async def shared_host(settings: Settings, path: Path) -> AsyncIterator[ModelHost]:
    """The models of a process that somebody else started, by its socket, for the length of the block."""

    async def why_gone() -> str:
        return CLOSED

    async with RemoteScheduler.start(
        path, max_jobs=max_jobs_of(settings), why_gone=why_gone, on_silence=lambda: None
    ) as scheduler:
        yield ModelHost(scheduler, scheduler, path)


def max_jobs_of(settings: Settings) -> int:
    """As many as may wait there, and those that run or are given back."""
    return 2 * settings.scheduler.queue_size


class _Supervisor:
    def __init__(self, settings: Settings, path: Path, listener: socket.socket) -> None:
        self.path = path
        self._settings = settings
        self._listener = listener
        self._child: Child | None = None
        self._ended = asyncio.Event()
        self._why = ""

    @classmethod
    @asynccontextmanager
    async def start(cls, settings: Settings) -> AsyncIterator[_Supervisor]:
        """Raises what the process cannot start for, and DeviceLost if it does not say."""
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamapp-")))  # only the user's
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            path = folder / "models"
            listener.bind(str(path))
            listener.listen(BACKLOG)
            supervisor = cls(settings, path, listener)
            child = await supervisor._started()
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(supervisor._keep(child), name="models-process")
                try:
                    yield supervisor
                finally:
                    keeping.cancel()
                    await asyncio.wait((keeping,))
                    if supervisor._child is not None:
                        await supervisor._child.end()

    def kill(self) -> None:
        """It hangs: has it started anew."""
        if self._child is not None:
            self._child.kill("hung")

    async def why_gone(self) -> str:
        """Why it does not answer any more. Waits until it has ended, if it has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REAP_TIMEOUT_S):
                await self._ended.wait()
                return self._why
        return CLOSED

    async def _keep(self, child: Child) -> None:
        pauses = Pauses()
        while True:
            pauses.began()
            how = await child.wait()
            self._why = f"the models' process ended ({how}) and is started again"
            self._ended.set()
            while True:
                await asyncio.sleep(pauses.next_s())
                try:
                    child = await self._started()
                except StreamappError as error:
                    _log.error("the models' process cannot be started: %s", error)
                else:
                    break

    async def _started(self) -> Child:
        """A process that is ready. Raises StreamappError."""
        self._child = None
        self._child = await Child.start("the models' process", PROGRAM, self._settings, (self._listener.fileno(),))
        self._ended.clear()
        return self._child
