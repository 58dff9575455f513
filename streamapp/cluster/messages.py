"""What crosses between machines. No clock readings: those of two machines have nothing to do with each other; all times
are seconds left or passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamapp.scheduler.api import Job, Priority
from streamapp.scheduler.placement import VariantCost
from streamapp.scheduler.record import SchedulerState
from streamapp.scheduler.residency_view import ResidencySnapshot
from streamapp.scheduler.router import DeviceReport
from streamapp.zoo.base import Operation


@dataclass(frozen=True, slots=True, eq=False)
class SentJob:
    """A job on its way; `left_s` is its time from its arrival on, the way back taken off."""

    operation: Operation[Any, Any]
    items: Sequence[Any]
    owner: str
    priority: Priority
    left_s: float
    reason: str

    @classmethod
    def of(cls, job: Job[Any, Any], *, now_s: float, way_s: float) -> SentJob:
        """way_s: what there and back takes."""
        left_s = job.deadline_s - now_s - way_s
        return cls(job.operation, job.items, job.owner, job.priority, left_s, job.reason)

    def job(self, now_s: float) -> Job[Any, Any]:
        """As the receiver's clock has it."""
        return Job(self.operation, self.items, self.owner, self.priority, now_s + self.left_s, self.reason)


@dataclass(frozen=True, slots=True)
class SentReport:
    """A device at one moment. costs: of every variant it could load."""

    node: str
    report: DeviceReport
    costs: Mapping[str, VariantCost]
    state: SchedulerState
    memory: ResidencySnapshot
