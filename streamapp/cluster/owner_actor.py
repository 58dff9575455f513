"""An owner of streams on one machine of the cluster: a worker process, and the models of all machines behind a socket
that it asks as it would ask a models' process."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

from streamapp.cluster.tunnel import FarEnds, Wire
from streamapp.errors import DeviceLost
from streamapp.hosting.child import Child
from streamapp.hosting.host import ModelHost
from streamapp.hosting.program import take_askers
from streamapp.settings import Settings
from streamapp.workers.launcher import BACKLOG, END_TIMEOUT_S, start_worker

JoinModels = Callable[[Settings], AbstractAsyncContextManager[ModelHost]]


class OwnerHost:
    """What a Ray actor is made of: all of its methods run on the one event loop of its process."""

    def __init__(self, settings: Settings, join: JoinModels, where: Callable[[], str]) -> None:
        """join: gives the models of the cluster for the length of a block; where: tells which machine this is."""
        self._where = where
        self._settings = settings
        self._join = join
        self._child: Child | None = None
        self._ends: FarEnds | None = None
        self._ending = asyncio.Event()
        self._life: asyncio.Task[None] | None = None

    async def start(self, index: int) -> str:
        """The name of this machine, once the worker is ready. Raises what it cannot start for, and DeviceLost."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # No TaskGroup: it lives until `end`, in a loop whose other tasks are Ray's.
        self._life = asyncio.create_task(self._live(index, ready), name="owner")
        await ready
        return await asyncio.to_thread(self._where)

    async def wait(self) -> str:
        """Waits for the end of the worker; how it ended, in words."""
        return await self._worker[0].wait()

    async def end(self) -> None:
        """Asks the worker to end, then makes it."""
        self._ending.set()
        if self._life is not None:
            await self._life

    # -- as Wires ------------------------------------------------------------------------------------------------------

    async def connect(self, number: int, wire: Wire) -> None:
        await self._worker[1].connect(number, wire)

    async def send(self, number: int, data: bytes) -> None:
        await self._worker[1].send(number, data)

    async def receive(self, number: int) -> bytes:
        return await self._worker[1].receive(number)

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _worker(self) -> tuple[Child, FarEnds]:
        if self._child is None or self._ends is None:
            raise DeviceLost("the worker has not been started")
        return self._child, self._ends

    async def _live(self, index: int, ready: asyncio.Future[None]) -> None:
        try:
            async with AsyncExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamapp-")))  # only the user's
                host = await stack.enter_async_context(self._join(self._settings))
                listener = stack.enter_context(socket.socket(socket.AF_UNIX))
                listener.bind(str(folder / "models"))
                listener.listen(BACKLOG)
                listener.setblocking(False)
                async with asyncio.TaskGroup() as group:
                    taking = group.create_task(take_askers(host, listener))
                    path = folder / "worker"
                    self._child, link = await start_worker(self._settings, index, path, folder / "models")
                    self._ends = FarEnds(path, link)
                    ready.set_result(None)
                    await self._ending.wait()
                    await self._child.end(END_TIMEOUT_S)
                    taking.cancel()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(_first(error))


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
