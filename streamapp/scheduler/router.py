"""Sends each job to one of several devices, wherever they are, and is there whatever becomes of them.

Per device only so many jobs are on their way at once; beyond that a job is dropped. What a lost device had is tried
once elsewhere, if the deadline allows.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from streamapp.errors import DeviceLost, ModelError
from streamapp.results import DropReason
from streamapp.scheduler.api import Done, Dropped, Failed, Item, Job, Outcome, Value
from streamapp.scheduler.placement import CopyRules, DeviceView, Need, VariantCost

UNKNOWN_RUN_S = 0.05
"""How long an operation is taken to run until it was seen to."""
FULL = Dropped(DropReason.QUEUE_FULL, "every device has all the jobs it may have")
LATE = Dropped(DropReason.STALE, "its deadline passed before a device had it")


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """How a device is. lost: why it cannot be asked, if so. run_s: how long operations ran, by name."""

    lost: str | None
    resident: Collection[str]
    free_bytes: int
    evictable_bytes: int
    """Taken by models that nobody uses now."""
    waiting: int
    """Jobs, those that run included."""
    lanes: int
    run_s: Mapping[str, float]


class RoutedDevice(Protocol):
    """A device with a scheduler and a ledger of its own."""

    @property
    def name(self) -> str: ...

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        """As a Scheduler's; Failed with DeviceLost if the device is gone."""

    def report(self) -> DeviceReport:
        """As of now, or of a moment ago if it is elsewhere."""

    def cost(self, variant: str) -> VariantCost:
        """What having a variant in its memory takes. Raises ModelError for an unknown one."""

    def way_s(self, job: Job[Item, Value]) -> float:
        """What it costs a job that the device is elsewhere; 0 if it is not."""


@dataclass(slots=True)
class _Sent:
    """Jobs that are on their way to a device, which its report may not have yet."""

    jobs: int
    variants: Counter[str]
    """Theirs: what is not loaded for them yet soon is."""


class DeviceRouter:
    """A Scheduler. Used on the event loop's thread."""

    def __init__(
        self,
        devices: Callable[[], Sequence[RoutedDevice]],
        *,
        max_in_flight: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """devices: those there are now. max_in_flight: jobs of each."""
        self._devices = devices
        self._max_in_flight = max_in_flight
        self._clock = clock
        self._copies = CopyRules()
        self._sent: dict[str, _Sent] = {}
        self.dropped: Counter[DropReason] = Counter()
        """That no device had."""
        self.retried = 0

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        if not job.items:
            return Done((), (), 0.0, 0.0)
        outcome, name = await self._send(job, without=None)
        if name is not None and isinstance(outcome, Failed) and isinstance(outcome.error, DeviceLost):
            if self._clock() >= job.deadline_s or len(self._devices()) < 2:
                return outcome
            self.retried += 1
            again, _ = await self._send(job, without=name)
            return outcome if again is FULL else again
        return outcome

    def in_flight(self, name: str) -> int:
        """Jobs of a device that have not ended."""
        sent = self._sent.get(name)
        return 0 if sent is None else sent.jobs

    async def _send(self, job: Job[Item, Value], *, without: str | None) -> tuple[Outcome[Value], str | None]:
        """What became of it, and on which device; None: on none."""
        now_s = self._clock()
        if job.deadline_s <= now_s:
            return self._refused(LATE), None
        reports = {device.name: (device, device.report()) for device in self._devices() if device.name != without}
        healthy = {name: found for name, found in reports.items() if found[1].lost is None}
        if not healthy:
            why = "; ".join(f"{name}: {report.lost}" for name, (_, report) in reports.items())
            return Failed(DeviceLost(f"no device can be asked ({why or 'there is no other'})")), None
        open_ones = {name: found for name, found in healthy.items() if self.in_flight(name) < self._max_in_flight}
        if not open_ones:
            return self._refused(FULL), None
        name = self._best(job, open_ones, now_s)
        if name is None:  # the one with the most room says why it has none, or waits until it has
            name = max(open_ones, key=lambda name: (_room(open_ones[name][1]), -self.in_flight(name)))
        return await self._run(open_ones[name][0], job), name

    async def _run(self, device: RoutedDevice, job: Job[Item, Value]) -> Outcome[Value]:
        sent = self._sent.setdefault(device.name, _Sent(0, Counter()))
        sent.jobs += 1
        sent.variants.update(job.operation.variants)
        try:
            return await device.submit(job)
        finally:
            sent.jobs -= 1
            sent.variants.subtract(job.operation.variants)

    def _refused(self, why: Dropped) -> Dropped:
        self.dropped[why.reason] += 1
        return why

    def _best(
        self, job: Job[Any, Any], found: Mapping[str, tuple[RoutedDevice, DeviceReport]], now_s: float
    ) -> str | None:
        operation = job.operation.name
        runs_s = [report.run_s[operation] for _, report in found.values() if operation in report.run_s]
        run_s = sum(runs_s) / len(runs_s) if runs_s else UNKNOWN_RUN_S
        first = next(iter(found.values()))[0]
        costs = {}
        for variant in job.operation.variants:
            with contextlib.suppress(ModelError):  # one that nobody knows: the device says so
                costs[variant] = first.cost(variant)
        need = Need(costs, run_s)
        views = [self._view(device, report, run_s, device.way_s(job)) for device, report in found.values()]
        return self._copies.choose(operation, need, views, now_s)

    def _view(self, device: RoutedDevice, report: DeviceReport, run_s: float, way_s: float) -> DeviceView:
        """As it will be once it has what it was sent: its report may not know of that yet."""
        sent = self._sent.get(device.name)
        coming = set() if sent is None else {variant for variant, count in sent.variants.items() if count > 0}
        coming_bytes = 0
        for variant in coming - set(report.resident):
            with contextlib.suppress(ModelError):
                coming_bytes += device.cost(variant).bytes
        ahead = max(report.waiting, self.in_flight(device.name))
        return DeviceView(
            device.name,
            coming | set(report.resident),
            way_s + ahead * run_s / report.lanes,
            max(0, report.free_bytes - coming_bytes),
            max(0, report.evictable_bytes - max(0, coming_bytes - report.free_bytes)),
        )


def _room(report: DeviceReport) -> int:
    return report.free_bytes + report.evictable_bytes
