"""The simulation of `streamapp bench simulate` held against this machine, and what a stream's jobs weigh on a network.

validation: made-up cameras ask the real scheduler, which runs the real models on real crops; the simulation is given
the same cameras, and what each model was measured to take a moment before. bytes: what jobs carry, of a camera with two
new faces a second, as it is and coded. The models are those of profile auto that are installed or in ../shared/models.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import cv2
import numpy as np
import uvloop

from benchmarks.detectors import measured_settings
from benchmarks.live import FPS, hall, linked_models, percentile
from benchmarks.report import Cell, Figure, Options, Table, parser, progress, publish
from benchmarks.saturation import real_crops
from streamapp.capacity.camera import Ask, Camera, Traffic
from streamapp.capacity.costs import Costs, Lineup, Machine, OperationCost, Origin, read_costs
from streamapp.capacity.simulation import FRAME_S, MachineRun, Scenario, simulate
from streamapp.frame import Image
from streamapp.models import Models
from streamapp.pipeline.escalation import DEADLINE_S
from streamapp.pipeline.keyframes import KeyframeRequest
from streamapp.scheduler.api import Done, Job, Outcome, Priority
from streamapp.settings import Settings
from streamapp.tuning import tune_process
from streamapp.zoo.base import Crop, Letterboxed, Operation
from streamapp.zoo.crops import letterbox
from streamapp.zoo.mtcnn_operations import FacePatch, face_patch

CAMERAS = (2, 6, 12, 24, 48)
TRAFFIC = Traffic(faces_per_s=0.3, stay_s=6.0)
BUSY = Traffic(faces_per_s=2.0, stay_s=4.0)
"""The goal's two new faces a second."""
GOAL_BYTES = 150_000
QUALITY = 95
SEED = "capacity"


@dataclass(frozen=True, slots=True)
class Material:
    """An operation and real items for it."""

    operation: Operation[Any, Any]
    items: tuple[Any, ...]

    def items_of(self, count: int) -> list[Any]:
        return [self.items[index % len(self.items)] for index in range(count)]


async def gather_material(models: Models) -> tuple[Lineup, dict[str, Material]]:
    """What the cameras ask for, by name."""
    shown, lineup = await real_crops(models), models.lineup
    if lineup.detector is None or lineup.refinement is None:
        raise SystemExit("YOLO and MTCNN are needed: streamapp models pull")
    pictures = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in hall()[4 * FPS :: FPS]]
    side = lineup.detector.model.spec.side
    boxes = [(picture, np.array((420, 180, 600, 360), np.float32)) for picture in pictures]
    patches = [patch for picture, box in boxes if (patch := face_patch(picture, box)) is not None]
    found = {
        lineup.detector.name: Material(lineup.detector, tuple(letterbox(picture, side) for picture in pictures)),
        lineup.refinement.name: Material(lineup.refinement, tuple(patches)),
    }
    found |= {each.operation.name: Material(each.operation, each.crops) for each in shown}
    analysers = tuple(each.operation.name for each in shown)
    return Lineup("installed", lineup.detector.name, lineup.refinement.name, analysers), found


async def submit(models: Models, what: Material, items: int, owner: str, deadline_s: float) -> Outcome[Any]:
    job = Job(what.operation, what.items_of(items), owner, Priority.NEW_FACE, deadline_s, "capacity")
    return await models.scheduler.submit(job)


async def calibrated(models: Models, material: dict[str, Material], rounds: int) -> tuple[OperationCost, ...]:
    """What an item of each operation takes with every lane at work."""
    lanes, names, found = models.scheduler.state().lanes, list(material), []
    for name in names:
        others = [material[other] for other in names if other != name]
        runs_s = []
        for number in range(rounds + 1):
            beside = [others[(number + lane) % len(others)] for lane in range(lanes - 1)]
            end_s = time.monotonic() + 60
            asked = [submit(models, each, 2, "beside", end_s) for each in beside]
            outcome, *_ = await asyncio.gather(submit(models, material[name], 2, "one", end_s), *asked)
            assert isinstance(outcome, Done), outcome
            if number:  # the first one loads
                runs_s.append(outcome.run_s)
        found.append(OperationCost(name, 1e3 * median(runs_s) / 2, 1.0, 0.1, Origin.MEASURED, "just now"))
    return tuple(found)


