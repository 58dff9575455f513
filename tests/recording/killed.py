"""Recordings in processes that are killed with SIGKILL at a moment of the test's choosing."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import av

from streamapp.recording.recordings import Recordings
from streamapp.sections import SourceSettings
from streamapp.sources.base import FrameNumbering, Pace, Source
from streamapp.sources.file import FileSource
from tests.coded_video import write_video
from tests.fakes import NumberedSource
from tests.pictures import video_frame
from tests.recording.recorded import settings_for, streaming
from tests.waiting import until, until_sync


class Kind(StrEnum):
    """What is recorded."""

    H264 = "h264"
    H264_LONG_GOP_AND_B_FRAMES = "h264_long"
    VP8 = "vp8"
    CODED_HERE = "coded_here"


@dataclass(frozen=True, slots=True)
class Killed:
    """A recording whose process was killed when the frame `analysed_s` after its beginning had been analysed."""

    kind: Kind
    root: Path
    analysed_s: float


def clip_of(kind: Kind, folder: Path) -> Path:
    """Four seconds at 30 pictures a second."""
    if kind is not Kind.VP8:
        long = kind is Kind.H264_LONG_GOP_AND_B_FRAMES
        return write_video(folder / f"{kind}.mp4", 120, gop=90 if long else 12, b_frames=2 if long else 0)
    path = folder / "clip.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.options = {"deadline": "realtime", "g": "90"}
        for index in range(120):
            video = video_frame(160, 120, level=20 + index)
            video.pts = index
            container.mux(stream.encode(video))
        container.mux(stream.encode())
    return path


def kill_recordings(kind: Kind, folder: Path, seed: int, count: int) -> Sequence[Killed]:
    """Records `count` times, side by side, and kills each process after 1 to 4 seconds of video."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    rng = random.Random(seed)
    clip = clip_of(kind, folder)
    killed = []
    with ExitStack() as stack:
        running = []
        for number in range(count):
            root = folder / f"{kind}-{number}"
            root.mkdir()
            analysed: Synchronized[float] = context.Value("d", -1.0)
            process = context.Process(target=_record, args=(kind, clip, root, analysed), daemon=True)
            process.start()
            stack.callback(process.kill)
            running.append((process, root, analysed, 1.0 + 3.0 * rng.random()))
        for process, root, analysed, limit_s in sorted(running, key=lambda one: one[-1]):
            until_sync(partial(_has_come_to, analysed, limit_s), 120)
            time.sleep(0.1 * rng.random())
            process.kill()
            process.join(10)
            killed.append(Killed(kind, root, analysed.value))
    return killed


def _has_come_to(analysed: Synchronized[float], limit_s: float) -> bool:
    return analysed.value >= limit_s


def adopt(root: Path) -> Recordings:
    """What a server that starts anew does with them."""
    recordings = Recordings(settings_for(root).recording)

    async def once() -> None:
        async with recordings.kept():
            await until(lambda: recordings.figures.kept_bytes, 20)

    asyncio.run(once())
    return recordings


def _record(kind: Kind, clip: Path, root: Path, analysed: Synchronized[float]) -> None:
    """In the process that is to be killed."""

    def source(numbering: FrameNumbering) -> Source:
        if kind is Kind.CODED_HERE:
            return NumberedSource(numbering)
        return FileSource(clip, numbering, SourceSettings(), pace=Pace.REALTIME, loop=True)

    async def run() -> None:
        async with streaming(root, source) as stream:
            await stream.start()
            while True:
                parts = [part for entry in stream.recordings.active.values() for part in entry.parts]
                if parts:
                    analysed.value = stream.sink.outputs[-1].result.pts_s - parts[0].start_pts_s
                await asyncio.sleep(0.005)

    asyncio.run(run())
