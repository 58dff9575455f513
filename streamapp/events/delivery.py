"""Events on their way to one target: a bounded queue, in order, each tried again with growing waits or given up."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from streamapp.errors import DeliveryFailed, DeliveryRefused, TargetGone
from streamapp.events.event import Event
from streamapp.events.message import EventMessage
from streamapp.events.store import without
from streamapp.events.target import Link, Outcome, Target, TargetHealth, TargetState
from streamapp.gallery.people import NameOf
from streamapp.log import redact

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
LONGEST_ASKED_WAIT_S = 600.0
"""A target that asks for a longer wait is asked again after this."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiting:
    event: Event
    since_s: float


class Delivery:
    """Used on the event loop's thread. `offer` never waits; `run` does the work until it is cancelled.

    sleep waits seconds; jitter gives numbers in [0, 1); clock is monotonic.
    """

    def __init__(
        self,
        target: Target,
        name_of: NameOf,
        *,
        capacity: int,
        give_up_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._name_of = name_of
        self._capacity = capacity
        self._give_up_s = give_up_s
        self._sleep = sleep
        self._jitter = jitter
        self._clock = clock
        self._queue: deque[_Waiting] = deque()
        self._sending: _Waiting | None = None
        self._new = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._state = TargetState.OK
        self._error: str | None = None
        self._failures = 0
        """In a row."""
        self._retries = 0
        self._outcomes = Counter(dict.fromkeys(Outcome, 0))

    @property
    def health(self) -> TargetHealth:
        counts = dict(self._outcomes)
        return TargetHealth(self._target.name, self._state, self._waiting, self._retries, counts, self._error)

    @property
    def _waiting(self) -> int:
        return len(self._queue) + (self._sending is not None)

    def offer(self, event: Event) -> None:
        """Sends it, soon, if it is of a kind that the target wants."""
        if self._target.kinds and event.kind not in self._target.kinds:
            return
        if self._state is TargetState.GONE:
            self._outcomes[Outcome.CLOSED] += 1
            return
        if len(self._queue) >= self._capacity:
            self._queue.popleft()
            self._outcomes[Outcome.QUEUE_FULL] += 1
        self._queue.append(_Waiting(event, self._clock()))
        self._idle.clear()
        self._new.set()

    def forget(self, person_id: UUID) -> None:
        for waiting in (*self._queue, *([self._sending] if self._sending else [])):
            waiting.event = without(waiting.event, person_id)

    async def drain(self, timeout_s: float) -> None:
        """Waits until nothing waits, the target fails, or time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return

    def abandon(self) -> None:
        """Counts what still waits as lost. After `run` has ended."""
        self._outcomes[Outcome.CLOSED] += self._waiting
        self._queue.clear()
        self._sending = None

    async def run(self) -> None:
        """Ends only if the target wants no more."""
        while self._state is not TargetState.GONE:
            connected_s = self._clock()
            failure = await self._send_until_failure()
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError  # which a TaskGroup that fails at that moment swallows, before Python 3.13
            if self._clock() - connected_s > LONGEST_WAIT_S:
                self._failures = 0
            self._fail(failure)
            if isinstance(failure, TargetGone):
                self._state = TargetState.GONE
                self.abandon()
                return
            wait_s = min(FIRST_WAIT_S * 2 ** min(self._failures - 1, 16), LONGEST_WAIT_S) * (0.5 + self._jitter() / 2)
            await self._sleep(max(wait_s, min(failure.retry_after_s, LONGEST_ASKED_WAIT_S)))
            self._expire()

    async def _send_until_failure(self) -> DeliveryFailed:
        try:
            async with self._target.connect() as link, asyncio.TaskGroup() as group:
                group.create_task(link.watch())
                if await link.greet():
                    self._reached()
                await self._send_all(link)
        except Exception as error:  # noqa: BLE001 - supervisor: a bug in one target must not end the others
            errors = list(_leaves(error))
            failure = next((leaf for leaf in errors if isinstance(leaf, DeliveryFailed)), None)
            if failure is None:
                _log.error("events to %s: internal error", self._target.name, exc_info=error)
            return failure or DeliveryFailed(f"internal error: {type(errors[0]).__name__}")
        return DeliveryFailed("it ended the connection")

    async def _send_all(self, link: Link) -> None:
        """Without end, until something is raised."""
        while True:
            self._expire()
            while not self._queue:
                self._idle.set()
                self._new.clear()
                await self._new.wait()
            self._sending = self._queue.popleft()
            event = self._sending.event
            try:
                await link.send(EventMessage.of(event, self._name_of))
                outcome = Outcome.DELIVERED
            except DeliveryRefused as error:
                outcome = Outcome.REFUSED
                _log.warning("event %s was refused by %s: %s", event.id, self._target.name, redact(str(error)))
            self._outcomes[outcome] += 1
            self._sending = None
            self._failures = 0
            self._reached()

    def _expire(self) -> None:
        oldest_s = self._clock() - self._give_up_s
        while self._queue and self._queue[0].since_s < oldest_s:
            self._queue.popleft()
            self._outcomes[Outcome.GIVEN_UP] += 1
        if not self._queue:
            self._idle.set()

    def _reached(self) -> None:
        if self._state is TargetState.FAILING:
            _log.info("events reach %s again", self._target.name)
        self._state, self._error = TargetState.OK, None

    def _fail(self, failure: DeliveryFailed) -> None:
        error = redact(str(failure))
        if self._state is TargetState.OK:
            _log.warning("events do not reach %s: %s", self._target.name, error)
        self._state, self._error = TargetState.FAILING, error
        self._failures += 1
        self._retries += 1
        if self._sending is not None:
            self._queue.appendleft(self._sending)
            self._sending = None
        self._idle.set()


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
