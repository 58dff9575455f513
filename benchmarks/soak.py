"""Models that take turns in a budget too small for all of them, for a long time: memory stays within it, and flat.

`python -m benchmarks.soak [--quick] [--minutes N] [--budget-mb N]`: the full-size graphs of ../shared/graphs with noise
for weights, really loaded and evicted in this process's memory. Three workers lease one to three of them at a time, run
them and give them back. What is measured is resident memory over that before the first load, every 20 ms. `--leak`
keeps a little of every load: the same checks must say so.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil

from benchmarks.model_files import GRAPHS, SHARED
from benchmarks.report import Figure, Options, Table, parser, progress, publish
from streamapp.errors import ModelError, OverBudget
from streamapp.faces import Floats
from streamapp.scheduler.costs import CostBook
from streamapp.scheduler.device_memory import HostMemory, runtime_version
from streamapp.scheduler.residency import ModelResidency
from streamapp.scheduler.residency_view import ResidencySnapshot
from streamapp.zoo.base import ModelSession
from streamapp.zoo.manifest import Manifest, load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions, open_session
from streamapp.zoo.spec import Digest

WORKERS = 3
RESERVE_MB = 64
DEADLINE_S = 15.0
SAMPLE_S = 0.02
OVER = 1.05
"""Resident memory may be so many times the budget."""
GROWTH_MB = 40.0
"""And the highest of the last third so much above that of the first."""
LEAK_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    megabytes: float


class Watch:
    """Samples this process's resident memory over `baseline_mb`, on a thread of its own."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._process = psutil.Process()
        self._baseline = self._process.memory_info().rss
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def peak_mb(self) -> float:
        return max(sample.megabytes for sample in self.samples)

    def growth_mb(self) -> float:
        """By how much the troughs of the last third lie above those of the first: what is never given back."""
        third = len(self.samples) // 3
        first, last = self.samples[third // 2 : third + third // 2], self.samples[-third:]
        return _trough(last) - _trough(first)

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            taken = self._process.memory_info().rss - self._baseline
            self.samples.append(Sample(time.monotonic(), taken / 1e6))


def _trough(samples: Sequence[Sample]) -> float:
    return float(np.percentile([sample.megabytes for sample in samples], 2))


@dataclass(frozen=True, slots=True)
class Trace:
    """What came of one run."""

    outcomes: Counter[str]
    state: ResidencySnapshot
    peak_mb: float
    growth_mb: float
    longest_stall_ms: float
    """Of the event loop."""


def noise_registry(folder: Path) -> Registry:
    """Full-size graphs of the variants there are graphs of, filled with noise."""
    variants = []
    for name, graph in GRAPHS.items():
        source = SHARED / "graphs" / f"{graph}.graph.onnx"
        path = folder / f"{name}.onnx"
        subprocess.run([sys.executable, str(SHARED / "graphs" / "fill.py"), str(source), str(path)], check=True)
        digest = Digest.of_file(path)
        known = load_manifest().named(name)
        variants.append(replace(known, file=path.name, sha256=digest.sha256, sha384=None, size_bytes=digest.size_bytes))
    return Registry(Manifest(tuple(variants)), folder)


async def trace(registry: Registry, *, budget_mb: int, seconds: float, leak: bool = False, seed: int = 0) -> Trace:
    """Runs the workers in a budget and says what became of it."""
    import onnxruntime  # noqa: F401 - what is measured comes on top of it

    leaked: list[Floats] = []

    def load(name: str, buckets: Sequence[int]) -> ModelSession:
        if leak:
            leaked.append(np.ones(LEAK_BYTES // 4, np.float32))
        return open_session(registry, registry.manifest.named(name), SessionOptions(warm_up=buckets))

    for variant in registry.manifest.variants:
        registry.verified(variant)
    device = HostMemory()
    costs = CostBook.of_registry(
        registry, device=device.name, load_overhead=device.load_overhead, runtime=runtime_version()
    )
    outcomes: Counter[str] = Counter()
    stall_ms = [0.0]
    with Watch() as watch:
        start = ModelResidency.start(
            device,
            load,
            costs,
            budget_bytes=budget_mb * 1_000_000,
            reserve_bytes=RESERVE_MB * 1_000_000,
            keep_alive_s=20.0,
            buckets=(1, 2),
        )
        async with start as residency:
            end_s = time.monotonic() + seconds
            names = [variant.name for variant in registry.manifest.variants]
            async with asyncio.TaskGroup() as group:
                group.create_task(_watch_loop(end_s, stall_ms))
                for number in range(WORKERS):
                    group.create_task(_work(residency, names, random.Random(seed + number), end_s, outcomes))
            state = residency.snapshot()
        return Trace(outcomes, state, watch.peak_mb, watch.growth_mb(), stall_ms[0])


async def _work(
    residency: ModelResidency, names: Sequence[str], rng: random.Random, end_s: float, outcomes: Counter[str]
) -> None:
    while time.monotonic() < end_s:
        wanted = rng.sample(names, rng.choice((1, 1, 1, 2, 3)))
        try:
            lease = await residency.lease(wanted, deadline_s=time.monotonic() + DEADLINE_S)
        except OverBudget as error:
            outcomes["refused: never fits" if "can ever be had" in str(error) else "refused: no room in time"] += 1
            await asyncio.sleep(0.05)
            continue
        except ModelError as error:
            outcomes[f"failed: {error.code}"] += 1
            continue
        try:
            for session in lease.sessions.values():
                await asyncio.to_thread(_run_once, session)
            outcomes["done"] += 1
        finally:
            lease.release()
        await asyncio.sleep(rng.uniform(0, 0.2))


def _run_once(session: ModelSession) -> None:
    shape = [size or 1 for size in session.input.shape]
    session.run(np.zeros(shape, np.float32))


async def _watch_loop(end_s: float, stall_ms: list[float]) -> None:
    while (before_s := time.monotonic()) < end_s:
        await asyncio.sleep(0.005)
        stall_ms[0] = max(stall_ms[0], (time.monotonic() - before_s) * 1e3)


def main() -> None:
    options = parser("benchmarks.soak", __doc__ or "")
    options.add_argument("--minutes", type=float, default=30.0)
    options.add_argument("--budget-mb", type=int, default=1500)
    options.add_argument("--leak", action="store_true", help="the negative control: must be caught")
    arguments: argparse.Namespace = options.parse_args()
    seconds = 40.0 if arguments.quick else arguments.minutes * 60
    with tempfile.TemporaryDirectory(prefix="streamapp-soak-") as folder:
        progress(f"{seconds:.0f} s in {arguments.budget_mb} MB")
        registry = noise_registry(Path(folder))
        found = asyncio.run(trace(registry, budget_mb=arguments.budget_mb, seconds=seconds, leak=arguments.leak))
    limit_mb = OVER * arguments.budget_mb
    figures = (
        Figure("highest memory over baseline", found.peak_mb, "MB", f"<= {limit_mb:.0f}", found.peak_mb <= limit_mb),
        Figure(
            "growth of what is never given back",
            found.growth_mb,
            "MB",
            f"<= {GROWTH_MB:.0f}",
            found.growth_mb <= GROWTH_MB,
        ),
        Figure("loads", found.state.loads, ""),
        Figure("evictions", sum(found.state.evictions.values()), ""),
        Figure("failed loads", found.state.load_failures, "", "0", found.state.load_failures == 0),
        Figure("longest stall of the event loop", found.longest_stall_ms, "ms"),
    )
    rows = tuple((outcome, count) for outcome, count in sorted(found.outcomes.items()))
    name = "soak_leak" if arguments.leak else "soak"
    publish(
        name, Options.of(arguments, partial=arguments.leak), figures, [Table("Requests", ("outcome", "count"), rows)]
    )
    if any(figure.met is False for figure in figures):
        sys.exit(1)


if __name__ == "__main__":
    main()
