"""Jobs that wait: bounded, by priority, fair between owners, without what is too old. Pure: takes `now_s`.

Order: the better priority first, where every AGEING_S of waiting counts as one class better, so that nothing starves;
within a class the owner who was served least; within an owner the oldest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamapp.results import DropReason
from streamapp.scheduler.api import Priority

AGEING_S = 2.0
MAX_OWNERS = 1024
"""Owners whose share is remembered; beyond that all begin anew."""

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
    """At most `capacity` jobs."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: list[Waiting[T]] = []
        self._served: Counter[str] = Counter()
        """Items run so far for each owner."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> tuple[Waiting[T], ...]:
        """All jobs, oldest first."""
        return tuple(self._waiting)

    def push(self, newcomer: Waiting[T], now_s: float) -> list[Shed[T]]:
        """Adds a job. Gives what had to go: first all that is too old; if there is still no room, the newest job of
        the worst class, of the owner with the most jobs in it, which may be the newcomer."""
        shed = self.expire(now_s)
        if newcomer.deadline_s <= now_s:
            return [*shed, Shed(newcomer, DropReason.STALE)]
        if newcomer.owner not in self._served:  # whoever is new begins level with the others, not with a lead
            floor = min((self._served[owner] for owner in self._owners()), default=0)
            self._served[newcomer.owner] = floor
        self._waiting.append(newcomer)
        if len(self._waiting) > self._capacity:
            held = Counter(waiting.owner for waiting in self._waiting)
            index = max(
                range(len(self._waiting)),
                key=lambda i: (self._rank(self._waiting[i], now_s), held[self._waiting[i].owner], i),
            )
            shed.append(Shed(self._waiting.pop(index), DropReason.QUEUE_FULL))
        return shed

    def expire(self, now_s: float) -> list[Shed[T]]:
        """Takes out what is past its deadline."""
        late = [waiting for waiting in self._waiting if waiting.deadline_s <= now_s]
        if late:
            self._waiting = [waiting for waiting in self._waiting if waiting.deadline_s > now_s]
        return [Shed(waiting, DropReason.STALE) for waiting in late]

    def remove(self, wanted: Callable[[Waiting[T]], bool]) -> list[Waiting[T]]:
        """Takes out the jobs that `wanted` says yes to."""
        chosen = [waiting for waiting in self._waiting if wanted(waiting)]
        self._waiting = [waiting for waiting in self._waiting if not wanted(waiting)]
        return chosen

    def pop_batch(
        self, now_s: float, max_items: int, is_ready: Callable[[str], bool] = lambda _: True
    ) -> list[Waiting[T]]:
        """Takes out the next job, and others of its kind as long as their items fit into `max_items`. `is_ready`: jobs
        of other kinds stay where they are. Call `expire` first."""
        ready = [waiting for waiting in self._waiting if is_ready(waiting.kind)]
        if not ready:
            return []
        ready.sort(key=lambda waiting: (self._rank(waiting, now_s), self._served[waiting.owner], waiting.queued_s))
        batch, items = [ready[0]], ready[0].weight
        for waiting in ready[1:]:
            if waiting.kind == batch[0].kind and items + waiting.weight <= max_items:
                batch.append(waiting)
                items += waiting.weight
        taken = set(map(id, batch))
        self._waiting = [waiting for waiting in self._waiting if id(waiting) not in taken]
        for waiting in batch:
            self._served[waiting.owner] += waiting.weight
        if len(self._served) > MAX_OWNERS:
            self._served.clear()
        return batch

    def _owners(self) -> set[str]:
        return {waiting.owner for waiting in self._waiting}

    @staticmethod
    def _rank(waiting: Waiting[T], now_s: float) -> int:
        return waiting.priority - math.floor(max(0.0, now_s - waiting.queued_s) / AGEING_S)
