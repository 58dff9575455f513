"""Which size and filter to scale pictures down with for screening: cost and accuracy of each, side by side.

The reference is the same net on the full-size picture. Jitter says what a viewer sees of a filter: how far boxes jump
against the mean of their neighbours in time, in percent of the face's width.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from benchmarks.detectors import measured_settings
from benchmarks.media import FULL_HD, HD, VGA, Size, decoded, pictures, videos
from benchmarks.report import Cell, Options, Table, progress, publish
from streamapp.choices import ScreenRuntime
from streamapp.faces import Floats
from streamapp.frame import Image, fitted_size
from streamapp.geometry import pairwise_iou
from streamapp.sections import ModelSettings
from streamapp.zoo.base import FaceScreener
from streamapp.zoo.registry import open_screener

SIDES: tuple[int | None, ...] = (128, 192, 256, 320, 480, None)
FILTERS = {"area": Interpolation.AREA, "fast": Interpolation.FAST_BILINEAR}
SIZES = (VGA, HD, FULL_HD)
WARM_UP = 5
SAME_FACE_IOU = 0.3


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to make a picture small."""

    side: int | None
    """The longer side at most; None leaves the picture as it is, so that the filter does not matter."""
    filter: str = "area"
    threads: int = 1
    """Of the scaler; 0: one per core."""

    def __str__(self) -> str:
        name = "full size" if self.side is None else f"{self.side} {self.filter}"
        return name if self.threads else f"{name}, a thread per core"


