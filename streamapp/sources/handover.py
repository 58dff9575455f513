"""What crosses from a reader's thread to the event loop: at most one frame, a few coded pictures, and counts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import av

from streamapp.frame import Frame
from streamapp.results import DropReason
from streamapp.sources.base import EncodedPicture, FrameNumbering, Outlet


@dataclass(slots=True)
class _Waiting:
    """What the event loop has not taken yet."""

    frame: Frame | None = None
    coded: deque[EncodedPicture] = field(default_factory=deque)
    dropped: Counter[DropReason] = field(default_factory=Counter)


class Handover:
    """Joins one reader thread to one outlet. Never more than one call is pending on the event loop.

    Lossless: `put` makes the thread wait for room and the outlet is asked to `deliver`. Otherwise `put` replaces a
    frame that still waits, counted as stale, and the outlet is `offer`ed the newest. Made on the event loop.
    """

    MAX_CODED = 128
    """Coded pictures waiting, at most; when there are more, all are dropped up to the next I-frame."""

    def __init__(self, outlet: Outlet, numbering: FrameNumbering, *, lossless: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._outlet = outlet
        self._numbering = numbering
        self._lossless = lossless
        self._changed = threading.Condition()
        self._waiting = _Waiting()
        self._scheduled = False
        self._closed = False
        self._broken = False
        self._connected = False
        self._wake = asyncio.Event()
        self.opened: asyncio.Future[BaseException | None] = self._loop.create_future()
        """Done once the thread has opened the source."""
        self.finished: asyncio.Future[BaseException | None] = self._loop.create_future()
        """Done once the thread is over; its result is what ended it, or None."""
        self.progress_s = time.monotonic()
        """`time.monotonic()` at the thread's last sign of life."""

    # -- on the thread ------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def wants_encoded(self) -> bool:
        return self._outlet.wants_encoded

    def wait_closed(self, timeout_s: float) -> bool:
        """Sleeps, but not beyond the closing. True if closed."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, timeout_s)

    def number(
        self,
        video: av.VideoFrame,
        source_pts_s: float,
        *,
        arrived_s: float,
        captured_at: float | None,
        codec: str | None = None,
    ) -> Frame | None:
        """The stream's next frame; None once closed, so that a thread left behind cannot number frames."""
        with self._changed:
            if self._closed:
                return None
            return self._numbering.frame(video, source_pts_s, arrived_s=arrived_s, captured_at=captured_at, codec=codec)

    def restart_numbering(self) -> None:
        with self._changed:
            if not self._closed:
                self._numbering.restart()

    def put(self, frame: Frame) -> None:
        with self._changed:
            if self._lossless:
                self._changed.wait_for(lambda: self._waiting.frame is None or self._closed)
            elif self._waiting.frame is not None:
                self._waiting.dropped[DropReason.STALE] += 1
            self._waiting.frame = frame
        self._schedule()

    def put_coded(self, picture: EncodedPicture) -> None:
        with self._changed:
            if self._broken and not picture.is_iframe:
                self._waiting.dropped[DropReason.QUEUE_FULL] += 1
                return
            self._broken = len(self._waiting.coded) >= self.MAX_CODED
            if self._broken:
                self._waiting.dropped[DropReason.QUEUE_FULL] += len(self._waiting.coded) + 1
                self._waiting.coded.clear()
            else:
                self._waiting.coded.append(picture)
        self._schedule()

    def count(self, reason: DropReason) -> None:
        with self._changed:
            self._waiting.dropped[reason] += 1
        self._schedule()

    def open(self) -> None:
        self._call_soon(self._set_opened)

    def finish(self, error: BaseException | None) -> None:
        """The thread's last call."""
        self._call_soon(partial(self._set_finished, error))

    def _schedule(self) -> None:
        with self._changed:
            if self._scheduled or self._closed:
                return
            self._scheduled = True
        self._call_soon(self._wake.set if self._lossless else self._hand_over_latest)

    def _call_soon(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed: nobody is left to tell
            self._closed = True

    # -- on the event loop --------------------------------------------------------------------------------------

    async def forward(self) -> None:
        """Lossless only: delivers frame by frame until the thread is over."""
        last = False
        while not last:
            await self._wake.wait()
            self._wake.clear()
            last = self.finished.done()
            frame = self._hand_over_rest()
            if frame is not None:
                await self._outlet.deliver(frame)

    async def outcome(self) -> None:
        """Waits for the end of the thread and raises what ended it, if anything did."""
        await asyncio.wait({self.finished})  # unlike a plain await, this leaves the future alone when cancelled
        error = self.finished.result()
        if error is not None:
            raise error

    def close(self) -> None:
        """From here on nothing reaches the outlet, and the thread stops at its next step."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _hand_over_latest(self) -> None:
        frame = self._hand_over_rest()
        if frame is not None:
            self._outlet.offer(frame)

    def _hand_over_rest(self) -> Frame | None:
        """Hands on all but the frame, which it returns."""
        with self._changed:
            waiting, self._waiting = self._waiting, _Waiting()
            self._scheduled = False
            self._changed.notify_all()
            if self._closed:
                return None
        for reason, count in waiting.dropped.items():
            self._outlet.count_drop(reason, count)
        if waiting.frame is not None and not self._connected:
            self._connected = True
            self._outlet.connected()
        for picture in waiting.coded:
            self._outlet.offer_encoded(picture)
        return waiting.frame

    def _set_opened(self) -> None:
        if not self.opened.done():
            self.opened.set_result(None)

    def _set_finished(self, error: BaseException | None) -> None:
        if not self.finished.done():
            self.finished.set_result(error)
        self._wake.set()
