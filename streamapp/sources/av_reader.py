"""Reads a source with FFmpeg in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from enum import Enum, auto

import av.error

from streamapp.errors import SourceTimeout
from streamapp.results import DropReason
from streamapp.sources.av_errors import mapped
from streamapp.sources.base import EncodedPicture, FrameNumbering, Outlet
from streamapp.sources.decoder import Picture
from streamapp.sources.handover import Handover
from streamapp.sources.pacing import Pacer
from streamapp.sources.reading import Opening, Reading, captured_at

JOIN_TIMEOUT_S = 1.5
"""A thread that FFmpeg keeps for longer is left to end by itself: FFmpeg's own timeouts bound that."""
_WATCH_INTERVAL_S = 1.0


class Delivery(Enum):
    LIVE = auto()
    """As they come, latest wins."""
    PACED = auto()
    """A recording at its own speed, latest wins."""
    LOSSLESS = auto()
    """A recording as fast as the outlet takes it, every frame."""


async def read(
    opening: Opening,
    outlet: Outlet,
    numbering: FrameNumbering,
    delivery: Delivery,
    *,
    on_open: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Delivers the source's frames. Returns at the end of a recording; raises SourceError when the source cannot be
    opened or is lost. Cancelled, it returns within `JOIN_TIMEOUT_S`; the thread is gone by then, or is blocked in
    FFmpeg and ends by itself within `open_timeout_s` or `read_timeout_s`, touching nothing more."""
    handover = Handover(outlet, numbering, lossless=delivery is Delivery.LOSSLESS)
    reader = _Reader(opening, handover, delivery)
    threading.Thread(target=reader.run, name=f"reader {numbering.stream}", daemon=True).start()
    try:
        await _wait_opened(handover, opening)
        if on_open is not None:
            await on_open()
        if delivery is Delivery.LOSSLESS:
            await handover.forward()
        elif delivery is Delivery.LIVE:
            await _watch_progress(handover, opening)
        await handover.outcome()
    finally:
        handover.close()
        await asyncio.wait({handover.finished}, timeout=JOIN_TIMEOUT_S)


async def _wait_opened(handover: Handover, opening: Opening) -> None:
    """The absolute limit on opening. FFmpeg's own begins anew with each of its steps, and drivers do not know it."""
    steps = {handover.opened, handover.finished}
    done, _ = await asyncio.wait(steps, timeout=opening.open_timeout_s, return_when=asyncio.FIRST_COMPLETED)
    if not done:
        raise SourceTimeout(f"{opening.shown} did not open in time")


async def _watch_progress(handover: Handover, opening: Opening) -> None:
    """Raises SourceTimeout if the thread is stuck where FFmpeg's own timeout does not reach (device drivers)."""
    while not handover.finished.done():
        quiet_s = time.monotonic() - handover.progress_s
        if opening.read_timeout_s is not None and quiet_s > opening.read_timeout_s + _WATCH_INTERVAL_S:
            raise SourceTimeout(f"{opening.shown} sent nothing for {quiet_s:.0f} s")
        await asyncio.wait({handover.finished}, timeout=_WATCH_INTERVAL_S)


class _Reader:
    """The thread's side and its `Taker`: everything but the constructor runs on the thread."""

    def __init__(self, opening: Opening, handover: Handover, delivery: Delivery) -> None:
        self._opening = opening
        self._handover = handover
        self._live = delivery is Delivery.LIVE
        self._pacer = Pacer() if delivery is Delivery.PACED else None
        self._gives_coded = delivery is not Delivery.LOSSLESS
        self._codec: str | None = None

    def run(self) -> None:
        error: BaseException | None = None
        try:
            self._read_all()
        except (av.error.FFmpegError, OSError) as foreign:
            error = mapped(foreign, self._opening.shown, live=self._live)
        except BaseException as own:  # noqa: BLE001 - supervises the thread: `read` raises it on the event loop
            error = own
        self._handover.finish(error)

    def _read_all(self) -> None:
        reading = Reading(self._opening, self, live=self._live, gives_coded=self._gives_coded)
        while True:
            reading.once()
            if self.closed or not self._opening.loop or not reading.has_pictures:
                return
            self._handover.restart_numbering()
            if self._pacer is not None:
                self._pacer.restart()

    @property
    def closed(self) -> bool:
        return self._handover.closed

    @property
    def wants_encoded(self) -> bool:
        return self._handover.wants_encoded

    def open(self, codec: str | None) -> None:
        self._codec = codec
        self.alive()
        self._handover.open()

    def alive(self) -> None:
        self._handover.progress_s = time.monotonic()

    def take(
        self, picture: Picture, arrived_s: float, sender_offset_s: float | None, *, has_coded: bool
    ) -> float | None:
        if self._pacer is not None:
            due_s = self._pacer.due_s(picture.pts_s, time.monotonic())
            if self._handover.wait_closed(due_s - time.monotonic()):
                return None
            arrived_s = time.monotonic()
        frame = self._handover.number(
            picture.video,
            picture.pts_s,
            arrived_s=arrived_s,
            captured_at=captured_at(picture.pts_s, sender_offset_s) if self._live else None,
            codec=self._codec if has_coded else None,
        )
        if frame is None:
            return None
        self._handover.put(frame)
        return frame.pts_s - picture.pts_s

    def take_coded(self, picture: EncodedPicture) -> None:
        self._handover.put_coded(picture)

    def count_corrupt(self, count: int) -> None:
        for _ in range(count):
            self._handover.count(DropReason.CORRUPT)
