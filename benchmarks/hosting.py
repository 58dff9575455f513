"""What it costs to have the models in a process of their own: from a job to its outcome, here and there, turn by turn.

Floor: the same job in this process. One small model, so that the way is as much of the time as it can be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from statistics import median

import numpy as np
import uvloop

from benchmarks.detectors import measured_settings
from benchmarks.live import linked_models
from benchmarks.report import Figure, Options, Table, parser, progress, publish
from streamapp.frame import Image
from streamapp.models import Models
from streamapp.scheduler.api import Done, Job, Priority
from streamapp.settings import Settings
from streamapp.tuning import tune_process
from streamapp.zoo.base import Crop

CROPS = (1, 8)
PATIENCE_S = 30.0
PLACES = {"this process": False, "a process of its own": True}


async def measure(settings: Settings, rounds: int, jobs: int) -> dict[tuple[str, int], list[tuple[float, float]]]:
    """Milliseconds from a job to its outcome, and of this process's time, by place and number of crops: of each round
    the medians."""
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    async with AsyncExitStack() as stack:
        hosts: dict[str, Models] = {}
        for place, process in PLACES.items():
            chosen = settings.scheduler.model_copy(update={"process": process})
            hosts[place] = await stack.enter_async_context(
                Models.start(settings.model_copy(update={"scheduler": chosen}))
            )
        for number in range(rounds + 1):  # the first loads
            progress(f"round {number} of {rounds}")
            for count in CROPS:
                for place, models in hosts.items():
                    taken = await take(models, jobs, count)
                    if number:
                        found.setdefault((place, count), []).append(taken)
    return found


async def take(models: Models, jobs: int, count: int) -> tuple[float, float]:
    analyst = models.lineup.antispoofer
    assert analyst is not None, "no anti-spoof model is installed"
    side = analyst.model.spec.side
    taken_ms: list[float] = []
    used_s = time.process_time()
    for number in range(jobs):
        pixels: Sequence[Image] = [np.full((side, side, 3), (number + i) % 256, np.uint8) for i in range(count)]
        job = Job(
            analyst.operation,
            [Crop(one) for one in pixels],
            "measured",
            Priority.REFRESH,
            time.monotonic() + PATIENCE_S,
            "measured",
        )
        start_s = time.perf_counter()
        outcome = await models.scheduler.submit(job)
        taken_ms.append((time.perf_counter() - start_s) * 1e3)
        assert isinstance(outcome, Done), outcome
    return median(taken_ms), (time.process_time() - used_s) * 1e3 / jobs


def main() -> None:
    options = Options.of(parser("benchmarks.hosting", __doc__.splitlines()[0]).parse_args())
    tune_process()
    rounds, jobs = (3, 50) if options.quick else (15, 200)
    with (
        linked_models(measured_settings()) as settings,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,  # as the command line does
    ):
        found = runner.run(measure(settings, rounds, jobs))
    rows = tuple(
        (count, place, *(median(column) for column in zip(*found[place, count], strict=True)))
        for count in CROPS
        for place in PLACES
    )
    here, there = PLACES
    figures = [
        Figure(
            f"the way there and back, {count} crop{'s' * (count > 1)}",
            median(b[0] - a[0] for a, b in zip(found[here, count], found[there, count], strict=True)),
            "ms",
        )
        for count in CROPS
    ]
    notes = (
        f"Medians of {rounds} rounds of {jobs} jobs, one at a time, places taking turns. CPU: of this process alone, "
        "with the model's where it runs here.",
    )
    columns = ("crops a job", "models in", "job to outcome ms", "CPU here per job ms")
    publish("hosting", options, figures, [Table("Models here and in a process of their own", columns, rows, notes)])


if __name__ == "__main__":
    main()
