"""The one thread that opens, demuxes and decodes a source with FFmpeg. Everything but the browser's video uses it."""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

import av
import av.error

from streamapp.errors import SourceCodecUnsupported, SourceEnded, SourceProtocolError, SourceTimeout, SourceTooLarge
from streamapp.frame import Frame
from streamapp.results import DropReason
from streamapp.sources.av_errors import mapped
from streamapp.sources.base import FrameNumbering, Outlet
from streamapp.sources.coded import CodedPictures
from streamapp.sources.handover import Handover
from streamapp.sources.pacing import Pacer
from streamapp.sources.rotation import Upright

JOIN_TIMEOUT_S = 1.5
"""A thread that FFmpeg keeps for longer is left to end by itself: FFmpeg's own timeouts bound that."""
FIRST_PICTURE_TIMEOUT_S = 20.0
"""A live source that sends data for so long without one whole picture is given up. Cameras' I-frames are up to 10 s
apart."""
MAX_CLOCK_ERROR_S = 10.0
"""A sender's clock further off than this is taken for not set."""


class Delivery(Enum):
    LIVE = auto()
    """As they come, latest wins."""
    PACED = auto()
    """A recording at its own speed, latest wins."""
    LOSSLESS = auto()
    """A recording as fast as the outlet takes it, every frame."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a source is to be opened. `target` and `options` are FFmpeg's and may hold credentials; `shown` may not."""

    target: str = field(repr=False)
    shown: str
    format: str | None
    options: Mapping[str, str] = field(repr=False)
    open_timeout_s: float | None
    read_timeout_s: float | None
    max_pixels: int
    loop: bool = False


async def read(opening: Opening, outlet: Outlet, numbering: FrameNumbering, delivery: Delivery) -> None:
    """Delivers the source's frames. Returns at the end of a recording; raises SourceError when the source cannot be
    opened or is lost. Cancelled, it returns within `JOIN_TIMEOUT_S`; the thread is gone by then, or is blocked in
    FFmpeg and ends by itself within `open_timeout_s` or `read_timeout_s`, without touching anything more."""
    handover = Handover(outlet, numbering, lossless=delivery is Delivery.LOSSLESS)
    reader = _Reader(opening, handover, delivery)
    threading.Thread(target=reader.run, name=f"reader {numbering.stream}", daemon=True).start()
    try:
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(_watch(handover, opening, delivery))
            await handover.forward()
            watch.cancel()
    except* Exception as errors:  # one of the two failed and the other was cancelled, so there is exactly one
        raise errors.exceptions[0] from None
    finally:
        handover.close()
        await asyncio.wait({handover.finished}, timeout=JOIN_TIMEOUT_S)


async def _watch(handover: Handover, opening: Opening, delivery: Delivery) -> None:
    """Raises SourceTimeout when the thread is stuck. FFmpeg's own timeouts come first where they work; they restart
    with every step of the opening, and device drivers do not know them."""
    await asyncio.wait({handover.opened, handover.finished}, timeout=opening.open_timeout_s)
    if not handover.opened.done() and not handover.finished.done():
        raise SourceTimeout(f"{opening.shown} did not open within {opening.open_timeout_s:g} s")
    if delivery is not Delivery.LIVE or opening.read_timeout_s is None:
        return
    while not handover.finished.done():
        quiet_s = time.monotonic() - handover.progress_s
        if quiet_s > opening.read_timeout_s + 1:
            raise SourceTimeout(f"{opening.shown} sent nothing for {quiet_s:.0f} s")
        await asyncio.wait({handover.finished}, timeout=1.0)


class _Reader:
    """The thread's side. All methods but the constructor run on the thread."""

    def __init__(self, opening: Opening, handover: Handover, delivery: Delivery) -> None:
        self._opening = opening
        self._handover = handover
        self._delivery = delivery
        self._pacer = Pacer()
        self._sender_clock_offset_s: float | None = None
        self._numbering_offset_s: float | None = None
        self._has_pictures = False

    def run(self) -> None:
        error: BaseException | None = None
        try:
            self._read_all()
        except (av.error.FFmpegError, OSError) as foreign:
            error = mapped(foreign, self._opening.shown, live=self._delivery is Delivery.LIVE)
        except BaseException as own:  # noqa: BLE001 - handed to `read`, which raises it
            error = own
        self._handover.finish(error)

    def _read_all(self) -> None:
        while True:
            self._read_once()
            if self._handover.closed:
                return
            if self._delivery is Delivery.LIVE:
                raise SourceEnded(f"{self._opening.shown} stopped sending")
            if not self._opening.loop or not self._has_pictures:
                return
            self._handover.restart_numbering()
            self._pacer.restart()

    def _read_once(self) -> None:
        opening = self._opening
        with av.open(
            opening.target,
            format=opening.format,
            options=dict(opening.options),
            timeout=(opening.open_timeout_s, opening.read_timeout_s),
        ) as container:
            stream = self._video_stream(container)
            self._handover.open()
            decoder = _Decoding(stream, opening)
            packets = container.demux(stream)
            while not self._handover.closed:
                asked_s = time.monotonic()
                packet = next(packets, None)
                arrived_s = self._handover.progress_s = time.monotonic()
                if packet is None:
                    return
                if opening.read_timeout_s is not None and arrived_s - asked_s >= opening.read_timeout_s:
                    # What comes out then is what FFmpeg had kept back; its next error would take as long again.
                    raise SourceTimeout(f"{opening.shown} sent nothing for {opening.read_timeout_s:g} s")
                self._handle(packet, arrived_s, decoder)
