"""What the frame path costs on top of the detector: the real FramePump over a bare MediaPipe call on a ready array.

Floor: MediaPipe's own detector, called with a full-size RGB array that is already there. Measured: from the frame
entering the mailbox to its FrameResult arriving at a sink, conversion included. One after the other on every frame, in
alternating order.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import av
import uvloop

from benchmarks.detectors import BareMediaPipe, measured_settings, screening_weights
from benchmarks.media import HD, VGA, Size, decoded, videos
from benchmarks.report import Cell, Figure, Options, Table, parser, progress, publish
from benchmarks.scaling import run_scaling
from streamapp.choices import ScreenRuntime
from streamapp.faces import Mode
from streamapp.frame import Frame, Image, PixelReader
from streamapp.pipeline.fanout import Attachment, Fanout
from streamapp.pipeline.lookout import for_lookout
from streamapp.pipeline.mailbox import Mailbox
from streamapp.pipeline.pump import FramePump
from streamapp.pipeline.stages import ScreeningStage
from streamapp.results import DropReason
from streamapp.sections import ModelSettings
from streamapp.settings import Settings
from streamapp.sinks.base import Inbox, Output
from streamapp.sinks.veil import Veil
from streamapp.sources.base import FrameNumbering
from streamapp.tuning import tune_process
from streamapp.zoo.registry import open_screener

GOAL = 1.3
CLIP_FRAMES = 90
FPS = 30
WARM_UP = 10
STEPS = ("convert", "screen", "track")
PRIVATE_STEPS = ("lookout", "veil")


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame, in milliseconds. `cpu_ms` counts all threads of the process."""

    wall_ms: float
    cpu_ms: float
    steps_ms: Mapping[str, float]


class ArrivalSink:
    """A sink that says when each output reached it."""

    lossless = True

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[Output] = asyncio.Queue(maxsize=1)

    async def run(self, inbox: Inbox) -> None:
        while (output := await inbox.get()) is not None:
            await self.arrived.put(output)


class PumpUnderTest:
    """The per-frame path as a session builds it, with one sink, frame by frame. `then`: work done on each output, which
    counts."""

    def __init__(
        self, settings: Settings, *, private: bool = False, then: Callable[[Output], object] | None = None
    ) -> None:
        self._mailbox: Mailbox[Frame] = Mailbox()
        self._fanout = Fanout()
        self._sink = ArrivalSink()
        dropped: Counter[DropReason] = Counter()
        self._then = then
        make_lookout = (lambda: open_screener(for_lookout(settings))) if private else None
        stage = ScreeningStage(lambda: open_screener(settings), settings.pipeline, make_lookout=make_lookout)
        veil = Veil() if private else None
        self._pump = FramePump(stage, Mode.FAST, dropped, self._fanout.publish, veil=veil)

    async def run(self, use: Callable[[PumpUnderTest], Awaitable[None]]) -> None:
        """Runs the pump for as long as `use` takes."""
        attachment = Attachment(self._sink)
        self._fanout.add(attachment)
        async with asyncio.TaskGroup() as group:
            group.create_task(attachment.run())
            group.create_task(self._pump.run(self._mailbox))
            await use(self)
            self._mailbox.close()
            self._fanout.close()

    async def measure(self, frame: Frame) -> Sample:
        used_s, start_s = time.process_time(), time.perf_counter()
        self._mailbox.offer(frame)
        output = await self._sink.arrived.get()
        if self._then is not None:
            self._then(output)
        end_s, used_s = time.perf_counter(), time.process_time() - used_s
        steps_ms = {step: output.result.timing_ms.get(step, 0.0) for step in (*STEPS, *PRIVATE_STEPS)}
        return Sample((end_s - start_s) * 1e3, used_s * 1e3, steps_ms)


def measure_call(call: Callable[[], object]) -> Sample:
    used_s, start_s = time.process_time(), time.perf_counter()
    call()
    end_s, used_s = time.perf_counter(), time.process_time() - used_s
    return Sample((end_s - start_s) * 1e3, used_s * 1e3, {})


