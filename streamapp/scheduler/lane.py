"""A thread that runs models, one call at a time, and is replaced when a call never comes back."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from streamapp.errors import ModelHung

_log = logging.getLogger(__name__)

NICENESS = 10
"""Models wait for the frame path, not it for them (Linux gives each thread a priority of its own)."""

EXIT_WAIT_S = 8.0
"""How long the end of the process waits for calls that are at work: a library that is taken down under them may fail
hard."""

T = TypeVar("T")
_Work = Callable[[], None] | None
_at_work: set[threading.Thread] = set()


class Lane:
    """Used on the event loop's thread, by one caller at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.replaced = 0
        self._inbox = _start_thread(name)

    async def run(self, work: Callable[[], T], *, timeout_s: float, on_late_return: Callable[[], None]) -> T:
        """Runs `work` on the lane's thread. Raises what it raises (RuntimeError in place of what is no Exception), and
        ModelHung after `timeout_s`. The thread is then left to itself, with the models it uses, as it is when this call
        is cancelled; the lane goes on with a new one, `replaced` says so, and `on_late_return` is called on the loop if
        the work comes back after all."""
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
        def returned(late: asyncio.Future[T]) -> None:
            late.exception()
            on_late_return()

        answer.add_done_callback(returned)
        self.close()
        self.replaced += 1
        self._inbox = _start_thread(f"{self.name}-{self.replaced}")


def yield_to_frames() -> None:
    """Lowers the priority of the calling thread, where the system lets it."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _start_thread(name: str) -> SimpleQueue[_Work]:
    """A daemon: a call that never returns must not keep the process from ending, but for EXIT_WAIT_S."""
    inbox: SimpleQueue[_Work] = SimpleQueue()

    def serve() -> None:
        yield_to_frames()
        while (work := inbox.get()) is not None:
            _at_work.add(threading.current_thread())
            work()
            _at_work.discard(threading.current_thread())
            del work  # while it waits for the next, it must not hold on to pictures and models

    threading.Thread(target=serve, name=name, daemon=True).start()
    return inbox


@atexit.register
def _wait_for_calls() -> None:
    deadline_s = time.monotonic() + EXIT_WAIT_S
    for thread in tuple(_at_work):
        thread.join(max(0.0, deadline_s - time.monotonic()))


def _perform(work: Callable[[], T], loop: asyncio.AbstractEventLoop, answer: asyncio.Future[T]) -> None:
    def settle(settled: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settled)

    try:
        value = work()
    except BaseException as raised:  # noqa: BLE001 - told to whoever waits, as a Future's executor does
        # What would end the loop, or cannot pass through a Future, is told in words.
        is_plain = isinstance(raised, Exception) and not isinstance(raised, StopIteration)
        settle(partial(answer.set_exception, raised if is_plain else RuntimeError(repr(raised))))
    else:
        settle(partial(answer.set_result, value))
