"""A device that misbehaves as real ones do: lagging driver, strangers, lying estimates, fragmentation, leaks, loss."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from streamapp.errors import DeviceLost, ModelError, ModelOutOfMemory
from streamapp.faces import Floats
from streamapp.scheduler.costs import CostBook
from streamapp.scheduler.device_memory import MemoryUse
from streamapp.scheduler.residency import ModelResidency
from streamapp.zoo.base import TensorShape
from streamapp.zoo.spec import Task, Variant
from tests.virtual_time import now_s, pass_time, run_inline

MB = 1_000_000


class FakeSession:
    """Takes memory of a FakeCard until it is closed; running it needs nothing unless `run_mb` of the card says so."""

    input: TensorShape = TensorShape("input", (None, 3, 8, 8))
    outputs = ()
    providers: tuple[str, ...] = ("FakeExecutionProvider",)

    def __init__(self, card: FakeCard, variant: str, largest: int, taken_mb: float) -> None:
        self.variant = variant
        self.largest = largest
        self.taken_mb = taken_mb
        self.closed = False
        self.batches: list[int] = []
        self._card = card

    def run(self, batch: Floats) -> tuple[Floats, ...]:
        if self.closed:
            raise AssertionError(f"{self.variant} was run after it was unloaded")
        self.batches.append(len(batch))
        if self._card.run_mb > self._card.free_mb:
            raise ModelOutOfMemory(f"no memory to run {self.variant}")
        return (batch,)

    def close(self) -> None:
        if self.closed:
            raise AssertionError(f"{self.variant} was unloaded twice")
        self.closed = True
        self._card.give_back(self)


@dataclass
class FakeCard:
    """A DeviceMemory, and the `load` that uses it."""

    total_mb: float = 6000
    strangers_mb: float = 0
    sizes_mb: Mapping[str, float] = field(default_factory=dict)
    """What variants really take with a batch of 1; each further item takes a tenth more."""
    estimates_mb: Mapping[str, float] = field(default_factory=dict)
    """What the manifest says, where it lies."""
    context_mb: float = 300
    """What the runtime really takes with the first session."""
    lag_s: float = 0
    """How long the driver shows freed memory as used."""
    fragmented_mb: float = 0
    """Free, but of no use."""
    leak_mb: float = 0
    """Lost with each unload."""
    run_mb: float = 0
    """What running any model needs."""
    load_s: float = 0
    """How long a load takes, during which the event loop stands still."""
    tells_processes_apart: bool = True
    lost: str | None = None
    fails: dict[str, ModelError] = field(default_factory=dict)
    """Variants that cannot be loaded, and why."""

    name = "fake card"
    context_bytes = 300 * MB
    context_provider = "FakeExecutionProvider"
    load_overhead = 0.0

    def __post_init__(self) -> None:
        self.sessions: list[FakeSession] = []
        self.loads: list[tuple[str, tuple[int, ...]]] = []
        self.leaked_mb = 0.0
        self.peak_mb = 0.0
        self._has_context = False
        self._returning: list[tuple[float, float]] = []

    def true_mb(self, variant: str, largest: int) -> float:
        return self.sizes_mb[variant] * (1 + 0.1 * (largest - 1))

    @property
    def open_mb(self) -> float:
        """What this process really uses."""
        return (
            (self.context_mb if self._has_context else 0)
            + sum(session.taken_mb for session in self.sessions if not session.closed)
            + self.leaked_mb
        )

    @property
    def free_mb(self) -> float:
        return self.total_mb - self.strangers_mb - self.fragmented_mb - self.open_mb

    def load(self, variant: str, buckets: Sequence[int]) -> FakeSession:
        self.loads.append((variant, tuple(buckets)))
        if self.load_s:
            pass_time(self.load_s)
        if variant in self.fails:
            raise self.fails[variant]
        needed = self.true_mb(variant, max(buckets)) + (0 if self._has_context else self.context_mb)
        if needed > self.free_mb:
            raise ModelOutOfMemory(f"no memory to load {variant}")
        self._has_context = True
        session = FakeSession(self, variant, max(buckets), self.true_mb(variant, max(buckets)))
        self.sessions.append(session)
        self.peak_mb = max(self.peak_mb, self.open_mb)
        return session

    def give_back(self, session: FakeSession) -> None:
        self.leaked_mb += self.leak_mb
        self._returning.append((now_s() + self.lag_s, session.taken_mb - self.leak_mb))

    def read(self) -> MemoryUse:
        if self.lost is not None:
            raise DeviceLost(self.lost)
        lagging = sum(size for until_s, size in self._returning if until_s > now_s())
        ours = self.open_mb + lagging
        used = min(self.total_mb, ours + self.strangers_mb)
        return MemoryUse(
            round(self.total_mb * MB), round(used * MB), round(ours * MB) if self.tells_processes_apart else None
        )

    def start_peak(self) -> None:
        pass

    def peak_bytes(self) -> int:
        return 0

    def return_freed_memory(self) -> None:
        pass

    def variants(self) -> dict[str, Variant]:
        """The manifest's entries: what it says each takes, by batch."""
        return {name: self._variant(name) for name in self.sizes_mb}

    def _variant(self, name: str) -> Variant:
        estimate = self.estimates_mb.get(name, self.sizes_mb[name])
        return Variant(
            name=name,
            task=Task.RECOGNISE,
            file=f"{name}.onnx",
            sources=(),
            sha256=hashlib.sha256(name.encode()).hexdigest(),
            sha384=None,
            size_bytes=round(estimate * 0.4 * MB),
            licence="",
            commercial_use=None,
            input="",
            output="",
            reference="",
            memory_bytes={size: round(estimate * (1 + 0.1 * (size - 1)) * MB) for size in (1, 2, 4, 8)},
        )

    def residency(
        self,
        *,
        budget_mb: float | None = None,
        reserve_mb: float = 0,
        keep_alive_s: float = 300,
        costs: CostBook | None = None,
        load: Callable[[str, Sequence[int]], FakeSession] | None = None,
        **options: Any,
    ) -> AbstractAsyncContextManager[ModelResidency]:
        """A residency on this card, in made-up time; `options` as in ModelResidency.start."""
        return ModelResidency.start(
            self,
            load or self.load,
            costs or CostBook(self.variants(), device=self.name, load_overhead=self.load_overhead, runtime="fake"),
            budget_bytes=None if budget_mb is None else round(budget_mb * MB),
            reserve_bytes=round(reserve_mb * MB),
            keep_alive_s=keep_alive_s,
            clock=now_s,
            run_blocking=self._run_inline,
            **options,
        )

    async def _run_inline(self, function: Callable[[], Any], /) -> Any:
        return await run_inline(function)
