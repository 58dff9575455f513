"""A device of the cluster under test, as Ray's processes start it: real scheduler and ledger, made-up models."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from streamapp.cluster.device_actor import Engine
from streamapp.scheduler.costs import CostBook
from streamapp.scheduler.device_memory import HostMemory
from streamapp.scheduler.devices import LocalDevice
from streamapp.scheduler.local import LocalScheduler
from streamapp.scheduler.residency import ModelResidency
from streamapp.zoo.base import ModelSession
from tests.fake_card import FakeCard
from tests.fakes import EchoSession

SIZES_MB = {"a": 90.0, "b": 90.0, "c": 90.0}
BUDGET_MB = 200
"""Room for one of them at a time."""


class WhereOperation:
    """Gives the process id of the device for each item, after `takes_s`."""

    def __init__(self, variant: str = "a", takes_s: float = 0.0) -> None:
        self.name = variant
        self.variants = (variant,)
        self._takes_s = takes_s

    def run(self, sessions: Mapping[str, ModelSession], items: Sequence[int]) -> Sequence[int]:
        assert set(sessions) == set(self.variants)
        time.sleep(self._takes_s)
        return [os.getpid() for _ in items]


def _load(name: str, buckets: Sequence[int]) -> ModelSession:
    return EchoSession()


@asynccontextmanager
async def start_engine() -> AsyncIterator[Engine]:
    variants = FakeCard(sizes_mb=SIZES_MB).variants()
    costs = CostBook(variants, device="test", load_overhead=0.0, runtime="test")
    async with (
        ModelResidency.start(
            HostMemory(), _load, costs, budget_bytes=BUDGET_MB * 1_000_000, reserve_bytes=0, keep_alive_s=60
        ) as residency,
        LocalScheduler.start(residency, lanes=1, capacity=16) as scheduler,
    ):
        yield Engine(LocalDevice("device", scheduler, residency, costs), tuple(variants))
