"""Models that take turns in a budget too small for all of them, for a long time: memory stays within it, and flat.

`python -m benchmarks.soak [--quick] [--minutes N] [--budget-mb N] [--leak]`: the full-size graphs of ../shared/graphs
with noise for weights, really loaded and evicted in this process's memory. Three workers lease one to three of them at
a time, run them and give them back. What is measured is resident memory over that before the first load, every 20 ms;
each round ends with everything unloaded, and what is then still taken must not grow from round to round. `--leak` keeps
a little of every load: the same checks must say so.
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
from dataclasses import dataclass, field, replace
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
from streamapp.zoo.base import ModelSession
from streamapp.zoo.buckets import CPU_BUCKETS
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
"""And with everything unloaded, later rounds may take so much more than earlier ones."""
ROUND_S = 60.0
PAUSE_S = 0.3
"""Longest pause of a worker: this is about memory, not about speed."""
LEAK_BYTES = 20_000_000


class Watch:
    """Samples this process's resident memory over what it was at first, on a thread of its own."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
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
    def now_mb(self) -> float:
        return self._taken_mb()

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self.peak_mb = max(self.peak_mb, self._taken_mb())

    def _taken_mb(self) -> float:
        return (self._process.memory_info().rss - self._baseline) / 1e6


@dataclass(slots=True)
class Trace:
    """What came of all rounds."""

    outcomes: Counter[str] = field(default_factory=Counter)
    loads: int = 0
    load_failures: int = 0
    evictions: int = 0
    degraded: int = 0
    peak_mb: float = 0.0
    floors_mb: list[float] = field(default_factory=list)
    """After each round, with everything unloaded."""
    stall_ms: float = 0.0
    """Longest of the event loop."""

    @property
    def growth_mb(self) -> float:
        """Between the halves of what follows the first third, in which the heap finds its shape."""
        later = self.floors_mb[len(self.floors_mb) // 3 :]
        half = max(1, len(later) // 2)
        return float(np.mean(later[half:] or later) - np.mean(later[:half]))


def noise_registry(folder: Path) -> Registry:
    """Full-size graphs of the variants there are graphs of, filled with noise."""
    variants = []
    for name, graph in GRAPHS.items():
        source = SHARED / "graphs" / f"{graph}.graph.onnx"
        path = folder / f"{name}.onnx"
        if not path.is_file():
            subprocess.run([sys.executable, str(SHARED / "graphs" / "fill.py"), str(source), str(path)], check=True)
        digest = Digest.of_file(path)
        known = load_manifest().named(name)
        variants.append(replace(known, file=path.name, sha256=digest.sha256, sha384=None, size_bytes=digest.size_bytes))
    return Registry(Manifest(tuple(variants)), folder)


async def trace(registry: Registry, *, budget_mb: int, rounds: int, round_s: float, leak: bool) -> Trace:
    """Runs the workers in a budget and says what became of it."""
    import onnxruntime  # noqa: F401 - what is measured comes on top of it

    leaked: list[Floats] = []

    def load(name: str, buckets: Sequence[int]) -> ModelSession:
        if leak:
            leaked.append(np.ones(LEAK_BYTES // 4, np.float32))
        return open_session(registry, registry.manifest.named(name), SessionOptions(warm_up=buckets))

    for variant in registry.manifest.variants:
        registry.verified(variant)
    found = Trace()
    device = HostMemory()
    costs = CostBook.of_registry(
        registry, device=device.name, load_overhead=device.load_overhead, runtime=runtime_version()
    )
    names = [variant.name for variant in registry.manifest.variants]
    with Watch() as watch:
        for number in range(rounds):
            start = ModelResidency.start(
                device,
                load,
                costs,
                budget_bytes=budget_mb * 1_000_000,
                reserve_bytes=RESERVE_MB * 1_000_000,
                keep_alive_s=20.0,
                buckets=CPU_BUCKETS,
            )
            async with start as residency:
                await _round(residency, names, number, round_s, found)
                state = residency.snapshot()
            found.loads += state.loads
            found.load_failures += state.load_failures
            found.evictions += sum(state.evictions.values())
            found.degraded += len(state.degraded)
            found.floors_mb.append(watch.now_mb)
            progress(f"round {number + 1}: peak {watch.peak_mb:.0f} MB, all unloaded {watch.now_mb:.0f} MB")
        found.peak_mb = watch.peak_mb
    return found


async def _round(residency: ModelResidency, names: Sequence[str], number: int, round_s: float, found: Trace) -> None:
    end_s = time.monotonic() + round_s
    async with asyncio.TaskGroup() as group:
        group.create_task(_watch_loop(end_s, found))
        for worker in range(WORKERS):
            rng = random.Random(number * WORKERS + worker)
            group.create_task(_work(residency, names, rng, end_s, found.outcomes))


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
        await asyncio.sleep(rng.uniform(0, PAUSE_S))


def _run_once(session: ModelSession) -> None:
    shape = [size or 1 for size in session.input.shape]
    session.run(np.zeros(shape, np.float32))


async def _watch_loop(end_s: float, found: Trace) -> None:
    while (before_s := time.monotonic()) < end_s:
        await asyncio.sleep(0.005)
        found.stall_ms = max(found.stall_ms, (time.monotonic() - before_s - 0.005) * 1e3)


def main() -> None:
    options = parser("benchmarks.soak", __doc__ or "")
    options.add_argument("--minutes", type=float, default=30.0)
    options.add_argument("--budget-mb", type=int, default=1500)
    options.add_argument("--leak", action="store_true", help="the negative control: must be caught")
    options.add_argument("--rounds", type=int, help="instead of what makes up the time")
    options.add_argument("--folder", type=Path, help="where the filled graphs are, or are to be kept (1.3 GB)")
    arguments: argparse.Namespace = options.parse_args()
    rounds, round_s = (4, 6.0) if arguments.quick else (max(4, round(arguments.minutes * 60 / ROUND_S)), ROUND_S)
    rounds = arguments.rounds or rounds
    with tempfile.TemporaryDirectory(prefix="streamapp-soak-") as folder:
        registry = noise_registry(arguments.folder or Path(folder))
        found = asyncio.run(
            trace(registry, budget_mb=arguments.budget_mb, rounds=rounds, round_s=round_s, leak=arguments.leak)
        )
    limit_mb = OVER * arguments.budget_mb
    figures = (
        Figure("highest memory over baseline", found.peak_mb, "MB", f"<= {limit_mb:.0f}", found.peak_mb <= limit_mb),
        Figure("growth with all unloaded", found.growth_mb, "MB", f"<= {GROWTH_MB:.0f}", found.growth_mb <= GROWTH_MB),
        Figure("failed loads", found.load_failures, "", "0", found.load_failures == 0),
        Figure("loads", found.loads, ""),
        Figure("evictions", found.evictions, ""),
        Figure("longest stall of the event loop", found.stall_ms, "ms"),
    )
    rows = tuple((outcome, count) for outcome, count in sorted(found.outcomes.items()))
    table = Table(
        f"Requests in {rounds} rounds of {round_s:.0f} s, {WORKERS} workers, {arguments.budget_mb} MB",
        ("outcome", "count"),
        rows,
    )
    partial = arguments.leak or arguments.budget_mb != options.get_default("budget_mb")
    publish("soak", Options.of(arguments, partial=partial), figures, [table])
    if any(figure.met is False for figure in figures):
        sys.exit(1)


if __name__ == "__main__":
    main()
