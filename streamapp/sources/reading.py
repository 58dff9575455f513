"""Opens a source with FFmpeg and reads it to its end: the same in a thread of the app and in a process of its own. Of
this package it may import only what is small: the process starts for every connection."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import av
import av.error
from av.container import InputContainer

from streamapp.errors import SourceEnded, SourceProtocolError, SourceTimeout
from streamapp.sources.coded import CodedPictures
from streamapp.sources.decoder import Picture, PictureDecoder
from streamapp.sources.encoded import EncodedPicture
from streamapp.sources.joining import PictureJoiner

Packet: TypeAlias = "av.Packet[av.VideoStream]"

PICTURE_TIMEOUT_S = 20.0
"""A live source that sends data for so long without one whole picture is given up. Cameras' I-frames are up to 10 s
apart."""
MAX_CLOCK_ERROR_S = 10.0
"""A sender's clock further off than this is taken for not set."""


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


class Taker(Protocol):
    """Where what was read goes."""

    @property
    def closed(self) -> bool:
        """Whether reading is to end."""

    @property
    def wants_encoded(self) -> bool:
        """Whether somebody wants the coded pictures."""

    def open(self, codec: str | None) -> None:
        """The source is open; `codec` is FFmpeg's name of its coding if coded pictures may come."""

    def alive(self) -> None:
        """A packet came, of whatever use."""

    def take(
        self, picture: Picture, arrived_s: float, sender_offset_s: float | None, *, has_coded: bool
    ) -> float | None:
        """Takes a decoded picture. Returns what is to be added to the source's times for those of coded pictures; None
        if reading is to end."""

    def take_coded(self, picture: EncodedPicture) -> None:
        """Takes a coded picture."""

    def count_corrupt(self, count: int) -> None:
        """Counts pictures that could not be decoded."""


def captured_at(pts_s: float, sender_offset_s: float | None) -> float | None:
    """Unix time at which a picture was taken, where the sender says so and its clock is set."""
    if sender_offset_s is None or abs(pts_s + sender_offset_s - time.time()) > MAX_CLOCK_ERROR_S:
        return None
    return pts_s + sender_offset_s


class Reading:
    """One source, read by one thread."""

    def __init__(self, opening: Opening, taker: Taker, *, live: bool, gives_coded: bool) -> None:
        self._opening = opening
        self._taker = taker
        self._live = live
        self._gives_coded = gives_coded
        self._picture_s = 0.0  # when the last one came
        self.has_pictures = False
        """Whether any picture was decoded yet."""

    def once(self) -> None:
        """From opening to the end or until closed. Raises SourceError, av.error.FFmpegError and OSError; SourceEnded if
        a live source ends by itself."""
        opening, taker = self._opening, self._taker
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
            self._picture_s = time.monotonic()
            taker.open(coded.codec if coded is not None else None)
            for packet, arrived_s in self._packets(container, decoder.stream):
                for picture in joiner.add(packet) if joiner is not None else (packet,):
                    self._use(picture, arrived_s, decoder, coded)
                if self._live and arrived_s - self._picture_s > PICTURE_TIMEOUT_S:
                    raise SourceProtocolError(
                        f"{opening.shown} sends data, but no picture in {PICTURE_TIMEOUT_S:g} s could be decoded"
                    )
        if self._live and not taker.closed:
            raise SourceEnded(f"{opening.shown} stopped sending")

    def _packets(self, container: InputContainer, stream: av.VideoStream) -> Iterator[tuple[Packet, float]]:
        """Packets with their time of arrival (`time.monotonic()`). Ends at the source's end and when closed."""
        limit_s = self._opening.read_timeout_s
        packets = container.demux(stream)
        while not self._taker.closed:
            asked_s = time.monotonic()
            packet = next(packets, None)
            arrived_s = time.monotonic()
            self._taker.alive()
            if packet is None or self._taker.closed:
                return
            if limit_s is not None and arrived_s - asked_s >= limit_s:
                # FFmpeg first gives out what its parser had kept back; its error would take as long once more.
                raise SourceTimeout(f"{self._opening.shown} sent nothing for {limit_s:g} s")
            yield packet, arrived_s

    def _use(self, packet: Packet, arrived_s: float, decoder: PictureDecoder, coded: CodedPictures | None) -> None:
        pictures, corrupt = decoder.decode(packet)
        if corrupt:
            self._taker.count_corrupt(corrupt)
        offset_s = None
        for picture in pictures:
            if picture.turned:
                coded = None  # the coded picture lies on its side
            offset_s = self._taker.take(picture, arrived_s, decoder.sender_offset_s, has_coded=coded is not None)
            if offset_s is None:
                return
            self.has_pictures, self._picture_s = True, arrived_s
        if coded is not None:
            self._pass_coded(packet, coded, offset_s)

    def _pass_coded(self, packet: Packet, coded: CodedPictures, offset_s: float | None) -> None:
        if not self._taker.wants_encoded:
            coded.stop()
            return
        try:
            coded.add(packet)
        except av.error.FFmpegError:  # a damaged packet; viewers go on at the next I-frame
            coded.stop()
        for picture in coded.take(offset_s):
            self._taker.take_coded(picture)
