"""Reads one RTSP stream several times over and finds its faces, in one of three ways; says what that took, as JSON.

Usage: python -m benchmarks.peers.rtsp_readers WAY URL STREAMS SECONDS
runtime: this app's Runtime, with a sink per stream. thread: the same, decoding in threads of the app. floor: PyAV
decodes, a bare MediaPipe detector is called with an array that is already there. script: as most people write it, PyAV,
`to_ndarray`, MediaPipe, one thread per stream.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import av

from benchmarks.detectors import BareMediaPipe, measured_settings, screening_weights
from streamapp.capacity.processes import CpuSample, sample_cpu
from streamapp.choices import DecoderPlace
from streamapp.frame import Image
from streamapp.runtime import Runtime
from streamapp.settings import Settings
from streamapp.sinks.base import Inbox
from streamapp.sources.open import open_source

SETTLE_S = 2.0
OPEN_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Results per second of each stream, and the processor time of this process and its children, in % of a core."""

    fps: list[float]
    cpu_percent: float


class CountingSink:
    """Counts results."""

    lossless = False

    def __init__(self) -> None:
        self.results = 0

    async def run(self, inbox: Inbox) -> None:
        while await inbox.get() is not None:
            self.results += 1


class Window:
    """Counts over a stretch of time that begins once every stream has delivered and settled."""

    def __init__(self, counts: Callable[[], list[int]]) -> None:
        self._counts = counts
        self._before: list[int] = []
        self._cpu = CpuSample(0.0, 0.0)

    @property
    def flowing(self) -> bool:
        return all(self._counts())

    def begin(self) -> None:
        self._before, self._cpu = self._counts(), sample_cpu(os.getpid())

    def end(self) -> Reading:
        cpu = sample_cpu(os.getpid())
        seconds = cpu.at_s - self._cpu.at_s
        fps = [(after - before) / seconds for before, after in zip(self._before, self._counts(), strict=True)]
        return Reading([round(value, 2) for value in fps], round(cpu.percent_since(self._cpu), 2))


async def read_with_runtime(settings: Settings, url: str, streams: int, seconds: float) -> Reading:
    sinks = [CountingSink() for _ in range(streams)]
    window = Window(lambda: [sink.results for sink in sinks])
    async with Runtime.start(settings) as runtime:
        for number, sink in enumerate(sinks):
            name = f"camera{number}"
            session = runtime.open_stream(name, lambda numbering: open_source(url, numbering, settings.sources))
            session.attach(sink)
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            while not window.flowing:  # noqa: ASYNC110 - the sinks count, they set no event
                await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLE_S)
        window.begin()
        await asyncio.sleep(seconds)
        return window.end()


def read_with_threads(settings: Settings, url: str, streams: int, seconds: float, *, convert: bool) -> Reading:
    """A thread per stream; `convert` turns each picture into an RGB array, otherwise the first one's is used again."""
    counts = [0] * streams
    stop = threading.Event()
    weights = screening_weights(settings)

    def follow(number: int) -> None:
        detector = BareMediaPipe(weights, settings.pipeline.min_score)
        ready: Image | None = None
        with av.open(url, options={"rtsp_transport": "tcp"}, timeout=(5, 5)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if stop.is_set():
                    break
                if ready is None or convert:
                    ready = frame.to_ndarray(format="rgb24").astype("uint8", copy=False)
                detector.detect(ready, index / 30)
                counts[number] += 1
        detector.close()

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(streams)]
    window = Window(lambda: list(counts))
    for thread in threads:
        thread.start()
    try:
        deadline_s = time.monotonic() + OPEN_TIMEOUT_S
        while not window.flowing:
            if time.monotonic() > deadline_s:
                raise TimeoutError("a stream did not start")
            time.sleep(0.1)
        time.sleep(SETTLE_S)
        window.begin()
        time.sleep(seconds)
        return window.end()
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)


def main(way: str, url: str, streams: int, seconds: float) -> None:
    settings = measured_settings()
    if way == "thread":
        sources = settings.sources.model_copy(update={"decoder": DecoderPlace.THREAD})
        settings = settings.model_copy(update={"sources": sources})
    if way in ("runtime", "thread"):
        reading = asyncio.run(read_with_runtime(settings, url, streams, seconds))
    else:
        reading = read_with_threads(settings, url, streams, seconds, convert=way == "script")
    print(json.dumps(asdict(reading)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
