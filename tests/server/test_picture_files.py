"""What is read off a picture file before anything is decoded."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.errors import PictureInvalid, PictureUnsupported
from streamapp.server import picture_files
from streamapp.server.picture_files import MAX_PARTS, MAX_SCANS, PictureKind, exif_orientation, read_picture_file
from tests.server.picture_bytes import chunk, exif, png_of, saved, segment, webp_header, with_exif

SMALL = np.arange(20 * 30 * 3, dtype=np.uint32).reshape(20, 30, 3).astype(np.uint8)
JPEG = saved(SMALL, "JPEG")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (JPEG, PictureKind.JPEG),
        (saved(SMALL, "JPEG", progressive=True), PictureKind.JPEG),
        (saved(SMALL, "PNG"), PictureKind.PNG),
        (saved(SMALL, "WEBP"), PictureKind.WEBP),
        (saved(SMALL, "WEBP", lossless=True), PictureKind.WEBP),
        (saved(SMALL, "WEBP", exif=exif(1)), PictureKind.WEBP),
    ],
)
def test_kind_and_size_are_read_off_the_header(data: bytes, kind: PictureKind) -> None:
    file = read_picture_file(data)
    assert (file.kind, file.width, file.height, file.orientation) == (kind, 30, 20, 1)


@pytest.mark.parametrize("form", [b"VP8X", b"VP8L", b"VP8 "])
def test_all_forms_of_webp_say_their_size(form: bytes) -> None:
    file = read_picture_file(webp_header(form, 16_383, 9_001))
    assert (file.width, file.height) == (16_383, 9_001)


# -- what is left behind -----------------------------------------------------------------------------------------------


def test_a_decoder_is_given_only_what_pixels_need() -> None:
    extra = chunk(b"tEXt", b"a\0secret") + chunk(b"iCCP", b"secret") + chunk(b"acTL", b"secret") + chunk(b"IHDR", b"x")
    file = read_picture_file(png_of(1, 1, extra=extra, pixels=b"\0abc"))
    assert file.coded == png_of(1, 1, pixels=b"\0abc")
    extra = segment(0xE1, b"Exif\0\0secret") + segment(0xE2, b"ICC_PROFILE\0secret") + segment(0xFE, b"secret")
    assert read_picture_file(JPEG[:2] + extra + JPEG[2:]).coded == JPEG


def test_pixels_in_many_pieces_are_put_together() -> None:
    packed = zlib.compress(b"\0abc")
    pieces = b"".join(chunk(b"IDAT", packed[i : i + 1]) for i in range(len(packed)))
    whole = png_of(1, 1, pixels=b"\0abc")
    assert read_picture_file(whole[:33] + pieces + chunk(b"IEND")).coded == whole


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt", b"iTXt"])
def test_packed_text_and_profiles_are_not_unpacked(name: bytes) -> None:
    bomb = chunk(name, {b"iTXt": b"a\0\1\0\0\0"}.get(name, b"a\0\0") + zlib.compress(bytes(100_000_000), 9))
    data = png_of(1, 1, extra=bomb * 20, pixels=b"\0abc")
    tracemalloc.start()
    try:
        file = read_picture_file(data)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(file.coded) < 100
    assert peak_bytes < 2 * len(data) + 1_000_000


def test_a_jpeg_of_too_many_scans_is_refused() -> None:
    progressive = saved(SMALL, "JPEG", progressive=True)
    last = progressive[progressive.rindex(b"\xff\xda") : -2]
    assert read_picture_file(progressive).kind is PictureKind.JPEG
    with pytest.raises(PictureInvalid, match="scans"):
        read_picture_file(progressive[:-2] + last * MAX_SCANS + b"\xff\xd9")


def test_there_is_an_end_to_parts() -> None:
    with pytest.raises(PictureInvalid):
        read_picture_file(png_of(1, 1, extra=chunk(b"tEXt") * MAX_PARTS))
    with pytest.raises(PictureInvalid):
        read_picture_file(JPEG[:2] + segment(0xFE, b"") * MAX_PARTS + JPEG[2:])


def test_filling_before_a_jpeg_marker_is_passed_over() -> None:
    assert read_picture_file(JPEG[:2] + b"\xff" * 1_000_000 + JPEG[2:]).coded == JPEG
    assert read_picture_file(JPEG[:3] + b"\xff\0" * 1_000_000 + JPEG[2:]).coded == JPEG


# -- which way up ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_found_in_every_kind(orientation: int, order: str) -> None:
    tiff = exif(orientation, order)
    assert read_picture_file(with_exif(JPEG, tiff)).orientation == orientation
    assert read_picture_file(png_of(1, 1, extra=chunk(b"eXIf", tiff))).orientation == orientation
    assert read_picture_file(saved(SMALL, "WEBP", exif=tiff)).orientation == orientation
    assert read_picture_file(saved(SMALL, "WEBP", exif=b"Exif\0\0" + tiff)).orientation == orientation


@pytest.mark.parametrize(
    "tiff",
    [
        b"",
        b"II*\0",
        b"Exif\0\0",
        exif(0),
        exif(9),
        exif(65_535),
        exif(6)[:-8],
        b"XX" + exif(6)[2:],
        exif(6).replace(struct.pack("<H", 0x0112), struct.pack("<H", 0x0113)),
        exif(6).replace(struct.pack("<HH", 0x0112, 3), struct.pack("<HH", 0x0112, 5)),
        b"II*\0" + struct.pack("<L", 0xFFFF_FFFF) + exif(6)[8:],
    ],
)
def test_an_orientation_that_makes_no_sense_is_upright(tiff: bytes) -> None:
    assert exif_orientation(tiff) == 1


# -- what is not a picture ---------------------------------------------------------------------------------------------

OTHER_KINDS = {
    "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "avif": b"\0\0\0\x20ftypavif\0\0\0\0avifmif1",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "pdf": b"%PDF-1.7\n",
    "tiff": saved(SMALL, "TIFF"),
    "gif": saved(SMALL, "GIF"),
    "bmp": saved(SMALL, "BMP"),
    "jpeg2000": saved(SMALL, "JPEG2000"),
    "ppm": saved(SMALL, "PPM"),
    "text": b"image.jpg",
    "wav": b"RIFF\x24\0\0\0WAVEfmt ",
    "late": b" " + JPEG,
}


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_other_kinds_are_unsupported(name: str) -> None:
    with pytest.raises(PictureUnsupported):
        read_picture_file(OTHER_KINDS[name])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\0\0" * 9,
        JPEG[:-2].partition(b"\xff\xda")[0],
        b"\x89PNG\r\n\x1a\n",
        png_of(1, 1)[:40],
        png_of(1, 1)[:-12],
        png_of(1, 1).replace(b"\0\0\0\rIHDR", b"\0\0\0\x0cIHDR"),
        b"RIFF\x04\0\0\0WEBP",
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + bytes(30),
        webp_header(b"VP8 ", 9, 9).replace(b"\x9d\x01", b"\x9d\x02"),
        webp_header(b"VP8L", 9, 9).replace(b"\x2f", b"\x2e"),
        webp_header(b"VP8X", 9, 9).replace(b"VP8X", b"VP8Y"),
    ],
)
def test_beginnings_of_pictures_are_invalid(data: bytes) -> None:
    with pytest.raises(PictureInvalid):
        read_picture_file(data)


@settings(deadline=None)
@given(
    st.sampled_from((b"\xff\xd8\xff", picture_files._PNG_START, b"RIFF\4\0\0\0WEBPVP8X", b"")), st.binary(max_size=400)
)
def test_garbage_is_never_an_unexpected_error(magic: bytes, rest: bytes) -> None:
    try:
        file = read_picture_file(magic + rest)
    except (PictureInvalid, PictureUnsupported):
        return
    assert len(file.coded) <= len(magic + rest) + 12
