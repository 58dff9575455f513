"""A thread that runs models, one call at a time, and is replaced when a call never comes back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from streamapp.errors import ModelHung

_log = logging.getLogger(__name__)

NICENESS = 10
"""Models wait for the frame path, not it for them (Linux gives each thread a priority of its own)."""

T = TypeVar("T")
_Work = Callable[[], None] | None


class Lane:
    """Used on the event loop's thread, by one caller at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.replaced = 0
        self._inbox = _start_thread(name)

    async def run(self, work: Callable[[], T], *, timeout_s: float, on_late_return: Callable[[], None]) -> T:
        """Runs `work` on the lane's thread. Raises what it raises, and ModelHung after `timeout_s`: the thread is then
        left to itself, with the models it uses, and the lane goes on with a new one. `on_late_return` is called on the
        loop if it comes back after all."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._inbox.put(lambda: _perform(work, loop, answer))
        try:
            done, _ = await asyncio.wait((answer,), timeout=timeout_s)
        except asyncio.CancelledError:
            self._replace(answer, on_late_return)
            raise
        if done:
            return answer.result()
        self._replace(answer, on_late_return)
        _log.error("a model on %s did not answer within %g s; the lane goes on with a new thread", self.name, timeout_s)
        raise ModelHung(f"a model did not answer within {timeout_s:g} s")

    def close(self) -> None:
        """Takes no further work; a call at work is not waited for."""
        self._inbox.put(None)

    def _replace(self, answer: asyncio.Future[T], on_late_return: Callable[[], None]) -> None:
        self.close()
        self.replaced += 1
        self._inbox = _start_thread(f"{self.name}-{self.replaced}")

        def returned(late: asyncio.Future[T]) -> None:
            late.exception()
            on_late_return()

        answer.add_done_callback(returned)


def _start_thread(name: str) -> SimpleQueue[_Work]:
    """A daemon: a call that never returns must not keep the process from ending."""
    inbox: SimpleQueue[_Work] = SimpleQueue()

    def serve() -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while (work := inbox.get()) is not None:
            work()

    threading.Thread(target=serve, name=name, daemon=True).start()
    return inbox


def _perform(work: Callable[[], T], loop: asyncio.AbstractEventLoop, answer: asyncio.Future[T]) -> None:
    def settle(value: T | None, error: BaseException | None) -> None:
        if answer.cancelled():
            return
        if error is None:
            answer.set_result(value)  # type: ignore[arg-type]  # a value of T came with it
        else:
            answer.set_exception(error)

    try:
        value, error = work(), None
    except BaseException as raised:  # noqa: BLE001 - told to whoever waits, as a Future's executor does
        value, error = None, raised
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(settle, value, error)
