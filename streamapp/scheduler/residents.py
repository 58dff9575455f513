"""The models in memory, their books, and which of them may go. No I/O, no clock: it takes `now_s`.

Belongs to the one task of streamapp/scheduler/residency.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from streamapp.errors import OverBudget
from streamapp.scheduler.costs import CostBook, CostSource
from streamapp.scheduler.degradation import Degradation
from streamapp.scheduler.eviction import Candidate, victims
from streamapp.scheduler.leases import ResidentSession
from streamapp.scheduler.ledger import Holding, Ledger, megabytes
from streamapp.scheduler.residency_view import ResidentModel

MIN_RESIDENCY_S, MAX_RESIDENCY_S = 2.0, 10.0
LOADS_WORTH = 3.0
"""A model stays at least so many times as long as it took to load, within these bounds: two models that take turns
spend at most a quarter of the time loading. One that matters more need not wait for that."""


@dataclass(slots=True)
class Resident:
    """A loaded model."""

    session: ResidentSession
    buckets: tuple[int, ...]
    load_s: float
    source: CostSource
    since_s: float
    used_s: float
    regrow: bool = False
    """Whether it is smaller than it should be."""
    condemned: bool = False
    """Nobody may lease it any more."""
    leases: int = 0

    def is_settled(self, now_s: float) -> bool:
        return now_s - self.since_s >= min(MAX_RESIDENCY_S, max(MIN_RESIDENCY_S, LOADS_WORTH * self.load_s))


@dataclass(frozen=True, slots=True)
class Need:
    """What loading the missing ones of some variants takes."""

    buckets: Mapping[str, tuple[int, ...]]
    """By missing variant, the largest first."""
    holdings: Mapping[str, Holding]
    total_bytes: int


class Residents:
    """weights: how much variants matter, 1 for those that are not named. pinned: stay once loaded, whatever the others
    need. buckets: the batch sizes models are run with."""

    def __init__(
        self,
        ledger: Ledger,
        costs: CostBook,
        *,
        buckets: Sequence[int],
        context_bytes: int,
        weights: Mapping[str, float],
        pinned: Collection[str],
    ) -> None:
        self.ledger = ledger
        self.costs = costs
        self.degradation = Degradation()
        self.loaded: dict[str, Resident] = {}
        self.buckets = tuple(sorted(buckets))
        self.context_due_bytes = context_bytes
        """What a runtime will take for itself with its first model, as far as is known; 0 once it has."""
        self._weights = weights
        self._pinned = frozenset(pinned)

    # -- leases --------------------------------------------------------------------------------------------------------

    def are_ready(self, variants: Collection[str]) -> bool:
        return all(v in self.loaded and not self.loaded[v].condemned for v in variants)

    def take(self, variants: Collection[str], now_s: float) -> None:
        for resident in (self.loaded[variant] for variant in variants):
            resident.leases += 1
            resident.used_s = now_s

    def give_back(self, variants: Collection[str], now_s: float) -> None:
        for resident in (self.loaded[variant] for variant in variants):
            resident.leases -= 1
            resident.used_s = now_s

    # -- what a load takes ---------------------------------------------------------------------------------------------

    def need(self, variants: Collection[str]) -> Need | None:
        """With the largest batches for which there is room once all else is gone that may go. None while one of them is
        being loaded or unloaded or is condemned, and if at present not even the smallest batches fit. Raises OverBudget
        if they never will, ModelInvalid for an unknown name."""
        held = self.ledger.holdings
        if any(variant in held and not self.are_ready((variant,)) for variant in variants):
            return None
        staying = sum(held[name].resident_bytes for name in self.loaded if name in variants or name in self._pinned)
        room = self.ledger.budget_bytes - self.ledger.context_bytes - staying
        for largest in reversed(self.buckets):
            need = self._need_up_to(largest, variants)
            if need.total_bytes <= room:
                return need
        best = self.ledger.best_budget_bytes - self.ledger.context_bytes - staying
        if need.total_bytes > best:
            names, needed = " and ".join(need.buckets), megabytes(need.total_bytes)
            raise OverBudget(f"{names} need {needed}, and at most {megabytes(max(0, best))} can ever be had for them")
        return None

    def _need_up_to(self, largest: int, variants: Collection[str]) -> Need:
        allowed = tuple(size for size in self.buckets if size <= largest)
        buckets = {v: self.degradation.buckets(v, allowed) for v in variants if v not in self.loaded}
        holdings = {v: self.costs.cost(v, sizes[-1]).holding for v, sizes in buckets.items()}
        order = sorted(buckets, key=lambda v: (-holdings[v].total_bytes, v))
        total = sum(holding.resident_bytes for holding in holdings.values())
        total += max((holding.loading_bytes for holding in holdings.values()), default=0)
        return Need({v: buckets[v] for v in order}, holdings, total + self.context_due_bytes)

    # -- what may go ---------------------------------------------------------------------------------------------------

    def evictable(
        self, needed_bytes: int, now_s: float, *, wanted: Collection[str] = (), in_use: bool = False
    ) -> tuple[str, ...]:
        """Those that go for `wanted`; empty if there are not enough. in_use: takes leased ones for free."""
        asker = max((self._weight(variant) for variant in wanted), default=0.0)
        candidates = [
            self._candidate(variant, resident, now_s)
            for variant, resident in self.loaded.items()
            if variant not in wanted
            and variant not in self._pinned
            and (in_use or not resident.leases)
            and (resident.is_settled(now_s) or asker > self._weight(variant))
        ]
        return victims(candidates, needed_bytes)

    def excess(self, now_s: float, *, in_use: bool = False) -> tuple[str, ...]:
        """Those that go because the books are over the budget: as many as it takes, or all there are; pinned ones
        last."""
        overrun, chosen = self.ledger.overrun_bytes, []
        if not overrun:
            return ()
        candidates = [
            (variant in self._pinned, self._candidate(variant, resident, now_s))
            for variant, resident in self.loaded.items()
            if in_use or not resident.leases
        ]
        for _, candidate in sorted(candidates, key=lambda found: (found[0], found[1].value)):
            if overrun <= 0:
                break
            chosen.append(candidate.variant)
            overrun -= candidate.size_bytes
        return tuple(chosen)

    def idle(self, *, spare: Collection[str] = ()) -> tuple[str, ...]:
        return tuple(v for v, r in self.loaded.items() if not r.leases and v not in self._pinned and v not in spare)

    def condemned(self) -> tuple[str, ...]:
        return tuple(v for v, r in self.loaded.items() if not r.leases and r.condemned)

    def unused_for(self, keep_alive_s: float, now_s: float) -> tuple[str, ...]:
        return tuple(variant for variant in self.idle() if now_s - self.loaded[variant].used_s >= keep_alive_s)

    def to_regrow(self) -> tuple[str, ...]:
        """Idle ones that were loaded small and could now be larger."""
        return tuple(
            variant for variant in self.idle() if self.loaded[variant].regrow and self._has_room_to_grow(variant)
        )

    def _has_room_to_grow(self, variant: str) -> bool:
        full = self.costs.cost(variant, self.buckets[-1]).holding.total_bytes
        growth = full - self.ledger.holdings[variant].resident_bytes
        return variant not in self.degradation.faults and growth <= self.ledger.free_bytes

    def _candidate(self, variant: str, resident: Resident, now_s: float) -> Candidate:
        idle_s = 0.0 if resident.leases else now_s - resident.used_s
        size = self.ledger.holdings[variant].resident_bytes
        return Candidate(variant, size, self._weight(variant), idle_s, resident.load_s)

    def _weight(self, variant: str) -> float:
        return self._weights.get(variant, 1.0)

    # -- as it is shown ------------------------------------------------------------------------------------------------

    def shown(self, now_s: float) -> Iterator[ResidentModel]:
        for variant, resident in self.loaded.items():
            yield ResidentModel(
                variant,
                self.ledger.holdings[variant],
                resident.source,
                resident.session.providers[0] if resident.session.providers else "",
                resident.buckets,
                resident.leases,
                variant in self._pinned,
                now_s - resident.since_s,
                0.0 if resident.leases else now_s - resident.used_s,
            )
