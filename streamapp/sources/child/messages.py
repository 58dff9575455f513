"""What the decoding process says to the app: length, kind, fields. Pixels are in shared memory; only where is said.

Whoever reads believes nothing: the process has parsed what a stranger sent. `Garbled` is raised for anything that a
well-behaved process does not say.
"""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import asdict, dataclass
from enum import IntEnum

from streamapp.sources.encoded import EncodedPicture
from streamapp.sources.reading import Opening

MAX_CODED_BYTES = 32 << 20
MAX_OTHER_BYTES = 4096
FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray")
"""Pixel formats that cross as they are, one byte a sample; all others are converted to yuv444p."""
MAX_PLANES = 3

HEADER = struct.Struct("=IB")
LENGTH = struct.Struct("=I")
_PICTURE = struct.Struct("=hIIBBB3IdddB")
_CODED = struct.Struct("=ddBB")
_COUNT = struct.Struct("=I")
_CODEC = re.compile(r"[a-z0-9_]{1,32}")


class Kind(IntEnum):
    READY = 0
    """The process is loaded and waits for its `Request`."""
    OPENED = 1
    """Text: the coding's name, or nothing where no coded pictures will come."""
    ALIVE = 2
    PICTURE = 3
    CODED = 4
    CORRUPT = 5
    FAILED = 6
    """Text: an error's code, a blank, its message. The last one."""


class Garbled(Exception):
    """The process said something that makes no sense."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the process is started for, sent to it once."""

    opening: Opening
    memory_bytes: int
    """What it may take beyond what it has once it is loaded."""
    port: int
    """The only TCP port it may connect to, where the system can see to that."""

    def encode(self) -> bytes:
        body = json.dumps(asdict(self)).encode()
        return LENGTH.pack(len(body)) + body

    @classmethod
    def decode(cls, body: bytes) -> Request:
        fields = json.loads(body)
        return cls(Opening(**fields["opening"]), fields["memory_bytes"], fields["port"])


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A picture in a slot of the shared memory; `slot` -1: there was no room, so it is lost."""

    slot: int
    width: int
    height: int
    pixel_format: str
    color_range: int
    """FFmpeg's AVColorRange."""
    colorspace: int
    """FFmpeg's AVColorSpace."""
    line_bytes: tuple[int, int, int]
    """Of each plane; the planes follow each other."""
    pts_s: float
    """By the source's clock."""
    arrived_s: float
    captured_at: float | None
    has_coded: bool

    def encode(self) -> bytes:
        captured_at = math.nan if self.captured_at is None else self.captured_at
        body = _PICTURE.pack(
            self.slot,
            self.width,
            self.height,
            FORMATS.index(self.pixel_format),
            self.color_range,
            self.colorspace,
            *self.line_bytes,
            self.pts_s,
            self.arrived_s,
            captured_at,
            self.has_coded,
        )
        return message(Kind.PICTURE, body)

    @classmethod
    def decode(cls, body: bytes) -> DecodedPicture:
        """Checks that the fields are fields, not that they fit the memory."""
        try:
            slot, width, height, index, colours, space, a, b, c, pts_s, arrived_s, taken_at, coded = _PICTURE.unpack(
                body
            )
            pixel_format = FORMATS[index]
        except (struct.error, IndexError):
            raise Garbled("picture") from None
        if not (math.isfinite(pts_s) and math.isfinite(arrived_s) and abs(pts_s) < 1e12):
            raise Garbled("time")
        captured_at = taken_at if math.isfinite(taken_at) else None
        return cls(
            slot, width, height, pixel_format, colours, space, (a, b, c), pts_s, arrived_s, captured_at, bool(coded)
        )


def message(kind: Kind, body: bytes = b"") -> bytes:
    return HEADER.pack(len(body), kind) + body


def header(data: bytes) -> tuple[Kind, int]:
    """The kind of the message that follows and its length. Raises Garbled."""
    length, number = HEADER.unpack(data)
    try:
        kind = Kind(number)
    except ValueError:
        raise Garbled("kind") from None
    if length > (MAX_CODED_BYTES if kind is Kind.CODED else MAX_OTHER_BYTES):
        raise Garbled("length")
    return kind, length


def coded_message(picture: EncodedPicture) -> bytes:
    decoded_s = math.nan if picture.dts_s is None else picture.dts_s
    head = _CODED.pack(picture.pts_s, decoded_s, picture.is_iframe, picture.has_b_frames)
    return message(Kind.CODED, head + picture.data)


def coded_picture(body: bytes, codec: str, offset_s: float) -> EncodedPicture:
    """The coded picture with `offset_s` added to its times. Raises Garbled."""
    if len(body) <= _CODED.size:
        raise Garbled("coded picture")
    pts_s, decoded_s, is_iframe, has_b_frames = _CODED.unpack_from(body)
    if not (math.isfinite(pts_s) and abs(pts_s) < 1e12) or abs(decoded_s) >= 1e12:
        raise Garbled("time")
    dts_s = None if math.isnan(decoded_s) else decoded_s + offset_s
    return EncodedPicture(body[_CODED.size :], pts_s + offset_s, bool(is_iframe), codec, bool(has_b_frames), dts_s)


def count_message(count: int) -> bytes:
    return message(Kind.CORRUPT, _COUNT.pack(count))


def count(body: bytes) -> int:
    """Raises Garbled."""
    try:
        (number,) = _COUNT.unpack(body)
    except struct.error:
        raise Garbled("count") from None
    return int(number)


def codec_name(body: bytes) -> str | None:
    """Raises Garbled."""
    name = body.decode("ascii", "replace")
    if name and not _CODEC.fullmatch(name):
        raise Garbled("codec")
    return name or None
