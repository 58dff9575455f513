"""The models in a process of their own: what a model's library does to it, it does not do to the streams.

It is started again when it ends, sooner the first time than after several. The socket stays, so that whoever connects
meanwhile waits in its backlog.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from streamapp.errors import DeviceLost, StreamappError, UsageError
from streamapp.hosting.client import RemoteScheduler
from streamapp.hosting.host import ModelHost
from streamapp.hosting.messages import dumped, loaded_error
from streamapp.hosting.program import READY
from streamapp.settings import Settings

_log = logging.getLogger(__name__)

AVAILABLE = sys.platform == "linux"
"""Elsewhere there is no memory without a name."""
PROGRAM = "streamapp.hosting.program"
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 6.0
"""Then it is killed."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 30.0
"""Before it is started again: twice as long each time."""
STEADY_S = 60.0
"""Having lived so long it starts over with the first pause."""
BACKLOG = 64
REAP_TIMEOUT_S = 2.0


@asynccontextmanager
async def process_host(settings: Settings) -> AsyncIterator[ModelHost]:
    """Runs models in a process of their own for the length of the block. Raises what `local_host` does, and UsageError
    where the system cannot do it."""
    if not AVAILABLE:
        raise UsageError("scheduler.process needs Linux; leave it off here")
    async with _Supervisor.start(settings) as supervisor:
        # As many as may wait there, and those that run or are given back.
        max_jobs = 2 * settings.scheduler.queue_size
        async with RemoteScheduler.start(
            supervisor.path, max_jobs=max_jobs, why_gone=supervisor.why_gone, on_silence=supervisor.kill
        ) as scheduler:
            yield ModelHost(scheduler, scheduler)


class _Supervisor:
    def __init__(self, settings: Settings, path: Path, listener: socket.socket) -> None:
        self.path = path
        self._settings = dumped(settings)
        self._listener = listener
        self._process: Process | None = None
        self._killed = ""
        """Why it was killed, if it was."""
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
            process = await supervisor._started()
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(supervisor._keep(process), name="models-process")
                try:
                    yield supervisor
                finally:
                    keeping.cancel()
                    await asyncio.wait((keeping,))
                    await supervisor._end()

    def kill(self, why: str = "hung") -> None:
        """Has it started anew."""
        self._killed = why
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def why_gone(self) -> str:
        """Why it does not answer any more. Waits until it has ended, if it has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REAP_TIMEOUT_S):
                await self._ended.wait()
                return self._why
        return "the models' process has closed the connection"

    async def _keep(self, process: Process) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began_s = time.monotonic()
            status = await process.wait()
            how = self._killed or _how(status)
            self._why = f"the models' process ended ({how}) and is started again"
            self._ended.set()
            pause_s = FIRST_PAUSE_S if time.monotonic() - began_s > STEADY_S else min(2 * pause_s, LONGEST_PAUSE_S)
            while True:
                await asyncio.sleep(pause_s)
                try:
                    process = await self._started()
                except StreamappError as error:
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                    _log.error("the models' process cannot be started: %s", error)
                else:
                    break

    async def _started(self) -> Process:
        """A process that is ready. Raises StreamappError."""
        environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
        self._killed = ""
        descriptor = os.memfd_create("streamapp-settings")  # they hold secrets, which arguments would show
        try:
            os.write(descriptor, self._settings)
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", PROGRAM),
                *(str(os.getpid()), str(descriptor), str(self._listener.fileno())),
                stdin=DEVNULL,
                stdout=PIPE,
                env=environment,
                pass_fds=(descriptor, self._listener.fileno()),
                start_new_session=True,  # Ctrl-C is for the app
            )
        except OSError as error:
            raise DeviceLost(f"no process for the models could be started: {error.strerror}") from error
        finally:
            os.close(descriptor)
        assert process.stdout is not None
        said = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_S):
                said = await process.stdout.readline()
        if said == READY:
            self._ended.clear()
            return process
        await self._end()
        if not said:
            raise DeviceLost(f"the models' process did not start ({_how(process.returncode)})")
        raise loaded_error(bytes.fromhex(said.decode()))

    async def _end(self) -> None:
        """Returns once the process is gone."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _how(status: int | None) -> str:
    if status is None:
        return "no answer"
    return f"exit code {status}" if status >= 0 else signal.Signals(-status).name
