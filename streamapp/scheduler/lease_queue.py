"""Those who wait for a lease, in their order. Pure but for their futures: it takes `now_s`.

A request gets all its models at once or none, so no two can wait for each other. One whose models are loaded is served
at once, whoever else waits; for one that waits longer than PATIENCE_S for room that is in use, models of that size are
reserved: nobody else is given them until it was served, so it waits no longer than the longest lease.

Belongs to the one task of streamapp/scheduler/residency.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from streamapp.errors import ModelError, OverBudget
from streamapp.scheduler.leases import HeldLease
from streamapp.scheduler.residents import Need, Residents

PATIENCE_S = 1.0
"""Or half of the time a request has, if that is less."""


@dataclass(slots=True, eq=False)
class Request:
    """Somebody who waits for a lease."""

    variants: tuple[str, ...]
    since_s: float
    deadline_s: float
    granted: asyncio.Future[HeldLease]

    def is_impatient(self, now_s: float) -> bool:
        return now_s - self.since_s >= min(PATIENCE_S, (self.deadline_s - self.since_s) / 2)

    def refuse(self, error: ModelError) -> None:
        if not self.granted.done():
            self.granted.set_exception(type(error)(str(error)))  # its own: a traceback grows wherever it is raised


class LeaseQueue:
    """Bounded by its caller."""

    def __init__(self, residents: Residents, on_release: Callable[[HeldLease], None]) -> None:
        self._residents = residents
        self._on_release = on_release
        self._requests: list[Request] = []
        self._first: Request | None = None
        """Who is served before anybody else."""
        self._reserved: frozenset[str] = frozenset()
        """Given to nobody but `_first`."""

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def next_deadline_s(self) -> float | None:
        return min((request.deadline_s for request in self._requests), default=None)

    @property
    def wanted(self) -> Collection[str]:
        """What the first that waits for a load wants."""
        first = self._first or next(iter(self._lacking()), None)
        return first.variants if first else ()

    def add(self, request: Request) -> None:
        self._requests.append(request)

    def refuse_all(self, error: ModelError, variant: str | None = None) -> None:
        """All, or those who want a variant."""
        for request in self._requests:
            if variant is None or variant in request.variants:
                request.refuse(error)

    def refuse_lacking(self, error: ModelError) -> None:
        """Those whose models are not loaded."""
        for request in self._lacking():
            request.refuse(error)

    def serve(self, now_s: float) -> None:
        """Refuses what is too late, gives leases of what is loaded, and reserves room for who waits too long."""
        for request in self._requests:
            self._refuse_hopeless(request, now_s)
        self._forget_served()
        self._reserve(now_s)
        for request in self._requests:
            if self._residents.are_ready(request.variants) and self._may_have(request):
                self._residents.take(request.variants, now_s)
                sessions = {variant: self._residents.loaded[variant].session for variant in request.variants}
                request.granted.set_result(HeldLease(sessions, self._on_release))
        self._forget_served()

    def needs(self) -> Iterator[tuple[Request, Need]]:
        """What those who wait for a load need, the first first. Refuses those for whom there will never be room."""
        for request in self._lacking():
            if self._first is not None and request is not self._first:
                continue
            try:
                need = self._residents.need(request.variants)
            except ModelError as error:
                request.refuse(error)
                continue
            if need is not None:
                yield request, need

    def _lacking(self) -> list[Request]:
        return [r for r in self._requests if not r.granted.done() and not self._residents.are_ready(r.variants)]

    def _may_have(self, request: Request) -> bool:
        return not request.granted.done() and (request is self._first or self._reserved.isdisjoint(request.variants))

    def _refuse_hopeless(self, request: Request, now_s: float) -> None:
        names = " and ".join(request.variants)
        if request.deadline_s <= now_s:
            request.refuse(OverBudget(f"{names} could not be loaded in time: other models are in use or being loaded"))
        for variant in request.variants:
            fault = self._residents.degradation.left_out(variant)
            if fault is not None:
                again_s = max(0.0, fault.retry_at_s - now_s)
                request.refuse(OverBudget(f"{variant} is left out, tried again in {again_s:.0f} s: {fault.reason}"))

    def _forget_served(self) -> None:
        self._requests = [request for request in self._requests if not request.granted.done()]

    def _reserve(self, now_s: float) -> None:
        """What goes to make up for an overrun is reserved for nobody; then room for the first that lost patience."""
        self._first = None
        reserved = set(self._residents.excess(now_s, in_use=True))
        for request, need in self.needs():
            if request.is_impatient(now_s):
                shortage = need.total_bytes - self._residents.ledger.free_bytes
                leaving = self._residents.evictable(shortage, now_s, wanted=request.variants, in_use=True)
                if leaving:
                    self._first = request
                    reserved.update(leaving)
                    break
        self._reserved = frozenset(reserved)
