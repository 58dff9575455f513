"""All fakes, in one place."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import numpy as np

from streamapp.faces import Detections, Detector
from streamapp.frame import Image
from streamapp.sinks.base import Inbox, Output
from streamapp.sources.base import FrameNumbering, Outlet
from tests.pictures import video_frame

Box = tuple[float, float, float, float]


class ScriptedScreener:
    """A FaceScreener that answers from a script: one list of boxes per call, the last one for ever after."""

    variant = "scripted"

    def __init__(self, script: Sequence[Sequence[Box]] = ((),), *, gate: threading.Event | None = None) -> None:
        self.calls = 0
        self.closed = False
        self.threads: set[int] = set()
        self._script = script
        self._gate = gate
        """If given, each call waits for it: a stage as slow as the test wants."""

    def screen(self, rgb: Image, pts_s: float) -> Detections:
        if self._gate is not None:
            assert self._gate.wait(10), "the test never opened the gate"
        boxes = self._script[min(self.calls, len(self._script) - 1)]
        self.calls += 1
        self.threads.add(threading.get_ident())
        columns = np.array(boxes, np.float32).reshape(-1, 4)
        return Detections(Detector.MEDIAPIPE, columns, np.full(len(columns), 0.9, np.float32))

    def close(self) -> None:
        self.closed = True


class ScriptedSource:
    """A Source that delivers `count` grey frames, then ends or raises. Waits for room unless `live`."""

    def __init__(
        self,
        numbering: FrameNumbering,
        count: int,
        *,
        live: bool = False,
        error: Exception | None = None,
        hold: asyncio.Event | None = None,
    ) -> None:
        self.live = live
        self._numbering = numbering
        self._count = count
        self._error = error
        self._hold = hold
        """If given, the source stays open after its last frame until this is set."""

    async def run(self, outlet: Outlet) -> None:
        for index in range(self._count):
            made = self._numbering.frame(video_frame(), index / 30, arrived_s=time.monotonic())
            if index == 0:
                outlet.connected()
            if self.live:
                outlet.offer(made)
                await asyncio.sleep(0)
            else:
                await outlet.deliver(made)
        if self._hold is not None:
            await self._hold.wait()
        if self._error is not None:
            raise self._error


class CollectingSink:
    """Keeps every output it is given."""

    def __init__(self, *, lossless: bool = True) -> None:
        self.lossless = lossless
        self.outputs: list[Output] = []
        self.finished = False

    async def run(self, inbox: Inbox) -> None:
        try:
            while (output := await inbox.get()) is not None:
                self.outputs.append(output)
        finally:
            self.finished = True


class BrokenSink:
    """Fails at the first output."""

    lossless = True

    async def run(self, inbox: Inbox) -> None:
        await inbox.get()
        raise RuntimeError("broken on purpose")
