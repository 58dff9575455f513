"""Changes of what is in memory: readings, loads and unloads, one at a time, and how they show in the books.

Each is entered in the books when it begins, is carried out beside the task that owns the state, and comes back to it as
a message that says how it went. Belongs to streamapp/scheduler/memory_owner.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from streamapp.errors import DeviceLost, ModelError, ModelOutOfMemory
from streamapp.scheduler.device_memory import MemoryUse
from streamapp.scheduler.leases import ResidentSession
from streamapp.scheduler.ledger import Holding
from streamapp.scheduler.loader import Loaded, Loader
from streamapp.scheduler.residency_view import EvictionReason
from streamapp.scheduler.residents import Resident, Residents
from streamapp.zoo.base import ModelSession

_log = logging.getLogger(__name__)

Message = Callable[[], None]
Change = Coroutine[Any, Any, Message]
"""Work on the device; what comes of it is a message."""


class MemoryChanges:
    """context_provider: see DeviceMemory. post: sends a message to the owner.
    refuse: tells those who wait for a variant that it cannot be loaded."""

    def __init__(
        self,
        residents: Residents,
        loader: Loader,
        *,
        context_provider: str,
        clock: Callable[[], float],
        post: Callable[[Message], None],
        refuse: Callable[[ModelError, str], None],
    ) -> None:
        self.running: str | None = None
        """What is being done, in words."""
        self.observed_s: float | None = None
        """When the device was last read; None: never."""
        self.is_stale = True
        """Whether the last reading says nothing any more."""
        self.lost: str | None = None
        """Why the device cannot be read."""
        self.make_room = False
        """Whether all that is idle should go, because the device had no room although the books had."""
        self.unsaved = False
        """Whether there are measurements to be kept."""
        self.loads = 0
        self.load_failures = 0
        self.evictions: Counter[EvictionReason] = Counter()
        self._providers: set[str] = set()
        """Those that have a session, or had one."""
        self._context_provider = context_provider
        self._residents = residents
        self._ledger = residents.ledger
        self._loader = loader
        self._clock = clock
        self._post = post
        self._refuse = refuse
        self._loop = asyncio.get_running_loop()

    async def carry_out(self, change: Change) -> None:
        message = await change
        self._post(partial(self._finish, message))

    def _finish(self, message: Message) -> None:
        self.running = None
        message()

    # -- reading -------------------------------------------------------------------------------------------------------

    def observe(self) -> Change:
        self.running = "reading the device"
        return self._observe()

    async def _observe(self) -> Message:
        try:
            return partial(self._observed, await self._loader.read())
        except DeviceLost as error:
            return partial(self._lose, error)

    def _observed(self, use: MemoryUse) -> None:
        if self.lost is not None:
            _log.info("the device is back")
        self._ledger.observe(use)
        self.observed_s, self.is_stale, self.lost = self._clock(), False, None

    def _lose(self, error: DeviceLost) -> None:
        if self.lost is None:
            _log.error("no model is loaded until the device is back: %s", error)
        self.observed_s, self.is_stale, self.lost = self._clock(), False, str(error)

    # -- loading -------------------------------------------------------------------------------------------------------

    def load(self, variant: str, buckets: tuple[int, ...], holding: Holding) -> Change:
        self.running = f"loading {variant}"
        context_bytes = self._residents.context_due_bytes
        self._ledger.admit(variant, replace(holding, loading_bytes=holding.loading_bytes + context_bytes))
        return self._load(variant, buckets, holding)

    async def _load(self, variant: str, buckets: tuple[int, ...], holding: Holding) -> Message:
        try:
            loaded = await self._loader.load(variant, buckets)
        except ModelError as error:
            return partial(self._not_loaded, variant, holding, error)
        except Exception as error:  # noqa: BLE001 - supervisor: a fault in one model's files or code is that model's
            _log.exception("%s could not be loaded", variant)
            return partial(self._not_loaded, variant, holding, ModelError(f"{variant} could not be loaded: {error}"))
        return partial(self._loaded, variant, buckets, holding, loaded)

    def _not_loaded(self, variant: str, holding: Holding, error: ModelError) -> None:
        self._ledger.release(variant)
        self.load_failures += 1
        self.is_stale = True
        match error:
            case DeviceLost():
                self._lose(error)
            case ModelOutOfMemory():
                self.note_fault(variant, str(error), holding)
            case _:
                self._refuse(error, variant)

    def _loaded(self, variant: str, buckets: tuple[int, ...], holding: Holding, loaded: Loaded) -> None:
        residents, largest, now_s = self._residents, buckets[-1], self._clock()
        provider = next(iter(loaded.session.providers), "")
        if provider in self._providers:
            if None not in loaded.session.input.shape[1:]:  # else it grows with the picture, of which this says nothing
                residents.costs.note(variant, largest, loaded.found)
                self.unsaved = True
        else:
            # What it took is the model and the runtime itself: the sum is right, and later ones are measured alone.
            self._providers.add(provider)
            context_bytes = max(0, loaded.found.resident_bytes - holding.resident_bytes)
            if provider == self._context_provider:
                if loaded.use.ours_bytes is None:  # later nothing tells it from strangers: not hidden in an estimate
                    context_bytes = max(context_bytes, min(residents.context_due_bytes, loaded.found.resident_bytes))
                residents.context_due_bytes = 0
            self._ledger.context_bytes += context_bytes
        cost = residents.costs.cost(variant, largest)
        self._ledger.replace(variant, cost.holding.loaded())
        self._observed(loaded.use)
        self.loads += 1
        session = ResidentSession(loaded.session, largest, partial(self._report_from_thread, variant))
        residents.loaded[variant] = Resident(
            session,
            buckets,
            loaded.found.load_s,
            cost.source,
            since_s=now_s,
            used_s=now_s,
            regrow=variant in residents.degradation.faults,
        )

    # -- unloading -----------------------------------------------------------------------------------------------------

    def unload(self, variants: Sequence[str], reason: EvictionReason) -> Change:
        self.running = f"unloading {' and '.join(variants)}"
        sessions = [self._residents.loaded.pop(variant).session for variant in variants]
        expected_bytes = sum(self._ledger.holdings[variant].resident_bytes for variant in variants)
        return self._unload(tuple(variants), sessions, expected_bytes, reason)

    async def _unload(
        self, variants: tuple[str, ...], sessions: Sequence[ModelSession], expected_bytes: int, reason: EvictionReason
    ) -> Message:
        try:
            told: Message = partial(self._observed, await self._loader.unload(sessions, expected_bytes))
        except DeviceLost as error:
            told = partial(self._lose, error)
        return partial(self._unloaded, variants, reason, told)

    def _unloaded(self, variants: Sequence[str], reason: EvictionReason, told: Message) -> None:
        for variant in variants:
            self._ledger.release(variant)
            self.evictions[reason] += 1
        told()

    # -- running out of memory -----------------------------------------------------------------------------------------

    def note_fault(self, variant: str, reason: str, holding: Holding) -> None:
        """There was no memory to load or to run a variant."""
        _log.warning("%s: %s", variant, reason)
        self.make_room = True
        self._residents.degradation.note(
            variant,
            reason,
            needed_bytes=holding.total_bytes,
            budget_bytes=self._ledger.budget_bytes,
            now_s=self._clock(),
        )

    def condemn(self, variant: str, session: ModelSession, reason: str) -> None:
        """Lets nobody lease this loaded model any more, for there was no memory to run it."""
        resident = self._residents.loaded.get(variant)
        if resident is not None and resident.session is session and not resident.condemned:
            resident.condemned = True
            self.note_fault(variant, reason, self._ledger.holdings[variant])

    def _report_from_thread(self, variant: str, session: ModelSession, reason: str) -> None:
        self._loop.call_soon_threadsafe(self._post, partial(self.condemn, variant, session, reason))

    # -- measurements --------------------------------------------------------------------------------------------------

    def keep_costs(self) -> Change:
        self.running = "writing measured costs"
        self.unsaved = False
        return self._keep_costs()

    async def _keep_costs(self) -> Message:
        await self._loader.keep_costs()
        return lambda: None
