"""One live stream and a stream of picture requests under one budget, in a process of its own: benchmarks/budgets.py.

`python -m benchmarks.budget_run MODELS BUDGET_MB [--alone-s S] [--seconds S] [--width W]`: prints one line of JSON.
First the stream runs alone in mode fast, then in mode full beside clients that send one picture after the other. At the
end the app is closed while they still wait, so that what was asked last must end as well.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import uvloop
from pydantic import BaseModel

from benchmarks.budget_watch import CLIENTS, Books, Clients, Jobs, Resident
from benchmarks.live import FPS, ClipCamera, frame_path_ms, hall, percentile
from benchmarks.media import Size, pictures
from benchmarks.noise_models import installed
from streamapp.choices import DeviceChoice, Profile
from streamapp.faces import Mode
from streamapp.frame import Image
from streamapp.runtime import Runtime
from streamapp.sections import ModelSettings, SchedulerSettings
from streamapp.settings import Settings
from streamapp.sinks.result_log import ResultLog
from streamapp.tuning import tune_process

SETTLE_S = 0.5
CLIP_S = 4.0
PICTURE_SIDE = 640


class StreamPart(BaseModel):
    """A stretch of the live stream."""

    fps: float
    frame_path_p95_ms: float
    longest_gap_s: float
    """Between two results."""
    stale: int


class BudgetRun(BaseModel):
    """What one process found."""

    budget_mb: int
    alone: StreamPart
    full: StreamPart
    submitted: int
    outcomes: dict[str, int]
    """Of jobs."""
    requests: int
    answers: dict[str, int]
    """To picture requests: complete, partial, or the code of the error."""
    skipped: dict[str, int]
    """What was left out of pictures, by reason."""
    analysed_tracks: int
    rss_over_mb: float
    """Highest resident size over that before the app was started."""
    books_over_mb: float
    """By how much the books were over the budget at worst."""
    committed_mb: float
    loads: int
    load_failures: int
    evictions: dict[str, int]
    degraded: dict[str, str]
    stream_error: str | None


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.budget_run")
    options.add_argument("models", type=Path)
    options.add_argument("budget_mb", type=int)
    options.add_argument("--alone-s", type=float, default=10.0)
    options.add_argument("--seconds", type=float, default=30.0)
    options.add_argument("--width", type=int, default=1280)
    chosen = options.parse_args()
    tune_process()
    clip = hall(Size(chosen.width, chosen.width * 9 // 16), CLIP_S)
    shown = [small_picture(path) for path in pictures() if path.parent.name in ("groups", "portraits")]
    with installed(chosen.models) as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        settings = Settings(
            models=ModelSettings(dir=folder, profile=Profile.FULL),
            scheduler=SchedulerSettings(device=DeviceChoice.CPU, budget_mb=chosen.budget_mb),
        )
        found = runner.run(measure(settings, clip, shown, chosen.alone_s, chosen.seconds))
    print(found.model_dump_json(), flush=True)


def small_picture(path: Path) -> Image:
    """As a client might send it."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert bgr is not None, path
    scale = min(1.0, PICTURE_SIDE / max(bgr.shape[:2]))
    rgb = cv2.cvtColor(cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    return np.asarray(rgb, np.uint8)


async def measure(
    settings: Settings, clip: Sequence[av.VideoFrame], shown: Sequence[Image], alone_s: float, seconds: float
) -> BudgetRun:
    jobs, books, clients, resident = Jobs(), Books(), Clients(shown), Resident()
    with jobs.counted(), resident.watched():
        async with asyncio.TaskGroup() as group, Runtime.start(settings) as runtime:
            alone, _, _ = await stretch(runtime, clip, Mode.FAST, alone_s)
            for number in range(CLIENTS):
                group.create_task(clients.run(runtime, number))
            async with books.watched(runtime):
                full, analysed, error = await stretch(runtime, clip, Mode.FULL, seconds)
            clients.finish()
            found = runtime.models.residency.snapshot()
    budget_mb = settings.scheduler.budget_mb
    assert budget_mb is not None
    return BudgetRun(
        budget_mb=budget_mb,
        alone=alone,
        full=full,
        submitted=jobs.submitted,
        outcomes=dict(jobs.outcomes),
        requests=clients.requests,
        answers=dict(clients.answers),
        skipped=dict(clients.skipped),
        analysed_tracks=analysed,
        rss_over_mb=(resident.highest_bytes - resident.baseline_bytes) / 1e6,
        books_over_mb=books.worst_bytes / 1e6,
        committed_mb=found.committed_bytes / 1e6,
        loads=found.loads,
        load_failures=found.load_failures,
        evictions={reason.value: count for reason, count in found.evictions.items()},
        degraded={model.variant: model.reason for model in found.degraded},
        stream_error=error,
    )


async def stretch(
    runtime: Runtime, clip: Sequence[av.VideoFrame], mode: Mode, seconds: float
) -> tuple[StreamPart, int, str | None]:
    """The stream for that long; how many of its tracks got an analysis; what ended it too early, if anything."""
    log, name = ResultLog(), f"{mode}-camera"
    session = runtime.open_stream(name, lambda numbering: ClipCamera(numbering, clip), mode=mode)
    session.attach(log)
    while not log.results and session.error is None:  # noqa: ASYNC110 - the stream tells nobody that it has begun
        await asyncio.sleep(0.01)
    start_s = time.monotonic()
    await asyncio.sleep(SETTLE_S + seconds)
    lasted_s = time.monotonic() - start_s
    error = None if session.error is None else str(session.error)
    await runtime.close_stream(name)
    first_s = log.results[0].pts_s + SETTLE_S if log.results else 0.0
    counted = [result for result in log.results if first_s <= result.pts_s < first_s + seconds]
    out_s = [result.pts_s + result.timing_ms["total"] / 1e3 for result in counted]
    analysed = {track.id for result in counted for track in result.tracks if track.analyses}
    part = StreamPart(
        fps=len(counted) / seconds,
        frame_path_p95_ms=percentile([frame_path_ms(result) for result in counted], 0.95),
        longest_gap_s=max((later - sooner for sooner, later in pairwise(out_s)), default=lasted_s),
        stale=round(seconds * FPS) - len(counted),
    )
    return part, len(analysed), error


if __name__ == "__main__":
    main()
