"""A process of ours beside the app: started with its settings, known to be ready or why not, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path

from streamapp.errors import DeviceLost, StreamappError
from streamapp.hosting.messages import dumped, loaded_error, loaded_settings
from streamapp.settings import Settings

AVAILABLE = sys.platform == "linux"
"""Elsewhere there is no memory without a name."""
READY = b"ready\n"
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 6.0
"""Then it is killed."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 30.0
"""Before one that ended is started again: twice as long each time."""
STEADY_S = 60.0
"""Having lived so long it starts over with the first pause."""


class Child:
    """`what` names it in errors and logs."""

    def __init__(self, what: str, process: Process) -> None:
        self._what = what
        self._process = process
        self._killed = ""

    @classmethod
    async def start(
        cls,
        what: str,
        program: str,
        settings: Settings,
        descriptors: Sequence[int],
        *arguments: str,
        end_timeout_s: float = END_TIMEOUT_S,
    ) -> Child:
        """Runs `python -m program PARENT SETTINGS DESCRIPTOR... ARGUMENT...`; returns when it says that it is ready.
        Raises what it cannot start for, and DeviceLost if it does not say."""
        environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
        told = os.memfd_create("streamapp-settings")  # they hold secrets, which arguments would show
        try:
            os.write(told, dumped(settings))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", program),
                *map(str, (os.getpid(), told, *descriptors, *arguments)),
                stdin=DEVNULL,
                stdout=PIPE,
                env=environment,
                pass_fds=(told, *descriptors),
                start_new_session=True,  # Ctrl-C is for the app
            )
        except OSError as error:
            raise DeviceLost(f"{what} could not be started: {error.strerror}") from error
        finally:
            os.close(told)
        child = cls(what, process)
        try:
            await child._be_ready()
        except BaseException:
            await child.end(end_timeout_s)
            raise
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> str:
        """Waits for its end; how it ended, in words."""
        status = await self._process.wait()
        return self._killed or _how(status)

    def kill(self, why: str) -> None:
        self._killed = why
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self, timeout_s: float = END_TIMEOUT_S) -> None:
        """Asks it to end, then makes it; returns once it is gone."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _be_ready(self) -> None:
        assert self._process.stdout is not None
        said = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_S):
                said = await self._process.stdout.readline()
        if said == READY:
            return
        if not said:
            raise DeviceLost(f"{self._what} did not start ({_how(self._process.returncode)})")
        raise loaded_error(bytes.fromhex(said.decode()))


class Pauses:
    """How long to wait before a process is started again."""

    def __init__(self) -> None:
        self._pause_s = FIRST_PAUSE_S
        self._began_s = time.monotonic()

    def began(self) -> None:
        """It is at work now."""
        self._began_s = time.monotonic()

    def next_s(self) -> float:
        now_s = time.monotonic()
        if now_s - self._began_s > STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        self._began_s = now_s
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        return pause_s


# -- in that process ---------------------------------------------------------------------------------------------------


def given_settings(descriptor: int) -> Settings:
    with open(descriptor, "rb") as file:
        file.seek(0)
        return loaded_settings(file.read())


def tell_ready() -> None:
    _tell_parent(READY)


def tell_failed(errors: BaseExceptionGroup[StreamappError]) -> None:
    """Says why it cannot start: the first of these."""
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, StreamappError)
    _tell_parent(dumped(first).hex().encode() + b"\n")


def _tell_parent(said: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), said)


def _how(status: int | None) -> str:
    if status is None:
        return "no answer"
    return f"exit code {status}" if status >= 0 else signal.Signals(-status).name
