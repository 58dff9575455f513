"""Several devices of this process: each with lanes, a ledger and a queue of its own, behind one Scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from streamapp.scheduler.api import Item, Job, Outcome, Value
from streamapp.scheduler.costs import CostBook
from streamapp.scheduler.local import LocalScheduler
from streamapp.scheduler.placement import VariantCost
from streamapp.scheduler.record import SchedulerState, merged_states
from streamapp.scheduler.residency import ModelResidency
from streamapp.scheduler.residency_view import ResidencySnapshot, merged_snapshots
from streamapp.scheduler.router import DeviceReport, DeviceRouter


class LocalDevice:
    """A RoutedDevice of this process."""

    def __init__(self, name: str, scheduler: LocalScheduler, residency: ModelResidency, costs: CostBook) -> None:
        self.name = name
        self.scheduler = scheduler
        self.residency = residency
        self._costs = costs

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        return await self.scheduler.submit(job)

    def report(self) -> DeviceReport:
        memory, state = self.residency.snapshot(), self.scheduler.state()
        idle = [model for model in memory.resident if not model.leases and not model.pinned]
        return DeviceReport(
            memory.lost,
            {model.variant for model in memory.resident},
            max(0, memory.budget_bytes - memory.committed_bytes),
            sum(model.holding.resident_bytes for model in idle),
            sum(state.queued.values()) + state.running,
            state.lanes,
            {name: fmean(found.run_s) for name, found in state.operations.items() if found.run_s},
        )

    def cost(self, variant: str) -> VariantCost:
        cost = self._costs.cost(variant, 1)
        return VariantCost(cost.holding.total_bytes, cost.load_s)

    def way_s(self, job: Job[Item, Value]) -> float:  # noqa: ARG002 - near for every job
        return 0.0


class DevicesScheduler(DeviceRouter):
    """A Scheduler over devices of this process, and how all of them are together."""

    def __init__(self, devices: Sequence[LocalDevice], *, max_in_flight: int) -> None:
        super().__init__(lambda: devices, max_in_flight=max_in_flight)
        self._local = devices

    def state(self) -> SchedulerState:
        return merged_states([device.scheduler.state() for device in self._local], self.dropped)

    def snapshot(self) -> ResidencySnapshot:
        """Of all of them together, each in its `parts`."""
        return merged_snapshots([device.residency.snapshot() for device in self._local])
