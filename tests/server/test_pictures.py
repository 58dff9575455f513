"""Every form of picture gives the same upright pixels; what is too large, broken or hostile gives an error of ours."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing

import cv2
import numpy as np
import PIL.Image
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.errors import PictureInvalid, PictureTooLarge, PictureUnsupported
from streamapp.faces import Detections
from streamapp.frame import Image
from streamapp.geometry import pairwise_iou
from streamapp.server.pictures import BACKGROUND, MAX_SIDE, decode
from streamapp.zoo.blazeface_litert import LiteRtScreener
from tests.server.picture_bytes import (
    FORMS,
    chunk,
    exif,
    png_of,
    resized_jpeg,
    saved,
    stored,
    webp_header,
    with_exif,
    ycck,
)
from tests.sessions import picture
from tests.weights import SHORT_RANGE, weights_of

MAX_PIXELS = 40_000_000
SMALL = np.arange(20 * 30 * 3, dtype=np.uint32).reshape(20, 30, 3).astype(np.uint8)

Screen = Callable[[Image], Detections]


@pytest.fixture(scope="module")
def portrait() -> Image:
    """A face off the centre of a picture taller than wide."""
    return np.ascontiguousarray(picture("portraits/uniface_src_portrait1.jpg")[::2, :1100:2])


@pytest.fixture(scope="module")
def screen() -> Iterator[Screen]:
    variant, path = weights_of(*SHORT_RANGE)
    with closing(LiteRtScreener(variant.name, path.read_bytes(), min_score=0.5)) as screener:
        yield lambda rgb: screener.screen(rgb, 0.0)


def assert_same_face(screen: Screen, decoded: Image, original: Image) -> None:
    assert decoded.shape == original.shape
    assert decoded.dtype == np.uint8
    found, expected = screen(decoded), screen(original)
    assert (len(found), len(expected)) == (1, 1)
    assert pairwise_iou(found.boxes, expected.boxes)[0, 0] >= 0.9


# -- the same faces from every form ------------------------------------------------------------------------------------


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_face(portrait: Image, screen: Screen, form: str) -> None:
    assert_same_face(screen, decode(FORMS[form](portrait), MAX_PIXELS), portrait)


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_gives_the_same_face(portrait: Image, screen: Screen, kind: str, orientation: int) -> None:
    turned = stored(portrait, orientation)
    data = saved(turned, kind) if kind == "JPEG" else saved(turned, kind, exif=exif(orientation))
    decoded = decode(with_exif(data, exif(orientation)) if kind == "JPEG" else data, MAX_PIXELS)
    assert_same_face(screen, decoded, portrait)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_upright(orientation: int) -> None:
    data = saved(stored(SMALL, orientation), "PNG", exif=exif(orientation))
    assert np.array_equal(decode(data, MAX_PIXELS), SMALL)


@pytest.mark.parametrize("form", ["png", "png-16", "png-16-alpha", "png-alpha", "png-profile", "png-animated"])
def test_lossless_forms_give_the_very_pixels(form: str) -> None:
    assert np.array_equal(decode(FORMS[form](SMALL), MAX_PIXELS), SMALL)


@pytest.mark.parametrize("form", ["jpeg-cmyk", "jpeg-ycck"])
def test_ink_is_read_as_another_decoder_reads_it(form: str) -> None:
    smooth = np.asarray(cv2.resize(SMALL, (300, 200), interpolation=cv2.INTER_CUBIC), np.uint8)
    data = FORMS[form](smooth)
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    difference = np.abs(decode(data, MAX_PIXELS).astype(int) - cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    assert difference.mean() < 3


def test_ycck_is_not_taken_for_cmyk() -> None:
    red = np.full((32, 32, 3), (250, 10, 10), np.uint8)
    assert np.abs(decode(ycck(red), MAX_PIXELS).astype(int) - red).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_nobody_can_see_is_not_there(kind: str) -> None:
    hidden = PIL.Image.fromarray(SMALL).convert("RGBA")
    hidden.putalpha(0)
    seen = decode(saved(hidden, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})), MAX_PIXELS)
    assert (seen == BACKGROUND).all()


def test_one_pixel_is_a_picture() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        assert decode(saved(np.full((1, 1, 3), 77, np.uint8), kind), MAX_PIXELS).shape == (1, 1, 3)
    assert decode(png_of(1, 1, depth=1, colour=0, pixels=b"\0\x80"), MAX_PIXELS).tolist() == [[[255, 255, 255]]]
    key = chunk(b"tRNS", b"\0\1")
    assert tuple(decode(png_of(1, 1, depth=1, colour=0, extra=key, pixels=b"\0\x80"), MAX_PIXELS)[0, 0]) == BACKGROUND


# -- too large ---------------------------------------------------------------------------------------------------------

BOMBS = {
    "png-13000": png_of(13_000, 13_000),
    "png-20000": png_of(20_000, 20_000, colour=6),
    "png-2**31": png_of(2**31 - 1, 2**31 - 1),
    "png-second-header": png_of(20_000, 20_000, extra=png_of(1, 1)[8:33]),
    "jpeg-65500": resized_jpeg(saved(SMALL, "JPEG"), 65_500, 65_500),
    "jpeg-65500-progressive": resized_jpeg(saved(SMALL, "JPEG", progressive=True), 65_500, 65_500),
    "webp-extended": webp_header(b"VP8X", 2**24, 2**24),
    "webp-lossless": webp_header(b"VP8L", 2**14, 2**14),
    "webp-lossy": webp_header(b"VP8 ", 2**14 - 1, 2**14 - 1),
    "wide": png_of(MAX_SIDE + 1, 1),
    "tall": png_of(1, MAX_SIDE + 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_too_large_is_not_decoded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unexpected(*_: object, **__: object) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setattr(PIL.Image, "open", unexpected)
    monkeypatch.setattr(cv2, "imdecode", unexpected)
    process = psutil.Process()
    before_bytes = process.memory_info().rss
    with pytest.raises(PictureTooLarge, match="max_image_pixels"):
        decode(BOMBS[name], MAX_PIXELS)
    assert process.memory_info().rss - before_bytes < 10_000_000


def test_a_second_header_does_not_hide_the_size() -> None:
    data = png_of(1, 1, extra=png_of(20_000, 20_000)[8:33], pixels=b"\0abc")
    assert decode(data, MAX_PIXELS).shape == (1, 1, 3)


def test_the_limit_is_the_last_size_that_is_read() -> None:
    data = saved(SMALL, "PNG")
    assert decode(data, 600).shape == (20, 30, 3)
    with pytest.raises(PictureTooLarge):
        decode(data, 599)


def test_camera_data_of_any_size_cost_nothing() -> None:
    """65 535 entries that each name the whole file."""
    entries = b"".join(index.to_bytes(2, "little") + b"\7\0\xff\xff\0\0\0\0\0\0" for index in range(5000))
    tiff = b"II*\0\x08\0\0\0\xff\xff" + entries
    data = with_exif(saved(SMALL, "JPEG"), tiff[:65_000])
    tracemalloc.start()
    try:
        assert decode(data, MAX_PIXELS).shape == (20, 30, 3)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


# -- broken ------------------------------------------------------------------------------------------------------------

WHOLE = {
    "jpeg": saved(SMALL, "JPEG"),
    "jpeg-progressive": saved(SMALL, "JPEG", progressive=True),
    "png": saved(SMALL, "PNG"),
    "webp": saved(SMALL, "WEBP"),
    "webp-lossless": saved(SMALL, "WEBP", lossless=True),
    "webp-alpha": saved(PIL.Image.fromarray(np.dstack((SMALL, SMALL[..., 0]))), "WEBP"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_every_part_of_a_picture_is_invalid(name: str) -> None:
    data = WHOLE[name]
    for length in range(len(data) - 2):  # a JPEG without its last two bytes has all its pixels
        with pytest.raises((PictureInvalid, PictureUnsupported)):
            decode(data[:length], MAX_PIXELS)


@pytest.mark.parametrize(
    "data",
    [
        png_of(1, 1, colour=7, pixels=b"\0abc"),
        png_of(1, 1, depth=3, pixels=b"\0abc"),
        png_of(0, 1),
        png_of(9, 9, pixels=b"\0abc"),
        png_of(1, 1)[:-20] + chunk(b"IEND"),
        png_of(1, 1, pixels=b"\0abc").replace(b"IDAT", b"IDOT"),
        resized_jpeg(saved(SMALL, "JPEG"), 0, 0),
        saved(SMALL, "JPEG").replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"),
        webp_header(b"VP8X", 9, 9),
        webp_header(b"VP8L", 9, 9),
        webp_header(b"VP8 ", 9, 9),
    ],
)
def test_what_is_broken_is_invalid(data: bytes) -> None:
    with pytest.raises(PictureInvalid):
        decode(data, MAX_PIXELS)


@settings(deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_damage_gives_a_picture_or_an_error_of_ours(name: str, draw: st.DataObject) -> None:
    data = bytearray(WHOLE[name])
    for _ in range(draw.draw(st.integers(1, 8))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        rgb = decode(bytes(data), 1_000_000)
    except (PictureInvalid, PictureUnsupported, PictureTooLarge):
        return
    assert rgb.dtype == np.uint8
    assert rgb.shape[2] == 3
