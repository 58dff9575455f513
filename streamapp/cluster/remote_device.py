"""A device of another machine, as a router sees it. Deadlines are kept here, by the clock they were made with: a result
that comes later is not handed on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from streamapp.cluster.messages import SentJob, SentReport, content_bytes
from streamapp.errors import DeviceLost, ModelMissing
from streamapp.hosting.machine import MachineFigures
from streamapp.results import DropReason
from streamapp.scheduler.api import Dropped, Failed, Item, Job, Outcome, Priority, Value
from streamapp.scheduler.placement import VariantCost
from streamapp.scheduler.residency_view import ResidencySnapshot, lost_snapshot
from streamapp.scheduler.router import DeviceReport

ANSWER_TIMEOUT_S = 5.0
LATE = Dropped(DropReason.STALE, "its deadline passed on the way to a device, there or back")
UNHEARD = "it has not said yet how it is"


class DeviceHandle(Protocol):
    """What reaches it. Both raise DeviceLost if it is gone or does not answer; cancelling `submit` cancels the job."""

    async def submit(self, sent: SentJob) -> Outcome[Any]: ...

    async def report(self) -> SentReport: ...


@dataclass(frozen=True, slots=True)
class Ways:
    """How jobs reach other machines. machine: this one. crop_quality: crops cross as JPEG of that quality; None: as
    they are. stream_bytes_per_s: what a stream should send there at most."""

    machine: str = ""
    crop_quality: int | None = None
    stream_bytes_per_s: float = 150_000.0


class RemoteDevice:
    """A RoutedDevice. Used on the event loop's thread."""

    def __init__(self, name: str, handle: DeviceHandle, ways: Ways) -> None:
        self.name = name
        self.handle = handle
        self._ways = ways
        self.last: SentReport | None = None
        """None: it has not answered, or not since it was lost."""
        self._lost: str = UNHEARD
        self._memory: ResidencySnapshot | None = None
        self._way_s = 0.0
        """There and back, of the last report."""

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        now_s = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, job.deadline_s - now_s)):
                quality = None if self._is_near else self._ways.crop_quality
                sent = SentJob.of(job, now_s=now_s, way_s=self._way_s, origin=self._ways.machine, quality=quality)
                outcome: Outcome[Value] = await self.handle.submit(sent)
        except TimeoutError:
            return LATE
        except DeviceLost as error:
            self._lose(str(error))
            return Failed(error)
        return outcome if time.monotonic() < job.deadline_s else LATE

    def report(self) -> DeviceReport:
        if self.last is None:
            return DeviceReport(self._lost, (), 0, 0, 0, 1, {})
        return self.last.report

    def way_s(self, job: Job[Item, Value]) -> float:
        """What a stream sends to another machine is counted as the time it takes at the rate that a stream should not
        exceed: so it stays here if it can. Pictures that somebody waits for go wherever they are done first."""
        if self._is_near or job.priority is Priority.IMAGE:
            return self._way_s
        return self._way_s + content_bytes(job.items) / self._ways.stream_bytes_per_s

    def machines(self) -> Iterator[MachineFigures]:
        """Where it is, and those that asked it, by what crossed."""
        if self.last is not None:
            yield self.last.machine
            for asker, crossed in self.last.crossed.items():
                yield MachineFigures(asker, sent_bytes=crossed.asked_bytes, received_bytes=crossed.answered_bytes)

    def cost(self, variant: str) -> VariantCost:
        cost = None if self.last is None else self.last.costs.get(variant)
        if cost is None:
            raise ModelMissing(f"{self.name} does not know {variant}")
        return cost

    async def look(self) -> None:
        """Asks it how it is."""
        start_s = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                self.last = await self.handle.report()
        except DeviceLost as error:
            self._lose(str(error))
        except TimeoutError:
            self._lose(f"no answer within {ANSWER_TIMEOUT_S:.0f} s")
        else:
            self._way_s = time.monotonic() - start_s
            self._memory = replace(self.last.memory, device=f"{self.name} {self.last.memory.device}")

    def memory(self) -> ResidencySnapshot | None:
        """As of its last word; None if it never said one."""
        if self._memory is None or self.last is not None:
            return self._memory
        return lost_snapshot(self._memory, self._lost)

    @property
    def _is_near(self) -> bool:
        return self.last is not None and self.last.machine.name == self._ways.machine

    def _lose(self, why: str) -> None:
        self.last, self._lost = None, why