@dataclass(slots=True)
class LiveRun:
    """What really became of the jobs."""

    waits_s: list[float]
    submitted: int = 0
    dropped: int = 0
    analyses: int = 0


async def run_live(
    models: Models, lineup: Lineup, material: dict[str, Material], cameras: int, seconds: float
) -> LiveRun:
    """The cameras of `Scenario`, by the clock."""
    run, start_s = LiveRun([]), time.monotonic()

    async def ask(each: Ask, owner: str, deadline_s: float) -> bool:
        run.submitted += 1
        asked_s = time.monotonic()
        outcome = await submit(models, material[each.operation], each.items, owner, deadline_s)
        if isinstance(outcome, Done):
            run.waits_s.append(outcome.queued_s)
            run.analyses += each.items if each.operation in lineup.analysers else 0
            return True
        run.dropped += 1
        run.waits_s.append(time.monotonic() - asked_s)
        return False

    async def examine(camera: Camera, request: KeyframeRequest) -> None:
        began_s, analysed = time.monotonic(), True
        for step in camera.steps(request):
            done = await asyncio.gather(*(ask(each, camera.name, began_s + DEADLINE_S) for each in step))
            if step[0].operation in lineup.analysers:
                analysed = all(done)
        if request.targets and analysed:
            camera.answered(request)
        now_s = time.monotonic()
        camera.finish(now_s - began_s, now_s - start_s)

    async def watch(number: int, group: asyncio.TaskGroup) -> None:
        name = f"camera-{number}"
        camera = Camera(name, TRAFFIC, lineup, f"{SEED}/{name}")
        frame_s = FRAME_S * number / cameras
        while frame_s < seconds:
            await asyncio.sleep(max(0.0, start_s + frame_s - time.monotonic()))
            request = camera.decide(frame_s)
            if request is not None:
                group.create_task(examine(camera, request))
            frame_s += FRAME_S

    async with asyncio.TaskGroup() as group:
        for number in range(cameras):
            group.create_task(watch(number, group))
    return run


async def validate(models: Models, quick: bool) -> tuple[list[Table], list[Figure]]:
    lineup, material = await gather_material(models)
    rounds, seconds = (5, 5.0) if quick else (15, 20.0)
    await calibrated(models, material, 1)
    lanes, known = models.scheduler.state().lanes, read_costs()
    machine = Machine("this one", lanes, 0, "core", 0.0, 1000.0)
    rows: list[tuple[Cell, ...]] = []
    errors: list[float] = []
    ages: list[float] = []
    for cameras in CAMERAS:
        progress(f"validation: {cameras} cameras")
        before = await calibrated(models, material, rounds)
        live = await run_live(models, lineup, material, cameras, seconds)
        after = await calibrated(models, material, rounds)
        made = _simulated(known, lineup, (before, after), machine, cameras, seconds)
        rate = live.analyses / seconds
        errors.append(made.analyses_per_s / rate - 1)
        ages.append(made.queue_age_p95_s / percentile(live.waits_s, 0.95) - 1)
        rows.append(
            (
                *(cameras, rate, made.analyses_per_s, 100 * errors[-1]),
                *(1e3 * percentile(live.waits_s, 0.5), 1e3 * made.queue_age_p50_s),
                *(1e3 * percentile(live.waits_s, 0.95), 1e3 * made.queue_age_p95_s),
                *(100 * live.dropped / max(1, live.submitted), 100 * made.drop_share),
            )
        )
    columns = (
        *("cameras", "analyses a second", "simulated", "error %", "queue age p50 ms", "simulated", "p95 ms"),
        *("simulated", "dropped %", "simulated"),
    )
    note = f"{lanes} lanes; {TRAFFIC.faces_per_s:g} new faces a second on each camera, {seconds:g} s a run."
    worst, worst_age = (100 * max(map(abs, found)) for found in (errors, ages))
    return [Table("One machine, simulated and measured", columns, tuple(rows), (note,))], [
        Figure("analyses a second, simulated: largest error", worst, "%"),
        Figure("queue age p95, simulated: largest error", worst_age, "%"),
    ]


