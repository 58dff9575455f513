"""The decoding process: `python -m streamapp.sources.child.program PARENT LINK PICTURES`.

Gets one `Request` through the socket LINK, reads that source until told to end, and says what it finds; pixels go into
the memory behind the descriptor PICTURES. Imports little: it starts for every connection to a camera.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

import av.error
import av.logging

from streamapp.errors import SourceDecoderFailed, SourceError, SourceProtocolError
from streamapp.sources.av_errors import mapped
from streamapp.sources.child.confinement import confine, die_with
from streamapp.sources.child.messages import (
    LENGTH,
    MAX_OTHER_BYTES,
    DecodedPicture,
    Kind,
    Request,
    coded_message,
    count_message,
    message,
)
from streamapp.sources.child.slots import SlotWriter
from streamapp.sources.decoder import Picture
from streamapp.sources.encoded import EncodedPicture
from streamapp.sources.reading import Reading, captured_at

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Of the environment: where certificates are that are trusted, for FFmpeg."""

ALIVE_INTERVAL_S = 0.1
MAX_SPARE_BYTES = 64_000_000
"""If a picture cannot be decoded and there is no room for so much more, memory is short: two pictures of 4K in H265."""


class Teller:
    """The process's `Taker`: what was read, as messages."""

    def __init__(self, link: socket.socket, slots: SlotWriter, memory_bytes: int) -> None:
        self._link = link
        self._slots = slots
        self._said_s = 0.0
        self._spare_bytes = min(memory_bytes, MAX_SPARE_BYTES)

    @property
    def closed(self) -> bool:
        return self._slots.closed

    @property
    def wants_encoded(self) -> bool:
        return self._slots.wants_encoded

    def open(self, codec: str | None) -> None:
        av.logging.set_level(None)
        self._say(message(Kind.OPENED, (codec or "").encode()))

    def alive(self) -> None:
        if time.monotonic() - self._said_s > ALIVE_INTERVAL_S:  # pictures say the same
            self._say(message(Kind.ALIVE))

    def take(
        self, picture: Picture, arrived_s: float, sender_offset_s: float | None, *, has_coded: bool
    ) -> float | None:
        """Coded pictures keep the source's times; the app knows what is to be added."""
        slot, video, lines = self._slots.write(picture.video)
        said = DecodedPicture(
            slot,
            video.width,
            video.height,
            video.format.name,
            int(video.color_range),
            int(video.colorspace),
            lines,
            picture.pts_s,
            arrived_s,
            captured_at(picture.pts_s, sender_offset_s),
            has_coded,
        )
        self._say(said.encode())
        return 0.0

    def take_coded(self, picture: EncodedPicture) -> None:
        self._say(coded_message(picture))

    def count_corrupt(self, count: int) -> None:
        """Raises MemoryError if that may have been the reason: FFmpeg's decoders call it invalid data."""
        try:
            mmap.mmap(-1, self._spare_bytes).close()
        except OSError:
            raise MemoryError from None
        self._say(count_message(count))

    def fail(self, error: SourceError) -> None:
        """The last word."""
        self._say(message(Kind.FAILED, f"{error.code} {error}".encode()[:MAX_OTHER_BYTES]))

    def _say(self, data: bytes) -> None:
        self._said_s = time.monotonic()
        try:
            self._link.sendall(data)
        except OSError:  # nobody listens any more
            os._exit(0)


class RedirectGuard(logging.Handler):
    """FFmpeg follows redirects of RTSP and has no option against it, but says so in its log first, in the thread that
    would go on to connect: that is where the process ends."""

    def __init__(self, teller: Teller, shown: str) -> None:
        super().__init__(logging.INFO)
        self._teller = teller
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        if "Redirecting to" in record.getMessage():
            self._teller.fail(
                SourceProtocolError(f"{self._shown} redirects to another address, which is refused; give that address")
            )
            os._exit(0)

    def install(self) -> None:
        logger = logging.getLogger("libav")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(self)
        av.logging.set_skip_repeated(False)
        av.logging.set_level(av.logging.INFO)


def read(request: Request, teller: Teller) -> None:
    """Reads the source and says what it finds, an error last."""
    opening = request.opening
    RedirectGuard(teller, opening.shown).install()
    try:
        Reading(opening, teller, live=True, gives_coded=True).once()
    except SourceError as error:
        teller.fail(error)
    except MemoryError:
        teller.fail(mapped(OSError(errno.ENOMEM, "memory"), opening.shown, live=True))
    except (av.error.FFmpegError, OSError) as foreign:
        teller.fail(mapped(foreign, opening.shown, live=True))
    except Exception as bug:  # noqa: BLE001 - supervises the process: nobody reads its standard error
        teller.fail(SourceDecoderFailed(f"the decoder of {opening.shown} failed: {type(bug).__name__}"))


def main(parent: int, link_descriptor: int, pictures_descriptor: int) -> NoReturn:
    die_with(parent)
    link = socket.socket(fileno=link_descriptor)
    link.sendall(message(Kind.READY))
    (length,) = LENGTH.unpack(_receive(link, LENGTH.size))
    request = Request.decode(_receive(link, length))
    slots = SlotWriter(pictures_descriptor, request.opening.max_pixels)
    certificates = (Path(os.environ[name]) for name in CERTIFICATE_VARIABLES if name in os.environ)
    confine(request.memory_bytes, request.port, tuple(certificates))
    read(request, Teller(link, slots, request.memory_bytes))
    os._exit(0)  # what FFmpeg's threads hold is the system's to take back


def _receive(link: socket.socket, count: int) -> bytes:
    data = link.recv(count, socket.MSG_WAITALL)
    if len(data) < count:
        os._exit(0)  # the app is gone, or changed its mind
    return data


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
