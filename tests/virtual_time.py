"""An event loop whose time is made up: where nothing is left to do, the next timer is due at once.

A test of minutes takes milliseconds, and the same each time. Nothing in it may wait for threads or sockets.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _InstantSelector(selectors.SelectSelector):
    """Sees no I/O but the loop's own; where the loop would wait, it moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everything waits for something that never comes")
            self.now_s += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.selector = _InstantSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now_s


def now_s() -> float:
    """The running loop's time: the clock to hand to what is tested."""
    return asyncio.get_running_loop().time()


def pass_time(seconds: float) -> None:
    """As if the calling code had blocked so long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.selector.now_s += seconds


def virtually(work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """Runs a coroutine to its end in made-up time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work())


async def run_inline(function: Callable[[], _Result], /) -> _Result:
    """In place of a thread: blocks, but lets others go first."""
    await asyncio.sleep(0)
    return function()
