"""The models' process: `python -m streamapp.hosting.program PARENT SETTINGS LISTENER`.

Reads its settings from the descriptor SETTINGS, runs the models, and takes jobs from whoever connects to the socket
LISTENER. Says in a line of standard output that it is ready, or why it cannot be; its log goes to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import uvloop

from streamapp.errors import StreamappError
from streamapp.hosting.arena import ArenaView
from streamapp.hosting.child import given_settings, tell_failed, tell_ready
from streamapp.hosting.host import ModelHost, local_host
from streamapp.hosting.messages import (
    Cancel,
    Ended,
    Figures,
    Message,
    Released,
    Submit,
    packed,
    receive,
    unpickled_job,
)
from streamapp.log import configure_logging
from streamapp.scheduler.api import Outcome
from streamapp.scheduler.device_memory import resolve_device
from streamapp.settings import Settings
from streamapp.sources.child.confinement import die_with
from streamapp.tuning import tune_process
from streamapp.zoo.registry import Registry

FIGURES_EVERY_S = 0.25
GREETING_S = 5.0

_log = logging.getLogger(__name__)


class _Asker:
    """One process that sends jobs. What it asked for ends when it goes."""

    def __init__(self, host: ModelHost, arena: ArenaView, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._arena = arena
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Until it goes."""
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._tell())
            with contextlib.suppress(EOFError):
                while True:
                    match await receive(reader):
                        case Submit() as message:
                            task = group.create_task(self._run(message))
                            self._tasks[message.number] = task
                            task.add_done_callback(partial(self._done, message.number))
                        case Cancel(number) if number in self._tasks:
                            self._tasks[number].cancel()
            telling.cancel()
            for task in self._tasks.values():
                task.cancel()

    async def _run(self, message: Submit) -> None:
        self._say(Ended(message.number, await self._outcome(message)))

    async def _outcome(self, message: Submit) -> Outcome[Any] | None:
        """None if it was cancelled. Nothing of the job stays with who tells it, whatever becomes of the telling."""
        released = partial(self._loop.call_soon_threadsafe, self._say, Released(message.number))
        job = unpickled_job(message.pickled, self._arena.look(message.parts, _until_closed(released)))
        try:
            return await self._host.scheduler.submit(job)
        except asyncio.CancelledError:  # handed on, its traceback would hold the pictures
            return None

    def _done(self, number: int, _: asyncio.Task[None]) -> None:
        del self._tasks[number]

    async def _tell(self) -> None:
        while True:
            self._say(Figures(self._host.scheduler.state(), self._host.residency.snapshot()))
            await asyncio.sleep(FIGURES_EVERY_S)

    def _say(self, message: Message) -> None:
        if not self._writer.is_closing():
            self._writer.write(packed(message))


def _until_closed(call: Callable[[], object]) -> Callable[[], None]:
    """Once the loop is closed, nobody is to be told."""

    def called() -> None:
        with contextlib.suppress(RuntimeError):
            call()

    return called


async def take_askers(host: ModelHost, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        while True:
            link, _ = await loop.sock_accept(listener)
            group.create_task(_take_asker(host, link))


async def _take_asker(host: ModelHost, link: socket.socket) -> None:
    with contextlib.closing(link):
        try:
            arena = await _greeted(link)
        except (OSError, ValueError, TimeoutError) as error:
            _log.warning("somebody who would not say how jobs cross was refused: %s", error)
            return
        reader, writer = await asyncio.open_unix_connection(sock=link)
        try:
            await _Asker(host, arena, writer).serve(reader)
        except Exception:  # noqa: BLE001 - supervisor: whatever one asker sends, the others go on
            _log.exception("an asker failed and is cut off")
        finally:
            writer.close()


async def _greeted(link: socket.socket) -> ArenaView:
    """The memory whose descriptor comes first. Raises OSError, ValueError, TimeoutError."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(link.fileno(), readable.set)
    try:
        async with asyncio.timeout(GREETING_S):
            await readable.wait()
    finally:
        loop.remove_reader(link.fileno())
    _, descriptors, _, _ = socket.recv_fds(link, 1, 1)
    if not descriptors:
        raise ValueError("no descriptor came")
    return ArenaView(descriptors[0])


async def _run(settings: Settings, listener: socket.socket) -> None:
    loop, ending = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    chosen = settings.scheduler
    try:
        registry = Registry.from_settings(settings)
        async with local_host(settings, registry, resolve_device(chosen.device, chosen.gpus[0])) as host:
            tell_ready()
            async with asyncio.TaskGroup() as group:
                taking = group.create_task(take_askers(host, listener))
                await ending.wait()
                taking.cancel()
    except* StreamappError as errors:
        tell_failed(errors)


def main(parent: int, settings_descriptor: int, listener_descriptor: int) -> None:
    die_with(parent)
    settings = given_settings(settings_descriptor)
    configure_logging(settings.log, "INFO")
    tune_process()
    listener = socket.socket(fileno=listener_descriptor)
    listener.setblocking(False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, listener))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
