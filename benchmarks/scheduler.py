"""What the scheduler costs per job: from submitting an operation that does nothing to its outcome, models loaded.

Floor: the same call, handed straight to a thread and back. Rounds of each take turns; their medians are shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median

import uvloop

from benchmarks.report import Figure, Options, Table, parser, progress, publish
from streamapp.faces import Floats
from streamapp.scheduler.api import Done, Job, Priority
from streamapp.scheduler.lane import Lane
from streamapp.scheduler.local import LocalScheduler
from streamapp.tuning import tune_process
from streamapp.zoo.base import ModelSession, TensorShape

GOAL_MS = 0.3
OWNERS = (1, 8, 256)
"""Each has one job at a time. The first two are held against the goal; with the last the queue is full."""
CAPACITY = 256
VARIANT = "nothing"
PATIENCE_S = 60.0


class NoSession:
    """Weights of nothing."""

    variant = VARIANT
    input = TensorShape("input", (None,))
    outputs: tuple[TensorShape, ...] = ()
    providers = ("CPUExecutionProvider",)

    def run(self, batch: Floats) -> tuple[Floats, ...]:  # noqa: ARG002 - the protocol's
        return ()

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class LoadedLease:
    sessions: Mapping[str, ModelSession] = field(default_factory=lambda: {VARIANT: NoSession()})

    def release(self) -> None:
        pass


class Loaded:
    """A Residency in which everything is there at once."""

    async def lease(self, variants: Sequence[str], *, deadline_s: float) -> LoadedLease:  # noqa: ARG002 - the protocol's
        return LoadedLease()

    async def close(self) -> None:
        pass


class Nothing:
    """An operation that takes no time."""

    name = VARIANT
    variants = (VARIANT,)

    def run(self, sessions: Mapping[str, ModelSession], items: Sequence[int]) -> Sequence[int]:  # noqa: ARG002 - the protocol's
        return items


@dataclass(frozen=True, slots=True)
class Round:
    """So many jobs, one after the other for each owner. In milliseconds."""

    per_job_ms: float
    """Time of the round for each of its jobs."""
    cpu_ms: float
    """Of all threads, likewise."""
    latency_ms: float
    """Median, submit to outcome."""


def named(owners: int) -> str:
    return "1 owner" if owners == 1 else f"{owners} owners"


async def take(owners: int, jobs: int, call: Callable[[str], Awaitable[None]]) -> Round:
    taken_s: list[float] = []

    async def own(name: str) -> None:
        for _ in range(jobs // owners):
            start_s = time.perf_counter()
            await call(name)
            taken_s.append(time.perf_counter() - start_s)

    used_s, start_s = time.process_time(), time.perf_counter()
    await asyncio.gather(*(own(f"stream-{number}") for number in range(owners)))
    wall_s, used_s = time.perf_counter() - start_s, time.process_time() - used_s
    return Round(1e3 * wall_s / len(taken_s), 1e3 * used_s / len(taken_s), 1e3 * median(taken_s))


async def measure(rounds: int, jobs: int) -> dict[str, list[Round]]:
    """Rounds by what was measured."""
    operation = Nothing()
    lane = Lane("bare")

    async def bare(_: str) -> None:
        await lane.run(lambda: operation.run({}, (0,)), timeout_s=PATIENCE_S, on_late_return=lambda: None)

    found: dict[str, list[Round]] = {"floor": [], **{named(owners): [] for owners in OWNERS}}
    async with AsyncExitStack() as stack:
        scheduler = await stack.enter_async_context(LocalScheduler.start(Loaded(), lanes=1, capacity=CAPACITY))
        stack.callback(lane.close)

        async def scheduled(owner: str) -> None:
            job = Job(operation, (0,), owner, Priority.REFRESH, time.monotonic() + PATIENCE_S, "measured")
            outcome = await scheduler.submit(job)
            assert isinstance(outcome, Done), outcome

        for number in range(rounds + 1):  # the first is for warming up
            progress(f"round {number} of {rounds}")
            results = {"floor": await take(1, jobs, bare)}
            for owners in OWNERS:
                results[named(owners)] = await take(owners, jobs, scheduled)
            for name, result in results.items():
                found[name] += [result] if number else []
    return found


def run_scheduler(options: Options) -> None:
    tune_process()
    rounds, jobs = (3, 512) if options.quick else (30, 2048)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the command line does
        found = runner.run(measure(rounds, jobs))
    rows, figures = [], []
    for name, results in found.items():
        per_job_ms = median(result.per_job_ms for result in results)
        cpu_ms = median(result.cpu_ms for result in results)
        rows.append((name, per_job_ms, cpu_ms, median(result.latency_ms for result in results)))
        if name in {named(owners) for owners in OWNERS[:2]}:
            met = per_job_ms < GOAL_MS
            figures.append(Figure(f"scheduler per job, {name}", per_job_ms, "ms", f"< {GOAL_MS}", met))
    notes = (
        f"Medians of {rounds} rounds of {jobs} jobs of one item, one lane. floor: the lane alone, one call at a time. "
        "per job: time of a round over its jobs; submit to outcome includes waiting for the other owners' batches.",
    )
    columns = ("what", "per job ms", "CPU per job ms", "submit to outcome ms")
    publish("scheduler", options, figures, [Table("Overhead of the scheduler", columns, tuple(rows), notes)])


def main() -> None:
    run_scheduler(Options.of(parser("benchmarks.scheduler", "Overhead of the scheduler per job.").parse_args()))


if __name__ == "__main__":
    main()