def _simulated(
    known: Costs,
    lineup: Lineup,
    measured: tuple[tuple[OperationCost, ...], tuple[OperationCost, ...]],
    machine: Machine,
    cameras: int,
    seconds: float,
) -> MachineRun:
    """With the mean of what models took before the run and after it; frames cost nothing, as in the live run."""
    operations = tuple(replace(a, item_ms=(a.item_ms + b.item_ms) / 2) for a, b in zip(*measured, strict=True))
    stream = replace(known.stream, core_share=0.0)
    costs = replace(known, operation=operations, lineup=(lineup,), machine=(machine,), stream=stream)
    return simulate(Scenario(costs, machine, lineup, cameras, TRAFFIC, seconds, SEED))


async def weigh(models: Models, quick: bool) -> tuple[list[Table], list[Figure]]:
    """Bytes a second that the jobs of one camera carry to models elsewhere."""
    lineup, material = await gather_material(models)
    asked, seconds = _asked_items(lineup, 30.0 if quick else 300.0)
    rows: list[tuple[Cell, ...]] = []
    totals = dict.fromkeys(("all", "all coded", "analysis", "analysis coded"), 0.0)
    for name, items in asked.items():
        pictures = [_pixels(item) for item in material[name].items]
        raw = float(np.mean([picture.nbytes for picture in pictures]))
        coded = float(np.mean([_jpeg_bytes(picture) for picture in pictures]))
        rate = items / seconds
        rows.append((name, rate, raw, coded, rate * raw / 1e3, rate * coded / 1e3))
        totals["all"] += rate * raw
        totals["all coded"] += rate * coded
        if name in lineup.analysers:
            totals["analysis"] += rate * raw
            totals["analysis coded"] += rate * coded
    columns = ("operation", "items a second", "bytes an item", "as JPEG", "kB a second", "as JPEG")
    note = f"{BUSY.faces_per_s:g} new faces a second, each there for {BUSY.stay_s:g} s; JPEG of quality {QUALITY}."
    figures = [
        Figure(f"between nodes, {name}", total / 1e3, "kB a second", f"< {GOAL_BYTES / 1e3:g}", total < GOAL_BYTES)
        for name, total in totals.items()
    ]
    return [Table("What one stream's jobs carry", columns, tuple(rows), (note,))], figures


def _asked_items(lineup: Lineup, seconds: float) -> tuple[dict[str, int], float]:
    """Items that one busy camera asks about, where models answer at once."""
    camera, items = Camera("busy", BUSY, lineup, SEED), dict.fromkeys(lineup.operations, 0)
    for number in range(round(seconds / FRAME_S)):
        now_s = number * FRAME_S
        request = camera.decide(now_s)
        if request is None:
            continue
        for ask in (ask for step in camera.steps(request) for ask in step):
            items[ask.operation] += ask.items
        camera.answered(request)
        camera.finish(0.05, now_s + 0.05)
    return items, seconds


def _pixels(item: Crop | Letterboxed | FacePatch) -> Image:
    return item.view.pixels if isinstance(item, FacePatch) else item.pixels


def _jpeg_bytes(rgb: Image) -> int:
    return len(cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])


async def measure(settings: Settings, quick: bool, parts: Sequence[str]) -> tuple[list[Table], list[Figure]]:
    tables, figures = list[Table](), list[Figure]()
    async with Models.start(settings) as models:
        for name, part in (("validation", validate), ("bytes", weigh)):
            if name in parts:
                found = await part(models, quick)
                tables += found[0]
                figures += found[1]
    return tables, figures


def main() -> None:
    arguments = parser("benchmarks.capacity", __doc__.splitlines()[0])
    parts = ("validation", "bytes")
    arguments.add_argument("--only", choices=parts, action="append", help="leave out the other part")
    chosen = arguments.parse_args()
    tune_process()
    with linked_models(measured_settings()) as settings, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tables, figures = runner.run(measure(settings, chosen.quick, chosen.only or parts))
    publish("capacity", Options.of(chosen, partial=bool(chosen.only)), figures, tables)


if __name__ == "__main__":
    main()