REFERENCE = Choice(None)
CHOICES = (
    *(Choice(side, name) for side in SIDES if side for name in FILTERS),
    REFERENCE,
    *(Choice(side, threads=0) for side in (128, 320, None)),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians for one picture: wall-clock milliseconds of both steps, and processor milliseconds of the whole."""

    convert_ms: float
    screen_ms: float
    cpu_ms: float


@dataclass(slots=True)
class Agreement:
    """What one choice found, against the reference."""

    found: int = 0
    missed: int = 0
    extra: int = 0
    ious: list[float] = field(default_factory=list)
    jumps: list[float] = field(default_factory=list)


def run_scaling(options: Options) -> None:
    settings = measured_settings()
    tables = []
    for runtime in ScreenRuntime:
        models = ModelSettings.model_validate({**settings.models.model_dump(), "runtime": runtime})
        screener = open_screener(settings.model_copy(update={"models": models}))
        progress(f"{runtime}: cost")
        costs = {size: measure_cost(screener, size, repeats=20 if options.quick else 300) for size in SIZES}
        progress(f"{runtime}: accuracy")
        agreements, reference = measure_agreement(screener, quick=options.quick)
        tables.append(_table(runtime, costs, agreements, reference))
        screener.close()
    publish("scaling", options, (), tables)


def convert(scaler: VideoReformatter, frame: av.VideoFrame, choice: Choice) -> Image:
    width, height = fitted_size(frame.width, frame.height, choice.side)
    picture = scaler.reformat(
        frame, width=width, height=height, format="rgb24", interpolation=FILTERS[choice.filter], threads=choice.threads
    )
    return picture.to_ndarray().astype(np.uint8, copy=False)


def measure_cost(screener: FaceScreener, size: Size, repeats: int) -> dict[Choice, Cost]:
    """Every choice in turn on each picture."""
    frames = decoded(videos()[0], size, limit=30)
    scalers = {choice: VideoReformatter() for choice in CHOICES}
    costs: dict[Choice, list[Cost]] = defaultdict(list)
    for turn in range(WARM_UP + repeats):
        frame = frames[turn % len(frames)]
        for choice in CHOICES:
            used_s, start_s = time.process_time(), time.perf_counter()
            rgb = convert(scalers[choice], frame, choice)
            converted_s = time.perf_counter()
            screener.screen(rgb, turn / 30)
            end_s, used_s = time.perf_counter(), time.process_time() - used_s
            if turn >= WARM_UP:
                costs[choice].append(Cost((converted_s - start_s) * 1e3, (end_s - converted_s) * 1e3, used_s * 1e3))
    return {
        choice: Cost(
            statistics.median(cost.convert_ms for cost in measured),
            statistics.median(cost.screen_ms for cost in measured),
            statistics.median(cost.cpu_ms for cost in measured),
        )
        for choice, measured in costs.items()
    }


def measure_agreement(screener: FaceScreener, *, quick: bool) -> tuple[dict[Choice, Agreement], int]:
    """What each choice found in all media, and how many faces the reference found."""
    agreements: dict[Choice, Agreement] = {choice: Agreement() for choice in CHOICES}
    scalers = {choice: VideoReformatter() for choice in CHOICES}
    total = 0
    for path, frames in _clips(quick):
        history: dict[Choice, list[Floats]] = defaultdict(list)
        for frame in frames:
            boxes = {choice: _boxes(screener, convert(scalers[choice], frame, choice), frame) for choice in CHOICES}
            total += len(boxes[REFERENCE])
            for choice in CHOICES:
                _compare(agreements[choice], boxes[choice], boxes[REFERENCE])
                history[choice].append(boxes[choice])
        if len(frames) > 1:
            for choice in CHOICES:
                agreements[choice].jumps += _jumps(history[choice])
        progress(f"  {path.name}: {len(frames)} pictures")
    return agreements, total


def _clips(quick: bool) -> Iterator[tuple[Path, list[av.VideoFrame]]]:
    for path in videos():
        yield path, decoded(path, limit=15 if quick else 120)
    for path in pictures()[:: 6 if quick else 1]:
        yield path, decoded(path, limit=1)


def _boxes(screener: FaceScreener, rgb: Image, frame: av.VideoFrame) -> Floats:
    """Faces in pixels of the full-size picture."""
    scale = np.array([frame.width / rgb.shape[1], frame.height / rgb.shape[0]] * 2, np.float32)
    return screener.screen(rgb, 0.0).boxes * scale


def _compare(agreement: Agreement, boxes: Floats, reference: Floats) -> None:
    iou = pairwise_iou(reference, boxes)
    agreement.found += len(boxes)
    matched_boxes = set()
    for face in range(len(reference)):
        best = int(iou[face].argmax()) if len(boxes) else -1
        if best < 0 or iou[face, best] < SAME_FACE_IOU:
            agreement.missed += 1
            continue
        matched_boxes.add(best)
        agreement.ious.append(float(iou[face, best]))
    agreement.extra += len(boxes) - len(matched_boxes)


def _jumps(history: list[Floats]) -> list[float]:
    """How far the corners of one-face pictures lie from the mean of the pictures before and after, in % of width."""
    jumps = []
    for before, boxes, after in zip(history, history[1:], history[2:], strict=False):
        if len(before) == len(boxes) == len(after) == 1 and pairwise_iou(before, after)[0, 0] > SAME_FACE_IOU:
            width = max(float(boxes[0, 2] - boxes[0, 0]), 1.0)
            jumps.append(100 * float(np.abs(boxes[0] - (before[0] + after[0]) / 2).mean()) / width)
    return jumps


def _table(
    runtime: ScreenRuntime,
    costs: dict[Size, dict[Choice, Cost]],
    agreements: dict[Choice, Agreement],
    reference: int,
) -> Table:
    columns = ["size, filter"]
    for size in costs:
        columns += [f"{size} convert ms", "screen ms", "CPU ms", "CPU / full"]
    columns += ["faces", "missed %", "extra %", "IoU median", "IoU p5", "jitter %"]
    rows = []
    for choice in CHOICES:
        row: list[Cell] = [str(choice)]
        for cost in costs.values():
            own = cost[choice]
            row += [own.convert_ms, own.screen_ms, own.cpu_ms, own.cpu_ms / cost[REFERENCE].cpu_ms]
        found = agreements[choice]
        per_cent = 100 / max(reference, 1)
        row += [found.found, found.missed * per_cent, found.extra * per_cent]
        row += [float(np.median(found.ious)), float(np.percentile(found.ious, 5)), statistics.mean(found.jumps)]
        rows.append(tuple(row))
    notes = (
        f"Faces, missed, extra and IoU against the full-size picture ({reference} faces), {runtime}; jitter: mean "
        "distance of a box's corners from the mean of the neighbours in time, in % of its width.",
    )
    return Table(f"Scaling for screening, {runtime}", tuple(columns), tuple(rows), notes)
