"""Picture files made for tests: every form a camera, a program or somebody with bad intent may give a picture."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageCms

from streamapp.frame import Image

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def saved(picture: PIL.Image.Image | Image, kind: str, **options: object) -> bytes:
    """A whole file, as Pillow writes it."""
    file = io.BytesIO()
    (picture if isinstance(picture, PIL.Image.Image) else PIL.Image.fromarray(picture)).save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes = b"") -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">L", len(content)) + name + content + struct.pack(">L", zlib.crc32(name + content))


def png_of(
    width: int, height: int, *, depth: int = 8, colour: int = 2, extra: bytes = b"", pixels: bytes = b""
) -> bytes:
    """A PNG chunk by chunk, `extra` between its header and its pixels."""
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0))
    return PNG_MAGIC + header + extra + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND")


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def exif(orientation: int, order: str = "<") -> bytes:
    """Camera data that say nothing else."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHLHH", 0x0112, 3, 1, orientation, 0)
    return magic + struct.pack(order + "LH", 8, 1) + entry + bytes(4)


def with_exif(jpeg: bytes, tiff: bytes) -> bytes:
    """The JPEG with camera data as its first segment."""
    return jpeg[:2] + segment(0xE1, b"Exif\0\0" + tiff) + jpeg[2:]


def stored(upright: Image, orientation: int) -> Image:
    """What a camera held in some way stores of a picture: where the stored first row and column are in the upright one
    is told by CIPA DC-008 section 4.6.4."""
    mirrored = {2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1]}
    turned = {5: upright, 6: upright[:, ::-1], 7: upright[::-1, ::-1], 8: upright[::-1]}
    if orientation in turned:
        return np.ascontiguousarray(turned[orientation].transpose(1, 0, 2))
    return np.ascontiguousarray(mirrored.get(orientation, upright))


def ycck(rgb: Image) -> bytes:
    """A YCCK JPEG: the components of a CMYK one computed here, and Adobe's marker changed to say so."""
    y, cb, cr = PIL.Image.fromarray(255 - rgb).convert("YCbCr").split()
    inverted = [channel.point([255 - level for level in range(256)]) for channel in (y, cb, cr)]
    cmyk = PIL.Image.merge("CMYK", [*inverted, PIL.Image.new("L", y.size, 0)])
    data = saved(cmyk, "JPEG", quality=95)
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    return data[:transform] + b"\x02" + data[transform + 1 :]


