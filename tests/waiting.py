"""Waiting for a condition, with a deadline instead of a guess."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Returns once `condition` holds; raises TimeoutError after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - outside facts have no event to wait for
            await asyncio.sleep(0.002)


def until_sync(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """As `until`, for tests without a loop."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not so after {timeout_s} s")
        time.sleep(0.01)
