"""Jobs that wait: bounded, by priority, fair between owners, without what is too old. Pure: takes `now_s`.

Order: the better priority first, where every AGEING_S of waiting counts as one class better, so that nothing starves;
within a class the owner who was served least; within an owner the oldest. Sharing is start-time fair queueing (Goyal,
Vin, Cheng, SIGCOMM 1996), with items for bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamapp.results import DropReason
from streamapp.scheduler.api import Priority

AGEING_S = 2.0
MAX_OWNERS = 1024
"""Owners whose share is remembered; beyond that only of those who wait."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Waiting(Generic[T]):
    """A job in the queue. `weight` is what it counts for its owner's share: its items. `kind`: jobs of the same kind
    may run together."""

    job: T
    kind: str
    owner: str
    priority: Priority
    weight: int
    queued_s: float
    deadline_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Shed(Generic[T]):
    """A job that will not run, and why."""

    waiting: Waiting[T]
    reason: DropReason


class JobQueue(Generic[T]):
    """At most `capacity` jobs. Every call costs time in proportion to how many wait."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: list[Waiting[T]] = []
        self._served: Counter[str] = Counter()
        """Items run so far for each owner, and what it was credited with on entering."""
        self._level = 0
        """What the owner of the last batch had been served before it."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> tuple[Waiting[T], ...]:
        """All jobs, oldest first."""
        return tuple(self._waiting)

    def push(self, newcomer: Waiting[T], now_s: float) -> list[Shed[T]]:
        """Adds a job. Gives what had to go: first all that is too old; if there is still no room, of the owners who
        hold more than an equal share of the room, the job of the worst class, of who holds the most, the newest. It may
        be the newcomer."""
        shed = self.expire(now_s)
        if newcomer.deadline_s <= now_s:
            return [*shed, Shed(newcomer, DropReason.STALE)]
        self._enter(newcomer.owner)
        self._waiting.append(newcomer)
        if len(self._waiting) > self._capacity:
            shed.append(Shed(self._waiting.pop(self._surplus(now_s)), DropReason.QUEUE_FULL))
        return shed

    def expire(self, now_s: float) -> list[Shed[T]]:
        """Takes out what is past its deadline."""
        late = [waiting for waiting in self._waiting if waiting.deadline_s <= now_s]
        if late:
            self._take(late)
        return [Shed(waiting, DropReason.STALE) for waiting in late]

    def remove(self, wanted: Callable[[Waiting[T]], bool]) -> list[Waiting[T]]:
        """Takes out the jobs that `wanted` says yes to."""
        chosen = [waiting for waiting in self._waiting if wanted(waiting)]
        if chosen:
            self._take(chosen)
        return chosen

    def pop_batch(
        self, now_s: float, max_items: int, is_ready: Callable[[str], bool] = lambda _: True
    ) -> list[Waiting[T]]:
        """Takes out the next job, and others of its kind as long as their items fit into `max_items`. `is_ready`: jobs
        of other kinds stay where they are. Call `expire` first."""

        def turn(waiting: Waiting[T]) -> tuple[int, int, float]:
            return self._rank(waiting, now_s), self._served[waiting.owner], waiting.queued_s

        first = min((waiting for waiting in self._waiting if is_ready(waiting.kind)), key=turn, default=None)
        if first is None:
            return []
        batch, room = [first], max_items - first.weight
        alike = [waiting for waiting in self._waiting if waiting.kind == first.kind and waiting is not first]
        for waiting in sorted(alike, key=turn) if room > 0 else ():
            if waiting.weight <= room:
                batch.append(waiting)
                room -= waiting.weight
        self._take(batch)
        self._level = self._served[first.owner]
        for waiting in batch:
            self._served[waiting.owner] += waiting.weight
        if len(self._served) > MAX_OWNERS:
            self._served = Counter({owner: self._served[owner] for owner in self._owners()})
        return batch

    def _enter(self, owner: str) -> None:
        """Whoever comes, or comes back, begins level with the others: with no lead for the time of absence."""
        owners = self._owners()
        if owner not in owners:
            floor = min(map(self._served.__getitem__, owners), default=self._level)
            self._served[owner] = max(self._served[owner], floor)

    def _surplus(self, now_s: float) -> int:
        """Index of what has to go."""
        held = Counter(waiting.owner for waiting in self._waiting)
        share = self._capacity / len(held)
        return max(
            (i for i, waiting in enumerate(self._waiting) if held[waiting.owner] > share),
            key=lambda i: (self._rank(self._waiting[i], now_s), held[self._waiting[i].owner], i),
        )

    def _take(self, chosen: Sequence[Waiting[T]]) -> None:
        taken = set(map(id, chosen))
        self._waiting = [waiting for waiting in self._waiting if id(waiting) not in taken]

    def _owners(self) -> set[str]:
        return {waiting.owner for waiting in self._waiting}

    @staticmethod
    def _rank(waiting: Waiting[T], now_s: float) -> int:
        return waiting.priority - int(max(0.0, now_s - waiting.queued_s) / AGEING_S)
