"""What recording costs a stream in processor time: the source's own pictures kept, the same pictures coded anew, and
coded anew with the overlay burnt in; beside the same stream without a recording, in turns."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

import uvloop

from benchmarks.clips import H264, write_mp4
from benchmarks.detectors import measured_settings
from benchmarks.media import FULL_HD, HD, VGA, Size
from benchmarks.report import Cell, Figure, Options, Table, parser, progress, publish
from streamapp.faces import Mode
from streamapp.pipeline.session import StreamSession
from streamapp.recording.description import header_of
from streamapp.runtime import Runtime
from streamapp.sections import RecordingSettings, SourceSettings
from streamapp.sinks.recorder import Recorder
from streamapp.sources.base import FrameNumbering, Pace
from streamapp.sources.file import FileSource
from streamapp.tuning import tune_process

NONE, REMUX, ENCODE, OVERLAY = "no recording", "source packets", "coded anew", "coded anew, overlay burnt in"
CONTESTANTS = (NONE, REMUX, ENCODE, OVERLAY)
SIZES = (VGA, HD, FULL_HD)
STREAMS = 1
ROUNDS, SECONDS, SETTLE_S = 5, 4.0, 2.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 1.5
GOAL = 0.25


@dataclass(frozen=True, slots=True)
class Spent:
    """Of one stream while it was recorded in one way: processor time in percent of a core, and bytes on disk."""

    cpu_percent: float
    kb_per_s: float
    frames_per_s: float


async def measure_turn(
    runtime: Runtime, sessions: list[StreamSession], way: str, folder: Path, seconds: float
) -> Spent:
    """Records every stream in one way for so long."""
    overlays = []
    with ExitStack() as stack:
        if way == ENCODE:
            stack.enter_context(patch("streamapp.recording.recorder.CONTAINERS", {}))
        for session in sessions:
            if way == OVERLAY:
                path = folder / f"{time.monotonic_ns()}.mp4"
                overlays.append((session.attach(Recorder(path, runtime.settings.recording)), path))
            elif way != NONE:
                models = runtime.models
                describe = partial(header_of, session, runtime.settings, models.lineup, models.registry)
                header = await asyncio.to_thread(partial(describe, gallery_version=None))
                await runtime.recordings.start(session, header)
        await asyncio.sleep(SETTLE_S)
        frames, cpu_s, start_s = sum(s.frames for s in sessions), time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        cpu_s, passed_s = time.process_time() - cpu_s, time.monotonic() - start_s
        frames = sum(s.frames for s in sessions) - frames
        size, recorded_s = 0, 0.0
        for attachment, path in overlays:
            await attachment.close()
            size, recorded_s = size + path.stat().st_size, recorded_s + SETTLE_S + seconds
        for session in sessions if way in (REMUX, ENCODE) else ():
            entry = await runtime.recordings.stop(session)
            assert all(part.encoded == (way == ENCODE) for part in entry.parts)
            size, recorded_s = size + entry.bytes, recorded_s + entry.seconds
    kb_per_s = size / recorded_s / 1e3 if recorded_s else 0.0
    return Spent(100 * cpu_s / passed_s / len(sessions), kb_per_s, frames / passed_s / len(sessions))


async def compare(size: Size, folder: Path, rounds: int, seconds: float) -> dict[str, Spent]:
    """Medians of each way."""
    clip = await asyncio.to_thread(partial(write_mp4, folder / f"{size}.mp4", H264, size, iframe_every=30, loops=1))
    recording = RecordingSettings(dir=folder / "kept", min_free_bytes=0)
    settings = measured_settings().model_copy(update={"recording": recording})
    turns: dict[str, list[Spent]] = {way: [] for way in CONTESTANTS}
    async with Runtime.start(settings) as runtime:
        sessions = [
            runtime.open_stream(f"cam-{number}", _source_of(clip, settings.sources), mode=Mode.FAST)
            for number in range(STREAMS)
        ]
        await asyncio.sleep(SETTLE_S)
        for number in range(rounds):
            for way in CONTESTANTS:
                turns[way].append(await measure_turn(runtime, sessions, way, folder, seconds))
            progress(f"{size}, round {number + 1} of {rounds}")
    return {
        way: Spent(
            median(turn.cpu_percent for turn in taken),
            median(turn.kb_per_s for turn in taken),
            median(turn.frames_per_s for turn in taken),
        )
        for way, taken in turns.items()
    }


def _source_of(clip: Path, settings: SourceSettings) -> Callable[[FrameNumbering], FileSource]:
    return lambda numbering: FileSource(clip, numbering, settings, pace=Pace.REALTIME, loop=True)


def main() -> None:
    options = Options.of(parser("benchmarks.recording", "What recording costs.").parse_args())
    tune_process()
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if options.quick else (ROUNDS, SECONDS)
    rows: list[tuple[Cell, ...]] = []
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="bench-recording-") as folder:
        for size in SIZES[:1] if options.quick else SIZES:
            found = uvloop.run(compare(size, Path(folder), rounds, seconds))
            plain = found[NONE].cpu_percent
            for way, spent in found.items():
                more = None if way == NONE else spent.cpu_percent - plain
                rows.append((str(size), way, spent.frames_per_s, spent.cpu_percent, more, spent.kb_per_s))
            ratio = (found[REMUX].cpu_percent - plain) / (found[ENCODE].cpu_percent - plain)
            figures.append(Figure(f"{size}: source packets / coded anew", ratio, "times", f"<= {GOAL}", ratio <= GOAL))
    columns = ("pictures", "recording", "results/s", "processor (% of a core)", "of it the recording", "kB/s on disk")
    notes = (
        f"A stream of H264 at 30 pictures a second in mode fast; medians of {rounds} turns of "
        f"{seconds:g} s each way. The video is synced to the disk once a second.",
    )
    publish("recording", options, figures, [Table("A recorded stream", columns, tuple(rows), notes)])


if __name__ == "__main__":
    main()