async def measure_size(settings: Settings, size: Size, frames: int) -> dict[str, list[Sample]]:
    """Samples by what was measured: `floor`, `detector` (the app's own, bare, same array) and `pump`."""
    numbering = FrameNumbering("bench")
    pictures = decoded(videos()[0], size, limit=CLIP_FRAMES)
    ready = [_full_size(video) for video in pictures]
    floor = BareMediaPipe(screening_weights(settings), settings.pipeline.min_score)
    screener = open_screener(settings)
    samples: dict[str, list[Sample]] = {"floor": [], "detector": [], "pump": []}
    orders = list(itertools.permutations(samples))

    async def use(pump: PumpUnderTest) -> None:
        for index in range(WARM_UP + frames):
            picture, rgb, pts_s = pictures[index % len(pictures)], ready[index % len(ready)], index / FPS
            round_of: dict[str, Sample] = {}
            for name in orders[index % len(orders)]:
                match name:
                    case "floor":
                        round_of[name] = measure_call(lambda: floor.detect(rgb, pts_s))  # noqa: B023 - called at once
                    case "detector":
                        round_of[name] = measure_call(lambda: screener.screen(rgb, pts_s))  # noqa: B023 - as above
                    case _:
                        frame = numbering.frame(picture, pts_s, arrived_s=time.monotonic())
                        round_of[name] = await pump.measure(frame)
            if index >= WARM_UP:
                for name, sample in round_of.items():
                    samples[name].append(sample)

    try:
        await PumpUnderTest(settings).run(use)
    finally:
        floor.close()
        screener.close()
    return samples


def _full_size(video: av.VideoFrame) -> Image:
    return PixelReader().rgb(FrameNumbering("ready").frame(video, 0.0, arrived_s=0.0))


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Medians of one size and runtime."""

    name: str
    wall_ms: Mapping[str, float]
    cpu_ms: Mapping[str, float]
    ratio: float
    """Of the pump to the floor: the median over frames, each against its own floor."""
    steps_ms: Mapping[str, float]

    COLUMNS: ClassVar = (
        "size, runtime",
        "floor ms",
        "own detector ms",
        "pump ms",
        "pump / floor",
        "pump / own",
        *(f"{step} ms" for step in STEPS),
        "rest ms",
        "floor CPU ms",
        "pump CPU ms",
        "CPU / floor",
    )

    @classmethod
    def of(cls, name: str, samples: Mapping[str, Sequence[Sample]]) -> Breakdown:
        pump = samples["pump"]
        pairs = zip(pump, samples["floor"], strict=True)
        steps_ms = {step: statistics.median(sample.steps_ms[step] for sample in pump) for step in STEPS}
        rest_ms = statistics.median(sample.wall_ms - sum(sample.steps_ms.values()) for sample in pump)
        return cls(
            name,
            {key: statistics.median(sample.wall_ms for sample in own) for key, own in samples.items()},
            {key: statistics.median(sample.cpu_ms for sample in own) for key, own in samples.items()},
            statistics.median(own.wall_ms / floor.wall_ms for own, floor in pairs),
            {**steps_ms, "rest": rest_ms},
        )

    def row(self) -> tuple[Cell, ...]:
        wall, cpu = self.wall_ms, self.cpu_ms
        return (
            self.name,
            *(wall[key] for key in ("floor", "detector", "pump")),
            self.ratio,
            wall["pump"] / wall["detector"],
            *self.steps_ms.values(),
            cpu["floor"],
            cpu["pump"],
            cpu["pump"] / cpu["floor"],
        )


def run_pump(options: Options) -> None:
    settings = measured_settings()
    tune_process()
    frames = 90 if options.quick else 900
    rows: list[tuple[Cell, ...]] = []
    figures: list[Figure] = []
    for size in (VGA, HD):
        for runtime in ScreenRuntime:
            progress(f"{size} {runtime}: {frames} frames, bare MediaPipe, own detector and pump on each")
            models = ModelSettings.model_validate({**settings.models.model_dump(), "runtime": runtime})
            own = settings.model_copy(update={"models": models})
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the command line does
                found = Breakdown.of(f"{size} {runtime}", runner.run(measure_size(own, size, frames)))
            rows.append(found.row())
            if runtime is settings.models.runtime:
                met = found.ratio <= GOAL
                figures.append(Figure(f"pump over bare MediaPipe, {size}", found.ratio, "x", f"<= {GOAL}", met))
    notes = (
        "Medians. floor: MediaPipe's detector on a ready full-size RGB array. own detector: the app's, on the same "
        "array. pump: mailbox to sink, conversion included. rest: thread hops, FrameResult, fan-out. CPU: all threads.",
        f"Default runtime: {settings.models.runtime}.",
    )
    publish("pump", options, figures, [Table("Cost of one frame", Breakdown.COLUMNS, tuple(rows), notes)])


def main() -> None:
    arguments = parser("benchmarks.pump", "Cost of the frame path over a bare detector call.")
    arguments.add_argument("--scaling", action="store_true", help="instead: sizes and filters to scale pictures with")
    chosen = arguments.parse_args()
    options = Options.of(chosen)
    if chosen.scaling:
        run_scaling(options)
    else:
        run_pump(options)


if __name__ == "__main__":
    main()
