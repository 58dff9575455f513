"""What privacy mode costs: video with the overlay burnt in and coded, with faces blurred and without.

Both are the real FramePump, the overlay painter and the H264 encoder that viewers share, on the same frames, one after
the other in alternating order.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks.detectors import measured_settings
from benchmarks.media import FULL_HD, HD, VGA, Size, decoded, videos
from benchmarks.pump import CLIP_FRAMES, FPS, PRIVATE_STEPS, WARM_UP, PumpUnderTest, Sample
from benchmarks.report import Cell, Figure, Options, Table, parser, progress, publish
from streamapp.settings import Settings
from streamapp.sinks.base import Output
from streamapp.sinks.overlay import OverlayPainter
from streamapp.sinks.webrtc_track import PictureEncoder
from streamapp.sources.base import FrameNumbering
from streamapp.tuning import tune_process

BIT_RATE = 2_500_000
CROWD = "facenet_pytorch_video.mp4"
COLUMNS = (
    *("clip, size", "open ms", "private ms", "private / open", "open CPU ms", "private CPU ms", "CPU ratio"),
    *(f"{step} ms" for step in PRIVATE_STEPS),
)


class BurntIn:
    """What becomes of each output on its way to viewers."""

    def __init__(self) -> None:
        self._painter = OverlayPainter()
        self._encoder = PictureEncoder("h264", BIT_RATE)

    def __call__(self, output: Output) -> None:
        self._encoder.encode(self._painter.paint(output), output.frame.pts_s, iframe=False)


async def measure(settings: Settings, clip: Path, size: Size, frames: int) -> tuple[list[Sample], list[Sample]]:
    """Samples of the open and of the private stream."""
    pictures = decoded(clip, size, limit=CLIP_FRAMES)
    numbering = FrameNumbering("bench")
    samples: tuple[list[Sample], list[Sample]] = ([], [])

    async def use_both(open_: PumpUnderTest, private: PumpUnderTest) -> None:
        for index in range(WARM_UP + frames):
            order = (0, 1) if index % 2 else (1, 0)
            for which in order:
                picture = pictures[index % len(pictures)]
                frame = numbering.frame(picture, (2 * index + which) / (2 * FPS), arrived_s=time.monotonic())
                sample = await (open_, private)[which].measure(frame)
                if index >= WARM_UP:
                    samples[which].append(sample)

    async def with_open(open_: PumpUnderTest) -> None:
        await PumpUnderTest(settings, private=True, then=BurntIn()).run(lambda private: use_both(open_, private))

    await PumpUnderTest(settings, then=BurntIn()).run(with_open)
    return samples


def row(name: str, open_: Sequence[Sample], private: Sequence[Sample]) -> tuple[tuple[Cell, ...], float]:
    """A line of the table, and the ratio of CPU."""
    walls = [statistics.median(sample.wall_ms for sample in own) for own in (open_, private)]
    cpus = [statistics.median(sample.cpu_ms for sample in own) for own in (open_, private)]
    ratio = statistics.median(b.wall_ms / a.wall_ms for a, b in zip(open_, private, strict=True))
    cpu_ratio = statistics.median(b.cpu_ms / max(a.cpu_ms, 1e-3) for a, b in zip(open_, private, strict=True))
    steps = (statistics.median(sample.steps_ms[step] for sample in private) for step in PRIVATE_STEPS)
    return (name, *walls, ratio, *cpus, cpu_ratio, *steps), cpu_ratio


def main() -> None:
    options = Options.of(parser("benchmarks.privacy", "Cost of blurring faces in burnt-in video.").parse_args())
    settings = measured_settings()
    tune_process()
    frames = 60 if options.quick else 600
    near, *others = videos()
    crowd = next((clip for clip in others if clip.name == CROWD), near)
    rows: list[tuple[Cell, ...]] = []
    figures: list[Figure] = []
    for clip, size in ((near, VGA), (near, HD), (crowd, FULL_HD)):
        name = f"{'crowd' if clip.name == CROWD else 'one face'}, {size}"
        progress(f"{name}: {frames} frames, each open and private")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the command line does
            found, ratio = row(name, *runner.run(measure(settings, clip, size, frames)))
        rows.append(found)
        figures.append(Figure(f"CPU of private over open video, {name}", ratio, "x"))
    notes = (
        "Medians over frames; ratios of each frame to itself. From the mailbox to the coded picture: screening, in a "
        "private stream looking through parts and blurring too, then overlay and H264. CPU: all threads.",
    )
    publish("privacy", options, figures, [Table("Burnt-in video with faces blurred", COLUMNS, tuple(rows), notes)])


if __name__ == "__main__":
    main()
