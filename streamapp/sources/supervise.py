"""Keeps a source going: reopens a live one when it is lost, with growing waits, and says how it stands. The only place
that retries."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from streamapp.errors import SourceEnded, SourceError
from streamapp.log import redact
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, Outlet, Source, SourceState, SourceStatus

_LOG = logging.getLogger(__name__)


async def supervise(
    make_source: Callable[[], Source],
    outlet: Outlet,
    numbering: FrameNumbering,
    settings: SourceSettings,
    on_status: Callable[[SourceStatus], None],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    jitter: Callable[[], float] = random.random,
    clock: Callable[[], float] = time.time,
) -> SourceError | None:
    """Runs sources made by `make_source` until a recording ends (returns None) or trying again cannot help (returns
    why). Every change goes to `on_status`; on cancellation that is CLOSED. `numbering` goes on over reconnects.

    sleep waits seconds; jitter gives numbers in [0, 1); clock gives Unix time.
    """
    standing = _Standing(numbering.stream, on_status, clock)
    backoff = _Backoff(settings, jitter)
    watched = _WatchedOutlet(outlet, standing)
    try:
        while True:
            numbering.restart()
            source: Source | None = None
            try:
                source = make_source()
                await source.run(watched)
                if not source.live:
                    standing.set(SourceState.ENDED)
                    return None
                error: SourceError = SourceEnded(f"stream {numbering.stream} ended")
            except SourceError as lost:
                error = lost
            except Exception as bug:  # noqa: BLE001 - a bug in one source must not end the other streams
                _LOG.exception("stream %s: internal error", numbering.stream)
                error = SourceError(f"internal error: {type(bug).__name__}")
                standing.fail(SourceState.FAILED, error, code="internal")
                return error
            if source is None or not source.live or not error.retryable:
                over = isinstance(error, SourceEnded)
                standing.fail(SourceState.ENDED if over else SourceState.FAILED, error)
                return error
            wait_s = backoff.wait_s(error, attempt=standing.next_attempt())
            standing.lost(error, wait_s)
            await sleep(wait_s)
            standing.retrying()
    except asyncio.CancelledError:
        standing.set(SourceState.CLOSED)
        raise


class _Backoff:
    def __init__(self, settings: SourceSettings, jitter: Callable[[], float]) -> None:
        self._waits_s = settings.backoff_s
        self._spread = settings.backoff_jitter
        self._jitter = jitter

    def wait_s(self, error: SourceError, *, attempt: int) -> float:
        """How long to leave the source alone after the `attempt`th failure in a row, from 1."""
        base_s = self._waits_s[min(attempt, len(self._waits_s)) - 1]
        return max(base_s * (1 + self._spread * (2 * self._jitter() - 1)), error.min_retry_s)


class _Standing:
    """The source's status and its history since it was last live."""

    def __init__(self, stream: str, on_status: Callable[[SourceStatus], None], clock: Callable[[], float]) -> None:
        self._stream = stream
        self._on_status = on_status
        self._clock = clock
        self._was_live = False
        self._attempt = 0
        self._status: SourceStatus | None = None
        self.set(SourceState.CONNECTING)

    def set(self, state: SourceState) -> None:
        _LOG.info("stream %s: %s", self._stream, state)
        self._report(state)

    def live(self) -> None:
        self._was_live = True
        self._attempt = 0
        self.set(SourceState.LIVE)

    def fail(self, state: SourceState, error: SourceError, *, code: str | None = None) -> None:
        _LOG.warning("stream %s: %s: %s", self._stream, state, error)
        self._report(state, error, code=code)

    def next_attempt(self) -> int:
        self._attempt += 1
        return self._attempt

    def lost(self, error: SourceError, retry_in_s: float) -> None:
        _LOG.warning("stream %s: %s; next try in %.1f s", self._stream, error, retry_in_s)
        self._report(self._trying, error, retry_in_s=retry_in_s)

    def retrying(self) -> None:
        """The wait is over; the reason stays visible until the source is live."""
        assert self._status is not None
        before = self._status
        self._status = SourceStatus(before.state, before.since, before.code, before.reason, before.attempt)
        self._on_status(self._status)

    @property
    def _trying(self) -> SourceState:
        return SourceState.RECONNECTING if self._was_live else SourceState.CONNECTING

    def _report(
        self,
        state: SourceState,
        error: SourceError | None = None,
        *,
        code: str | None = None,
        retry_in_s: float | None = None,
    ) -> None:
        before = self._status
        since = before.since if before is not None and before.state is state else self._clock()
        if error is None:
            self._status = SourceStatus(state, since, attempt=self._attempt)
        else:
            reason = redact(str(error))
            self._status = SourceStatus(state, since, code or error.code, reason, self._attempt, retry_in_s)
        self._on_status(self._status)


class _WatchedOutlet:
    """The outlet, with a look at when the source becomes live."""

    def __init__(self, outlet: Outlet, standing: _Standing) -> None:
        self._outlet = outlet
        self._standing = standing
        self.offer = outlet.offer
        self.deliver = outlet.deliver
        self.count_drop = outlet.count_drop
        self.offer_encoded = outlet.offer_encoded

    def connected(self) -> None:
        self._standing.live()
        self._outlet.connected()

    @property
    def wants_encoded(self) -> bool:
        return self._outlet.wants_encoded

    @property
    def wants_iframe(self) -> bool:
        return self._outlet.wants_iframe
