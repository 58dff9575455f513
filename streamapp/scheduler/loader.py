"""Loads and unloads models on a thread of its own, and measures what that does to the device's memory."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from streamapp.errors import ModelError
from streamapp.scheduler.costs import CostBook, Measurement
from streamapp.scheduler.device_memory import DeviceMemory, MemoryUse
from streamapp.scheduler.lane import Lane
from streamapp.zoo.base import ModelSession

POLL_S, RETURN_TIMEOUT_S = 0.25, 5.0
"""A driver shows freed memory late: how often it is asked, and for how long."""
ANY_TIME_S = 86_400.0
"""A load takes as long as it takes; `abandon` ends it."""
RETURNED = 0.75
"""Share of what was freed that counts as all of it: some may have been measured too high."""

Load = Callable[[str, Sequence[int]], ModelSession]
"""Loads a variant and runs it once with each of these batch sizes. Raises ModelError."""
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class RunBlocking(Protocol):
    """Runs a function where it may block."""

    def __call__(self, function: Callable[[], _Result], /) -> Awaitable[_Result]: ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session, and what it has taken."""

    session: ModelSession
    found: Measurement
    use: MemoryUse


class Loader:
    """One operation at a time. `run_blocking` replaces the thread, for tests."""

    def __init__(
        self,
        device: DeviceMemory,
        load: Load,
        costs: CostBook,
        *,
        run_blocking: RunBlocking | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device = device
        self._load = load
        self._costs = costs
        self._clock = clock
        # Loading a large model takes seconds of a core: it too waits for the frame path.
        self._lane = Lane("model-loader") if run_blocking is None else None
        self._run = run_blocking or self._on_lane
        self._loading: asyncio.Future[Loaded] | None = None
        self._is_abandoned = False

    async def read(self) -> MemoryUse:
        """Raises DeviceLost."""
        return await self._run(self._device.read)

    async def load(self, variant: str, buckets: Sequence[int]) -> Loaded:
        """Raises ModelError, DeviceLost."""
        self._loading = asyncio.ensure_future(self._run(lambda: self._loaded(variant, buckets)))
        try:
            return await self._loading
        except asyncio.CancelledError:
            if self._is_abandoned:
                raise ModelError(f"{variant} was still being loaded when the app ended") from None
            raise
        finally:
            self._loading = None

    def abandon(self) -> None:
        """Waits no longer for a load under way, which raises ModelError: its thread is left to itself."""
        if self._loading is not None:
            self._is_abandoned = True
            self._loading.cancel()

    async def unload(self, sessions: Sequence[ModelSession], expected_bytes: int) -> MemoryUse:
        """Closes sessions; returns once the device shows `expected_bytes` more free, or does not in time. Raises
        DeviceLost, but closes them all the same."""
        before = await self._run(lambda: self._closed(sessions))
        deadline_s = self._clock() + RETURN_TIMEOUT_S
        while True:
            now = await self.read()
            returned = before.used_bytes - now.used_bytes
            if before.ours_bytes is not None and now.ours_bytes is not None:
                returned = before.ours_bytes - now.ours_bytes
            if returned >= RETURNED * expected_bytes or self._clock() >= deadline_s:
                return now
            await asyncio.sleep(POLL_S)

    async def keep_costs(self) -> None:
        await self._run(self._costs.save)

    def shut_down(self) -> None:
        if self._lane is not None:
            self._lane.close()

    def _loaded(self, variant: str, buckets: Sequence[int]) -> Loaded:
        before = self._device.read()
        self._device.start_peak()
        start_s = self._clock()
        session = self._load(variant, buckets)
        try:
            load_s = self._clock() - start_s
            self._device.return_freed_memory()
            after = self._device.read()
            peak = self._device.peak_bytes()
        except BaseException:
            session.close()
            raise
        found = Measurement(_taken(before, after), max(0, peak - (before.ours_bytes or 0)) if peak else 0, load_s)
        return Loaded(session, found, after)

    def _closed(self, sessions: Sequence[ModelSession]) -> MemoryUse:
        """What was used before."""
        try:
            return self._device.read()
        finally:
            for session in sessions:
                try:
                    session.close()
                except Exception:  # noqa: BLE001 - supervisor: its memory is watched all the same, and the others go on
                    _log.exception("%s could not be closed", session.variant)
            self._device.return_freed_memory()

    async def _on_lane(self, function: Callable[[], _Result], /) -> _Result:
        assert self._lane is not None
        return await self._lane.run(function, timeout_s=ANY_TIME_S, on_late_return=lambda: None)


def _taken(before: MemoryUse, after: MemoryUse) -> int:
    if before.ours_bytes is not None and after.ours_bytes is not None:
        return max(0, after.ours_bytes - before.ours_bytes)
    return max(0, after.used_bytes - before.used_bytes)
