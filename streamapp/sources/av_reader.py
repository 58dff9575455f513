"""The one thread that opens, demuxes and decodes a source with FFmpeg. Everything but the browser's video uses it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

import av
import av.error
from av.container import InputContainer

from streamapp.errors import SourceEnded, SourceProtocolError, SourceTimeout
from streamapp.frame import Frame
from streamapp.results import DropReason
from streamapp.sources.av_errors import mapped
from streamapp.sources.base import FrameNumbering, Outlet
from streamapp.sources.coded import CodedPictures
from streamapp.sources.decoder import Picture, PictureDecoder
from streamapp.sources.handover import Handover
from streamapp.sources.joining import PictureJoiner
from streamapp.sources.pacing import Pacer

Packet: TypeAlias = "av.Packet[av.VideoStream]"

JOIN_TIMEOUT_S = 1.5
"""A thread that FFmpeg keeps for longer is left to end by itself: FFmpeg's own timeouts bound that."""
FIRST_PICTURE_TIMEOUT_S = 20.0
"""A live source that sends data for so long without one whole picture is given up. Cameras' I-frames are up to 10 s
apart."""
MAX_CLOCK_ERROR_S = 10.0
"""A sender's clock further off than this is taken for not set."""
_WATCH_INTERVAL_S = 1.0


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
    """The thread's side: everything but the constructor runs on the thread."""

    def __init__(self, opening: Opening, handover: Handover, delivery: Delivery) -> None:
        self._opening = opening
        self._handover = handover
        self._live = delivery is Delivery.LIVE
        self._pacer = Pacer() if delivery is Delivery.PACED else None
        self._gives_coded = delivery is not Delivery.LOSSLESS
        self._has_pictures = False

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
        while True:
            self._read_once()
            if self._handover.closed:
                return
            if self._live:
                raise SourceEnded(f"{self._opening.shown} stopped sending")
            if not self._opening.loop or not self._has_pictures:
                return
            self._handover.restart_numbering()
            if self._pacer is not None:
                self._pacer.restart()

    def _read_once(self) -> None:
        opening = self._opening
        with av.open(
            opening.target,
            mode="r",
            format=opening.format,
            options=dict(opening.options),
            timeout=(opening.open_timeout_s, opening.read_timeout_s),
        ) as container:
            decoder = PictureDecoder(container, opening.shown, max_pixels=opening.max_pixels, live=self._live)
            coded = CodedPictures(decoder.stream) if self._gives_coded else None
            joiner = PictureJoiner() if self._live else None
            opened_s = self._handover.progress_s = time.monotonic()
            self._handover.open()
            for packet, arrived_s in self._packets(container, decoder.stream):
                for picture in joiner.add(packet) if joiner is not None else (packet,):
                    self._use(picture, arrived_s, decoder, coded)
                if self._live and not self._has_pictures and arrived_s - opened_s > FIRST_PICTURE_TIMEOUT_S:
                    raise SourceProtocolError(
                        f"{opening.shown} sends data, but no picture in {FIRST_PICTURE_TIMEOUT_S:g} s could be decoded"
                    )

    def _packets(self, container: InputContainer, stream: av.VideoStream) -> Iterator[tuple[Packet, float]]:
        """Packets with their time of arrival (`time.monotonic()`). Ends at the source's end and when closed."""
        limit_s = self._opening.read_timeout_s
        packets = container.demux(stream)
        while not self._handover.closed:
            asked_s = time.monotonic()
            packet = next(packets, None)
            arrived_s = self._handover.progress_s = time.monotonic()
            if packet is None or self._handover.closed:
                return
            if limit_s is not None and arrived_s - asked_s >= limit_s:
                # FFmpeg first gives out what its parser had kept back; its error would take as long once more.
                raise SourceTimeout(f"{self._opening.shown} sent nothing for {limit_s:g} s")
            yield packet, arrived_s

    def _use(self, packet: Packet, arrived_s: float, decoder: PictureDecoder, coded: CodedPictures | None) -> None:
        pictures, corrupt = decoder.decode(packet)
        for _ in range(corrupt):
            self._handover.count(DropReason.CORRUPT)
        offset_s = None
        for picture in pictures:
            if picture.turned:
                coded = None  # the coded picture lies on its side
            codec = None if coded is None else coded.codec
            frame = self._frame(picture, arrived_s, decoder.sender_offset_s, codec)
            if frame is None:
                return
            self._has_pictures = True
            offset_s = frame.pts_s - picture.pts_s
            self._handover.put(frame)
        if coded is not None:
            self._pass_coded(packet, coded, offset_s)

    def _frame(
        self, picture: Picture, arrived_s: float, sender_offset_s: float | None, codec: str | None
    ) -> Frame | None:
        captured_at: float | None = None
        if self._pacer is not None:
            due_s = self._pacer.due_s(picture.pts_s, time.monotonic())
            if self._handover.wait_closed(due_s - time.monotonic()):
                return None
            arrived_s = time.monotonic()
        elif self._live and sender_offset_s is not None:
            captured_at = picture.pts_s + sender_offset_s
            if abs(captured_at - time.time()) > MAX_CLOCK_ERROR_S:
                captured_at = None
        return self._handover.number(
            picture.video, picture.pts_s, arrived_s=arrived_s, captured_at=captured_at, codec=codec
        )

    def _pass_coded(self, packet: Packet, coded: CodedPictures, offset_s: float | None) -> None:
        if not self._handover.wants_encoded:
            coded.stop()
            return
        try:
            coded.add(packet)
        except av.error.FFmpegError:  # a damaged packet; viewers go on at the next I-frame
            coded.stop()
        for picture in coded.take(offset_s):
            self._handover.put_coded(picture)
