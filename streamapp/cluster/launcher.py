"""Workers on machines of the cluster, as the server sees them: like those of its own machine."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from streamapp.cluster.tunnel import NearEnds, Wire, Wires
from streamapp.errors import DeviceLost
from streamapp.hosting.machine import MachineFigures
from streamapp.workers.launcher import Running, http_over

START_TIMEOUT_S = 90.0
"""A place for it may come free only when a machine is back."""


class OwnerHandle(Wires, Protocol):
    """What reaches an owner of streams. All raise DeviceLost if it is gone."""

    async def start(self, index: int) -> str:
        """The name of the machine it is on. Raises what it cannot start for, too."""

    async def wait(self) -> str: ...

    async def end(self) -> None: ...

    def kill(self) -> None:
        """At once. Never waits, and never fails."""


class OwnerProcess:
    """A WorkerProcess on another machine."""

    def __init__(self, owner: OwnerHandle, close: Callable[[], None]) -> None:
        """close: called once it is gone."""
        self._owner = owner
        self._close = close
        self._killed = asyncio.Event()
        self._why = ""
        self._over = False

    async def wait(self) -> str:
        waiting = asyncio.ensure_future(self._owner.wait())
        killed = asyncio.ensure_future(self._killed.wait())
        try:
            await asyncio.wait((waiting, killed), return_when=asyncio.FIRST_COMPLETED)
            return self._why or waiting.result()
        except DeviceLost as error:
            return str(error)
        finally:
            waiting.cancel()
            killed.cancel()

    def kill(self, why: str) -> None:
        self._why = why
        self._killed.set()
        self._owner.kill()

    async def end(self, timeout_s: float) -> None:
        if self._over:
            return
        self._over = True
        with contextlib.suppress(DeviceLost, TimeoutError):
            if not self._killed.is_set():
                async with asyncio.timeout(timeout_s):
                    await self._owner.end()
        self._owner.kill()
        self._close()


class ClusterLauncher:
    """A Launcher."""

    def __init__(self, make: Callable[[], OwnerHandle], here: str, folder: Path, group: asyncio.TaskGroup) -> None:
        self._make = make
        self._here = here
        self._folder = folder
        self._group = group
        self._numbers = itertools.count()

    async def launch(self, index: int) -> Running:
        owner = self._make()
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                machine = await owner.start(index)
        except TimeoutError:
            owner.kill()
            raise DeviceLost("no machine of the cluster has a place for streams") from None
        except BaseException:
            owner.kill()
            raise
        ends, path = NearEnds(owner), self._folder / f"owner-{index}-{next(self._numbers)}"
        ours, theirs = socket.socketpair()
        tunnels = [self._group.create_task(ends.carry(Wire.LINK, *await asyncio.open_unix_connection(sock=theirs)))]

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tunnels.append(self._group.create_task(ends.carry(Wire.HTTP, reader, writer)))
            tunnels[:] = [tunnel for tunnel in tunnels if not tunnel.done()]

        server = await asyncio.start_unix_server(connected, path)

        def close() -> None:
            server.close()
            for tunnel in tunnels:
                tunnel.cancel()

        def crossed() -> tuple[MachineFigures, ...]:
            if machine == self._here:
                return ()
            there, back = ends.sent_bytes, ends.received_bytes
            return (
                MachineFigures(self._here, sent_bytes=there, received_bytes=back),
                MachineFigures(machine, sent_bytes=back, received_bytes=there),
            )

        return Running(OwnerProcess(owner, close), ours, http_over(path), machine, crossed)


@asynccontextmanager
async def cluster_launcher(make: Callable[[], OwnerHandle], here: str) -> AsyncIterator[ClusterLauncher]:
    """For the length of the block. make: an owner on some machine that has a place; here: the name of this machine."""
    with tempfile.TemporaryDirectory(prefix="streamapp-") as folder:  # only the user's
        async with asyncio.TaskGroup() as group:
            yield ClusterLauncher(make, here, Path(folder), group)