def _widened(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """16 bits of which the lower ones are anything but the upper ones."""
    wide = pixels.astype(np.uint16)
    return (wide << 8 | 255 - wide).astype(np.uint16)


def sixteen_bit(rgb: Image, *, alpha: bool = False) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write."""
    wide = np.concatenate((rgb, np.full((*rgb.shape[:2], 1), 255, np.uint8)), axis=2) if alpha else rgb
    rows = _widened(wide).astype(">u2").reshape(len(wide), -1)
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)
    return png_of(rgb.shape[1], rgb.shape[0], depth=16, colour=6 if alpha else 2, pixels=pixels)


def _grey(rgb: Image) -> PIL.Image.Image:
    return PIL.Image.fromarray(rgb).convert("L")


def _rgba(rgb: Image, alpha: int) -> PIL.Image.Image:
    layer = PIL.Image.fromarray(rgb).convert("RGBA")
    layer.putalpha(alpha)
    return layer


def _cut_out(rgb: Image) -> PIL.Image.Image:
    """The face and its surroundings in front of nothing."""
    height, width = rgb.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    alpha[height // 8 : -height // 8, width // 12 : -width // 12] = 255
    layer = PIL.Image.fromarray(rgb).convert("RGBA")
    layer.putalpha(PIL.Image.fromarray(alpha))
    return layer


def _palette(rgb: Image) -> PIL.Image.Image:
    return PIL.Image.fromarray(rgb).quantize(256)


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def _animated(rgb: Image) -> dict[str, object]:
    return {"save_all": True, "append_images": [PIL.Image.fromarray(rgb[::-1]), PIL.Image.fromarray(255 - rgb)]}


FORMS: dict[str, Callable[[Image], bytes]] = {
    "jpeg": lambda rgb: saved(rgb, "JPEG", quality=90),
    "jpeg-progressive": lambda rgb: saved(rgb, "JPEG", quality=90, progressive=True),
    "jpeg-rgb": lambda rgb: saved(rgb, "JPEG", quality=90, keep_rgb=True),
    "jpeg-grey": lambda rgb: saved(_grey(rgb), "JPEG", quality=90),
    "jpeg-cmyk": lambda rgb: saved(PIL.Image.fromarray(rgb).convert("CMYK"), "JPEG", quality=90),
    "jpeg-ycck": ycck,
    "jpeg-profile": lambda rgb: saved(rgb, "JPEG", quality=90, icc_profile=_profile()),
    "jpeg-two-pictures": lambda rgb: saved(rgb, "MPO", **_animated(rgb)),
    "jpeg-and-something": lambda rgb: saved(rgb, "JPEG", quality=90) + b"PK\3\4<script>" + bytes(999),
    "png": lambda rgb: saved(rgb, "PNG"),
    "png-16": sixteen_bit,
    "png-16-alpha": lambda rgb: sixteen_bit(rgb, alpha=True),
    "png-grey": lambda rgb: saved(_grey(rgb), "PNG"),
    "png-grey-16": lambda rgb: saved(PIL.Image.fromarray(_widened(np.asarray(_grey(rgb)))), "PNG"),
    "png-grey-alpha": lambda rgb: saved(_rgba(rgb, 255).convert("LA"), "PNG"),
    "png-alpha": lambda rgb: saved(_rgba(rgb, 255), "PNG"),
    "png-alpha-half": lambda rgb: saved(_rgba(rgb, 150), "PNG"),
    "png-cut-out": lambda rgb: saved(_cut_out(rgb), "PNG"),
    "png-palette": lambda rgb: saved(_palette(rgb), "PNG"),
    "png-palette-transparent": lambda rgb: saved(_palette(rgb), "PNG", transparency=3),
    "png-palette-alphas": lambda rgb: saved(_palette(rgb), "PNG", transparency=bytes([254] * 256)),
    "png-colour-key": lambda rgb: saved(rgb, "PNG", transparency=(1, 2, 3)),
    "png-grey-key": lambda rgb: saved(_grey(rgb), "PNG", transparency=7),
    "png-profile": lambda rgb: saved(rgb, "PNG", icc_profile=_profile()),
    "png-animated": lambda rgb: saved(rgb, "PNG", **_animated(rgb)),
    "png-broken-profile": lambda rgb: (png := saved(rgb, "PNG"))[:33] + chunk(b"iCCP", b"x\0\7junk") + png[33:],
    "webp": lambda rgb: saved(rgb, "WEBP", quality=90),
    "webp-lossless": lambda rgb: saved(rgb, "WEBP", lossless=True, method=0),
    "webp-alpha": lambda rgb: saved(_rgba(rgb, 200), "WEBP", quality=90),
    "webp-cut-out": lambda rgb: saved(_cut_out(rgb), "WEBP", quality=90),
    "webp-profile": lambda rgb: saved(rgb, "WEBP", quality=90, icc_profile=_profile()),
    "webp-animated": lambda rgb: saved(rgb, "WEBP", quality=90, duration=100, **_animated(rgb)),
}
"""One picture in every form that must give the same faces."""


def webp_header(form: bytes, width: int, height: int) -> bytes:
    """The beginning of a WebP of that size, in each of its three forms."""
    if form == b"VP8X":
        body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif form == b"VP8L":
        body = b"\x2f" + struct.pack("<L", (width - 1) | (height - 1) << 14)
    else:
        body = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    packed = form + struct.pack("<L", len(body)) + body + bytes(32)
    return b"RIFF" + struct.pack("<L", len(packed) + 4) + b"WEBP" + packed


def resized_jpeg(jpeg: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size in its header."""
    at = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2"))
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]
