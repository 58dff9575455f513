"""What kind of picture some bytes are, how large it is, which way up, and the bytes that its pixels need.

Only this much of a file is handed to a decoder. Text, colour profiles and camera data stay behind: they can be packed
a thousandfold, and are read in ways that grow with what a stranger wrote there. Nothing here allocates more than the
file.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from streamapp.errors import PictureInvalid, PictureUnsupported

MAX_PARTS = 100_000
"""Segments or chunks of a file; real ones have a few thousand."""
MAX_SCANS = 500
"""Scans of a JPEG. Each can be a few bytes and cost as much time as the whole picture (libjpeg-turbo, "Two Issues with
the JPEG Standard"); real ones have about ten."""

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_START = _PNG_MAGIC + b"\0\0\0\rIHDR"
_PNG_HEADER_BYTES = len(_PNG_START) + 13 + 4
_PNG_KEPT = {b"PLTE", b"tRNS"}
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""A marker with a segment, or the end. Filling and what should not be there is passed over, as decoders do."""
_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SOS, _EOI, _APP1, _COMMENT = 0xDA, 0xD9, 0xE1, 0xFE
_JPEG_KEPT_APPS = {0xE0, 0xEE}
"""JFIF and Adobe: they say what the components are."""
_EXIF_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION, _SHORT = 0x0112, 3


class PictureKind(StrEnum):
    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture not yet decoded. `width` and `height` are those stored, before it is turned upright."""

    kind: PictureKind
    width: int
    height: int
    orientation: int
    """1 to 8 as in EXIF (CIPA DC-008 section 4.6.4); 1 is upright."""
    coded: bytes


def read_picture_file(data: bytes) -> PictureFile:
    """Goes by the bytes alone, never by a name or a declared type. Raises PictureUnsupported for what is none of the
    three kinds, PictureInvalid for what begins as one but is broken or cut off."""
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(_PNG_MAGIC):
            return _png(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError):
        _cut_off()
    if len(data) < 3:
        raise PictureInvalid("the file is empty" if not data else "the file is cut off")
    raise PictureUnsupported("this is not a JPEG, PNG or WebP picture; send one of those")


def _cut_off() -> NoReturn:
    raise PictureInvalid("the picture is cut off or broken")


def _jpeg(data: bytes) -> PictureFile:
    """ITU-T T.81 annex B."""
    kept = [data[:2]]
    width = height = 0
    orientation = 1
    at = 2
    for _ in range(MAX_PARTS):
        found = _JPEG_MARKER.search(data, at)
        if found is None or (marker := data[found.end() - 1]) == _EOI:
            break
        start, at = found.start(), found.end() + struct.unpack_from(">H", data, found.end())[0]
        if marker == _SOS:
            if data.count(b"\xff\xda", start) > MAX_SCANS:
                raise PictureInvalid(f"the picture has more than {MAX_SCANS} scans")
            return PictureFile(PictureKind.JPEG, width, height, orientation, b"".join((*kept, data[start:])))
        if marker in _SOF:
            height, width = struct.unpack_from(">HH", data, start + 5)
        if marker == _APP1 and orientation == 1 and data[start + 4 : start + 10] == b"Exif\0\0":
            orientation = exif_orientation(data[start + 10 : at])
        if marker in _JPEG_KEPT_APPS or not (0xE0 <= marker <= 0xEF or marker == _COMMENT):
            kept.append(data[start:at])
    _cut_off()


def _png(data: bytes) -> PictureFile:
    """W3C PNG (third edition) section 5. Of an animated one this leaves the picture for viewers without animation."""
    if not data.startswith(_PNG_START):
        _cut_off()
    width, height = struct.unpack_from(">LL", data, 16)
    orientation = 1
    before, packed = [data[:_PNG_HEADER_BYTES]], []
    at = _PNG_HEADER_BYTES
    for _ in range(MAX_PARTS):
        length, name = struct.unpack_from(">L4s", data, at)
        start, at = at, at + 12 + length
        if at > len(data):
            break
        if name == b"IDAT":
            packed.append(data[start + 8 : at - 4])
        elif name in _PNG_KEPT:
            before.append(data[start:at])
        elif name == b"eXIf":
            orientation = exif_orientation(data[start + 8 : at - 4])
        elif name == b"IEND":
            coded = b"".join((*before, _png_chunk(b"IDAT", b"".join(packed)), data[start:at]))
            return PictureFile(PictureKind.PNG, width, height, orientation, coded)
    _cut_off()


def _png_chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return b"".join((struct.pack(">L", len(content)), name, content, struct.pack(">L", checksum)))


def _webp(data: bytes) -> PictureFile:
    """RFC 9649 section 2."""
    (size,) = struct.unpack_from("<L", data, 4)
    if size + 8 > len(data):
        _cut_off()
    form = data[12:16]
    if form == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        return PictureFile(PictureKind.WEBP, width, height, _webp_orientation(data), data)
    if form == b"VP8L" and data[20] == 0x2F:
        (sides,) = struct.unpack_from("<L", data, 21)
        return PictureFile(PictureKind.WEBP, 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF), 1, data)
    if form == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return PictureFile(PictureKind.WEBP, width & 0x3FFF, height & 0x3FFF, 1, data)
    _cut_off()


def _webp_orientation(data: bytes) -> int:
    at = 12
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            break
        name, length = struct.unpack_from("<4sL", data, at)
        if name == b"EXIF":
            return exif_orientation(data[at + 8 : at + 8 + length])
        at += 8 + length + (length & 1)
    return 1


def exif_orientation(exif: bytes) -> int:
    """The orientation of the first directory of camera data; 1 where there is none or it makes no sense."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = _EXIF_BYTE_ORDERS.get(tiff[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "L", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, directory)
        for at in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHLH", tiff, at)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
