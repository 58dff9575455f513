"""Enroll and identify, end to end: what a picture costs over the bare calls of the models that it needs.

`python -m benchmarks.identify [--quick]`. Pictures are examined in mode full. Every one is enrolled into a gallery on
disk, encrypted, and then identified in it among so many other people. The floor is taken right after each: the same
models, loaded anew, on the very items that the app asked about, one call after the other on one thread. The app runs
them on all of its lanes and may well be faster than that.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import uvloop

from benchmarks.detectors import measured_settings
from benchmarks.gallery import DIMENSIONS, FOR_EVER, unit
from benchmarks.live import linked_models
from benchmarks.media import pictures
from benchmarks.report import Figure, Options, Table, parser, progress, publish
from streamapp.evaluation.enrolling import sample_of, with_empty_gallery
from streamapp.evaluation.pictures import read_picture
from streamapp.faces import Mode
from streamapp.findings import Embedding
from streamapp.frame import Image
from streamapp.gallery.people import Consent, Enrolment, Sample
from streamapp.hosting.host import load_model
from streamapp.models import Models
from streamapp.pipeline.examiner import Asker, Examiner
from streamapp.scheduler.api import Item, Job, Outcome, Priority, Scheduler, Value
from streamapp.settings import Settings
from streamapp.tuning import tune_process
from streamapp.zoo.base import ModelSession

OTHERS = 2_000
CLIENT = "benchmark"
CONSENT = Consent("benchmark", "benchmark", 0.0, FOR_EVER)


class NotingScheduler:
    """Passes jobs on and keeps them."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.jobs: list[Job[Any, Any]] = []
        self._scheduler = scheduler

    async def submit(self, job: Job[Item, Value]) -> Outcome[Value]:
        self.jobs.append(job)
        return await self._scheduler.submit(job)


@dataclass(slots=True)
class Times:
    """Milliseconds, one per picture."""

    bare: list[float] = field(default_factory=list)
    examine: list[float] = field(default_factory=list)
    search: list[float] = field(default_factory=list)
    store: list[float] = field(default_factory=list)
    enroll: list[float] = field(default_factory=list)
    """Examined and stored."""
    identify: list[float] = field(default_factory=list)
    """Examined, searched for and decided."""
    faces: list[int] = field(default_factory=list)


class Bare:
    """Every model called by itself."""

    def __init__(self, settings: Settings, models: Models) -> None:
        self._load = partial(load_model, settings, models.registry, models.device)
        self._sessions: dict[str, ModelSession] = {}

    def time_ms(self, jobs: Sequence[Job[Any, Any]]) -> float:
        for name in (variant for job in jobs for variant in job.operation.variants):
            if name not in self._sessions:
                self._sessions[name] = self._load(name, (1,))
        start = time.perf_counter()
        for job in jobs:
            job.operation.run(self._sessions, job.items)
        return (time.perf_counter() - start) * 1e3


async def fill(models: Models, people: int) -> None:
    """Strangers nobody looks like."""
    draw = np.random.default_rng(1)
    names = [member.variant for member in models.lineup.recognisers]
    for number in range(people):
        vectors = {name: unit(draw.standard_normal((1, DIMENSIONS), np.float32))[0] for name in names}
        sample = Sample(tuple(Embedding.of(name, vector) for name, vector in vectors.items()), 1.0, 0.0)
        now = time.time()
        await models.identification.gallery.enroll(
            Enrolment(f"other {number}", CONSENT, (sample,)), actor=CLIENT, now=now
        )


async def measure_picture(models: Models, bare: Bare, name: str, path: Path, rgb: Image, times: Times) -> None:
    noting = NotingScheduler(models.scheduler)
    asker = Asker(CLIENT, Priority.IMAGE, time.monotonic() + 60, "benchmark")
    start = time.perf_counter()
    examination = await Examiner(noting, models.lineup).examine(rgb, Mode.FULL, asker)
    times.examine.append((time.perf_counter() - start) * 1e3)
    times.faces.append(len(examination.faces))
    times.bare.append(await asyncio.to_thread(bare.time_ms, noting.jobs))
    sample = await sample_of(models, path)
    assert sample is not None
    start = time.perf_counter()
    await models.identification.gallery.enroll(Enrolment(name, CONSENT, (sample,)), actor=CLIENT, now=time.time())
    times.store.append((time.perf_counter() - start) * 1e3)
    times.enroll.append(times.examine[-1] + times.store[-1])
    probe: Mapping[str, Embedding] = {embedding.model: embedding for embedding in sample.embeddings}
    start = time.perf_counter()
    await models.search(probe)
    times.search.append((time.perf_counter() - start) * 1e3)
    start = time.perf_counter()
    result = await models.examine(rgb, Mode.FULL, client=CLIENT)
    times.identify.append((time.perf_counter() - start) * 1e3)
    assert result.faces


async def measure(settings: Settings, quick: bool) -> tuple[list[Table], list[Figure]]:
    chosen = pictures()[: 6 if quick else 40]
    if not chosen:
        raise SystemExit("pictures with faces are needed; set STREAMAPP_TEST_SHARED")
    others, times, used = 100 if quick else OTHERS, Times(), 0
    async with Models.start(settings) as models:
        await models.require(Mode.FULL)
        progress(f"{others} people are enrolled")
        await fill(models, others)
        bare = Bare(settings, models)
        for path in chosen:
            rgb = read_picture(path)
            if await sample_of(models, path) is None:  # loads what is needed: not timed
                continue
            progress(path.name)
            await measure_picture(models, bare, path.name, path, rgb, times)
            used += 1
    rows = tuple(
        (
            what,
            median(values),
            float(np.percentile(values, 95)),
            median(v / b for v, b in zip(values, times.bare, strict=True)),
        )
        for what, values in (
            ("bare models, one after the other", times.bare),
            ("examined", times.examine),
            ("stored", times.store),
            ("enrolled: examined and stored", times.enroll),
            (f"searched for among {others} people", times.search),
            ("identified: examined, searched for, decided", times.identify),
        )
    )
    faces = sum(times.faces)
    notes = (
        f"{used} pictures with {faces} faces, mode full; one picture at a time. Ratios are medians over pictures, each "
        "against its own floor.",
    )
    figures = [
        Figure("enroll a picture", median(times.enroll), "ms"),
        Figure("enroll a picture, against the bare models", rows[3][3], "times"),
        Figure("identify a picture", median(times.identify), "ms"),
        Figure("identify a face", sum(times.identify) / max(faces, 1), "ms"),
        Figure("identify a picture, against the bare models", rows[5][3], "times"),
    ]
    return [Table("Enroll and identify", ("step", "median ms", "95 % ms", "against bare"), rows, notes)], figures


def main() -> None:
    options = Options.of(parser("benchmarks.identify", "Enroll and identify, end to end.").parse_args())
    tune_process()
    with (
        tempfile.TemporaryDirectory(prefix="bench-identify-") as folder,
        linked_models(measured_settings()) as settings,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        tables, figures = runner.run(measure(with_empty_gallery(settings, Path(folder)), options.quick))
    publish("identify", options, figures, tables)


if __name__ == "__main__":
    main()
