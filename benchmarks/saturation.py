"""How much of what the lanes could do gets done: jobs as fast as they are taken, against the bare sessions.

Floor: as many threads as there are lanes, of the same priority, that call `session.run` of the same models on a ready
batch, one after the other, all the time. Both are measured in short turns.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import numpy as np

from benchmarks.live import FPS, hall
from benchmarks.report import Cell, Figure, Table, progress
from streamapp.faces import Mode
from streamapp.frame import Image
from streamapp.hosting.host import load_model
from streamapp.models import Models
from streamapp.scheduler.api import Done, Job, Priority
from streamapp.scheduler.lane import NICENESS
from streamapp.settings import Settings
from streamapp.zoo.base import Crop, Face, FaceModel, Operation
from streamapp.zoo.lineup import FaceAnalyser
from streamapp.zoo.ort_session import OrtSession

GOAL = 0.85
OWNERS, IN_FLIGHT, FACES = 4, 2, 2
"""Streams, keyframes each has under way at once, faces on each of them."""
BUCKETS = (1, 2, 8)
TURN_S = 3.0
DEADLINE_S = 60.0

Work = Callable[[], object]
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Crops:
    """What one model is shown: crops of real faces."""

    variant: str
    model: FaceModel[object]
    operation: Operation[Crop, object]
    crops: tuple[Crop, ...]


async def measure_saturation(settings: Settings, quick: bool) -> tuple[list[Table], list[Figure]]:
    rounds = 2 if quick else 10
    async with Models.start(settings) as models:
        shown = await real_crops(models)
        await _scheduled(models, shown, 1.0)  # loads
        lanes = models.scheduler.state().lanes
        bare = {bucket: [_bare(settings, models, each, bucket) for each in shown] for bucket in BUCKETS}
        floors: dict[int, list[dict[str, float]]] = {bucket: [] for bucket in BUCKETS}
        ours: list[dict[str, float]] = []
        before = models.scheduler.state()
        for number in range(rounds):
            progress(f"saturation: round {number + 1} of {rounds}")
            for bucket in BUCKETS:
                floors[bucket].append(await asyncio.to_thread(_all_lanes, bare[bucket], lanes, TURN_S, shown, bucket))
            ours.append(await _scheduled(models, shown, TURN_S))
        after = models.scheduler.state()
    rows: list[tuple[Cell, ...]] = []
    for each in shown:
        name = each.variant
        batches = after.operations[name].batches - before.operations[name].batches
        items = after.operations[name].items - before.operations[name].items
        run_ms = 1e3 * sum(after.operations[name].run_s) / max(1, len(after.operations[name].run_s))
        rows.append((name, items, items / max(1, batches), run_ms * batches / max(1, items)))
    rate = {bucket: [sum(turn.values()) / TURN_S for turn in floors[bucket]] for bucket in BUCKETS}
    own = [sum(turn.values()) / TURN_S for turn in ours]
    share = {b: median(mine / floor for mine, floor in zip(own, rate[b], strict=True)) for b in BUCKETS}
    table = Table(
        "Saturated",
        ("what", "analyses a second", "of the floor"),
        (
            *(
                (
                    f"floor: bare sessions, batch {b}",
                    median(rate[b]),
                    1.0 if b == 1 else median(rate[b]) / median(rate[1]),
                )
                for b in BUCKETS
            ),
            ("scheduler", median(own), share[1]),
        ),
        (f"{lanes} lanes; {OWNERS} owners with {IN_FLIGHT} keyframes of {FACES} faces each under way at once.",),
    )
    by_model = Table("Batches", ("model", "analyses", "a batch", "lane ms an analysis"), tuple(rows))
    figures = [
        Figure(
            "saturated: of the bare sessions, one by one", 100 * share[1], "%", f">= {100 * GOAL:g}", share[1] >= GOAL
        ),
        Figure("saturated: of the bare sessions in batches of 8", 100 * share[8], "%"),
        Figure("saturated analyses", median(own), "a second"),
    ]
    return [table, by_model], figures


async def real_crops(models: Models) -> list[Crops]:
    """Faces as a stream sees them, cut for every analysis model."""
    found: list[tuple[Image, Face]] = []
    for frame in hall()[4 * FPS :: FPS]:
        rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        result = await models.examine(rgb, Mode.PRECISION, client="saturation")
        for face in result.faces:
            if face.landmarks is not None:
                found.append((rgb, Face(np.array(face.box, np.float32), np.array(face.landmarks, np.float32))))
    if not found:
        raise SystemExit("no face was found in the clip")
    lineup = models.lineup
    shown = [_cut(recogniser, found) for recogniser in lineup.recognisers]
    if lineup.antispoofer is not None:
        shown.append(_cut(lineup.antispoofer, found))
    if lineup.gender_age is not None:
        shown.append(_cut(lineup.gender_age, found))
    if lineup.deepfake is not None:
        shown.append(_cut(lineup.deepfake, found))
    return shown


def _cut(analyser: FaceAnalyser[V], faces: Sequence[tuple[Image, Face]]) -> Crops:
    crops = tuple(analyser.model.cut(rgb, face) for rgb, face in faces)
    return Crops(analyser.variant, analyser.model, analyser.operation, crops)


async def _scheduled(models: Models, shown: Sequence[Crops], seconds: float) -> dict[str, float]:
    """Analyses done in that time, by model."""
    done: dict[str, float] = defaultdict(float)
    end_s = time.monotonic() + seconds

    async def ask(owner: str, each: Crops, at: int) -> None:
        crops = [each.crops[(at + i) % len(each.crops)] for i in range(FACES)]
        job = Job(each.operation, crops, owner, Priority.NEW_FACE, time.monotonic() + DEADLINE_S, "saturation")
        outcome = await models.scheduler.submit(job)
        assert isinstance(outcome, Done), outcome
        done[each.variant] += len(crops) * _share_before(end_s, outcome.run_s)

    async def keyframes(owner: str, at: int) -> None:
        while time.monotonic() < end_s:
            async with asyncio.TaskGroup() as group:
                for each in shown:
                    group.create_task(ask(owner, each, at))
            at += FACES

    async with asyncio.TaskGroup() as group:
        for number in range(OWNERS * IN_FLIGHT):
            group.create_task(keyframes(f"stream-{number % OWNERS}", number))
    return done


def _bare(settings: Settings, models: Models, each: Crops, bucket: int) -> Work:
    """The bare runtime on a ready batch; where the file takes no batches, as many runs."""
    variant = each.variant
    session = load_model(settings, models.registry, models.device, variant, (bucket,))
    assert isinstance(session, OrtSession)
    size = bucket if len(session.buckets.sizes) > 1 else session.buckets.sizes[0]
    runtime = session._session
    assert runtime is not None
    ready = each.model.preprocess([each.crops[i % len(each.crops)] for i in range(size)])
    given = {session.input.name: ready}

    def run() -> None:
        for _ in range(bucket // size):
            runtime.run(None, given)

    return run


def _all_lanes(
    works: Sequence[Work], lanes: int, seconds: float, shown: Sequence[Crops], bucket: int
) -> dict[str, float]:
    """Analyses done by that many threads in that time, by model."""
    done: list[dict[str, float]] = [defaultdict(float) for _ in range(lanes)]
    end_s = time.monotonic() + seconds

    def serve(mine: dict[str, float]) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while True:
            for work, each in zip(works, shown, strict=True):
                start_s = time.monotonic()
                work()
                mine[each.variant] += bucket * _share_before(end_s, time.monotonic() - start_s)
                if time.monotonic() >= end_s:
                    return

    threads = [threading.Thread(target=serve, args=(mine,)) for mine in done]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {each.variant: sum(mine[each.variant] for mine in done) for each in shown}


def _share_before(end_s: float, run_s: float) -> float:
    """How much of a run that ends now was over by `end_s`: whole batches would count for much in a short turn."""
    return min(1.0, max(0.0, 1 - (time.monotonic() - end_s) / max(run_s, 1e-6)))
